"""The picture of a heat strip: one row an object, one column a frame, as an array.

Where there are more frames than pixels a column shows the lowest confidence and all
marks of its frames, so that a single bad frame is seen.

Shapes: T frames, W pixels wide, R rows, H = R * row height pixels high.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2.widgets.confidence_colours import STEPS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sam2.widgets.cells import Cell

    Pixels = NDArray[np.uint8]
    Flags = NDArray[np.bool_]

UNKNOWN, GAP = (70, 74, 82), (38, 41, 48)
LIGHT, DARK = (255, 255, 255), (20, 22, 26)
MARK_ROWS = ((0, 4), (1, 3), (2, 2), (3, 1), (4, 0))  # a triangle: depth, half width
WIDE = 9  # columns from so many pixels on have marks in their middle
FAINT = 0.6
HATCH = 6


class StripPicture:
    """An image that is made column by column.

    Parameters
    ----------
    width : int
        W, pixels.
    n_frames : int
        T.
    row_height : int
        Pixels a row, the gap below it included.
    colours : ndarray
        (256, 3) RGB of confidence 0 to 1.

    Attributes
    ----------
    pixels : ndarray
        (H, W, 4) uint8 in the order of Qt's RGB32: blue, green, red, unused.
    """

    def __init__(
        self, width: int, n_frames: int, row_height: int, colours: Pixels
    ) -> None:
        self.width, self.n_frames = width, n_frames
        self._row_height, self._colours = row_height, colours
        self._starts = np.arange(self.width) * n_frames // self.width
        self._ends = np.maximum(
            (np.arange(self.width) + 1) * n_frames // self.width, self._starts + 1
        )
        self.pixels: Pixels = np.zeros((0, self.width, 4), np.uint8)

    def column_of(self, frame_idx: int) -> float:
        """Return where the middle of a frame is, in pixels."""
        return (frame_idx + 0.5) * self.width / self.n_frames

    def frame_at(self, x: float) -> int:
        """Return the frame at a pixel; the nearest one if beside all."""
        frame = int(np.floor(x * self.n_frames / self.width))
        return min(max(frame, 0), self.n_frames - 1)

    def frames_at(self, x: float) -> range:
        """Return the frames that one column of pixels stands for."""
        column = min(max(int(x), 0), self.width - 1)
        return range(int(self._starts[column]), int(self._ends[column]))

    def draw(
        self, cells: Sequence[Cell], first: int = 0, last: int | None = None
    ) -> None:
        """Draw the frames from `first` to `last` of some cells, top to bottom."""
        height = len(cells) * self._row_height
        if len(self.pixels) != height:
            self.pixels = np.zeros((height, self.width, 4), np.uint8)
            first, last = 0, None
        last = self.n_frames - 1 if last is None else last
        # A mark reaches a few pixels over its frame.
        reach = 1 + MARK_ROWS[0][1]
        left = int(np.searchsorted(self._ends, first, side="right")) - reach
        right = int(np.searchsorted(self._starts, last, side="right")) + reach
        # Marks of columns just outside reach inside.
        begin, stop = max(left - reach, 0), min(right + reach, self.width)
        shown = slice(max(left, 0), min(right, self.width))
        if cells:
            block = self._block(cells, begin, stop)
            part = block[:, shown.start - begin : shown.stop - begin]
            self.pixels[:, shown, 2::-1] = part

    def _block(self, cells: Sequence[Cell], begin: int, stop: int) -> Pixels:
        """Return some columns of all rows, (H, columns, 3) RGB."""
        from_, to = int(self._starts[begin]), int(self._ends[stop - 1])
        starts, ends = self._starts[begin:stop] - from_, self._ends[begin:stop] - from_

        def stacked(name: str) -> NDArray[Any]:
            return np.stack([getattr(cell, name)[from_:to] for cell in cells])

        low = _lowest(stacked("confidence"), starts, ends)  # (R, columns)
        known = ~np.isnan(low)
        steps = (np.where(known, low, 0) * (STEPS - 1)).round().astype(np.intp)
        unknown, gap = np.array(UNKNOWN, np.uint8), np.array(GAP, np.uint8)
        line = np.where(known[..., None], self._colours[steps], unknown)
        stale = _any(stacked("outdated"), starts, ends) & known
        faded = (FAINT * line + (1 - FAINT) * gap).astype(np.uint8)
        line = np.where(stale[..., None], faded, line)
        height, body = self._row_height, self._row_height - 1
        across = np.arange(begin, stop) + np.arange(height)[:, None]
        hatched = stale[:, None] & (across % HATCH < HATCH // 3)
        block = np.where(hatched[..., None], gap, line[:, None])
        block[:, body:] = gap
        middle = self._middles(begin, stop)
        prompted = _any(stacked("prompted"), starts, ends) & middle
        flagged = _any(stacked("flags") > 0, starts, ends) & middle
        _triangles(block[:, :body], prompted)
        _triangles(block[:, body - 1 :: -1], flagged)
        locked = _any(stacked("locked"), starts, ends)
        block[:, body - 2 : body][np.stack([locked, locked], axis=1)] = LIGHT
        block[:, body - 3][locked] = DARK
        return block.reshape(-1, stop - begin, 3)

    def _middles(self, begin: int, stop: int) -> Flags:
        """Return the columns that may have a mark: of a wide frame the middle one."""
        columns = np.arange(begin, stop)
        if self.width < WIDE * self.n_frames:
            return np.ones(len(columns), np.bool_)
        middle = (self._starts[columns] + 0.5) * self.width / self.n_frames
        here: Flags = columns == middle.astype(np.intp)
        return here


def _triangles(block: Pixels, marked: Flags) -> None:
    """Draw white triangles with dark edges, pointing away from the first line.

    Parameters
    ----------
    block : ndarray
        (R, lines, columns, 3) RGB; is changed.
    marked : ndarray
        (R, columns) where the middle of one is.
    """
    if not marked.any():
        return
    for grow, colour in ((1, DARK), (0, LIGHT)):
        for depth, half in (*MARK_ROWS, (len(MARK_ROWS), -1)):
            if half + grow >= 0:
                block[:, depth][_widened(marked, half + grow)] = colour


def _lowest(
    values: NDArray[np.float32], starts: NDArray[np.intp], ends: NDArray[np.intp]
) -> NDArray[np.float32]:
    """Return the lowest known value of each column's frames; NaN if none is known.

    Parameters
    ----------
    values : ndarray
        (R, frames).
    starts, ends : ndarray
        (columns,) where the frames of each begin and end.
    """
    if (ends - starts == 1).all():
        return values[:, starts]
    lowest: NDArray[np.float32] = np.fmin.reduceat(values, starts, axis=1)
    return lowest


def _any(flags: Flags, starts: NDArray[np.intp], ends: NDArray[np.intp]) -> Flags:
    """Return whether any of each column's frames is marked; see `_lowest`."""
    if (ends - starts == 1).all():
        return flags[:, starts]
    found: Flags = np.logical_or.reduceat(flags, starts, axis=1)
    return found


def _widened(flags: Flags, by: int) -> Flags:
    """Return (R, columns) flags that reach `by` columns to both sides."""
    wide = flags.copy()
    for step in range(1, by + 1):
        wide[:, step:] |= flags[:, :-step]
        wide[:, :-step] |= flags[:, step:]
    return wide
