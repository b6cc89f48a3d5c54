"""A contact sheet: some frames of a stack with the outlines of their labels."""

from __future__ import annotations

import colorsys
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

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
        colours = outline(stack.read(t), np.asarray(labels[t]), round(1 / zoom) or 1)
        tile = Image.fromarray(colours).resize((width, height))
        draw = ImageDraw.Draw(tile)
        draw.text((5, 3), f"frame {t}", fill=(255, 255, 255))
        for _, y, x in (click for click in clicks if click[0] == t):
            row, column = (y + 0.5) * zoom, (x + 0.5) * zoom
            draw.line((column - 6, row, column + 6, row), fill=(255, 255, 255))
            draw.line((column, row - 6, column, row + 6), fill=(255, 255, 255))
        sheet.paste(tile, (index % columns * width, index // columns * height))
    sheet.save(path)


def outline(
    frame: NDArray[np.floating], labels: NDArray[Any], thickness: int = 1
) -> NDArray[np.uint8]:
    """Draw the outlines of `labels` on a frame.

    Parameters
    ----------
    frame : (Y, X, 3) float in [0, 1]
        The picture.
    labels : (Y, X) int
        0 background.
    thickness : int
        Pixels, at least 1.

    Returns
    -------
    (Y, X, 3) uint8
    """
    drawn: NDArray[np.uint8] = np.rint(frame * 255).astype(np.uint8)
    inside = labels > 0
    for axis in (0, 1):
        for step in range(-thickness, thickness + 1):
            inside &= np.roll(labels, step, axis) == labels
    edge = (labels > 0) & ~inside
    for object_id in np.unique(labels[edge]):
        drawn[edge & (labels == object_id)] = colour(int(object_id))
    return drawn


def colour(object_id: int) -> tuple[int, int, int]:
    """Return a bright colour for an id: neighbours in number are far apart in hue."""
    red, green, blue = colorsys.hsv_to_rgb((0.11 + object_id * 0.618034) % 1, 0.85, 1)
    return round(255 * red), round(255 * green), round(255 * blue)
