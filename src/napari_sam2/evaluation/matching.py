"""Which objects of two label planes are the same, and how many are found.

Shapes: N labels of the first plane, M of the second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import linear_sum_assignment

if TYPE_CHECKING:
    from numpy.typing import NDArray

THRESHOLDS = (0.5, 0.75, 0.9)


@dataclass(frozen=True, kw_only=True, eq=False)
class Overlaps:
    """How many pixels every two labels share.

    Attributes
    ----------
    first_ids, second_ids
        (N,) and (M,) labels without the background, in ascending order.
    first_areas, second_areas
        (N,) and (M,) pixels.
    shared
        (N, M) pixels that carry both labels.
    """

    first_ids: NDArray[np.int64]
    second_ids: NDArray[np.int64]
    first_areas: NDArray[np.int64]
    second_areas: NDArray[np.int64]
    shared: NDArray[np.int64]

    @property
    def ious(self) -> NDArray[np.float64]:
        """(N, M) intersection over union."""
        union = self.first_areas[:, None] + self.second_areas[None] - self.shared
        return np.asarray(self.shared / union)


def overlaps(first: NDArray[Any], second: NDArray[Any]) -> Overlaps:
    """Count shared pixels of all labels of two planes.

    Parameters
    ----------
    first, second
        Arrays of int of one shape, 0 background.

    Raises
    ------
    ValueError
        When the shapes differ.
    """
    if first.shape != second.shape:
        message = (
            f"The labels have different shapes, {first.shape} and {second.shape}: "
            "give labels of the same pixels."
        )
        raise ValueError(message)
    # Zeros in front so that the background is always the first of either.
    a, row = np.unique(np.append(0, first.ravel()), return_inverse=True)
    b, column = np.unique(np.append(0, second.ravel()), return_inverse=True)
    pairs = np.ravel_multi_index((row[1:], column[1:]), (len(a), len(b)))
    table = np.bincount(pairs, minlength=len(a) * len(b)).reshape(len(a), len(b))
    return Overlaps(
        first_ids=a[1:].astype(np.int64),
        second_ids=b[1:].astype(np.int64),
        first_areas=table[1:].sum(1),
        second_areas=table[:, 1:].sum(0),
        shared=table[1:, 1:],
    )


def average_precision(
    found: NDArray[Any],
    truth: NDArray[Any],
    thresholds: tuple[float, ...] = THRESHOLDS,
) -> tuple[float, ...]:
    """Return TP / (TP + FP + FN) of objects, as Cellpose and StarDist define it.

    Objects are paired one to one so that most pairs reach the threshold and, among
    those, the sum of their IoU is largest (Schmidt et al. 2018, Cell Detection with
    Star-convex Polygons, section 3; Stringer et al. 2021, Cellpose, methods).

    Parameters
    ----------
    found, truth
        (Y, X) int, 0 background.
    thresholds
        IoU from which a pair counts.

    Returns
    -------
    tuple of float
        In [0, 1], one a threshold; 1 when there is nothing in either.

    Raises
    ------
    ValueError
        When the shapes differ.
    """
    ious = overlaps(truth, found).ious
    n_true, n_found = ious.shape
    if not n_true and not n_found:
        return (1.0,) * len(thresholds)
    # No sum of IoU can outweigh one more pair.
    rank = ious / (2 * max(min(n_true, n_found), 1))
    precisions = []
    for threshold in thresholds:
        enough = ious >= threshold
        pairs = linear_sum_assignment(enough + rank, maximize=True)
        hits = int(np.count_nonzero(enough[pairs]))
        precisions.append(hits / (n_true + n_found - hits))
    return tuple(precisions)
