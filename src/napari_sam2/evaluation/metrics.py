"""Region and boundary agreement of masks, as DAVIS defines them.

J is the intersection over union, F the boundary F measure with a tolerance of
0.8 % of the image diagonal, J&F their mean (Perazzi et al. 2016, A Benchmark
Dataset and Evaluation Methodology for Video Object Segmentation, section 4; the
per-sequence averages as in the DAVIS 2017 challenge).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

BOUND_TH = 0.008
"""Tolerance of F as a share of the image diagonal."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Mean agreement, all in [0, 1].

    Attributes
    ----------
    j
        Mean intersection over union.
    f
        Mean boundary F measure.
    """

    j: float
    f: float

    @property
    def j_and_f(self) -> float:
        """Mean of J and F."""
        return (self.j + self.f) / 2


def _same_shape(a: NDArray[Any], b: NDArray[Any]) -> None:
    if a.shape != b.shape:
        message = (
            f"The masks have different shapes, {a.shape} and {b.shape}: "
            "resize one first."
        )
        raise ValueError(message)


def iou(mask: NDArray[Any], truth: NDArray[Any]) -> float:
    """Intersection over union; 1 when both are empty, as in DAVIS.

    Parameters
    ----------
    mask, truth
        Arrays of one shape; non-zero is the object.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        When the shapes differ.
    """
    _same_shape(mask, truth)
    a, b = mask.astype(bool), truth.astype(bool)
    union = int(np.count_nonzero(a | b))
    return int(np.count_nonzero(a & b)) / union if union else 1.0


def boundary(mask: NDArray[Any]) -> NDArray[np.bool_]:
    """One pixel wide boundary between pixels, kept at the upper left one.

    A pixel is on the boundary when its right, lower or lower right neighbour has
    the other value, so that a straight edge gives a line one pixel wide. The
    image's own border is no boundary.

    Parameters
    ----------
    mask
        (H, W), non-zero is the object.

    Returns
    -------
    numpy.ndarray
        (H, W) bool.
    """
    padded = np.pad(mask.astype(bool), ((0, 1), (0, 1)), mode="edge")
    here = padded[:-1, :-1]
    right, below, diagonal = padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
    edge = (here != right) | (here != below) | (here != diagonal)
    # The last row and column have no diagonal neighbour; only the corner none at all.
    edge[-1] = here[-1] != right[-1]
    edge[:, -1] = here[:, -1] != below[:, -1]
    edge[-1, -1] = False
    return np.asarray(edge)


def tolerance(shape: tuple[int, ...], bound_th: float = BOUND_TH) -> int:
    """Tolerance of F in pixels: a share of the diagonal, rounded up.

    Parameters
    ----------
    shape
        (H, W) in pixels.
    bound_th
        Share of the diagonal; 1 or more is taken as pixels.
    """
    if bound_th >= 1:
        return int(bound_th)
    return int(np.ceil(bound_th * np.hypot(shape[0], shape[1])))


def boundary_f(
    mask: NDArray[Any], truth: NDArray[Any], *, bound_th: float = BOUND_TH
) -> float:
    """Boundary F measure: precision and recall of boundary pixels within a disk.

    Parameters
    ----------
    mask, truth
        (H, W), non-zero is the object.
    bound_th
        Tolerance as a share of the image diagonal (see `tolerance`).

    Returns
    -------
    float
        In [0, 1]; 1 when neither has a boundary, 0 when only one has.

    Raises
    ------
    ValueError
        When the shapes differ.
    """
    _same_shape(mask, truth)
    found, wanted = boundary(mask), boundary(truth)
    n_found, n_wanted = int(found.sum()), int(wanted.sum())
    if n_found == 0 or n_wanted == 0:
        return float(n_found == n_wanted)
    reach = tolerance(mask.shape, bound_th)
    # Nothing is measured but distances between boundaries.
    either = found | wanted
    rows, columns = np.flatnonzero(either.any(1)), np.flatnonzero(either.any(0))
    place = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    found, wanted = found[place], wanted[place]
    near_found = ndimage.distance_transform_edt(~found) <= reach
    near_wanted = ndimage.distance_transform_edt(~wanted) <= reach
    precision = np.count_nonzero(found & near_wanted) / n_found
    recall = np.count_nonzero(wanted & near_found) / n_wanted
    if precision + recall == 0:
        return 0.0
    return float(2 * precision * recall / (precision + recall))


def sequence_agreement(
    masks: Sequence[NDArray[Any]] | NDArray[Any],
    truths: Sequence[NDArray[Any]] | NDArray[Any],
    *,
    skip_ends: bool = True,
) -> Agreement:
    """Mean J and F of one object over a sequence.

    Parameters
    ----------
    masks, truths
        T masks (H, W) each.
    skip_ends
        Leave the first and the last frame out, as DAVIS does for semi-supervised
        results (the first is given).

    Raises
    ------
    ValueError
        When the lengths differ or no frame is left.
    """
    if len(masks) != len(truths):
        message = f"{len(masks)} masks for {len(truths)} true frames: give one a frame."
        raise ValueError(message)
    chosen = range(1, len(masks) - 1) if skip_ends else range(len(masks))
    if not chosen:
        message = f"A sequence of {len(masks)} frames leaves none to compare."
        raise ValueError(message)
    j = [iou(masks[t], truths[t]) for t in chosen]
    f = [boundary_f(masks[t], truths[t]) for t in chosen]
    return Agreement(j=float(np.mean(j)), f=float(np.mean(f)))
