"""A picture of how often probabilities come true."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from napari_sam2.stacks.chart import Axis, draw_grid
from napari_sam2.stacks.writing import save_picture

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_sam2.evaluation.calibration import Reliability

SIDE, LEFT, TOP, BETWEEN, BARS = 640, 110, 70, 130, 120
FINE = 2  # drawn this many times larger, for smooth lines
COLOURS = (
    (20, 20, 20),
    (214, 69, 122),
    (46, 125, 200),
    (60, 160, 90),
    (222, 140, 40),
    (130, 90, 190),
)
WHOLE = np.array([0.0, 1.0])
GRID, INK = (225, 225, 225), (60, 60, 60)


def draw_reliability(
    path: Path, panels: Mapping[str, Mapping[str, Reliability]]
) -> None:
    """Write diagrams of predicted against observed, side by side.

    The first curve of a panel is drawn bold, and bars below show in which bins its
    answers are. A bin's dot grows with its share of the curve's answers.

    Parameters
    ----------
    path
        Picture to write (.png).
    panels
        By title, curves by name; at most six in a panel.
    """
    size = (LEFT + len(panels) * (SIDE + BETWEEN), TOP + SIDE + BARS + 110)
    sheet = Image.new("RGB", size, (255, 255, 255))
    pen = ImageDraw.Draw(sheet)
    for column, (title, curves) in enumerate(panels.items()):
        _panel(pen, LEFT + column * (SIDE + BETWEEN), title, curves)
    save_picture(sheet.reduce(FINE), path)


def _panel(
    pen: ImageDraw.ImageDraw, left: int, title: str, curves: Mapping[str, Reliability]
) -> None:
    font, large = ImageFont.load_default(22), ImageFont.load_default(28)
    floor = TOP + SIDE
    pen.text((left, 16), title, fill=INK, font=large)
    across = Axis(WHOLE, left, left + SIDE)
    up = Axis(WHOLE, floor, TOP)
    draw_grid(pen, across, up, ink=INK, grid=GRID, font_size=22, width=2, below=BARS)
    pen.line((left, floor, left + SIDE, TOP), fill=(160, 160, 160), width=3)
    pen.text((left + 12, TOP + 8), "share right", fill=INK, font=font)
    middle = left + SIDE / 2, floor + BARS + 46
    pen.text(middle, "said", fill=INK, font=font, anchor="mt")
    for k, (name, curve) in enumerate(curves.items()):
        colour, width = COLOURS[k], 7 if k == 0 else 3
        shares: list[float] = (curve.count / curve.count.sum()).tolist()
        columns: list[float] = across.place(curve.predicted).tolist()
        rows: list[float] = up.place(curve.observed).tolist()
        points = list(zip(columns, rows, strict=True))
        pen.line(points, fill=colour, width=width, joint="curve")
        for (a, b), part in zip(points, shares, strict=True):
            r = 4 + 14 * part**0.5
            pen.ellipse((a - r, b - r, a + r, b + r), fill=colour)
            if k == 0:
                top = floor + BARS - (BARS - 8) * part / max(shares)
                pen.rectangle((a - 14, top, a + 14, floor + BARS), fill=colour)
        note = f"{name}: {curve.error:.3f}"
        corner = left + SIDE - 14, floor - 34 * (len(curves) - k)
        pen.text(corner, note, fill=colour, font=font, anchor="rt")
