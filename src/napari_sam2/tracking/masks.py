"""From mask logits to one label plane, without a full-size mask per object.

Shapes: s side of the low-resolution masks, (Y, X) frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from numpy.typing import NDArray

    from napari_sam2.tracking.prompts import MaskPrompt

PAINTED_LOGIT = 1024.0
FEW = 4  # ids that are found faster one by one than with a table


@dataclass(frozen=True, kw_only=True)
class Patch:
    """Logits of one object inside a rectangle of the frame; outside it is absent.

    Attributes
    ----------
    corner
        First row and column.
    logits
        (h, w) float32; positive inside the object.
    """

    corner: tuple[int, int]
    logits: NDArray[np.float32]

    @property
    def place(self) -> tuple[slice, slice]:
        """Where the rectangle lies in the frame."""
        (y, x), (h, w) = self.corner, self.logits.shape
        return slice(y, y + h), slice(x, x + w)

    def mask(self, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """Return the object as a (Y, X) mask."""
        out = np.zeros(shape, np.bool_)
        out[self.place] = self.logits > 0
        return out


EMPTY = Patch(corner=(0, 0), logits=np.zeros((0, 0), np.float32))


def patch_from_logits(
    low_res: NDArray[np.float32], shape: tuple[int, int], *, threshold: float = 0.0
) -> Patch:
    """Enlarge low-resolution logits where they can exceed a threshold.

    The values are those of bilinear interpolation of the whole mask to the frame
    (without aligned corners), computed only inside the object's box.

    Parameters
    ----------
    low_res
        (s, s) mask logits.
    shape
        (Y, X) of the frame.
    threshold
        Where an object ends.
    """
    inside = low_res > threshold
    rows = _reached(np.flatnonzero(inside.any(1)), len(inside), shape[0])
    cols = _reached(np.flatnonzero(inside.any(0)), inside.shape[1], shape[1])
    if rows is None or cols is None:
        return EMPTY
    low, high, weight = _blend(rows, len(low_res), shape[0])
    left, right, share = _blend(cols, low_res.shape[1], shape[1])
    # Only the columns in use take part in the first step.
    first, last = int(left.min()), int(right.max()) + 1
    cut = low_res[:, first:last]
    across = cut[low] * (1 - weight)[:, None] + cut[high] * weight[:, None]
    logits = across[:, left - first] * (1 - share) + across[:, right - first] * share
    return Patch(
        corner=(rows.start, cols.start), logits=logits.astype(np.float32, copy=False)
    )


def _reached(marked: NDArray[np.intp], cells: int, size: int) -> range | None:
    """Return the pixels (of `size`) that the marked cells take part in."""
    if not marked.size:
        return None
    scale = size / cells
    first = int(np.floor((marked[0] - 0.5) * scale)) - 1
    last = int(np.ceil((marked[-1] + 1.5) * scale)) + 1
    return range(max(first, 0), min(last, size))


def _blend(
    pixels: range, cells: int, size: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """Return for each pixel its two cells and the weight of the second."""
    centre = (np.arange(pixels.start, pixels.stop) + 0.5) * (cells / size) - 0.5
    centre = centre.clip(0, cells - 1)
    low = np.floor(centre).astype(np.intp)
    return low, np.minimum(low + 1, cells - 1), (centre - low).astype(np.float32)


def tidy(patch: Patch) -> Patch:
    """Keep the largest connected piece of an object and fill its holes.

    The coarse masks of a small network have specks and pinholes that no object has.
    """
    inside = patch.logits > 0
    pieces, count = ndimage.label(inside)
    if not count:
        return patch
    largest = inside
    if count > 1:
        largest = pieces == np.bincount(pieces.ravel())[1:].argmax() + 1
    filled = _without_holes(largest)
    if filled is inside:
        return patch
    small = np.float32(1e-3)
    logits = np.where(
        filled, np.maximum(patch.logits, small), np.minimum(patch.logits, -small)
    )
    return Patch(corner=patch.corner, logits=logits)


def _without_holes(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Fill what the outside does not reach; the same array if that is nothing.

    Labelling the background is several times faster than growing it from the
    border, as `scipy.ndimage.binary_fill_holes` does.
    """
    # A rim makes all of the outside one piece, the first.
    background, count = ndimage.label(np.pad(~inside, 1, constant_values=True))
    if count == 1:
        return inside
    filled: NDArray[np.bool_] = background[1:-1, 1:-1] != background[0, 0]
    return filled


