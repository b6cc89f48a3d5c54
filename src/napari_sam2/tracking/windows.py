"""Zoom: the part of a frame that a small network looks at for one object.

A network with an input of 256 x 256 loses a cell of 20 pixels in a frame of 2048.
So each object is looked at through a square window of a few times its size. Windows
lie on a grid, so that neighbours share one picture and its embedding, and an object
keeps its window until it leaves the middle: memories then stay aligned.

Coordinates are (y, x) of the frame, in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SMALLEST = 96
LARGEST_SHARE = 0.8
ROOM = 2.2
GRID = 4


@dataclass(frozen=True, kw_only=True, order=True)
class Window:
    """A rectangle of a frame.

    Attributes
    ----------
    y, x
        First row and column.
    height, width
        Rows and columns.
    """

    y: int
    x: int
    height: int
    width: int

    @property
    def place(self) -> tuple[slice, slice]:
        """Rows and columns of the frame."""
        return (
            slice(self.y, self.y + self.height),
            slice(self.x, self.x + self.width),
        )

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        return self.height, self.width

    def holds(self, point: tuple[float, float]) -> bool:
        """Whether a pixel centre (y, x) lies in the window."""
        y, x = point
        return (
            self.y - 0.5 <= y < self.y + self.height - 0.5
            and self.x - 0.5 <= x < self.x + self.width - 0.5
        )


@dataclass(frozen=True, kw_only=True)
class Extent:
    """The tight box of a mask: rows ``top <= r < bottom``, columns likewise."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def size(self) -> int:
        """The longer side, px."""
        return max(self.bottom - self.top, self.right - self.left)

    @property
    def centre(self) -> tuple[float, float]:
        """(y, x), pixel centres at integers."""
        return (self.top + self.bottom - 1) / 2, (self.left + self.right - 1) / 2


def whole(shape: tuple[int, int]) -> Window:
    """Return the window that is the whole frame of (Y, X) pixels."""
    return Window(y=0, x=0, height=shape[0], width=shape[1])


def extent(mask: NDArray[np.bool_]) -> Extent | None:
    """Return the tight box of a (Y, X) mask, or None if it is empty."""
    rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not rows.size:
        return None
    return Extent(
        top=int(rows[0]),
        left=int(cols[0]),
        bottom=int(rows[-1]) + 1,
        right=int(cols[-1]) + 1,
    )


def window_sides(shape: tuple[int, int]) -> list[int]:
    """Return the sides of the windows of a frame, smallest first, px.

    They double from 96 and stay below four fifths of the frame's shorter side; the
    whole frame comes after them.
    """
    sides = []
    side = SMALLEST
    while side < LARGEST_SHARE * min(shape):
        sides.append(side)
        side *= 2
    return sides


def window_around(
    point: tuple[float, float], side: int, shape: tuple[int, int]
) -> Window:
    """Return the window of the grid whose middle is nearest to a point.

    Parameters
    ----------
    point
        (y, x).
    side
        One of `window_sides`.
    shape
        (Y, X) of the frame.
    """
    step = side // GRID
    y, x = (
        min(max(round((at - side / 2) / step) * step, 0), size - side)
        for at, size in zip(point, shape, strict=True)
    )
    return Window(y=y, x=x, height=side, width=side)


def window_for(found: Extent, shape: tuple[int, int]) -> Window:
    """Return the smallest window with room around an object.

    Parameters
    ----------
    found
        The object's box.
    shape
        (Y, X) of the frame.
    """
    for side in window_sides(shape):
        if side >= ROOM * found.size:
            return window_around(found.centre, side, shape)
    return whole(shape)


def follow(window: Window, found: Extent, shape: tuple[int, int]) -> Window:
    """Return the window for an object that was in `window` and is now at `found`.

    The window stays while the object is in its middle half and its size fits; so
    it changes seldom.

    Parameters
    ----------
    window
        Where the object was looked at.
    found
        Its box now.
    shape
        (Y, X) of the frame.
    """
    wanted = window_for(found, shape)
    if wanted.shape != window.shape and _fits(window, found, shape):
        wanted = (
            window_around(found.centre, window.height, shape)
            if window != whole(shape)
            else window
        )
    if wanted.shape == window.shape and _central(window, found, shape):
        return window
    return wanted


def _fits(window: Window, found: Extent, shape: tuple[int, int]) -> bool:
    """Whether an object's size is still near enough to what the window is for."""
    if window == whole(shape):
        largest = max(window_sides(shape), default=0)
        return found.size * ROOM > 0.75 * largest
    return 0.7 * ROOM * found.size <= window.height <= 3 * ROOM * found.size


def _central(window: Window, found: Extent, shape: tuple[int, int]) -> bool:
    """Whether an object is in the middle half of a window, or at the frame's edge."""
    for at, low, size, frame in zip(
        found.centre, (window.y, window.x), window.shape, shape, strict=True
    ):
        off = at - (low + (size - 1) / 2)
        if off < -size / 4 and low > 0:
            return False
        if off > size / 4 and low + size < frame:
            return False
    return True
