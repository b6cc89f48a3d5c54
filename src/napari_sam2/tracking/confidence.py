"""How likely an answer is right: several hints, one calibrated probability.

An answer is called right if its IoU with the true object is at least `RIGHT`; where
the object is not in the frame, if nothing was drawn. Confidence is the probability
of that, by logistic regression on movies with known truth. Of an empty answer it is
what the network says, that the object is not there: the movies have too few of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

RIGHT = 0.5
"""IoU from which on an answer counts as right: it is this object and no other."""

# Fitted on nano by benchmarks/calibration.py, which prints this line; see hints_of.
WEIGHTS = (0.78, 0.0, 1.95, 0.21, -0.08, -1.17, -0.09)

SURE = 0.99
"""Probabilities nearer to 0 or 1 say no more than this."""
MOST_GROWTH = 2.0
"""Doublings of the area after which more makes no difference."""
MOST_STEP = 1.5
"""Object sizes a frame after which more makes no difference."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """What is known of N answers; NaN where there is nothing to compare.

    Attributes
    ----------
    iou
        (N,) IoU predicted by the network, in [0, 1].
    recent_iou
        (N,) the lowest of the last frames' `iou`, this one's included: what was
        lost is seldom found again.
    object_score
        (N,) probability in [0, 1] that the object is in the frame.
    area
        (N,) pixels; 0 says that the object is not in the frame.
    overlap_lost
        (N,) share of the answer that other objects took, in [0, 1].
    area_ratio, step_ratio
        (N,) changes; see `napari_sam2.tracking.changes.Changes`.
    """

    iou: NDArray[np.floating]
    recent_iou: NDArray[np.floating]
    object_score: NDArray[np.floating]
    area: NDArray[np.integer]
    overlap_lost: NDArray[np.floating]
    area_ratio: NDArray[np.floating]
    step_ratio: NDArray[np.floating]


def hints_of(evidence: Evidence) -> Floats:
    """Return what the confidence of a mask is computed from.

    Returns
    -------
    numpy.ndarray
        (N, 7): 1, the log odds of `iou`, `recent_iou` and `object_score`,
        `overlap_lost`, doublings or halvings of the area, and `step_ratio`.
    """
    ratio = np.where(evidence.area_ratio > 0, evidence.area_ratio, 1.0)
    change = np.minimum(np.abs(np.log2(ratio)), MOST_GROWTH)
    step = np.minimum(np.nan_to_num(evidence.step_ratio, nan=0.0), MOST_STEP)
    hints = [
        np.ones(len(ratio)),
        _log_odds(evidence.iou),
        _log_odds(evidence.recent_iou),
        _log_odds(evidence.object_score),
        evidence.overlap_lost,
        change,
        step,
    ]
    return np.stack(hints, axis=1).astype(np.float64)


def confidence(evidence: Evidence) -> Floats:
    """Return the probability that each answer is right; see `RIGHT`.

    It never falls when `iou`, `recent_iou` or the object score of a mask rises, nor
    rises with overlap lost, steps or changes of area.

    Parameters
    ----------
    evidence
        What is known of N answers.

    Returns
    -------
    numpy.ndarray
        (N,) float64 in [0, 1].
    """
    odds = hints_of(evidence) @ np.array(WEIGHTS)
    shown = 0.5 * (1 + np.tanh(odds / 2))
    absent = 1 - evidence.object_score.astype(np.float64)
    return np.where(evidence.area > 0, shown, absent)


def _log_odds(probability: NDArray[np.floating]) -> Floats:
    inside = np.clip(probability.astype(np.float64), 1 - SURE, SURE)
    return np.asarray(np.log(inside / (1 - inside)))
