"""A contact sheet: some frames of a stack with the outlines of their labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from napari_sam2.stacks.overlay import draw_overlay
from napari_sam2.stacks.writing import save_picture

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray

    from napari_sam2.stacks import Stack


def write_contact_sheet(
    path: Path,
    stack: Stack,
    labels: NDArray[Any],
    *,
    clicks: list[tuple[int, float, float]] | None = None,
    n_frames: int = 8,
    columns: int = 4,
    width: int = 320,
) -> None:
    """Write `n_frames` evenly spaced frames, outlined, as one picture.

    Parameters
    ----------
    path : Path
        Picture to write (.png).
    stack : Stack
        The frames.
    labels : (T, Y, X) int
        0 background; each id has its own colour.
    clicks : list of (frame, y, x), optional
        Crosses to draw; frames with a click are always shown.
    n_frames, columns : int
        How many frames, and how many side by side.
    width : int
        Width of one frame in pixels.
    """
    clicks = clicks or []
    wanted = np.linspace(0, stack.n_frames - 1, min(n_frames, stack.n_frames))
    frames = sorted({round(t) for t in wanted} | {t for t, _, _ in clicks})
    zoom = width / stack.width
    height = round(stack.height * zoom)
    rows = -(-len(frames) // columns)
    sheet = Image.new("RGB", (columns * width, rows * height))
    for index, t in enumerate(frames):
        drawn = draw_overlay(
            stack.read(t),
            np.asarray(labels[t]),
            size=(height, width),
            opacity=0,
            numbers=False,
        )
        tile = Image.fromarray(drawn)
        draw = ImageDraw.Draw(tile)
        draw.text((5, 3), f"frame {t}", fill=(255, 255, 255))
        for _, y, x in (click for click in clicks if click[0] == t):
            row, column = (y + 0.5) * zoom, (x + 0.5) * zoom
            draw.line((column - 6, row, column + 6, row), fill=(255, 255, 255))
            draw.line((column, row - 6, column, row + 6), fill=(255, 255, 255))
        sheet.paste(tile, (index % columns * width, index // columns * height))
    save_picture(sheet, path)
