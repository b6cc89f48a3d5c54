"""What pictures with lines in them share: axes with round numbers, and their grid."""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import ImageDraw, ImageFont

__all__ = ["Axis", "draw_grid"]

Colour = tuple[int, int, int]


class Axis:
    """Numbers to pixels along one side of a picture.

    Parameters
    ----------
    values : array-like of float
        What has to fit; numbers that are none do not count.
    start, stop : int
        Where the axis begins and ends, in pixels; downwards or upwards.
    """

    def __init__(self, values: NDArray[np.float64], start: int, stop: int) -> None:
        known = values[np.isfinite(values)]
        low = float(known.min()) if known.size else 0.0
        high = float(known.max()) if known.size else 1.0
        if low == high:
            around = max(0.5, abs(low) / 100)
            low, high = low - around, high + around
        rough = (high - low) / 5
        unit = 10.0 ** math.floor(math.log10(rough))
        self.step = unit * next((m for m in (1, 2, 5) if m * unit >= rough), 10)
        self.low = math.floor(low / self.step + 1e-9) * self.step
        self.high = math.ceil(high / self.step - 1e-9) * self.step
        self.start, self.stop = start, stop

    def place(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where numbers lie, in pixels."""
        share = (values - self.low) / (self.high - self.low)
        placed: NDArray[np.float64] = self.start + share * (self.stop - self.start)
        return placed

    def ticks(self) -> list[tuple[float, float]]:
        """Return round numbers and where they lie."""
        count = round((self.high - self.low) / self.step) + 1
        values = np.round(self.low + self.step * np.arange(count), 12)
        return list(zip(values.tolist(), self.place(values).tolist(), strict=True))


def draw_grid(
    pen: ImageDraw.ImageDraw,
    across: Axis,
    up: Axis,
    *,
    ink: Colour,
    grid: Colour,
    font_size: int = 20,
    width: int = 1,
    below: int = 0,
) -> None:
    """Draw lines at the round numbers of two axes, and write the numbers beside.

    Parameters
    ----------
    pen : ImageDraw
        Draws on the picture.
    across, up : Axis
        The axes; `up` starts at the bottom.
    ink, grid : (red, green, blue)
        Colours of the numbers and of the lines.
    font_size, width : int
        Of the numbers and of the lines, in pixels.
    below : int
        Room between the lines and the numbers of `across`, in pixels.
    """
    font = ImageFont.load_default(font_size)
    for value, x in across.ticks():
        pen.line((x, up.stop, x, up.start), fill=grid, width=width)
        pen.text((x, up.start + below + 8), f"{value:g}", ink, font, "ma")
    for value, y in up.ticks():
        pen.line((across.start, y, across.stop, y), fill=grid, width=width)
        pen.text((across.start - 10, y), f"{value:g}", ink, font, "rm")
