"""Whether a prompt can be used; said in one sentence where not."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from napari_sam2.tracking.prompts import (
    BoxPrompt,
    MaskPrompt,
    PointPrompt,
    PromptError,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from napari_sam2.tracking.prompts import Prompt


def check_prompt(prompt: Prompt, shape: tuple[int, int, int], max_id: int) -> None:
    """Check a prompt against the stack it is for.

    Parameters
    ----------
    prompt
        What to check.
    shape
        (T, Y, X) of the stack.
    max_id
        Largest object id that the labels can hold.

    Raises
    ------
    PromptError
        If something about the prompt cannot be used.
    """
    frames, height, width = shape
    if not 1 <= prompt.object_id <= max_id:
        msg = (
            f"Object id {prompt.object_id} cannot be used; take a whole number from "
            f"1 to {max_id}."
        )
        raise PromptError(msg)
    if not 0 <= prompt.frame_idx < frames:
        msg = (
            f"Frame {prompt.frame_idx} does not exist; the stack has frames 0 to "
            f"{frames - 1}."
        )
        raise PromptError(msg)
    if isinstance(prompt, MaskPrompt):
        if prompt.shape != (height, width):
            msg = (
                f"The mask has shape {prompt.shape} but frames have "
                f"{(height, width)}; give a mask of the frame's shape."
            )
            raise PromptError(msg)
    elif isinstance(prompt, BoxPrompt):
        _check_box(prompt.box, height, width)
    else:
        _check_points(prompt, height, width)


def _check_points(prompt: PointPrompt, height: int, width: int) -> None:
    if not prompt.points or len(prompt.points) != len(prompt.labels):
        msg = (
            f"{len(prompt.points)} points came with {len(prompt.labels)} labels; give "
            "at least one point and one label for each."
        )
        raise PromptError(msg)
    for y, x in prompt.points:
        # A pixel reaches half a pixel around its centre.
        if not (-0.5 <= y <= height - 0.5 and -0.5 <= x <= width - 0.5):
            msg = (
                f"The point (y={y:g}, x={x:g}) lies outside the frame of {height} rows "
                f"and {width} columns; click inside it."
            )
            raise PromptError(msg)
    if any(label not in (0, 1) for label in prompt.labels):
        msg = "A point's label must be 1 (on the object) or 0 (beside it)."
        raise PromptError(msg)


def _check_box(box: tuple[float, float, float, float], height: int, width: int) -> None:
    y, x, y2, x2 = box
    if not all(math.isfinite(v) for v in box):
        msg = f"The box {box} must have finite numbers."
        raise PromptError(msg)
    if y2 <= y or x2 <= x:
        msg = (
            f"The box (y={y:g}, x={x:g}, y2={y2:g}, x2={x2:g}) is empty; y2 and x2 "
            "must be larger than y and x."
        )
        raise PromptError(msg)
    if y < 0 or x < 0 or y2 > height or x2 > width:
        msg = (
            f"The box (y={y:g}, x={x:g}, y2={y2:g}, x2={x2:g}) reaches outside the "
            f"frame of {height} rows and {width} columns; draw it inside."
        )
        raise PromptError(msg)


def points_prompt(
    object_id: int, frame_idx: int, points: ArrayLike, labels: ArrayLike
) -> PointPrompt:
    """Make a `PointPrompt` of array-likes.

    Parameters
    ----------
    object_id, frame_idx
        As in `PointPrompt`.
    points
        (N, 2) or (2,) finite numbers.
    labels
        (N,) or one number for all: 1 or 0.

    Raises
    ------
    PromptError
        If shapes or numbers are of no use.
    """
    try:
        yx = np.atleast_2d(np.asarray(points, dtype=np.float64))
        marks = np.asarray(labels, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError) as error:
        msg = "Points must be (N, 2) numbers (y, x) and labels N numbers 1 or 0."
        raise PromptError(msg) from error
    if yx.ndim != 2 or yx.shape[1] != 2 or not np.isfinite(yx).all():
        msg = f"Points must be (N, 2) finite numbers (y, x), not {yx.shape}."
        raise PromptError(msg)
    if marks.size == 1:
        marks = np.repeat(marks, len(yx))
    if not np.isin(marks, (0, 1)).all():
        msg = "A point's label must be 1 (on the object) or 0 (beside it)."
        raise PromptError(msg)
    return PointPrompt(
        object_id=object_id,
        frame_idx=frame_idx,
        points=tuple((float(y), float(x)) for y, x in yx),
        labels=tuple(int(mark) for mark in marks),
    )
