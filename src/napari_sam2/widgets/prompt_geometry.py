"""From what was drawn in a layer to what a prompt is, in pixels of the image."""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from napari_sam2.stacks.drawn import ellipse_mask, polygon_mask, scribble_points
from napari_sam2.widgets import messages
from napari_sam2.widgets.frame_prompts import (
    FramePrompts,
    Outline,
    OutlineKind,
    Scribble,
)
from napari_sam2.widgets.prompt_sync import rounded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from napari.layers import Layer
    from numpy.typing import ArrayLike, NDArray

    from napari_sam2.widgets.frame_prompts import PromptKey
    from napari_sam2.widgets.picture import Picture
    from napari_sam2.widgets.target import Target

    Vertices = tuple[tuple[float, float], ...]

Kind = Literal["click", "box", "scribble", "polygon", "ellipse"]
SHAPE_TYPES: dict[str, Kind] = {
    "rectangle": "box",
    "path": "scribble",
    "line": "scribble",
    "polygon": "polygon",
    "ellipse": "ellipse",
}
"""What napari's shapes are as prompts; the first of each is what is drawn again."""

SMALLEST_BOX = 2.0  # pixels; a click with the box tool draws one that is smaller
PROBE = 1024.0  # pixels along an axis, to find out how two layers lie
SAME = 1e-6  # pixels by which layers that lie alike may seem to differ


class Drawn(NamedTuple):
    """A prompt as it is in a layer, or is to be put into one.

    Attributes
    ----------
    kind : str
        What it is.
    object_id, sign : int
        Its object; 1 on it, 0 beside it.
    vertices : ndarray
        (N, D) in the image's data: one point, the four corners of a box or of an
        ellipse's box, or the corners of a line.
    """

    kind: Kind
    object_id: int
    sign: int
    vertices: np.ndarray

    @property
    def pairs(self) -> Vertices:
        """(y, x) of the vertices, rounded."""
        return tuple((rounded(y), rounded(x)) for y, x in self.vertices[:, -2:])

    @property
    def is_outline(self) -> bool:
        """Whether it is a closed line whose inside counts, pixel by pixel."""
        return self.kind in ("polygon", "ellipse")

    def frame(self, target: Target) -> int | None:
        """Return the frame it is in; None if in none of this stack.

        Shapes may stick out of the picture, clicks may not.
        """
        place = self.vertices[0]
        if self.kind != "click":
            highest = np.array(target.shape[-2:]) - 1
            place = np.concatenate([place[:-2], np.clip(place[-2:], 0, highest)])
        return target.frame_of([float(at) for at in place])

    def why_unusable(self, target: Target) -> str | None:
        """Say why it is no prompt anywhere in the image; None if it is one."""
        size = target.shape[-2], target.shape[-1]
        if self.kind == "click":
            position = [float(at) for at in self.vertices[0]]
            return None if target.holds(position) else messages.OUTSIDE
        if self.kind == "box":
            y, x, y2, x2 = box_of(self.vertices, target)
            return messages.BAD_BOX if min(y2 - y, x2 - x) < SMALLEST_BOX else None
        if self.kind == "scribble":
            inside = len(scribble_points(self.pairs, size))
            return None if inside else messages.BAD_SCRIBBLE
        holds = _holds_pixels(self.kind, self.pairs, size)
        return None if holds else messages.BAD_OUTLINE


@lru_cache(maxsize=1000)
def _holds_pixels(kind: OutlineKind, pairs: Vertices, size: tuple[int, int]) -> bool:
    """Whether an outline holds a pixel; asked again for all with every change."""
    fill = polygon_mask if kind == "polygon" else ellipse_mask
    return bool(fill(pairs, size).any())


def box_of(corners: np.ndarray, target: Target) -> tuple[float, float, float, float]:
    """Return (y, x, y2, x2) of a drawn rectangle, as far as it is in the picture.

    Pixel 0 reaches from -0.5 to 0.5.
    """
    size = np.array(target.shape[-2:])
    low = np.clip(corners[:, -2:].min(axis=0) + 0.5, 0, size)
    high = np.clip(corners[:, -2:].max(axis=0) + 0.5, 0, size)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def gather(drawn: Iterable[Drawn], target: Target) -> dict[PromptKey, FramePrompts]:
    """Gather the prompts for a stack, by object and frame.

    What lies outside it, or at other positions of the axes that are held, is left
    out, and so are `cuts`; of several boxes of an object in a frame the last counts.
    """
    found: dict[PromptKey, list[Drawn]] = defaultdict(list)
    for one in drawn:
        frame = one.frame(target)
        if frame is not None and one.why_unusable(target) is None:
            found[one.object_id, frame].append(one)
    given = {key: _frame_prompts(found[key], target) for key in sorted(found)}
    return {key: prompts for key, prompts in given.items() if prompts.count}


