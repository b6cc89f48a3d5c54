"""Agreement measures against cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam2.evaluation.metrics import (
    boundary,
    boundary_f,
    iou,
    sequence_agreement,
    tolerance,
)


def square(top: int, left: int, side: int = 10, size: int = 50) -> np.ndarray:
    """Return a mask (size, size) with one filled square."""
    mask = np.zeros((size, size), bool)
    mask[top : top + side, left : left + side] = True
    return mask


def test_iou_by_hand() -> None:
    # 10 x 10 squares shifted by 5: 50 shared of 150.
    assert iou(square(10, 10), square(10, 15)) == pytest.approx(1 / 3)
    assert iou(square(10, 10), square(10, 10)) == 1
    assert iou(square(10, 10), square(30, 30)) == 0


def test_iou_of_nothing_is_one() -> None:
    empty = np.zeros((4, 4), bool)
    assert iou(empty, empty) == 1
    assert iou(empty, ~empty) == 0


def test_iou_takes_label_values() -> None:
    assert iou(square(0, 0).astype(np.uint16) * 7, square(0, 0)) == 1


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="resize one first"):
        iou(np.zeros((4, 4)), np.zeros((4, 5)))
    with pytest.raises(ValueError, match="resize one first"):
        boundary_f(np.zeros((4, 4)), np.zeros((4, 5)))


def test_boundary_is_one_pixel_wide() -> None:
    # A 2 x 2 square at (1, 1): its ring is kept at the upper left of each edge.
    found = boundary(square(1, 1, side=2, size=5))
    wanted = np.array(
        [
            [1, 1, 1, 0, 0],
            [1, 0, 1, 0, 0],
            [1, 1, 1, 0, 0],
            [0, 0, 0, 0, 0],
            [0, 0, 0, 0, 0],
        ],
        bool,
    )
    np.testing.assert_array_equal(found, wanted)


def test_image_border_is_no_boundary() -> None:
    assert not boundary(np.ones((6, 6), bool)).any()
    half = np.zeros((6, 6), bool)
    half[:, :3] = True
    assert boundary(half).sum() == 6


def test_tolerance_is_a_share_of_the_diagonal() -> None:
    # 480 x 854: diagonal 979.65, 0.8 % of it 7.84.
    assert tolerance((480, 854)) == 8
    assert tolerance((300, 400)) == 4
    assert tolerance((300, 400), 3) == 3


def test_f_forgives_shifts_within_the_tolerance() -> None:
    # Diagonal of 300 x 400 is 500: tolerance 4 px.
    def at(left: int) -> np.ndarray:
        mask = np.zeros((300, 400), bool)
        mask[:, :left] = True
        return mask

    assert boundary_f(at(100), at(104)) == 1
    assert boundary_f(at(100), at(105)) == 0


def test_f_from_precision_and_recall_by_hand() -> None:
    # True: a line of 300 boundary px. Found: it and another one far away:
    # precision 1/2, recall 1, F = 2/3.
    truth = np.zeros((300, 400), bool)
    truth[:, :100] = True
    found = truth.copy()
    found[:, 300:] = True
    assert boundary_f(found, truth) == pytest.approx(2 / 3)
    assert boundary_f(truth, found) == pytest.approx(2 / 3)


def test_f_reaches_a_round_neighbourhood() -> None:
    # Two single pixels 4 rows and 3 columns apart: 5 px.
    def dot(row: int, column: int) -> np.ndarray:
        mask = np.zeros((40, 40), bool)
        mask[row, column] = True
        return mask

    # Each has a boundary of 2 x 2 pixels; of the pairs only the facing corners,
    # (3, 2) apart, are within 4 px of each other, and none within 3.
    assert boundary_f(dot(10, 10), dot(14, 13), bound_th=5) == 1
    assert boundary_f(dot(10, 10), dot(14, 13), bound_th=4) == pytest.approx(0.25)
    assert boundary_f(dot(10, 10), dot(14, 13), bound_th=3) == 0


def test_f_of_empty_masks() -> None:
    empty = np.zeros((50, 50), bool)
    assert boundary_f(empty, empty) == 1
    assert boundary_f(empty, square(10, 10)) == 0
    assert boundary_f(square(10, 10), empty) == 0


def test_sequence_leaves_the_ends_out() -> None:
    truth = [square(10, 10)] * 4
    found = [~square(10, 10), square(10, 15), square(10, 10), ~square(10, 10)]
    result = sequence_agreement(found, truth)
    assert result.j == pytest.approx((1 / 3 + 1) / 2)
    whole = sequence_agreement(found, truth, skip_ends=False)
    assert whole.j == pytest.approx((1 / 3 + 1) / 4)
    # Inverting a mask leaves its boundary where it was.
    assert whole.f > result.f


def test_sequences_too_short_or_uneven_are_refused() -> None:
    with pytest.raises(ValueError, match="leaves none"):
        sequence_agreement([square(0, 0)] * 2, [square(0, 0)] * 2)
    with pytest.raises(ValueError, match="one a frame"):
        sequence_agreement([square(0, 0)], [square(0, 0)] * 2)
