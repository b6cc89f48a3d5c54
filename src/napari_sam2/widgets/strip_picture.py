"""The picture of a heat strip: one row an object, one column a frame, as an array.

Where there are more frames than pixels a column shows the lowest confidence and all
marks of its frames, so that a single bad frame is seen.

Shapes: T frames, W pixels wide, R rows, H = R * row height pixels high.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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
MARK_ROWS = ((0, 2), (1, 1), (2, 0))  # a triangle: depth, half width
WIDE = 5  # columns from so many pixels on have marks in their middle
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
        for row, cell in enumerate(cells):
            top = row * self._row_height
            block = self._row(cell, begin, stop)
            part = block[:, shown.start - begin : shown.stop - begin]
            self.pixels[top : top + self._row_height, shown, 2::-1] = part

    def _row(self, cell: Cell, begin: int, stop: int) -> Pixels:
        """Return the pixels (row height, columns, 3) of a cell, RGB."""
        starts, ends = self._starts[begin:stop], self._ends[begin:stop]
        low = _lowest(cell.confidence, starts, ends)
        known = ~np.isnan(low)
        steps = (np.where(known, low, 0) * (STEPS - 1)).round().astype(np.intp)
        unknown = np.array(UNKNOWN, np.uint8)
        line = np.where(known[:, None], self._colours[steps], unknown)
        body = self._row_height - 1
        block = np.repeat(line[None], self._row_height, axis=0)
        stale = _any(cell.outdated & cell.known, starts, ends)
        if stale.any():
            _hatch(block[:body], stale, begin)
        block[body:] = GAP
        columns = np.arange(begin, stop)
        self._triangles(block, cell.prompted, columns, top=True)
        self._triangles(block, cell.flags > 0, columns, top=False)
        locked = _any(cell.locked, starts, ends)
        block[body - 2 : body, locked] = LIGHT
        block[body - 3, locked] = DARK
        return block

    def _triangles(
        self, block: Pixels, marked: Flags, columns: NDArray[np.intp], *, top: bool
    ) -> None:
        """Draw a white triangle with a dark edge in every marked column."""
        if not marked.any():
            return
        starts, ends = self._starts[columns], self._ends[columns]
        here = _any(marked, starts, ends)
        if self.width >= WIDE * self.n_frames:  # once a frame, in its middle
            middle = ((starts + 0.5) * self.width / self.n_frames).astype(np.intp)
            here &= columns == middle
        body = self._row_height - 1
        for grow, colour in ((1, DARK), (0, LIGHT)):
            for depth, half in (*MARK_ROWS, (3, -1)):
                if half + grow >= 0:
                    line = depth if top else body - 1 - depth
                    block[line, _widened(here, half + grow)] = colour


def _lowest(
    values: NDArray[np.float32], starts: NDArray[np.intp], ends: NDArray[np.intp]
) -> NDArray[np.float32]:
    """Return the lowest known value of each column's frames; NaN if none is known."""
    if (ends - starts == 1).all():
        return values[starts]
    return np.asarray(np.fmin.reduceat(values[: ends[-1]], starts))


def _any(flags: Flags, starts: NDArray[np.intp], ends: NDArray[np.intp]) -> Flags:
    """Return whether any of each column's frames is marked."""
    if (ends - starts == 1).all():
        return flags[starts]
    found: Flags = np.logical_or.reduceat(flags[: ends[-1]], starts)
    return found


def _hatch(block: Pixels, where: Flags, begin: int) -> None:
    """Fade columns, and draw slanted lines over them."""
    faded = FAINT * block[:, where] + (1 - FAINT) * np.array(GAP)
    height, width = block.shape[:2]
    along = np.arange(begin, begin + width)[where]
    lines = (along + np.arange(height)[:, None]) % HATCH < HATCH // 3
    block[:, where] = np.where(lines[..., None], np.array(GAP), faded).astype(np.uint8)


def _widened(flags: Flags, by: int) -> Flags:
    """Return flags that reach `by` places to both sides."""
    wide = flags.copy()
    for step in range(1, by + 1):
        wide[step:] |= flags[:-step]
        wide[:-step] |= flags[step:]
    return wide