def _frame_prompts(drawn: list[Drawn], target: Target) -> FramePrompts:
    clicks = [one for one in drawn if one.kind == "click"]
    box: tuple[float, float, float, float] | None = None
    outlines: list[Outline] = []
    for one in drawn:
        if one.kind == "box":
            y, x, y2, x2 = map(rounded, box_of(one.vertices, target))
            box = (y, x, y2, x2)
        elif (one.kind == "polygon" or one.kind == "ellipse") and (
            outlines or one.sign
        ):
            outlines.append(Outline(kind=one.kind, vertices=one.pairs, label=one.sign))
    return FramePrompts(
        points=tuple(one.pairs[0] for one in clicks),
        labels=tuple(one.sign for one in clicks),
        box=box,
        scribbles=tuple(
            Scribble(path=one.pairs, label=one.sign)
            for one in drawn
            if one.kind == "scribble"
        ),
        outlines=tuple(outlines),
    )


def unusable(drawn: Sequence[Drawn], target: Target) -> dict[int, str]:
    """Return which are no prompts anywhere in the image, and why.

    Nor are boxes in whose place another was drawn, which needs no reason.
    """
    rows: dict[int, str] = {}
    last: dict[PromptKey, int] = {}
    for row, one in enumerate(drawn):
        why, frame = one.why_unusable(target), one.frame(target)
        if why is not None:
            rows[row] = why
        elif one.kind == "box" and frame is not None:
            key = one.object_id, frame
            if key in last:
                rows[last[key]] = ""
            last[key] = row
    return rows


def cuts(drawn: Sequence[Drawn], target: Target) -> dict[int, PromptKey]:
    """Return which take away, with no outline before them that they take it from."""
    begun, rows = set(), {}
    for row, one in enumerate(drawn):
        frame = one.frame(target)
        if one.is_outline and frame is not None:
            key = one.object_id, frame
            if one.sign:
                begun.add(key)
            elif key not in begun:
                rows[row] = key
    return rows


def without(
    plane: Callable[[], ArrayLike], object_id: int, outlines: Sequence[Drawn]
) -> Callable[[], NDArray[Any]]:
    """Return what reads a plane of labels without an object where outlines are."""

    def read() -> NDArray[Any]:
        pixels = np.array(plane())
        for one in outlines:
            fill = polygon_mask if one.kind == "polygon" else ellipse_mask
            size = pixels.shape[0], pixels.shape[1]
            pixels[fill(one.pairs, size) & (pixels == object_id)] = 0
        return pixels

    return read


def to_draw(prompts: Mapping[PromptKey, FramePrompts], target: Target) -> list[Drawn]:
    """Return what `gather` would make these prompts of."""
    found = []
    for (object_id, frame), given in prompts.items():
        where = target.index(frame)

        def add(
            kind: Kind,
            pairs: Iterable[tuple[float, float]],
            sign: int = 1,
            *,
            where: tuple[int, ...] = where,
            object_id: int = object_id,
        ) -> None:
            vertices = np.array([[*where, *pair] for pair in pairs], float)
            found.append(Drawn(kind, object_id, sign, vertices))

        for point, label in zip(given.points, given.labels, strict=True):
            add("click", [point], label)
        for outline in given.outlines:
            add(outline.kind, outline.vertices, outline.label)
        if given.box is not None:
            y, x, y2, x2 = (edge - 0.5 for edge in given.box)  # see `box_of`
            add("box", [(y, x), (y, x2), (y2, x2), (y2, x)])
        for scribble in given.scribbles:
            add("scribble", scribble.path, scribble.label)
    return found


def between(
    layer: Layer | Picture, other: Layer | Picture
) -> Callable[[np.ndarray], np.ndarray]:
    """Return what brings (N, D) positions in a layer's data to another's data."""

    def carried(position: np.ndarray) -> np.ndarray:
        return np.asarray(other.world_to_data(layer.data_to_world(position)))

    # Both lie in the world by affine transforms; napari takes one point at a time.
    origin = carried(np.zeros(layer.ndim))
    steps = [carried(step) - origin for step in PROBE * np.eye(layer.ndim)]
    matrix = np.array(steps) / PROBE
    same = np.allclose(matrix, np.eye(layer.ndim), rtol=0, atol=SAME / PROBE)
    same = same and np.allclose(origin, 0, rtol=0, atol=SAME)

    def carry(positions: np.ndarray) -> np.ndarray:
        # Exactly the same, or prompts would change by being put into a layer.
        given = np.asarray(positions, np.float64)
        carried: np.ndarray = given if same else given @ matrix + origin
        return carried

    return carry
