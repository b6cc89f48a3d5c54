"""A movie to show: the picture with the objects' outlines, tint and numbers on it."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from napari_sam2.stacks.colours import object_colours
from napari_sam2.stacks.errors import StackError
from napari_sam2.stacks.labelled import LabelledStack, compact
from napari_sam2.stacks.movie_files import Picture, movie_file
from napari_sam2.stacks.writing import Progress, written_beside

__all__ = ["draw_overlay", "write_overlay"]

SMALLEST, LARGEST = 512, 1920  # of the longer side, in pixels


def write_overlay(
    stack: LabelledStack,
    path: str | Path,
    *,
    fps: float = 10,
    opacity: float = 0.3,
    numbers: bool = True,
) -> Progress:
    """Write a movie of the image with its objects drawn on it, a frame a step.

    Parameters
    ----------
    stack : LabelledStack
        Labels with their image, shown by its contrast limits. Small frames are
        shown larger, and frames beyond 1920 pixels smaller.
    path : path
        ``.mp4`` or ``.gif``; replaced at the end.
    fps : float
        Frames a second, 0.1 to 100.
    opacity : float
        Of the tint in the objects, 0 to 1.
    numbers : bool
        Whether to write each object's id on it.

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
        When the ending is another, ffmpeg is missing, or an object is in no frame.
    ExportError
        When writing fails; what was there is untouched.
    """
    place = Path(path).expanduser()
    image = stack.picture()
    if not 0 <= opacity <= 1:
        raise StackError(f"An opacity of {opacity} does not exist; give 0 to 1.")
    size = shown_size(stack.height, stack.width)
    even = (size[0] + size[0] % 2, size[1] + size[1] % 2)
    with (
        written_beside(place) as unfinished,
        movie_file(unfinished, even, fps) as put,
    ):
        for index in range(stack.n_frames):
            drawn = draw_overlay(
                image.read(stack.frames[index]),
                stack.plane(index),
                size=size,
                opacity=opacity,
                numbers=numbers,
            )
            edges = [(0, b - a) for a, b in zip(size, even, strict=True)]
            put(np.pad(drawn, (*edges, (0, 0)), mode="edge"))
            yield index + 1, stack.n_frames
        stack.check_seen()
    return place


def shown_size(height: int, width: int) -> tuple[int, int]:
    """Return the size at which frames are shown, (height, width) in pixels."""
    longest = max(height, width)
    zoom = min(max(1, math.ceil(SMALLEST / longest)), LARGEST / longest)
    return max(1, round(height * zoom)), max(1, round(width * zoom))


def draw_overlay(
    frame: NDArray[np.floating],
    plane: NDArray[Any],
    *,
    size: tuple[int, int] | None = None,
    opacity: float = 0.3,
    numbers: bool = True,
) -> Picture:
    """Draw the objects on one frame.

    Parameters
    ----------
    frame : ndarray of float
        (Y, X, 3) in [0, 1].
    plane : ndarray of int
        (Y, X), object ids.
    size : (height, width), optional
        Of the picture; the frame's by default.
    opacity : float
        Of the tint, 0 to 1.
    numbers : bool
        Whether to write ids.

    Returns
    -------
    ndarray of uint8
        (height, width, 3).
    """
    height, width = size or plane.shape
    picture = Image.fromarray(np.rint(frame * 255).astype(np.uint8))
    smaller = height < plane.shape[0]
    how = Image.Resampling.BOX if smaller else Image.Resampling.NEAREST
    shown = np.array(picture.resize((width, height), how), np.float32)
    rows = np.arange(height) * plane.shape[0] // height
    columns = np.arange(width) * plane.shape[1] // width
    ids, places = compact(plane[rows][:, columns])
    colours = np.zeros((len(ids), 3), np.float32)
    colours[1:] = object_colours(ids[1:])
    inside = places > 0
    tint = colours[places[inside]]
    shown[inside] += opacity * (tint - shown[inside])
    edge = _outlines(places, max(1, round(max(height, width) / 500)))
    shown[edge] = colours[places[edge]]
    drawn = np.rint(shown).astype(np.uint8)
    return _numbered(drawn, ids, places) if numbers else drawn


def _outlines(places: NDArray[np.int32], thickness: int) -> NDArray[np.bool_]:
    """Find the pixels of objects within `thickness` of another value."""
    edge = np.zeros(places.shape, bool)
    for step in range(1, thickness + 1):
        down = places[step:] != places[:-step]
        right = places[:, step:] != places[:, :-step]
        edge[step:] |= down
        edge[:-step] |= down
        edge[:, step:] |= right
        edge[:, :-step] |= right
    return edge & (places > 0)


def _numbered(drawn: Picture, ids: NDArray[Any], places: NDArray[np.int32]) -> Picture:
    """Write each id on the middle of its object."""
    picture = Image.fromarray(drawn)
    draw = ImageDraw.Draw(picture)
    size = max(12, max(drawn.shape) / 45)
    font = ImageFont.load_default(size=size)
    centres = ndimage.center_of_mass(places > 0, places, np.arange(1, len(ids)))
    height, width = places.shape
    for object_id, (y, x) in zip(ids[1:].tolist(), centres, strict=True):
        text = str(object_id)
        half = min(0.35 * size * len(text), width / 2)
        draw.text(
            (min(max(x, half), width - half), min(max(y, size / 2), height - size / 2)),
            text,
            anchor="mm",
            fill="white",
            font=font,
            stroke_width=2,
            stroke_fill="black",
        )
    return np.array(picture)
