"""Branching cells: one piece, with forks, moving and turning as a whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage
from skimage.morphology import skeletonize

from napari_sam2.training.branching import BranchScene, draw_branching

SIZE = 192


def alone(seed: int) -> BranchScene:
    """Return a scene with its first cell in the middle, unwarped and at rest."""
    scene = draw_branching(np.random.default_rng(seed), SIZE, 2)
    own = scene.owner == 0
    names = ("number", "centre", "angle", "axes", "bend", "lift", "table")
    parts = {name: getattr(scene.parts, name)[own] for name in names}
    motion = scene.motion
    return replace(
        scene,
        labelled=np.array([False, True]),
        parts=replace(scene.parts, **parts),
        owner=scene.owner[own],
        place=np.full((2, 1, 2), (SIZE - 1) / 2, np.float32),
        turn=np.array([[0], [np.pi / 2]], np.float32),
        motion=replace(motion, shift=0 * motion.shift, warp=0 * motion.warp),
    )


def test_a_cell_is_one_piece_with_several_ends() -> None:
    ends, pieces, filled = [], [], []
    for seed in range(20):
        mask = alone(seed).at(0).index > 0
        pieces.append(ndimage.label(mask, np.ones((3, 3)))[1])
        line = skeletonize(mask)
        neighbours = ndimage.convolve(line.astype(int), np.ones((3, 3), int)) - 1
        ends.append(int((line & (neighbours == 1)).sum()))
        y, x = np.nonzero(mask)
        reach = np.hypot(y - (SIZE - 1) / 2, x - (SIZE - 1) / 2).max()
        filled.append(mask.sum() / (np.pi * reach**2))
    assert np.mean(np.array(pieces) == 1) >= 0.9
    assert np.median(ends) >= 4
    assert np.median(filled) < 0.35


def test_parts_turn_with_their_cell() -> None:
    for seed in range(5):
        scene = alone(seed)
        before, after = scene.at(0), scene.at(1)
        # From x towards y: a quarter turn clockwise as pictures are shown.
        turned = np.rot90(before.index, -1)
        both = (turned > 0) & (after.index > 0)
        assert both.sum() > 0.95 * ((turned > 0) | (after.index > 0)).sum()
        np.testing.assert_allclose(
            np.rot90(before.u, -1)[both], after.u[both], atol=1e-2
        )
        np.testing.assert_allclose(
            np.rot90(before.v, -1)[both], after.v[both], atol=1e-2
        )


def test_cells_have_a_number_each() -> None:
    scene = draw_branching(np.random.default_rng(3), SIZE, 3)
    n = len(scene.labelled) - 1
    assert n > 1
    np.testing.assert_array_equal(scene.parts.number, scene.owner + 1)
    assert (np.diff(scene.owner) >= 0).all()
    assert set(np.unique(scene.at(2).index)) <= set(range(n + 1))
    assert len(scene.owner) < 800
