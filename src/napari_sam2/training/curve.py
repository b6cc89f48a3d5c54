"""The loss curve of a run, as a picture."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

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
    sheet = Image.new("RGB", (WIDTH, HEIGHT), (255, 255, 255))
    pen = ImageDraw.Draw(sheet)
    _axes(pen, last, top)
    for k, (kind, rows) in enumerate(sorted(losses.items())):
        colour = COLOURS.get(kind, INK)
        pale = tuple(round(255 - (255 - c) * 0.35) for c in colour)
        dots = [_place(step, loss, last, top) for step, loss in rows]
        for x, y in dots:
            pen.ellipse((x - 3, y - 3, x + 3, y + 3), fill=pale)
        line = smoothed([loss for _, loss in rows]).tolist()
        points = [
            _place(step, y, last, top) for (step, _), y in zip(rows, line, strict=True)
        ]
        if len(points) > 1:
            pen.line(points, fill=colour, width=6, joint="curve")
        note = WIDTH - 40, TOP + 34 * k
        font = ImageFont.load_default(26)
        final = np.mean([loss for _, loss in rows[-max(1, len(rows) // 20) :]])
        pen.text(note, f"{kind}s: {final:.3f}", fill=colour, font=font, anchor="ra")
    part = path.with_name(f"{path.name}.part")
    small = sheet.resize((WIDTH // FINE, HEIGHT // FINE), Image.Resampling.LANCZOS)
    small.save(part, format="PNG", optimize=True)
    part.replace(path)


def _place(step: int, loss: float, last: int, top: float) -> tuple[float, float]:
    x = LEFT + (WIDTH - LEFT - 40) * step / max(last, 1)
    floor = HEIGHT - BELOW
    return x, floor - (floor - TOP) * min(max(loss / top, 0.0), 1.0)


def _axes(pen: ImageDraw.ImageDraw, last: int, top: float) -> None:
    font = ImageFont.load_default(22)
    for k in range(6):
        x, y = _place(round(last * k / 5), top * k / 5, last, top)
        pen.line((LEFT, y, WIDTH - 40, y), fill=GRID, width=2)
        pen.text((LEFT - 12, y), f"{top * k / 5:.2f}", fill=INK, font=font, anchor="rm")
        below = x, HEIGHT - BELOW + 14
        pen.text(below, str(round(last * k / 5)), fill=INK, font=font, anchor="mt")
    pen.text((LEFT, 16), "loss", fill=INK, font=font)
    pen.text((WIDTH - 40, HEIGHT - 14), "step", fill=INK, font=font, anchor="rb")
