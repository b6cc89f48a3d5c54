"""What is known of one object in all frames, laid out to be looked at.

Shapes: T frames of the stack.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from napari_sam2.tracking.objects import TrackedObject
    from napari_sam2.tracking.score_rows import ObjectScores


@dataclass(frozen=True, kw_only=True, eq=False)
class ObjectReview:
    """One object, frame by frame; a copy that later work does not change.

    Attributes
    ----------
    confidence
        (T,) float32 in [0, 1]; NaN where nothing is known.
    area
        (T,) int32, px; 0 where the object is not, or nothing is known.
    flags
        (T,) uint8, bits of `napari_sam2.tracking.changes.Flags`.
    prompted, locked
        (T,) bool: frames whose mask the user fixed with prompts, and those kept as
        they are.
    outdated
        (T,) bool: frames to be tracked again, because the prompted or locked frame
        that they were tracked from has changed since.
    """

    confidence: NDArray[np.float32]
    area: NDArray[np.int32]
    flags: NDArray[np.uint8]
    prompted: NDArray[np.bool_]
    locked: NDArray[np.bool_]
    outdated: NDArray[np.bool_]


def review(
    n_frames: int, scores: ObjectScores, found: TrackedObject | None
) -> ObjectReview:
    """Lay out an object.

    Parameters
    ----------
    n_frames
        Length T of the stack.
    scores
        All its scores.
    found
        Its prompts and locks; None if the last prompt was taken back.
    """
    confidence = np.full(n_frames, np.nan, np.float32)
    area, flags = np.zeros(n_frames, np.int32), np.zeros(n_frames, np.uint8)
    confidence[scores.frames] = scores.confidence
    area[scores.frames] = scores.rows["area"]
    flags[scores.frames] = scores.flags
    none: Collection[int] = ()
    known = _marked(n_frames, scores.frames.tolist())
    return ObjectReview(
        confidence=confidence,
        area=area,
        flags=flags,
        prompted=_marked(n_frames, none if found is None else found.prompts),
        locked=_marked(n_frames, none if found is None else found.locked),
        outdated=known & (False if found is None else found.outdated()),
    )


def _marked(n_frames: int, frames: Collection[int]) -> NDArray[np.bool_]:
    marked = np.zeros(n_frames, np.bool_)
    marked[list(frames)] = True
    return marked
