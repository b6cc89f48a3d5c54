"""Rasterising against geometry worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam2.training import shapes


def grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return unwarped coordinates."""
    y, x = np.mgrid[:size, :size].astype(np.float32)
    return y, x


def disks(centres: list[tuple[float, float]], radius: float) -> shapes.Blobs:
    """Return equal disks in the plane."""
    n = len(centres)
    return shapes.Blobs(
        number=np.arange(1, n + 1, dtype=np.int32),
        centre=np.array(centres, np.float32),
        angle=np.zeros(n, np.float32),
        axes=np.full((n, 2), radius, np.float32),
        bend=np.zeros(n, np.float32),
        lift=np.zeros(n, np.float32),
        table=np.ones((n, shapes.ANGLES), np.float32),
    )


def test_disk_is_where_it_should_be() -> None:
    y, x = grid(64)
    blobs = disks([(20, 30)], 10)
    shown = shapes.paint_blobs(blobs, y, x, overlap=True, boxes=blobs.centre)
    distance = np.hypot(y - 20, x - 30)
    np.testing.assert_array_equal(shown.index > 0, distance < 10)
    inside = distance < 10
    np.testing.assert_allclose(shown.depth[inside], 10 - distance[inside], atol=1e-3)


def test_a_lifted_ball_shows_a_smaller_section() -> None:
    y, x = grid(64)
    blobs = disks([(32, 32)], 20)
    blobs.lift[:] = 0.6  # sqrt(1 - 0.36) = 0.8 of the radius is left
    shown = shapes.paint_blobs(blobs, y, x, overlap=True, boxes=blobs.centre)
    assert (shown.index > 0).sum() == pytest.approx(np.pi * 16**2, rel=0.03)
    blobs.lift[:] = 1.0
    gone = shapes.paint_blobs(blobs, y, x, overlap=True, boxes=blobs.centre)
    assert not gone.index.any()


def test_overlapping_blobs_cover_and_touching_ones_share() -> None:
    y, x = grid(64)
    blobs = disks([(32, 25), (32, 39)], 12)
    covered = shapes.paint_blobs(blobs, y, x, overlap=True, boxes=blobs.centre)
    shared = shapes.paint_blobs(blobs, y, x, overlap=False, boxes=blobs.centre)
    areas = np.bincount(covered.index.ravel())[1:]
    assert areas[1] == (np.hypot(y - 32, x - 39) < 12).sum()
    assert areas[0] < areas[1]
    halves = np.bincount(shared.index.ravel())[1:]
    assert abs(int(halves[0]) - int(halves[1])) <= 24  # the column between them
    np.testing.assert_array_equal(covered.index > 0, shared.index > 0)


@pytest.mark.parametrize("overlap", [True, False])
def test_parts_of_one_object_are_one(*, overlap: bool) -> None:
    y, x = grid(64)
    blobs = disks([(32, 25), (32, 39), (10, 10)], 12)
    blobs.number[:] = 1, 1, 2
    shown = shapes.paint_blobs(blobs, y, x, overlap=overlap, boxes=blobs.centre)
    away = np.minimum(np.hypot(y - 32, x - 25), np.hypot(y - 32, x - 39))
    inside = away < 12
    np.testing.assert_array_equal(inside & (shown.index != 2), shown.index == 1)
    own = shown.index == 1
    np.testing.assert_allclose(shown.depth[own], 12 - away[own], atol=1e-3)


def test_blobs_beyond_the_border_are_cut() -> None:
    y, x = grid(32)
    blobs = disks([(-4, 16), (90, 90)], 8)
    shown = shapes.paint_blobs(blobs, y, x, overlap=True, boxes=blobs.centre)
    np.testing.assert_array_equal(shown.index == 1, np.hypot(y + 4, x - 16) < 8)
    assert set(np.unique(shown.index)) == {0, 1}


def test_cells_are_the_nearest_seeds() -> None:
    rng = np.random.default_rng(0)
    seeds = np.column_stack([np.zeros(30), rng.uniform(0, 64, (30, 2))])
    y, x = grid(64)
    shown = shapes.paint_cells(
        seeds.astype(np.float32),
        np.zeros(30, np.float32),
        np.arange(1, 31, dtype=np.int32),
        y,
        x,
    )
    away = np.hypot(y[..., None] - seeds[:, 1], x[..., None] - seeds[:, 2])
    np.testing.assert_array_equal(shown.index, away.argmin(axis=2) + 1)
    nearest = np.sort(away, axis=2)
    wanted = (nearest[..., 1] - nearest[..., 0]) / 2
    np.testing.assert_allclose(shown.depth, wanted, atol=1e-2)


def test_seeds_of_one_owner_have_no_border_between_them() -> None:
    y, x = grid(32)
    seeds = np.array([[0, 16, 8], [0, 16, 16], [0, 16, 28]], np.float32)
    owner = np.array([1, 1, 2], np.int32)
    shown = shapes.paint_cells(seeds, np.zeros(3, np.float32), owner, y, x)
    assert shown.depth[16, 12] > 3  # half way between the joined seeds
    assert shown.depth[16, 22] < 0.5  # half way between the owners
    assert set(np.unique(shown.index)) == {1, 2}
