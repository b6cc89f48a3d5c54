"""One measurement over time, a line an object, as a picture."""

import io
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from napari_sam2.stacks.colours import object_colours
from napari_sam2.stacks.errors import StackError
from napari_sam2.stacks.labelled import LabelledStack
from napari_sam2.stacks.measurements import measurements, plottable
from napari_sam2.stacks.writing import Progress, written_beside

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["draw_plot", "write_plot"]

WIDTH, HEIGHT = 1200, 720
LEFT, TOP, RIGHT, BOTTOM = 110, 50, 70, 70
FONT_SIZE = 20
INK, GRID, PAPER = (230, 230, 230), (70, 74, 80), (38, 41, 48)
LABELLED = 25  # lines with their object's id at the end


def write_plot(
    stack: LabelledStack, path: str | Path, *, column: str = "area"
) -> Progress:
    """Draw a measurement of every object over time, a frame a step.

    Parameters
    ----------
    stack : LabelledStack
        Labels, and the image if an intensity is drawn.
    path : path
        ``.png``; replaced at the end.
    column : str
        A column of `measurements`.

    Yields
    ------
    (int, int)
        Frames done, and of how many.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    StackError
        When there is no such column, or nothing to measure.
    ExportError
        When writing fails; what was there is untouched.
    """
    place = Path(path).expanduser()
    known = plottable(stack)
    if column not in known:
        raise StackError(
            f"{column!r} is not measured here; choose from {', '.join(known)}."
        )
    with written_beside(place) as unfinished:
        table = yield from measurements(stack)
        picture = draw_plot(table, column)
        # Through memory: Pillow does not notice a file that a full disk cut short.
        data = io.BytesIO()
        picture.save(data, "PNG")
        unfinished.write_bytes(data.getvalue())
    return place


def draw_plot(table: "DataFrame", column: str) -> Image.Image:
    """Draw one column of a table of measurements.

    Parameters
    ----------
    table : DataFrame
        As `measurements` returns it.
    column : str
        Which of its numbers; a line breaks where the object is away.

    Returns
    -------
    Image
        1200 × 720 pixels.
    """
    picture = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
    pen = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=FONT_SIZE)
    unit = str(table["time_unit"].iloc[0])
    across = "frame" if unit == "pixel" else "time"
    of_time = _Axis(table[across].to_numpy(float), LEFT, WIDTH - RIGHT)
    of_value = _Axis(table[column].to_numpy(float), HEIGHT - BOTTOM, TOP)
    for value, x in of_time.ticks():
        pen.line((x, TOP, x, HEIGHT - BOTTOM), fill=GRID)
        pen.text((x, HEIGHT - BOTTOM + 8), f"{value:g}", INK, font, "ma")
    for value, y in of_value.ticks():
        pen.line((LEFT, y, WIDTH - RIGHT, y), fill=GRID)
        pen.text((LEFT - 10, y), f"{value:g}", INK, font, "rm")
    named = across if across == "frame" else f"time ({unit})"
    pen.text((WIDTH / 2, HEIGHT - 8), named, INK, font, "md")
    pen.text((LEFT, 12), _title(table, column), INK, font, "la")
    objects = table.groupby("object_id")
    for object_id, rows in objects:
        colour = tuple(object_colours(np.array([object_id]))[0].tolist())
        times = of_time.place(rows[across].to_numpy(float))
        values = of_value.place(rows[column].to_numpy(float))
        points = np.stack([times, values], axis=1)
        there = np.isfinite(points).all(axis=1)
        breaks = (np.diff(rows["frame"].to_numpy()) > 1) | ~there[1:] | ~there[:-1]
        for run in np.split(points, np.flatnonzero(breaks) + 1):
            _line(pen, run, colour)
        if len(objects) <= LABELLED and there.any():
            x_end, y_end = points[there][-1]
            pen.text((x_end + 8, y_end), str(object_id), colour, font, "lm")
    return picture


class _Axis:
    """Numbers to pixels along one side.

    Parameters
    ----------
    values : ndarray
        What has to fit; numbers that are none do not count.
    start, stop : int
        The side's pixels.
    """

    def __init__(self, values: np.ndarray, start: int, stop: int) -> None:
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
        self._start, self._stop = start, stop

    def place(self, values: np.ndarray) -> np.ndarray:
        """Return where numbers lie, in pixels."""
        share = (values - self.low) / (self.high - self.low)
        placed: np.ndarray = self._start + share * (self._stop - self._start)
        return placed

    def ticks(self) -> list[tuple[float, float]]:
        """Return round numbers and where they lie."""
        count = round((self.high - self.low) / self.step) + 1
        values = self.low + self.step * np.arange(count)
        values = np.round(values, 12)
        return list(zip(values.tolist(), self.place(values).tolist(), strict=True))


def _line(
    pen: ImageDraw.ImageDraw, points: np.ndarray, colour: tuple[int, ...]
) -> None:
    if not np.isfinite(points).all():
        return
    if len(points) > 1:
        pen.line([tuple(p) for p in points.tolist()], colour, 3, "curve")
    else:
        x, y = points[0]
        pen.ellipse((x - 3, y - 3, x + 3, y + 3), fill=colour)


def _title(table: "DataFrame", column: str) -> str:
    name = column.removesuffix("_scaled").replace("_", " ")
    space, time = str(table["space_unit"].iloc[0]), str(table["time_unit"].iloc[0])
    if not column.endswith("_scaled"):
        return name
    unit = {"area": f"{space}²", "speed": f"{space} / {time}"}.get(name, space)
    return f"{name} ({unit})"
