"""Resample pictures and labels on smoothly warped grids, fast and in numpy.

A `Window` is a rectangle of the source seen through rotation, flips and an elastic
warp; for a clip the pose differs a little from frame to frame.

Shapes: h, w source; S = size, the side of the result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2.training import textures

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Field = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Window:
    """Which part of the source a result shows, and how it is turned.

    Attributes
    ----------
    centre
        (2,) float, (y, x) in source px.
    sides
        (2,) float, height and width in source px.
    angle
        Rotation in radians.
    flip
        Mirror the rows, mirror the columns, swap the axes.
    bump
        (2, S, S) float32 elastic displacement as a share of the sides.
    """

    centre: NDArray[np.float64]
    sides: NDArray[np.float64]
    angle: float
    flip: tuple[bool, bool, bool]
    bump: Field | None = None

    def coordinates(self, size: int) -> tuple[Field, Field]:
        """Source coordinates (y, x) of each pixel of the result, (S, S) each."""
        line = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
        v = np.repeat(line[:, None], size, axis=1)
        u = np.repeat(line[None], size, axis=0)
        if self.bump is not None:
            v, u = v + self.bump[0], u + self.bump[1]
        if self.flip[2]:
            v, u = u, v
        v = -v if self.flip[0] else v
        u = -u if self.flip[1] else u
        cosine, sine = np.float32(np.cos(self.angle)), np.float32(np.sin(self.angle))
        height, width = (np.float32(side) for side in self.sides)
        y = (cosine * v - sine * u) * height + np.float32(self.centre[0])
        x = (sine * v + cosine * u) * width + np.float32(self.centre[1])
        return y.astype(np.float32, copy=False), x.astype(np.float32, copy=False)


def _mirror(index: NDArray[np.intp], n: int) -> NDArray[np.intp]:
    """Reflect indices into 0..n-1."""
    index = np.abs(index) % max(2 * n - 2, 1)
    return np.minimum(index, 2 * n - 2 - index)


def _pooled(plane: NDArray[Any], factor: int) -> Field:
    """Mean over factor x factor blocks of an (h, w) or (h, w, c) array."""
    height, width = (side // factor * factor for side in plane.shape[:2])
    total = np.zeros((height // factor, width // factor, *plane.shape[2:]), np.float32)
    for i in range(factor):
        for j in range(factor):
            total += plane[i:height:factor, j:width:factor]
    return np.asarray(total / np.float32(factor * factor), dtype=np.float32)


def _box(
    y: Field, x: Field, shape: tuple[int, ...], factor: int
) -> tuple[slice, slice, int, int]:
    """Part of the source that the coordinates touch, and its first row, column."""
    rows = int(np.floor(y.min())), int(np.ceil(y.max()))
    columns = int(np.floor(x.min())), int(np.ceil(x.max()))
    if rows[0] < 0 or columns[0] < 0 or rows[1] >= shape[0] or columns[1] >= shape[1]:
        return slice(None), slice(None), 0, 0
    top, left = (max(low - 2 * factor, 0) for low in (rows[0], columns[0]))
    bottom, right = rows[1] + 2 * factor + 1, columns[1] + 2 * factor + 1
    return slice(top, bottom), slice(left, right), top, left


def resample(image: NDArray[Any], y: Field, x: Field, scale: float) -> Field:
    """Read an image at coordinates, bilinear, averaged first where it shrinks.

    Parameters
    ----------
    image
        (h, w) or (h, w, 3), uint8 or float in [0, 1]; mirrored beyond the border.
    y, x
        (S, S) float32 source coordinates, pixel centres at integers.
    scale
        Source pixels a pixel of the result.

    Returns
    -------
    numpy.ndarray
        (S, S) or (S, S, 3) float32 in [0, 1].
    """
    factor = max(int(scale + 0.35), 1)
    rows, columns, top, left = _box(y, x, image.shape, factor)
    source: NDArray[Any] = image[rows, columns]
    if factor > 1 and min(source.shape[:2]) >= 2 * factor:
        source = _pooled(source, factor)
    else:
        factor = 1
    row = (y - top + 0.5) / factor - 0.5
    column = (x - left + 0.5) / factor - 0.5
    low_row, low_column = np.floor(row), np.floor(column)
    dy, dx = row - low_row, column - low_column
    if image.ndim == 3:
        dy, dx = dy[..., None], dx[..., None]
    height, width = source.shape[:2]
    r0, c0 = low_row.astype(np.intp), low_column.astype(np.intp)
    r1, c1 = _mirror(r0 + 1, height) * width, _mirror(c0 + 1, width)
    r0, c0 = _mirror(r0, height) * width, _mirror(c0, width)
    flat = source.reshape(height * width, *image.shape[2:])
    above = flat[r0 + c0] * (1 - dx) + flat[r0 + c1] * dx
    below = flat[r1 + c0] * (1 - dx) + flat[r1 + c1] * dx
    white = np.float32(255 if image.dtype == np.uint8 else 1)
    return np.asarray((above + (below - above) * dy) / white, np.float32)


def resample_labels(labels: NDArray[np.integer], y: Field, x: Field) -> NDArray[Any]:
    """Read labels (h, w) at coordinates, nearest, mirrored beyond the border."""
    row = _mirror(np.rint(y).astype(np.intp), labels.shape[0])
    column = _mirror(np.rint(x).astype(np.intp), labels.shape[1])
    return np.asarray(labels.ravel()[row * labels.shape[1] + column])


def elastic(rng: np.random.Generator, size: int, strength: float) -> Field:
    """Smooth displacement (2, S, S) float32 of about `strength` of the side."""
    nodes = int(rng.integers(3, 9))
    pair = [textures.smooth_noise(rng, size, nodes) for _ in range(2)]
    return np.stack(pair) * np.float32(strength / nodes)
