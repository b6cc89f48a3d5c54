from __future__ import annotations

import numpy as np
import pytest

from napari_sam2.tracking.motion import BoxFilter, expect, overlap

SQUARE = (50.0, 60.0, 20.0, 20.0)


def test_the_first_box_is_all_that_is_known() -> None:
    state = BoxFilter.start(SQUARE)
    assert state.box == SQUARE
    # Stds 2 x 20/20 and 10 x 20/160.
    np.testing.assert_allclose(state.covariance, np.diag([4.0, 1.5625]))
    assert expect([SQUARE], least_overlap=0.3) == (SQUARE, 1)


def test_one_step_by_hand() -> None:
    state = BoxFilter.start(SQUARE).predict()
    # P = F P F' + Q with Q = diag(1, 1/64).
    expected = [[4 + 1.5625 + 1, 1.5625], [1.5625, 1.5625 + 1 / 64]]
    np.testing.assert_allclose(state.covariance, expected)
    assert state.box == SQUARE
    moved = state.update((54.0, 60.0, 20.0, 20.0))
    # K = P[:, 0] / (P[0, 0] + 1).
    first, second = 6.5625 / 7.5625, 1.5625 / 7.5625
    np.testing.assert_allclose(moved.position, [50 + 4 * first, 60, 20, 20])
    np.testing.assert_allclose(moved.velocity, [4 * second, 0, 0, 0])
    np.testing.assert_allclose(
        moved.covariance,
        [
            [6.5625 * (1 - first), 1.5625 * (1 - first)],
            [1.5625 * (1 - first), 1.578125 - second * 1.5625],
        ],
    )


def test_steady_motion_is_learnt() -> None:
    boxes = [(50.0 + 3 * t, 60.0 - t, 20.0, 20.0) for t in range(20)]
    box, steady = expect(boxes, least_overlap=0.3)
    assert steady == 20
    np.testing.assert_allclose(box, (110.0, 40.0, 20.0, 20.0), atol=0.2)


def test_a_jump_or_an_absence_ends_the_run() -> None:
    jump = (200.0, 200.0, 20.0, 20.0)
    assert expect([SQUARE, SQUARE, jump], least_overlap=0.3)[1] == 0
    assert expect([SQUARE, None], least_overlap=0.3) == (SQUARE, 0)
    assert expect([SQUARE, None, SQUARE], least_overlap=0.3)[1] == 1
    assert expect([None, SQUARE], least_overlap=0.3) == (SQUARE, 1)
    assert expect([None], least_overlap=0.3) == (None, 0)
    assert expect([], least_overlap=0.3) == (None, 0)


def test_overlap() -> None:
    assert overlap(SQUARE, SQUARE) == 1
    assert overlap(SQUARE, (50.0, 70.0, 20.0, 20.0)) == pytest.approx(1 / 3)
    assert overlap(SQUARE, (50.0, 80.0, 20.0, 20.0)) == 0
    assert overlap((0.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0)) == 0
