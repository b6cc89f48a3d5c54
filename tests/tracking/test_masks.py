from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sam2.tracking.masks import (
    EMPTY,
    Patch,
    compose,
    patch_from_logits,
    patch_from_mask,
)
from napari_sam2.tracking.prompts import MaskPrompt


def enlarged(low_res: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    x = torch.from_numpy(low_res)[None, None]
    return torch.nn.functional.interpolate(x, size=shape, mode="bilinear")[0, 0].numpy()


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 90),
    st.integers(1, 90),
    st.sampled_from([4, 16, 64]),
)
def test_a_patch_is_the_whole_mask_enlarged(
    seed: int, height: int, width: int, side: int
) -> None:
    rng = np.random.default_rng(seed)
    low_res = rng.normal(-1, 2, (side, side)).astype(np.float32)
    low_res[: rng.integers(side)] = -5  # so that the object has a box
    whole = enlarged(low_res, (height, width))
    patch = patch_from_logits(low_res, (height, width))
    ours = np.full((height, width), -1, np.float32)
    ours[patch.place] = patch.logits
    np.testing.assert_allclose(ours[patch.place], whole[patch.place], atol=1e-4)
    clear = np.abs(whole) > 1e-4
    np.testing.assert_array_equal((ours > 0)[clear], (whole > 0)[clear])


def test_only_the_objects_box_is_enlarged() -> None:
    low_res = np.full((64, 64), -10, np.float32)
    low_res[10:14, 20:22] = 5
    patch = patch_from_logits(low_res, (2048, 2048))
    assert patch.logits.size < 2048 * 2048 / 100
    assert patch_from_logits(np.full((64, 64), -1024, np.float32), (99, 99)) is EMPTY


def test_a_painted_mask_is_taken_as_it_is() -> None:
    mask = np.zeros((9, 9), bool)
    mask[2, 3] = mask[5, 7] = True
    plane, areas = compose(
        {4: patch_from_mask(MaskPrompt.from_array(4, 0, mask))},
        before=np.zeros((9, 9), np.uint16),
    )
    np.testing.assert_array_equal(plane == 4, mask)
    assert areas == {4: 2}


def square(y: int, x: int, value: float) -> Patch:
    return Patch(corner=(y, x), logits=np.full((4, 4), value, np.float32))


def test_the_highest_logit_wins_in_any_order() -> None:
    patches = {1: square(0, 0, 1.0), 2: square(2, 2, 3.0), 9: square(0, 2, 2.0)}
    before = np.zeros((8, 8), np.uint16)
    plane, areas = compose(patches, before=before)
    again, _ = compose(dict(reversed(patches.items())), before=before)
    np.testing.assert_array_equal(plane, again)
    assert plane[2, 2] == 2
    assert plane[0, 2] == 9
    assert plane[0, 0] == 1
    assert areas == {i: int((plane == i).sum()) for i in patches}
    assert not before.any()


def test_other_objects_stay_and_own_pixels_are_redrawn() -> None:
    before = np.zeros((8, 8), np.uint32)
    before[:, 6:], before[7] = 70_000, 3
    plane, _ = compose({3: square(0, 0, 1.0), 5: EMPTY}, before=before)
    assert plane.dtype == np.uint32
    assert (plane[:7, 6:] == 70_000).all()
    assert (plane[:4, :4] == 3).all()
    assert not (plane[7] == 3).any()


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_logits_that_are_not_positive_draw_nothing(value: float) -> None:
    plane, areas = compose({1: square(0, 0, value)}, before=np.zeros((8, 8), np.uint16))
    assert not plane.any()
    assert areas == {1: 0}
