"""COCO's run-length encoding: by hand, as published, as pycocotools, and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from napari_sam2.stacks import StackError
from napari_sam2.stacks.rle import (
    counts_to_string,
    decode_rle,
    encode_plane,
    encode_rle,
    string_to_counts,
)

ROWS, COLUMNS = np.mgrid[:50, :70]


def disc(y, x, radius):
    return (ROWS - y) ** 2 + (COLUMNS - x) ** 2 < radius**2


def test_by_hand():
    """Down the columns: 2 of 0, 1 of 1, 3 of 0, 2 of 1, 1 of 0.

    The first three stand alone: "2", "1", "3". The fourth is 2 - 1 = 1: "1". The
    fifth is 1 - 3 = -2, five bits 11110 = 30, and 48 + 30 is "N".
    """
    mask = np.array([[0, 0, 1], [0, 0, 1], [1, 0, 0]])
    assert encode_rle(mask, compressed=False) == {
        "size": [3, 3],
        "counts": [2, 1, 3, 2, 1],
    }
    assert encode_rle(mask) == {"size": [3, 3], "counts": "2131N"}
    # 20 = 10100 has bit 5 set, which would be a minus: a second character follows.
    # 52 = 1 10100: 20 + 32 + 48 = 100 "d", then 1 + 48 "1".
    assert counts_to_string(np.array([20, 52])) == "d0d1"


@pytest.mark.parametrize(
    ("mask", "counts"),
    [
        (
            disc(20, 30, 15),
            r"_i0;U14M2M4M2O0O2N2O0O2O00000000000000000001N101N2N101N3L3N3LeV1",
        ),
        (
            disc(20, 30, 15) & ~disc(22, 28, 8),
            (
                r"_i0;U14M2M4M2OC\OLc03AL=4EL:4FL94IL64JL64JL64JL64JL64JL64JL65HL84HL85FL:6BL?"
                r"b0101N2N101N3L3N3LeV1"
            ),
        ),
        (disc(0, 0, 9), "09Y100000000O1O1O1O[o2"),
        (disc(49, 69, 2), "h[32`10"),
        (ROWS < 0, r"\]3"),
        (ROWS >= 0, r"0\]3"),
    ],
    ids=["disc", "ring", "corner", "last", "empty", "full"],
)
def test_the_same_string_as_pycocotools(mask, counts):
    """The strings were written by pycocotools 2.0.11."""
    assert encode_rle(mask) == {"size": [50, 70], "counts": counts}
    assert np.array_equal(decode_rle({"size": [50, 70], "counts": counts}), mask)
    assert decode_rle({"size": (50, 70), "counts": counts.encode()}).dtype == bool


@pytest.mark.parametrize(
    "counts",
    [
        "P`]<",
        (
            r"Sfm3<Rj03M3M3L3N3M2N3M2N3O000010O0000001O001O00000000001O000000O1001O0000O1000"
            r"1O00000O100O100O1O100O100O1000000001O1O001O1O1O1O001N2O00001O001O001O1O001O0000"
            r"0O2O000O101O1O001N100O1O2O1N2N2N3HbiR6"
        ),
        (
            r"SSd3>ii0f0C2O2_Oe0F6J5J;G5K4L4K6K5J5M3M2M4M2M2N4M4L2N2N2N2N1N3N1O2N101O0O100O1"
            r"01O00000000000000001OO101O01OO2O0O100O2O001N1O2O1O1M3O5K2M2O0O2N3K6H7G9I7L3N2O1"
            r"O001O1O2N5K2N1O1O2N2GlWOPNXh0l18M3M3N2N2N3M2N102M3M3M3N2M3M2M5L4L5K3LP^R6"
        ),
    ],
)
def test_published_masks_come_back(counts):
    """From the example that is published with SA-V, 848 × 480 pixels."""
    rle = {"size": [848, 480], "counts": counts}
    mask = decode_rle(rle)
    assert mask.any() == (counts != "P`]<")
    assert encode_rle(mask) == rle


MASKS = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=40))


@given(MASKS)
def test_any_mask_comes_back(mask):
    for compressed in (True, False):
        assert np.array_equal(decode_rle(encode_rle(mask, compressed=compressed)), mask)


@given(st.lists(st.integers(0, 2**33), min_size=1))
def test_any_runs_come_back(counts):
    runs = np.array(counts, np.int64)
    assert np.array_equal(string_to_counts(counts_to_string(runs)), runs)


@given(
    arrays(
        np.uint16,
        array_shapes(min_dims=2, max_dims=2, max_side=30),
        elements=st.sampled_from([0, 1, 5, 60000]),
    )
)
def test_a_plane_at_once_is_its_objects_one_by_one(plane):
    ids = [60000, 1, 5, 7]
    assert encode_plane(plane, ids) == [encode_rle(plane == i) for i in ids]


def test_runs_of_length_zero_are_read():
    rle = {"size": [2, 3], "counts": [1, 1, 0, 2, 0, 0, 2]}
    assert decode_rle(rle).tolist() == [[False, True, False], [True, True, False]]


@pytest.mark.parametrize(
    ("rle", "says"),
    [
        ({"size": [2, 2]}, "'counts'"),
        ({"size": 4, "counts": [4]}, "'size'"),
        ({"size": [2, 2], "counts": [5]}, "2×2"),
        ({"size": [2, 2], "counts": [5, -1]}, "2×2"),
        ({"size": [-2, -2], "counts": [4]}, "damaged"),
        ({"size": [2, 2], "counts": ""}, "compressed"),
        ({"size": [2, 2], "counts": "4d"}, "compressed"),
        ({"size": [2, 2], "counts": "4é"}, "runs do not fill|compressed"),
        ({"size": [2, 2], "counts": "o" * 9 + "0"}, "too large"),
    ],
)
def test_damage_is_named(rle, says):
    with pytest.raises(StackError, match=says) as caught:
        decode_rle(rle)
    assert "\n" not in str(caught.value)
