"""The loss curve of a run, as a picture."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from napari_sam2.stacks.chart import Axis, draw_grid
from napari_sam2.stacks.writing import save_picture

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

WIDTH, HEIGHT, LEFT, TOP, BELOW = 1400, 760, 110, 60, 90
FINE = 2  # drawn this many times larger, for smooth lines
COLOURS = {"picture": (46, 125, 200), "clip": (214, 69, 122)}
GRID, INK = (225, 225, 225), (60, 60, 60)
SMOOTHED = 0.05  # share of the curve that is averaged


def read_log(path: Path) -> dict[str, list[tuple[int, float]]]:
    """Read the losses of a run, by kind of step.

    Parameters
    ----------
    path
        A ``log.jsonl`` of `napari_sam2.training.loop.train`. A line that was cut off
        is left out.

    Returns
    -------
    dict
        (step, loss) in order, by ``"picture"`` and ``"clip"``.
    """
    losses: dict[str, list[tuple[int, float]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
            found = int(row["step"]), float(row["loss"])
        except (ValueError, KeyError, TypeError):
            continue
        if math.isfinite(found[1]):
            losses.setdefault(str(row.get("kind", "picture")), []).append(found)
    return losses


def smoothed(values: Sequence[float]) -> NDArray[np.float64]:
    """Average over a twentieth of the curve, symmetrically, shorter at its ends."""
    n = len(values)
    reach = round(SMOOTHED * n / 2)
    total = np.concatenate(([0.0], np.cumsum(values)))
    middle = np.arange(n)
    half = np.minimum(reach, np.minimum(middle, n - 1 - middle))
    low, high = middle - half, middle + half + 1
    return np.asarray((total[high] - total[low]) / (high - low), dtype=np.float64)


def draw_curve(path: Path, losses: dict[str, list[tuple[int, float]]]) -> None:
    """Write a picture of losses over steps: dots, and their moving average.

    Parameters
    ----------
    path
        Picture to write (.png): beside it first, then renamed.
    losses
        As `read_log` gives them; nothing is written when there are none.
    """
    every = [loss for rows in losses.values() for _, loss in rows]
    if not every:
        return
    last = max(step for rows in losses.values() for step, _ in rows)
    top = float(np.percentile(every, 98)) * 1.1 or 1.0
    across = Axis(np.array([0.0, max(last, 1)]), LEFT, WIDTH - 40)
    up = Axis(np.array([0.0, top]), HEIGHT - BELOW, TOP)
    sheet = Image.new("RGB", (WIDTH, HEIGHT), (255, 255, 255))
    pen = ImageDraw.Draw(sheet)
    draw_grid(pen, across, up, ink=INK, grid=GRID, font_size=22, width=2)
    font = ImageFont.load_default(22)
    pen.text((LEFT, 16), "loss", fill=INK, font=font)
    pen.text((WIDTH - 40, HEIGHT - 14), "step", fill=INK, font=font, anchor="rb")
    for k, (kind, rows) in enumerate(sorted(losses.items())):
        colour = COLOURS.get(kind, INK)
        pale = tuple(round(255 - (255 - c) * 0.35) for c in colour)
        steps, values = np.array(rows, dtype=np.float64).T
        columns = across.place(steps).tolist()
        for x, y in zip(columns, _heights(up, values), strict=True):
            pen.ellipse((x - 3, y - 3, x + 3, y + 3), fill=pale)
        line = _heights(up, smoothed(values.tolist()))
        if len(line) > 1:
            points = list(zip(columns, line, strict=True))
            pen.line(points, fill=colour, width=6, joint="curve")
        note = WIDTH - 40, TOP + 34 * k
        font = ImageFont.load_default(26)
        final = np.mean(values[-max(1, len(rows) // 20) :])
        pen.text(note, f"{kind}s: {final:.3f}", fill=colour, font=font, anchor="ra")
    save_picture(sheet.reduce(FINE), path)


def _heights(up: Axis, losses: NDArray[np.float64]) -> list[float]:
    """Place losses; those beyond the picture at its edge."""
    heights: list[float] = up.place(np.clip(losses, up.low, up.high)).tolist()
    return heights
