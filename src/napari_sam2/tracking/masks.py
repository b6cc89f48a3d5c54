"""From mask logits to one label plane, without a full-size mask per object.

Shapes: s side of the low-resolution masks, (Y, X) frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from napari_sam2.tracking.prompts import MaskPrompt

PAINTED_LOGIT = 1024.0


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
    pieces, count = ndimage.label(patch.logits > 0)
    if not count:
        return patch
    largest = pieces == np.bincount(pieces.ravel())[1:].argmax() + 1
    inside = ndimage.binary_fill_holes(largest)
    small = np.float32(1e-3)
    logits = np.where(
        inside, np.maximum(patch.logits, small), np.minimum(patch.logits, -small)
    )
    return Patch(corner=patch.corner, logits=logits)


def patch_from_mask(prompt: MaskPrompt) -> Patch:
    """Take a painted mask exactly as it is."""
    cut = prompt.cut
    logits = np.where(cut, np.float32(PAINTED_LOGIT), np.float32(-PAINTED_LOGIT))
    return Patch(corner=prompt.corner, logits=logits)


def compose(
    patches: Mapping[int, Patch], *, before: NDArray[Any]
) -> tuple[NDArray[Any], dict[int, int]]:
    """Draw objects into one plane; where they overlap, the highest logit wins.

    Parameters
    ----------
    patches
        By object id; their earlier pixels in `before` are taken away.
    before
        (Y, X) labels as they are; objects not in `patches` stay, except where a
        new answer covers them.

    Returns
    -------
    plane, areas
        (Y, X) of the type of `before`, and the number of pixels each object of
        `patches` has in it.
    """
    plane = before.copy()
    if patches and plane.any():
        plane[np.isin(plane, list(patches))] = 0
    best = np.zeros(plane.shape, np.float32)
    for object_id in sorted(patches):  # so that order of prompting does not matter
        patch = patches[object_id]
        if not patch.logits.size:
            continue
        rows, cols = patch.place
        wins = patch.logits > best[rows, cols]
        np.copyto(best[rows, cols], patch.logits, where=wins)
        plane[rows, cols][wins] = object_id
    return plane, {
        object_id: int(np.count_nonzero(plane[patch.place] == object_id))
        for object_id, patch in patches.items()
    }
