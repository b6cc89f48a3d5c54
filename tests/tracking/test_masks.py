from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_sam2.tracking.masks import (
    EMPTY,
    Drawn,
    Patch,
    compose,
    patch_from_logits,
    patch_from_mask,
    tidy,
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
    plane, drawn = compose(
        {4: patch_from_mask(MaskPrompt.from_array(4, 0, mask))},
        before=np.zeros((9, 9), np.uint16),
    )
    np.testing.assert_array_equal(plane == 4, mask)
    assert drawn == {4: Drawn(area=2, lost=0.0, centroid=(3.5, 5.0))}


def square(y: int, x: int, value: float) -> Patch:
    return Patch(corner=(y, x), logits=np.full((4, 4), value, np.float32))


def test_the_highest_logit_wins_in_any_order() -> None:
    patches = {1: square(0, 0, 1.0), 2: square(2, 2, 3.0), 9: square(0, 2, 2.0)}
    before = np.zeros((8, 8), np.uint16)
    plane, drawn = compose(patches, before=before)
    again, _ = compose(dict(reversed(patches.items())), before=before)
    np.testing.assert_array_equal(plane, again)
    assert plane[2, 2] == 2
    assert plane[0, 2] == 9
    assert plane[0, 0] == 1
    assert {i: d.area for i, d in drawn.items()} == {1: 8, 2: 16, 9: 8}
    assert {i: d.lost for i, d in drawn.items()} == {1: 8 / 16, 2: 0.0, 9: 8 / 16}
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
    plane, drawn = compose({1: square(0, 0, value)}, before=np.zeros((8, 8), np.uint16))
    assert not plane.any()
    assert drawn == {1: Drawn(area=0, lost=0.0, centroid=None)}


def test_an_object_wholly_covered_lost_all_of_its_answer() -> None:
    patches = {1: square(1, 1, 1.0), 2: square(1, 1, 2.0)}
    _, drawn = compose(patches, before=np.zeros((8, 8), np.uint16))
    assert drawn[1] == Drawn(area=0, lost=1.0, centroid=None)
    assert drawn[2] == Drawn(area=16, lost=0.0, centroid=(2.5, 2.5))


@pytest.mark.parametrize("many", [1, 7])
def test_kept_pixels_are_neither_covered_nor_redrawn(many: int) -> None:
    before = np.zeros((8, 8), np.uint16)
    before[0, :3] = 5
    before[1, 6:] = 6
    others = range(20, 20 + many)
    before[7, :many] = others
    patches = {1: square(0, 0, 9.0), 5: square(3, 4, 9.0), 6: square(2, 4, 1.0)}
    plane, drawn = compose(patches, before=before, kept={5, *others})
    assert (plane[0, :3] == 5).all()
    assert not (plane[3:, 4:] == 5).any()
    assert (plane[7, :many] == others).all()
    assert drawn[1].area == 13
    assert drawn[1].lost == 3 / 16
    assert drawn[5] == Drawn(area=3, lost=12 / 16, centroid=(0.0, 1.0))
    assert not (plane[1, 6:] == 6).any()
    assert drawn[6].area == 16


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_drawing_is_the_highest_logit_of_full_planes(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    shape, ids = (20, 30), np.arange(1, count + 3)
    before = rng.choice([0, *ids], shape).astype(np.uint16)
    kept = {int(i) for i in ids if rng.random() < 0.2}
    patches, planes = {}, np.full((count + 3, *shape), 0, np.float32)
    for i in range(1, count + 1):
        h, w = rng.integers(1, 15, 2)
        y, x = rng.integers(0, shape[0] - h), rng.integers(0, shape[1] - w)
        logits = rng.normal(0, 2, (h, w)).astype(np.float32)
        patches[i] = Patch(corner=(int(y), int(x)), logits=logits)
        if i not in kept:
            planes[i, y : y + h, x : x + w] = logits
    expected = np.where(np.isin(before, list(set(patches) - kept)), 0, before)
    free = ~np.isin(before, list(kept)) & (planes.max(0) > 0)
    expected[free] = planes.argmax(0)[free]
    plane, drawn = compose(patches, before=before, kept=kept)
    np.testing.assert_array_equal(plane, expected)
    for i, found in drawn.items():
        pixels = np.argwhere(expected == i)
        assert found.area == len(pixels)
        if len(pixels):
            assert found.centroid == pytest.approx(pixels.mean(0))
        own = patches[i].mask(shape)
        others = own & (expected != i) & (expected != 0)
        assert found.lost == (others.sum() / own.sum() if own.any() else 0.0)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.floats(-1.0, 1.0))
def test_a_tidy_object_is_its_largest_piece_filled(seed: int, bias: float) -> None:
    logits = np.random.default_rng(seed).normal(bias, 1, (9, 11)).astype(np.float32)
    pieces, count = ndimage.label(logits > 0)
    sizes = ndimage.sum_labels(logits > 0, pieces, range(1, count + 1))
    largest = pieces == 1 + int(np.argmax(sizes)) if count else logits > 0
    found = tidy(Patch(corner=(0, 0), logits=logits)).logits
    np.testing.assert_array_equal(found > 0, ndimage.binary_fill_holes(largest))
