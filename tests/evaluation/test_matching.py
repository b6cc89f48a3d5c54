"""Pairs of objects and average precision: by hand, and against every assignment."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sam2.evaluation.matching import average_precision, overlaps


def test_shared_pixels_by_hand() -> None:
    first = np.array([[0, 3, 3, 3], [7, 7, 0, 0]])
    second = np.array([[0, 2, 2, 5], [5, 0, 0, 0]])
    found = overlaps(first, second)
    assert found.first_ids.tolist() == [3, 7]
    assert found.second_ids.tolist() == [2, 5]
    assert found.first_areas.tolist() == [3, 2]
    assert found.second_areas.tolist() == [2, 2]
    assert found.shared.tolist() == [[2, 1], [0, 1]]
    np.testing.assert_allclose(found.ious, [[2 / 3, 1 / 4], [0, 1 / 3]])


def test_a_plane_without_background_or_without_objects() -> None:
    full = np.full((2, 3), 4)
    assert overlaps(full, full).shared.tolist() == [[6]]
    assert overlaps(full, 0 * full).shared.shape == (1, 0)


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="labels of the same pixels"):
        overlaps(np.zeros((2, 2)), np.zeros((2, 3)))


def test_average_precision_by_hand() -> None:
    # Three true objects of 10 px. Found: one exact, one with 8 of 10 px (IoU 0.8),
    # one somewhere else. At 0.5 and 0.75: TP 2, FP 1, FN 1; at 0.9: TP 1, FP 2, FN 2.
    truth = np.zeros((4, 30), int)
    truth[0, :10], truth[1, :10], truth[2, :10] = 1, 2, 3
    found = np.zeros((4, 30), int)
    found[0, :10], found[1, :8], found[3, 15:25] = 5, 6, 7
    assert average_precision(found, truth) == (2 / 4, 2 / 4, 1 / 5)
    assert average_precision(truth, truth) == (1, 1, 1)
    assert average_precision(0 * truth, truth) == (0, 0, 0)
    assert average_precision(0 * truth, 0 * truth) == (1, 1, 1)


def test_an_iou_at_the_threshold_counts() -> None:
    truth = np.array([[1, 1]])
    assert average_precision(np.array([[1, 0]]), truth, (0.5, 0.51)) == (1, 0)


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10**6), threshold=st.sampled_from([0.1, 0.3, 0.5]))
def test_no_other_pairing_has_more_hits(seed: int, threshold: float) -> None:
    rng = np.random.default_rng(seed)
    truth, found = rng.integers(0, 5, (2, 4, 6))
    found = np.where(rng.random(found.shape) < 0.6, truth, found)
    ious = overlaps(truth, found).ious
    wide = ious if ious.shape[0] <= ious.shape[1] else ious.T
    rows, columns = wide.shape
    most = max(
        sum(wide[i, j] >= threshold for i, j in enumerate(chosen))
        for chosen in permutations(range(columns), rows)
    )
    precision = most / (rows + columns - most)
    assert average_precision(found, truth, (threshold,)) == (pytest.approx(precision),)
