"""One measurement over time, a line an object, as a picture."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from napari_sam2.stacks.chart import Axis, draw_grid
from napari_sam2.stacks.colours import object_colours
from napari_sam2.stacks.errors import StackError
from napari_sam2.stacks.labelled import LabelledStack
from napari_sam2.stacks.measurements import measurements, plottable
from napari_sam2.stacks.writing import Progress, picture_bytes, written_beside

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
        unfinished.write_bytes(picture_bytes(draw_plot(table, column)))
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
    of_time = Axis(table[across].to_numpy(float), LEFT, WIDTH - RIGHT)
    of_value = Axis(table[column].to_numpy(float), HEIGHT - BOTTOM, TOP)
    draw_grid(pen, of_time, of_value, ink=INK, grid=GRID, font_size=FONT_SIZE)
    named = across if across == "frame" else f"time ({unit})"
    pen.text((WIDTH / 2, HEIGHT - 8), named, INK, font, "md")
    pen.text((LEFT, 12), _title(table, column), INK, font, "la")
    objects = table.groupby("object_id")
    for object_id, rows in objects:
        colour = tuple(object_colours(np.array([object_id]))[0].tolist())
        times = of_time.place(rows[across].to_numpy(float))
        values = of_value.place(rows[column].to_numpy(float))
        points: np.ndarray = np.stack([times, values], axis=1)
        there = np.isfinite(points).all(axis=1)
        breaks = (np.diff(rows["frame"].to_numpy()) > 1) | ~there[1:] | ~there[:-1]
        for run in np.split(points, np.flatnonzero(breaks) + 1):
            _line(pen, run, colour)
        if len(objects) <= LABELLED and there.any():
            x_end, y_end = points[there][-1]
            pen.text((x_end + 8, y_end), str(object_id), colour, font, "lm")
    return picture


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
