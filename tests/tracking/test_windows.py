from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sam2.tracking.windows import (
    Extent,
    Window,
    extent,
    follow,
    whole,
    window_around,
    window_for,
    window_sides,
)

SHAPE = (1000, 800)


def square(y: float, x: float, size: int) -> Extent:
    top, left = round(y - size / 2), round(x - size / 2)
    return Extent(top=top, left=left, bottom=top + size, right=left + size)


def test_sides_double_and_stay_below_the_frame() -> None:
    assert window_sides(SHAPE) == [96, 192, 384]
    assert window_sides((100, 4000)) == []


def test_the_box_of_a_mask_is_tight() -> None:
    mask = np.zeros((10, 12), np.bool_)
    assert extent(mask) is None
    mask[2:5, 3:9] = True
    found = extent(mask)
    assert found == Extent(top=2, left=3, bottom=5, right=9)
    assert found.size == 6
    assert found.centre == (3.0, 5.5)


@settings(deadline=None)
@given(
    st.floats(0, SHAPE[0] - 1),
    st.floats(0, SHAPE[1] - 1),
    st.sampled_from(window_sides(SHAPE)),
)
def test_windows_lie_in_the_frame_and_hold_their_point(
    y: float, x: float, side: int
) -> None:
    window = window_around((y, x), side, SHAPE)
    assert window.y >= 0
    assert window.x >= 0
    assert window.y + side <= SHAPE[0]
    assert window.x + side <= SHAPE[1]
    assert window.holds((y, x))


def test_neighbours_share_a_window() -> None:
    first, second = square(400, 400, 30), square(406, 409, 28)
    assert window_for(first, SHAPE) == window_for(second, SHAPE)


@pytest.mark.parametrize(
    ("size", "side"), [(10, 96), (43, 96), (44, 192), (174, 384), (175, None)]
)
def test_an_object_has_twice_its_size_and_more(size: int, side: int | None) -> None:
    window = window_for(square(500, 400, size), SHAPE)
    assert window.shape == (SHAPE if side is None else (side, side))


def test_a_window_stays_while_its_object_is_in_the_middle() -> None:
    window = window_for(square(500, 400, 30), SHAPE)
    assert follow(window, square(510, 390, 30), SHAPE) == window
    moved = follow(window, square(560, 400, 30), SHAPE)
    assert moved != window
    assert moved.shape == window.shape


def test_a_window_grows_with_its_object_but_not_at_once() -> None:
    window = window_for(square(500, 400, 30), SHAPE)
    assert follow(window, square(500, 400, 50), SHAPE).shape == window.shape
    assert follow(window, square(500, 400, 70), SHAPE).shape == (192, 192)
    assert follow(whole(SHAPE), square(500, 400, 20), SHAPE).shape == (96, 96)


def test_at_the_frames_edge_a_window_stays() -> None:
    window = window_for(square(12, 12, 24), SHAPE)
    assert window == Window(y=0, x=0, height=96, width=96)
    assert follow(window, square(12, 12, 24), SHAPE) == window
