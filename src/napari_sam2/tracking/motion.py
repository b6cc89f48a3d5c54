"""Where an object is expected: a Kalman filter on its box.

SAMURAI (arXiv 2411.11922), section 4.1: constant velocity of centre and size. Noise is
a share of the object's size and the same for all four numbers, so that one 2 x 2
covariance serves them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Box: TypeAlias = "tuple[float, float, float, float]"

POSITION_STD = 1 / 20
VELOCITY_STD = 1 / 160


@dataclass(frozen=True, kw_only=True)
class BoxFilter:
    """State of the filter after some frames.

    Attributes
    ----------
    position, velocity
        (4,) centre y and x, height and width in px, and their change a frame.
    covariance
        (2, 2) of one number and its velocity, px².
    """

    position: NDArray[np.float64]
    velocity: NDArray[np.float64]
    covariance: NDArray[np.float64]

    @classmethod
    def start(cls, box: Box) -> BoxFilter:
        """Begin with one box; nothing is known of its motion."""
        size = _size(np.asarray(box, np.float64))
        stds = np.array([2 * POSITION_STD, 10 * VELOCITY_STD]) * size
        return cls(
            position=np.asarray(box, np.float64),
            velocity=np.zeros(4),
            covariance=np.diag(stds**2),
        )

    def predict(self) -> BoxFilter:
        """Go one frame on."""
        size = _size(self.position)
        move = np.array([[1.0, 1.0], [0.0, 1.0]])
        noise = np.diag((np.array([POSITION_STD, VELOCITY_STD]) * size) ** 2)
        return BoxFilter(
            position=self.position + self.velocity,
            velocity=self.velocity,
            covariance=move @ self.covariance @ move.T + noise,
        )

    def update(self, box: Box) -> BoxFilter:
        """Take a measured box into account."""
        measured = np.asarray(box, np.float64)
        noise = (POSITION_STD * _size(self.position)) ** 2
        gain = self.covariance[:, 0] / (self.covariance[0, 0] + noise)
        surprise = measured - self.position
        return BoxFilter(
            position=self.position + gain[0] * surprise,
            velocity=self.velocity + gain[1] * surprise,
            covariance=self.covariance - np.outer(gain, self.covariance[0]),
        )

    @property
    def box(self) -> Box:
        """Centre y and x, height and width, px."""
        y, x, height, width = self.position.tolist()
        return y, x, max(height, 1.0), max(width, 1.0)


def _size(position: NDArray[np.float64]) -> float:
    """Return the side of a square of the box's area, px, at least 1."""
    return float(np.sqrt(np.maximum(position[2:], 1.0).prod()))


def expect(
    boxes: Sequence[Box | None], *, least_overlap: float
) -> tuple[Box | None, int]:
    """Follow the boxes of successive frames and say where the next one is expected.

    Parameters
    ----------
    boxes
        The earliest first; None where the object was absent.
    least_overlap
        Overlap of an expected with the found box from which on a frame counts as
        steady.

    Returns
    -------
    box
        Expected box, or None if none of the boxes is known.
    steady
        How many of the last frames were steady, without a break.
    """
    state: BoxFilter | None = None
    steady = 0
    for box in boxes:
        if state is None:
            state = None if box is None else BoxFilter.start(box)
            steady = int(box is not None)
            continue
        state = state.predict()
        if box is None:
            steady = 0
            continue
        steady = steady + 1 if overlap(state.box, box) >= least_overlap else 0
        state = state.update(box)
    return (None, 0) if state is None else (state.predict().box, steady)


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes given by centre and size."""
    shared = 1.0
    for axis in (0, 1):
        low = max(a[axis] - a[axis + 2] / 2, b[axis] - b[axis + 2] / 2)
        high = min(a[axis] + a[axis + 2] / 2, b[axis] + b[axis + 2] / 2)
        shared *= max(high - low, 0.0)
    union = a[2] * a[3] + b[2] * b[3] - shared
    return shared / union if union > 0 else 0.0
