"""What was drawn on a frame, as pixels: what an outline holds, where a scribble runs.

Coordinates are (y, x) in pixels of the frame, pixel centres at integers. Shapes: N
vertices, (Y, X) frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

SCRIBBLE_POINTS = 8
SCRIBBLE_STEP = 3.0
"""Most points of a scribble, and how near, px, they may be to each other."""

FLAT = 1e-6
"""px; what is thinner holds nothing."""

SMOOTHING = 0.4
"""px by which a drawn rim may leave the rim of the pixels."""


def polygon_mask(vertices: ArrayLike, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the pixels whose centres lie in a polygon.

    Parameters
    ----------
    vertices
        (N, 2) in order; the last is joined to the first. Where the polygon crosses
        itself, what is enclosed twice lies outside.
    shape
        (Y, X) of the frame; what sticks out is cut off.

    Returns
    -------
    ndarray
        (Y, X) bool; empty where all vertices lie on one line.
    """
    from skimage.draw import polygon

    yx = np.asarray(vertices, np.float64).reshape(-1, 2)
    mask = np.zeros(shape, np.bool_)
    spread = np.linalg.svd(yx - yx.mean(0), compute_uv=False) if len(yx) > 2 else [0]
    if spread[-1] > FLAT:
        inside = polygon(yx[:, 0], yx[:, 1], shape)  # type: ignore[no-untyped-call]
        mask[inside] = True
    return mask


def ellipse_mask(corners: ArrayLike, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the pixels whose centres lie in an ellipse.

    Parameters
    ----------
    corners
        (4, 2) corners, in order, of the rectangle (or parallelogram) that it
        touches in the middle of each side.
    shape
        (Y, X) of the frame; what sticks out is cut off.

    Returns
    -------
    ndarray
        (Y, X) bool; empty where the corners lie on one line.
    """
    yx = np.asarray(corners, np.float64).reshape(4, 2)
    mask = np.zeros(shape, np.bool_)
    centre = yx.mean(0)
    half = np.stack([yx[1] - yx[0], yx[3] - yx[0]]) / 2  # (2, 2) two half axes
    if np.linalg.svd(half, compute_uv=False)[-1] <= FLAT:
        return mask
    reach = np.sqrt((half**2).sum(0))
    low = np.ceil(np.clip(centre - reach, 0, shape)).astype(int)
    high = np.floor(np.clip(centre + reach, -1, np.array(shape) - 1)).astype(int) + 1
    place = tuple(slice(a, max(a, b)) for a, b in zip(low, high, strict=True))
    rows, cols = (np.arange(part.start, part.stop) for part in place)
    grid = np.stack(np.meshgrid(rows, cols, indexing="ij"), axis=-1) - centre
    along = grid @ np.linalg.inv(half)  # in half axes
    mask[place] = (along**2).sum(-1) <= 1
    return mask


def scribble_points(path: ArrayLike, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return points along a drawn path, equally far from each other along it.

    Parameters
    ----------
    path
        (N, 2), from end to end.
    shape
        (Y, X) of the frame; points beside it are left out.

    Returns
    -------
    ndarray
        (M, 2), both ends included where they are in the frame: at most
        `SCRIBBLE_POINTS`, one for each `SCRIBBLE_STEP` of the path's length but at
        least its two ends. A path of no length is one point.
    """
    yx = np.asarray(path, np.float64).reshape(-1, 2)
    steps = np.sqrt((np.diff(yx, axis=0) ** 2).sum(1))
    reached = np.concatenate([[0.0], steps.cumsum()])  # (N,) px from the beginning
    length = reached[-1]
    if length <= FLAT:
        points = yx[:1]
    else:
        count = min(max(2, 1 + int(length / SCRIBBLE_STEP)), SCRIBBLE_POINTS)
        at = np.linspace(0, length, count)
        points = np.stack([np.interp(at, reached, axis) for axis in yx.T], axis=1)
    inside = ((points >= -0.5) & (points <= np.array(shape) - 0.5)).all(1)
    kept: NDArray[np.float64] = points[inside]
    return kept


def rims(mask: NDArray[np.bool_]) -> list[NDArray[np.float64]]:
    """Return the closed lines around the pieces of a (Y, X) mask, the longest first.

    Returns
    -------
    list of ndarray
        (N, 2) each, the last vertex being the first; holes have lines as well.
    """
    from skimage.measure import approximate_polygon, find_contours

    rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not rows.size:
        return []
    part = mask[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
    padded = np.pad(part, 1).astype(np.float64)
    lines = find_contours(padded, 0.5)  # type: ignore[no-untyped-call]
    lines.sort(key=len, reverse=True)
    corner = np.array([rows[0] - 1, cols[0] - 1])
    return [
        approximate_polygon(line, SMOOTHING) + corner  # type: ignore[no-untyped-call]
        for line in lines
    ]
