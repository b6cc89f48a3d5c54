"""Simulated users: first clicks, boxes with a shaky hand, corrections.

Coordinates here are SAM 2's: (x, y) in input pixels, such that a pixel's centre is
at its integer index (the prompt encoder adds the half).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional as F

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor


def first_click(
    rng: np.random.Generator, mask: NDArray[np.bool_]
) -> tuple[float, float]:
    """Return (x, y) of a click on `mask` (H, W): its middle, or anywhere in it."""
    rows, cols = np.nonzero(mask)
    y0, x0 = rows.min(), cols.min()
    if rng.random() < 0.5:
        pick = int(rng.integers(len(rows)))
        return float(cols[pick]), float(rows[pick])
    box = np.pad(mask[y0 : rows.max() + 1, x0 : cols.max() + 1], 1)
    depth = ndimage.distance_transform_edt(box)
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return float(x + x0 - 1), float(y + y0 - 1)


def shaky_box(
    rng: np.random.Generator, mask: NDArray[np.bool_]
) -> tuple[float, float, float, float]:
    """Return (x, y, x2, y2): the tight box of `mask`, half the time with noise.

    The noise is normal with a tenth of the side, at most 20 px (SAM, appendix A).
    Edges lie between pixels, so a tight box runs from min - 0.5 to max + 0.5.
    """
    rows, cols = np.nonzero(mask)
    low = np.array([cols.min() - 0.5, rows.min() - 0.5])
    high = np.array([cols.max() + 0.5, rows.max() + 0.5])
    if rng.random() < 0.5:
        side = high - low
        noise = np.clip(rng.normal(size=(2, 2)) * 0.1, -0.2, 0.2) * side
        low, high = low + noise[0].clip(-20, 20), high + noise[1].clip(-20, 20)
    limit = np.array(mask.shape[::-1]) - 0.5
    low, high = low.clip(-0.5, limit), high.clip(-0.5, limit)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def corrective_click(
    logits: Tensor,
    target: Tensor,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Click where prediction and truth disagree, rather in the middle of an error.

    Parameters
    ----------
    logits, target
        (N, s, s) predicted logits and coverage in [0, 1].
    generator
        Source of randomness.

    Returns
    -------
    points, labels
        (N, 1, 2) float (x, y) in pixels of a picture four times as large, and
        (N, 1) int64: 1 where the object was missed, 0 where it was exceeded.
    """
    side = logits.shape[-1]
    truth = target > 0.5
    wrong = ((logits > 0) != truth).float()
    weight = F.avg_pool2d(wrong[:, None], 5, stride=1, padding=2)[:, 0] * wrong
    weight = weight.square().flatten(1)
    weight = torch.where(weight.sum(1, keepdim=True) > 0, weight, target.flatten(1))
    pick = torch.multinomial(weight + 1e-9, 1, generator=generator)  # (N, 1)
    labels = truth.flatten(1).gather(1, pick).long()
    x, y = pick % side, torch.div(pick, side, rounding_mode="floor")
    points = torch.stack((x, y), dim=-1).float() * 4 + 1.5  # cell centre
    return points, labels
