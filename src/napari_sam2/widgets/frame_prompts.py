"""What the panel knows of clicks and drawings, as it tells the engine.

Coordinates are (y, x) in pixels of the frame, pixel centres at integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PromptKey = tuple[int, int]
"""(object_id, frame_idx)"""


OutlineKind = Literal["polygon", "ellipse"]


@dataclass(frozen=True, kw_only=True)
class Scribble:
    """A drawn line that is clicks along it.

    Attributes
    ----------
    path : tuple of (y, x)
        From end to end.
    label : int
        1 on the object, 0 beside it.
    """

    path: tuple[tuple[float, float], ...]
    label: int


@dataclass(frozen=True, kw_only=True)
class Outline:
    """A drawn closed line; what it holds is added to an object's mask, or taken away.

    Attributes
    ----------
    kind : str
        "polygon" or "ellipse".
    vertices : tuple of (y, x)
        Corners of the polygon, or the four of the ellipse's box.
    label : int
        1: it belongs to the object; 0: it does not.
    """

    kind: OutlineKind
    vertices: tuple[tuple[float, float], ...]
    label: int = 1


@dataclass(frozen=True, kw_only=True)
class FramePrompts:
    """All clicks on one object in one frame, and what was drawn.

    Said in this order: outlines, box, scribbles, clicks.

    Attributes
    ----------
    points : tuple of (y, x)
        Pixels, centres at integers.
    labels : tuple of int
        1 on the object, 0 beside it; one a point.
    box : (y, x, y2, x2) or None
        Rows y <= r < y2, columns x <= c < x2.
    scribbles : tuple of Scribble
        In the order in which they were drawn.
    outlines : tuple of Outline
        The mask that all else refines, in the order in which they were drawn; the
        first adds.
    """

    points: tuple[tuple[float, float], ...] = ()
    labels: tuple[int, ...] = ()
    box: tuple[float, float, float, float] | None = None
    scribbles: tuple[Scribble, ...] = ()
    outlines: tuple[Outline, ...] = ()

    @property
    def count(self) -> int:
        """How many prompts that are."""
        drawn = len(self.scribbles) + len(self.outlines) + (self.box is not None)
        return len(self.points) + drawn
