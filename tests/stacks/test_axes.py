import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sam2.stacks.axes import guess_axes, plan_layout, resolve_axes
from napari_sam2.stacks.errors import StackError


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((5, 6), "YX"),
        ((9, 5, 6), "TYX"),
        ((5, 6, 3), "YXC"),
        ((5, 6, 4), "YXC"),
        ((9, 5, 6, 3), "TYXC"),
    ],
)
def test_guess(shape, axes):
    assert guess_axes(shape) == axes


def test_four_unnamed_axes_ask_for_names():
    with pytest.raises(StackError, match=r"axes='TZYX'"):
        guess_axes((7, 5, 64, 64))


@pytest.mark.parametrize(
    ("shape", "given", "known", "axes"),
    [
        ((9, 5, 6), None, None, "TYX"),
        ((9, 5, 6), "zyx", None, "ZYX"),
        ((9, 5, 6), "zyx", "TYX", "ZYX"),
        ((9, 5, 6), None, "QYX", "TYX"),
        ((9, 5, 6), None, "IYX", "TYX"),
        ((9, 5, 6, 3), None, "IYXS", "TYXC"),
        ((2, 9, 5, 6, 3), None, "CTYXS", "CTYXS"),
        ((4, 9, 5, 6), None, "TQYX", "TQYX"),
        ((9, 1, 1, 5, 6), "TYX", "TZCYX", "T__YX"),
        ((1, 1, 9, 5, 6), None, None, "__TYX"),
        ((1, 9, 5, 6), None, None, "_TYX"),
    ],
)
def test_resolve(shape, given, known, axes):
    assert resolve_axes(shape, given=given, known=known) == axes


@pytest.mark.parametrize(
    ("shape", "given"),
    [
        ((9, 5, 6), "YX"),
        ((9, 5, 6), "TZYX"),
        ((9, 5, 6), "TTX"),
        ((9, 5, 6), "TZX"),
        ((9, 5, 6), "T X"),
        ((9, 5, 6), "12X"),
        ((9, 5, 6), ""),
        ((2, 3, 5, 6), "TYX"),
    ],
)
def test_wrong_axes_are_one_sentence(shape, given):
    with pytest.raises(StackError, match="axes=") as caught:
        resolve_axes(shape, given=given)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    ("axes", "shape", "fixed", "followed", "index"),
    [
        ("TYX", (9, 5, 6), {}, "T", (2, ..., ...)),
        ("ZYX", (9, 5, 6), {}, "Z", (2, ..., ...)),
        ("YX", (5, 6), {}, None, (..., ...)),
        ("TZYX", (9, 4, 5, 6), {"Z": 3}, "T", (2, 3, ..., ...)),
        ("TZYX", (9, 4, 5, 6), {"z": -1}, "T", (2, 3, ..., ...)),
        ("TZYX", (9, 4, 5, 6), {"T": 7}, "Z", (7, 2, ..., ...)),
        ("TZYX", (1, 4, 5, 6), {}, "Z", (0, 2, ..., ...)),
        ("ZTYX", (1, 4, 5, 6), {}, "T", (0, 2, ..., ...)),
        ("TCYX", (9, 2, 5, 6), {}, "T", (2, ..., ..., ...)),
        ("TCYX", (9, 8, 5, 6), {"C": 6}, "T", (2, 6, ..., ...)),
        ("PTYX", (3, 9, 5, 6), {"P": 1}, "T", (1, 2, ..., ...)),
    ],
)
def test_plan(axes, shape, fixed, followed, index):
    layout = plan_layout(axes, shape, fixed=fixed)
    assert layout.followed == followed
    assert layout.index(2) == tuple(slice(None) if i is ... else i for i in index)


def test_time_is_followed_before_depth_and_the_other_must_be_fixed():
    with pytest.raises(StackError, match=r"Axis Z .* 4 positions .*fixed=\{'Z': 0\}"):
        plan_layout("ZTYX", (4, 9, 5, 6))


@pytest.mark.parametrize("fixed", [{"Q": 1}, {"Y": 1}, {"Z": 4}, {"Z": -5}])
def test_wrong_fixed(fixed):
    with pytest.raises(StackError, match="fixed"):
        plan_layout("TZYX", (9, 4, 5, 6), fixed=fixed)


def test_channels_are_chosen_or_asked_for():
    assert plan_layout("TCYX", (9, 8, 5, 6), channels=(5, -1)).channels == (5, 7)
    with pytest.raises(StackError, match=r"8 channels .*channels="):
        plan_layout("TCYX", (9, 8, 5, 6))
    with pytest.raises(StackError, match="4 channels"):
        plan_layout("TCYX", (9, 4, 5, 6))
    assert plan_layout("TYXC", (9, 5, 6, 4)).n_channels == 4
    for wrong in [(0, 1, 2, 3), (), (8,)]:
        with pytest.raises(StackError, match="one to three"):
            plan_layout("TCYX", (9, 8, 5, 6), channels=wrong)
    with pytest.raises(StackError, match="no channel axis"):
        plan_layout("TYX", (9, 5, 6), channels=(0,))


def test_no_pixels():
    with pytest.raises(StackError, match="no pixels"):
        plan_layout("TYX", (0, 5, 6))


@settings(deadline=None)  # the machine may be busy
@given(st.permutations("TZCYX"), st.data())
def test_any_order_of_axes_gives_rows_and_columns(order, data):
    import numpy as np

    lengths = {"T": 4, "Z": 3, "C": 2, "Y": 5, "X": 6}
    axes = "".join(order)
    z = data.draw(st.integers(0, 2))
    array = np.arange(720).reshape([lengths[a] for a in axes])
    layout = plan_layout(axes, array.shape, fixed={"Z": z})
    frame = layout.to_frame(array[layout.index(3)])
    plain = array.transpose([axes.index(a) for a in "TZYXC"])
    assert np.array_equal(frame, plain[3, z])
