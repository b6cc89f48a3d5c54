"""From what was drawn in a layer to what a prompt is, in pixels of the image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_sam2.widgets.engine import FramePrompts, PromptKey
    from napari_sam2.widgets.target import Target

SMALLEST_BOX = 2.0  # pixels; a click with the box tool draws one that is smaller


def clipped(position: np.ndarray, target: Target) -> np.ndarray:
    """Return the position with y and x inside the picture: boxes may stick out."""
    highest = np.array(target.shape[-2:]) - 1
    return np.concatenate([position[:-2], np.clip(position[-2:], 0, highest)])


def box_of(corners: np.ndarray, target: Target) -> tuple[float, float, float, float]:
    """Return (y, x, y2, x2) of a drawn rectangle, as far as it is in the picture.

    Pixel 0 reaches from -0.5 to 0.5.
    """
    size = np.array(target.shape[-2:])
    low = np.clip(corners[:, -2:].min(axis=0) + 0.5, 0, size)
    high = np.clip(corners[:, -2:].max(axis=0) + 0.5, 0, size)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def click_is_usable(position: np.ndarray, target: Target) -> bool:
    """Whether a click, (1, D) in the image's data, hits a pixel."""
    where: Any = position[0]
    return target.holds(where)


def box_is_usable(corners: np.ndarray, target: Target) -> bool:
    """Whether a rectangle, (4, D) in the image's data, holds enough pixels."""
    y, x, y2, x2 = box_of(corners, target)
    return min(y2 - y, x2 - x) >= SMALLEST_BOX


class Put(NamedTuple):
    """A prompt to be put into a layer.

    Attributes
    ----------
    object_id, sign : int
        Its object; 1 on it, 0 beside it.
    vertices : ndarray
        (N, D) in the image's data: one point, or the four corners of a box.
    """

    object_id: int
    sign: int
    vertices: np.ndarray


def clicks_to_put(
    prompts: Mapping[PromptKey, FramePrompts], target: Target
) -> list[Put]:
    """Return the clicks among prompts, as points."""
    return [
        Put(object_id, label, np.array([[*target.index(frame), *point]], float))
        for (object_id, frame), given in prompts.items()
        for point, label in zip(given.points, given.labels, strict=True)
    ]


def boxes_to_put(
    prompts: Mapping[PromptKey, FramePrompts], target: Target
) -> list[Put]:
    """Return the boxes among prompts, as corners; see `box_of`."""
    found = []
    for (object_id, frame), given in prompts.items():
        if given.box is not None:
            y, x, y2, x2 = (edge - 0.5 for edge in given.box)
            corners = ((y, x), (y, x2), (y2, x2), (y2, x))
            where = target.index(frame)
            vertices = np.array([[*where, *corner] for corner in corners], float)
            found.append(Put(object_id, 1, vertices))
    return found
