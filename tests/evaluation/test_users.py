"""Simulated users of the benchmarks: where they click is fixed and checkable."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sam2.evaluation.users import (
    correction,
    deepest_point,
    ellipse_in,
    tight_box,
)


def rectangle(y: int, x: int, y2: int, x2: int) -> np.ndarray:
    mask = np.zeros((40, 50), bool)
    mask[y:y2, x:x2] = True
    return mask


def test_boxes_are_half_open() -> None:
    assert tight_box(rectangle(3, 5, 10, 22)) == (3, 5, 10, 22)
    with pytest.raises(ValueError, match="An empty mask has no box"):
        tight_box(rectangle(0, 0, 0, 0))


def test_the_deepest_point_is_the_middle() -> None:
    assert deepest_point(rectangle(10, 20, 15, 25)) == (12, 22)
    # At the frame's edge the frame ends the object.
    assert deepest_point(rectangle(0, 0, 5, 5)) == (2, 2)


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 1000))
def test_the_deepest_point_is_on_the_object(seed: int) -> None:
    mask = np.random.default_rng(seed).random((9, 13)) > 0.8
    mask[seed % 9, seed % 13] = True
    assert mask[deepest_point(mask)]


def test_corrections_go_to_the_largest_error() -> None:
    truth = rectangle(5, 5, 25, 25)
    missed = truth & ~rectangle(5, 5, 12, 12)
    assert correction(missed, truth) == ((8, 8), 1)
    exceeded = missed | rectangle(5, 30, 20, 45)
    found = correction(exceeded, truth)
    assert found is not None
    (y, x), label = found
    assert label == 0
    assert 5 <= y < 20
    assert 30 <= x < 45
    assert correction(truth, truth) is None


def test_an_ellipse_fills_its_box() -> None:
    ellipse = ellipse_in((4, 6, 24, 46), (40, 50))
    assert tight_box(ellipse) == (4, 6, 24, 46)
    assert ellipse.sum() == pytest.approx(np.pi / 4 * 20 * 40, rel=0.01)
