"""How likely an answer is right: several hints, one calibrated probability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# Fitted by benchmarks/calibration.py, which prints these lines.
SHOWN = (0.0, 1.0, 1.0, 0.0, 0.0, 0.0)
EMPTY = (0.0, -1.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """What is known of N answers; NaN where a hint is missing.

    Attributes
    ----------
    iou
        (N,) IoU predicted by the network, in [0, 1].
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
    object_score: NDArray[np.floating]
    area: NDArray[np.integer]
    overlap_lost: NDArray[np.floating]
    area_ratio: NDArray[np.floating]
    step_ratio: NDArray[np.floating]

    def shown_hints(self) -> Floats:
        """Return (N, F) what the probability of a mask is computed from."""
        growth = np.abs(np.log2(np.where(self.area_ratio > 0, self.area_ratio, 1.0)))
        return np.stack(
            [
                np.ones(len(self.iou)),
                _logit(self.iou),
                _logit(self.object_score),
                np.nan_to_num(self.overlap_lost, nan=0.0),
                np.minimum(growth, MOST_GROWTH),
                np.minimum(np.nan_to_num(self.step_ratio, nan=0.0), MOST_STEP),
            ],
            axis=1,
        )
MOST_GROWTH = 2.0
MOST_STEP = 2.0

def _logit(p):
    p = np.clip(np.asarray(p, np.float64), 0.01, 0.99)
    return np.log(p / (1 - p))
