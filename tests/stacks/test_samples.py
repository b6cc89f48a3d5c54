"""The samples are what their description says, and the same everywhere."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from napari_sam2.stacks.samples import cells_movie, cells_stack


@pytest.fixture(scope="module")
def movie():
    return cells_movie()


@pytest.fixture(scope="module")
def stack():
    return cells_stack()


def test_movie_is_sixteen_bit_and_wide_ranging(movie):
    assert movie.image.shape == movie.labels.shape == (40, 256, 256)
    assert movie.image.dtype == movie.labels.dtype == np.uint16
    assert np.unique(movie.image).size > 1000


@pytest.mark.parametrize("name", ["movie", "stack"])
def test_click_lies_on_cell_one(name, request):
    sample = request.getfixturevalue(name)
    frame, y, x = sample.click
    assert sample.labels[frame, round(y), round(x)] == 1


def test_cells_are_brighter_than_the_background(movie):
    inside = movie.image[movie.labels > 0].mean()
    assert inside > 3 * movie.image[movie.labels == 0].mean()


def test_cell_one_stays_and_moves(movie):
    centres = [np.argwhere(plane == 1).mean(0) for plane in movie.labels]
    steps = np.hypot(*np.diff(centres, axis=0).T)
    assert steps.max() < 6  # no jumps
    assert np.hypot(*(centres[-1] - centres[0])) > 3


def test_cells_divide(movie):
    first, last = (set(np.unique(movie.labels[t])) - {0} for t in (0, -1))
    assert len(first - last) == 2  # two mothers are gone
    assert len(last - first) == 4  # and have two daughters each


def test_stack_cells_span_planes_and_end(stack):
    assert stack.axes == "ZYX"
    planes = np.flatnonzero((stack.labels == 1).any((1, 2)))
    assert 6 <= planes.size < stack.labels.shape[0]
    assert np.array_equal(planes, np.arange(planes[0], planes[-1] + 1))


def test_drawing_twice_gives_the_same(movie):
    def digest(array):
        return hashlib.sha256(array.tobytes()).hexdigest()

    assert digest(cells_movie().image) == digest(movie.image)
