"""Prompts that are drawn: a scribble is clicks along a path, outlines are a mask.

So whoever knows clicks and masks knows these; they also know how they were drawn.
Coordinates are (y, x) in pixels of the frame, pixel centres at integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_sam2.stacks.drawn import ellipse_mask, polygon_mask, scribble_points
from napari_sam2.tracking.prompts import MaskPrompt, PointPrompt, PromptError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import ArrayLike, NDArray

OutlineKind = Literal["polygon", "ellipse"]


@dataclass(frozen=True, kw_only=True)
class ScribblePrompt(PointPrompt):
    """A path drawn on one object, or beside it: clicks along it, given together.

    Attributes
    ----------
    path
        (y, x) vertices from end to end; `points` lie on it.
    """

    path: tuple[tuple[float, float], ...]

    @staticmethod
    def from_path(
        object_id: int,
        frame_idx: int,
        path: ArrayLike,
        label: int,
        shape: tuple[int, int],
    ) -> ScribblePrompt:
        """Click along a path in a frame of `shape` (Y, X); see `scribble_points`.

        Raises
        ------
        PromptError
            If the path is none, or lies beside the frame.
        """
        yx = _vertices(path, "A scribble", least=1)
        points = scribble_points(yx, shape)
        if not len(points):
            msg = (
                f"The scribble lies outside the frame of {shape[0]} rows and "
                f"{shape[1]} columns; draw it inside."
            )
            raise PromptError(msg)
        if label not in (0, 1):
            msg = "A scribble's label must be 1 (on the object) or 0 (beside it)."
            raise PromptError(msg)
        return ScribblePrompt(
            object_id=object_id,
            frame_idx=frame_idx,
            points=tuple((float(y), float(x)) for y, x in points),
            labels=(int(label),) * len(points),
            path=yx,
        )


@dataclass(frozen=True, kw_only=True)
class Outline:
    """A closed line.

    Attributes
    ----------
    kind
        "polygon" or "ellipse".
    vertices
        (y, x) corners of the polygon, or the four of the ellipse's box.
    label
        1: what it holds belongs to the object; 0: it does not.
    """

    kind: OutlineKind
    vertices: tuple[tuple[float, float], ...]
    label: int = 1


@dataclass(frozen=True, kw_only=True)
class OutlinePrompt(MaskPrompt):
    """A mask of one object in one frame, drawn as closed lines.

    Attributes
    ----------
    outlines
        In the order in which they were drawn: each adds to those before it what it
        holds, or takes it away.
    """

    outlines: tuple[Outline, ...]

    @staticmethod
    def from_vertices(
        object_id: int,
        frame_idx: int,
        kind: OutlineKind,
        vertices: ArrayLike,
        shape: tuple[int, int],
    ) -> OutlinePrompt:
        """Fill one outline in a frame of `shape` (Y, X); see `from_outlines`."""
        given = [(kind, vertices, 1)]
        return OutlinePrompt.from_outlines(object_id, frame_idx, given, shape)

    @staticmethod
    def from_outlines(
        object_id: int,
        frame_idx: int,
        outlines: Iterable[tuple[str, ArrayLike, int]],
        shape: tuple[int, int],
    ) -> OutlinePrompt:
        """Fill outlines (kind, vertices, label) in a frame of `shape` (Y, X).

        Raises
        ------
        PromptError
            If one of them is none, or holds no pixel's centre; or if the first takes
            away, for there is nothing yet.
        """
        drawn: list[Outline] = []
        inside = np.zeros(shape, np.bool_)
        for kind, vertices, label in outlines:
            outline, held = _filled(kind, vertices, label, shape)
            if not drawn and not label:
                break
            inside = inside | held if label else inside & ~held
            drawn.append(outline)
        if not drawn:
            msg = "The first outline must have the label 1: what belongs to the object."
            raise PromptError(msg)
        mask = MaskPrompt.from_array(object_id, frame_idx, inside)
        return OutlinePrompt(**vars(mask), outlines=tuple(drawn))


def _filled(
    kind: str, vertices: ArrayLike, label: int, shape: tuple[int, int]
) -> tuple[Outline, NDArray[np.bool_]]:
    """Return an outline, and the pixels (Y, X) that it holds.

    Raises
    ------
    PromptError
        If it is none, or holds no pixel's centre.
    """
    if label not in (0, 1):
        msg = "An outline's label must be 1 (on the object) or 0 (beside it)."
        raise PromptError(msg)
    yx = _vertices(vertices, "An outline", least=3)
    if kind == "polygon":
        outline = Outline(kind="polygon", vertices=yx, label=int(label))
        held = polygon_mask(yx, shape)
    elif kind == "ellipse" and len(yx) == 4:
        outline = Outline(kind="ellipse", vertices=yx, label=int(label))
        held = ellipse_mask(yx, shape)
    elif kind == "ellipse":
        msg = f"An ellipse has the four corners of its box, not {len(yx)}."
        raise PromptError(msg)
    else:
        msg = f"An outline is a polygon or an ellipse, not {kind!r}."
        raise PromptError(msg)
    if not held.any():
        msg = (
            f"The outline holds no pixel of the frame of {shape[0]} rows and "
            f"{shape[1]} columns; draw it around the object."
        )
        raise PromptError(msg)
    return outline, held


def _vertices(
    given: ArrayLike, what: str, *, least: int
) -> tuple[tuple[float, float], ...]:
    """Return (N, 2) numbers as pairs (y, x).

    Raises
    ------
    PromptError
        If they are no such numbers, or too few.
    """
    try:
        yx = np.atleast_2d(np.asarray(given, np.float64))
    except (TypeError, ValueError):
        yx = np.empty(0)
    if yx.ndim != 2 or yx.shape[1] != 2 or len(yx) < least or not np.isfinite(yx).all():
        msg = f"{what} needs at least {least} finite (y, x), not {np.shape(yx)}."
        raise PromptError(msg)
    return tuple((float(y), float(x)) for y, x in yx)
