"""Outlines and scribbles, from vertices to pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_sam2.stacks.drawn import (
    SCRIBBLE_POINTS,
    ellipse_mask,
    polygon_mask,
    rims,
    scribble_points,
)

SHAPE = (20, 30)


def square(y, x, y2, x2):
    return [(y, x), (y, x2), (y2, x2), (y2, x)]


def test_a_polygon_holds_the_pixels_whose_centres_it_holds():
    mask = polygon_mask(square(2.5, 3.5, 6.4, 10.6), SHAPE)
    wanted = np.zeros(SHAPE, bool)
    wanted[3:7, 4:11] = True
    np.testing.assert_array_equal(mask, wanted)


def test_what_sticks_out_is_cut_off():
    mask = polygon_mask(square(-50, -50, 2.5, 3.5), SHAPE)
    wanted = np.zeros(SHAPE, bool)
    wanted[:3, :4] = True
    np.testing.assert_array_equal(mask, wanted)
    assert not polygon_mask(square(50, 50, 60, 60), SHAPE).any()
    assert not ellipse_mask(square(50, 50, 60, 60), SHAPE).any()
    assert not ellipse_mask(square(-60, -60, -50, -50), SHAPE).any()


@pytest.mark.parametrize(
    "vertices",
    [
        [(5, 5), (5, 15), (5, 9)],
        [(5, 5), (5, 5), (5, 5)],
        [(2, 2), (8, 8)],
        [(3, 3), (6, 6), (9, 9), (4, 4)],
    ],
)
def test_a_flat_polygon_holds_nothing(vertices):
    assert not polygon_mask(vertices, SHAPE).any()


def test_a_figure_of_eight_holds_both_its_halves():
    mask = polygon_mask([(2.5, 2.5), (12.5, 12.5), (2.5, 12.5), (12.5, 2.5)], SHAPE)
    assert mask[7, 4]
    assert mask[7, 11]
    assert not mask[4, 7]


def test_an_ellipse_is_that_of_its_box():
    mask = ellipse_mask(square(4, 5, 16, 25), SHAPE)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    wanted = ((y - 10) / 6) ** 2 + ((x - 15) / 10) ** 2 <= 1
    np.testing.assert_array_equal(mask, wanted)


def test_a_turned_ellipse():
    turn = np.deg2rad(30)
    u = 8 * np.array([np.cos(turn), np.sin(turn)])
    v = 4 * np.array([-np.sin(turn), np.cos(turn)])
    centre = np.array([10.0, 15.0])
    corners = [centre - u - v, centre + u - v, centre + u + v, centre - u + v]
    mask = ellipse_mask(corners, SHAPE)
    grid = np.stack(np.mgrid[: SHAPE[0], : SHAPE[1]], axis=-1) - centre
    wanted = (grid @ u / 64) ** 2 + (grid @ v / 16) ** 2 <= 1
    np.testing.assert_array_equal(mask, wanted)


def test_an_ellipse_that_sticks_out_or_is_flat():
    mask = ellipse_mask(square(-10, -10, 10, 10), SHAPE)
    assert mask[0, 0]
    assert mask[0, 10]
    assert not mask[8, 8]
    assert mask.sum() == (ellipse_mask(square(5, 5, 25, 25), (40, 40))[15:, 15:]).sum()
    assert not ellipse_mask(square(5, 5, 5, 25), SHAPE).any()


def test_a_scribble_is_equally_spaced_with_its_ends():
    points = scribble_points([(2, 2), (2, 12), (12, 12)], SHAPE)
    assert len(points) == 7
    assert points[0].tolist() == [2, 2]
    assert points[-1].tolist() == [12, 12]
    assert points[3].tolist() == [2, 12]  # the corner is half way
    np.testing.assert_array_equal(
        points, scribble_points([(2, 2), (2, 12), (12, 12)], SHAPE)
    )


@given(
    st.lists(
        st.tuples(st.floats(0, 19, width=32), st.floats(0, 29, width=32)),
        min_size=1,
        max_size=40,
    )
)
def test_scribbles_have_few_points_and_keep_their_ends(path):
    points = scribble_points(path, SHAPE)
    assert 1 <= len(points) <= SCRIBBLE_POINTS
    assert points[0] == pytest.approx(path[0])
    if len(points) > 1:
        assert points[-1] == pytest.approx(path[-1])


def test_short_scribbles_and_those_that_leave_the_frame():
    assert scribble_points([(5, 5)], SHAPE).tolist() == [[5, 5]]
    assert scribble_points([(5, 5), (5, 5)], SHAPE).tolist() == [[5, 5]]
    assert len(scribble_points([(5, 5), (5, 6)], SHAPE)) == 2
    points = scribble_points([(5, -10), (5, 10)], SHAPE)
    assert len(points) == 4  # every 20 / 7 pixels, those from -0.5 on
    assert (points[:, 1] >= -0.5).all()
    assert scribble_points([(-9, 5), (-2, 5)], SHAPE).shape == (0, 2)


def test_rims_run_around_the_pieces():
    mask = np.zeros((30, 40), bool)
    mask[11:15, 22:27] = True
    mask[2, 3] = True
    large, small = rims(mask)
    assert large[0].tolist() == large[-1].tolist()
    np.testing.assert_allclose(large.min(0), (10.5, 21.5))
    np.testing.assert_allclose(large.max(0), (14.5, 26.5))
    np.testing.assert_allclose(small[:-1].mean(0).round(), (2, 3))
    mask[2, 3] = False
    np.testing.assert_array_equal(polygon_mask(large, mask.shape), mask)
    assert rims(np.zeros((3, 3), bool)) == []
