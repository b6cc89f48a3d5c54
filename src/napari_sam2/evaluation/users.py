"""What a user would do, without a user: clicks, boxes and corrections from the truth.

Coordinates are (y, x) in pixels of the frame, pixel centres at integers. Nothing here
is random, so that two models are asked the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]


def tight_box(mask: Mask) -> tuple[int, int, int, int]:
    """Return the tight box of a mask.

    Parameters
    ----------
    mask
        (Y, X) bool.

    Returns
    -------
    tuple of int
        (y, x, y2, x2): rows y <= r < y2, columns x <= c < x2.

    Raises
    ------
    ValueError
        When the mask is empty.
    """
    rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not rows.size:
        message = "An empty mask has no box: choose frames that show the object."
        raise ValueError(message)
    return int(rows[0]), int(cols[0]), int(rows[-1]) + 1, int(cols[-1]) + 1


def deepest_point(mask: Mask) -> tuple[int, int]:
    """Return the pixel (y, x) of a mask that is farthest from its outside.

    The outside of the frame counts as outside.

    Raises
    ------
    ValueError
        When the mask is empty.
    """
    y, x, y2, x2 = tight_box(mask)
    depth = ndimage.distance_transform_edt(np.pad(mask[y:y2, x:x2], 1))
    row, col = np.unravel_index(int(depth.argmax()), depth.shape)
    return y + int(row) - 1, x + int(col) - 1


def correction(mask: Mask, truth: Mask) -> tuple[tuple[int, int], int] | None:
    """Click into the largest connected error, at its deepest point.

    Parameters
    ----------
    mask, truth
        (Y, X) bool, the answer and what it should be.

    Returns
    -------
    tuple or None
        ((y, x), label): 1 where the object was missed, 0 where it was exceeded;
        None when nothing is wrong.
    """
    largest: Mask | None = None
    size, label = 0, 0
    for kind, wrong in ((1, truth & ~mask), (0, mask & ~truth)):
        pieces, count = ndimage.label(wrong)
        if not count:
            continue
        areas = np.bincount(pieces.ravel())
        areas[0] = 0
        best = int(areas.argmax())
        if areas[best] > size:
            size, label, largest = int(areas[best]), kind, pieces == best
    return None if largest is None else (deepest_point(largest), label)


def ellipse_in(box: tuple[int, int, int, int], shape: tuple[int, int]) -> Mask:
    """Return the ellipse that fills a box: what a box alone says about a cell.

    Parameters
    ----------
    box
        As `tight_box` gives it.
    shape
        (Y, X) of the frame.
    """
    y, x, y2, x2 = box
    rows = (np.arange(shape[0]) + 0.5 - (y + y2) / 2) / ((y2 - y) / 2)
    cols = (np.arange(shape[1]) + 0.5 - (x + x2) / 2) / ((x2 - x) / 2)
    return np.asarray(rows[:, None] ** 2 + cols[None] ** 2 <= 1)