def patch_from_mask(prompt: MaskPrompt) -> Patch:
    """Take a painted mask exactly as it is."""
    cut = prompt.cut
    logits = np.where(cut, np.float32(PAINTED_LOGIT), np.float32(-PAINTED_LOGIT))
    return Patch(corner=prompt.corner, logits=logits)


@dataclass(frozen=True)
class Drawn:
    """What became of one object's answer in a label plane.

    Attributes
    ----------
    area
        Pixels drawn.
    lost
        Share of the object's own answer (logit > 0) that other objects have, in
        [0, 1]; 0 where it has no answer.
    centroid
        Mean (y, x) of the pixels drawn, pixel centres at integers; None if there
        are none.
    """

    area: int
    lost: float
    centroid: tuple[float, float] | None


def compose(
    patches: Mapping[int, Patch],
    *,
    before: NDArray[Any],
    kept: Collection[int] = (),
) -> tuple[NDArray[Any], dict[int, Drawn]]:
    """Draw objects into one plane; where they overlap, the highest logit wins.

    Each object is looked at inside its rectangle only.

    Parameters
    ----------
    patches
        By object id; their earlier pixels in `before` are taken away.
    before
        (Y, X) labels as they are; objects not in `patches` stay, except where a
        new answer covers them.
    kept
        Ids whose pixels in `before` stay exactly as they are: new answers do not
        cover them, and their own, if there are any, are not drawn.

    Returns
    -------
    plane, drawn
        (Y, X) of the type of `before`, and for each object of `patches` what was
        drawn of it.
    """
    plane = before.copy()
    best = np.zeros(plane.shape, np.float32)
    redrawn = [i for i in patches if i not in kept]
    if patches and plane.any():
        _set_where(plane, redrawn, plane, 0)
        _set_where(plane, kept, best, np.inf)
    for object_id in sorted(redrawn):  # so that order of prompting does not matter
        patch = patches[object_id]
        if not patch.logits.size:
            continue
        rows, cols = patch.place
        wins = patch.logits > best[rows, cols]
        np.copyto(best[rows, cols], patch.logits, where=wins)
        plane[rows, cols][wins] = object_id
    return plane, {i: _drawn(plane, i, patches[i], whole=i in kept) for i in patches}


def _set_where(
    plane: NDArray[Any], ids: Collection[int], into: NDArray[Any], value: float
) -> None:
    """Set pixels of `into` to a value where `plane` has one of some ids."""
    if len(ids) > FEW:
        into[np.isin(plane, list(ids))] = value
        return
    for object_id in ids:
        into[plane == object_id] = value


def _drawn(plane: NDArray[Any], object_id: int, patch: Patch, *, whole: bool) -> Drawn:
    """Measure an object inside its rectangle, or in the whole plane."""
    there = plane[patch.place]
    mine = there == object_id
    answer = patch.logits > 0
    own = int(np.count_nonzero(answer))
    lost = 0.0
    if own:
        lost = int(np.count_nonzero(answer & ~mine & (there != 0))) / own
    (y, x) = (0, 0) if whole else patch.corner
    if whole:
        mine = plane == object_id
    by_row, by_col = mine.sum(1), mine.sum(0)
    area = int(by_row.sum())
    if not area:
        return Drawn(area=0, lost=lost, centroid=None)
    centre = (
        y + float(by_row @ np.arange(len(by_row))) / area,
        x + float(by_col @ np.arange(len(by_col))) / area,
    )
    return Drawn(area=area, lost=lost, centroid=centre)
