"""What the panel knows of each cell, frame by frame, as the engine has told it.

Shapes: T frames of the stack.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sam2.widgets.engine import FLAG_WORDS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from numpy.typing import NDArray

    from napari_sam2.tracking.review import ObjectReview
    from napari_sam2.widgets.engine import FrameNews, Standing
    from napari_sam2.widgets.frame_prompts import PromptKey

HALF = 0.5


class Cell:
    """One cell.

    Parameters
    ----------
    n_frames : int
        Length T of the stack.

    Attributes
    ----------
    prompts : int
        Clicks, drawings and painted masks.
    name : str
        What the user calls it; may be empty.
    hidden : bool
        Whether it is left out of the picture.
    confidence : ndarray
        (T,) float32 in [0, 1]; NaN where nothing is known.
    area : ndarray
        (T,) int32, pixels.
    flags : ndarray
        (T,) uint8, bits of `FLAG_WORDS`.
    prompted, locked, outdated : ndarray
        (T,) bool; see `napari_sam2.tracking.review.ObjectReview`.
    """

    def __init__(self, n_frames: int) -> None:
        self.prompts, self.name, self.hidden = 0, "", False
        self._clear(n_frames)

    def _clear(self, n_frames: int) -> None:
        self.confidence = np.full(n_frames, np.nan, np.float32)
        self.area = np.zeros(n_frames, np.int32)
        self.flags = np.zeros(n_frames, np.uint8)
        self.prompted, self.locked, self.outdated = np.zeros((3, n_frames), np.bool_)

    @property
    def known(self) -> NDArray[np.bool_]:
        """(T,) where something was found out."""
        return ~np.isnan(self.confidence)

    @property
    def found(self) -> list[int]:
        """The frames in which something was found out."""
        return [int(t) for t in np.flatnonzero(self.known)]

    @property
    def doubtful(self) -> NDArray[np.bool_]:
        """(T,) where a person should look at it."""
        doubtful: NDArray[np.bool_] = (self.confidence < HALF) | (self.flags > 0)
        return doubtful

    @property
    def lowest(self) -> float:
        """The lowest confidence; NaN if nothing is known."""
        return float(np.fmin.reduce(self.confidence))

    def take(self, review: ObjectReview) -> None:
        """Know what the engine knows."""
        self.confidence, self.area = review.confidence, review.area
        self.flags, self.prompted = review.flags, review.prompted
        self.locked, self.outdated = review.locked, review.outdated

    def forget(self) -> None:
        """Know nothing any more but what the cell is called."""
        self._clear(len(self.area))

    def words(self, frame_idx: int) -> str:
        """Say in a few words what is known of a frame."""
        if np.isnan(self.confidence[frame_idx]):
            return "not followed yet"
        bits = int(self.flags[frame_idx])
        words = [f"{self.confidence[frame_idx]:.2f}"]
        words += [word for bit, word in FLAG_WORDS.items() if bits & bit]
        marks = {
            "not there": not self.area[frame_idx],
            "prompted": self.prompted[frame_idx],
            "locked": self.locked[frame_idx],
            "to be done again": self.outdated[frame_idx],
        }
        return ", ".join([*words, *(word for word, holds in marks.items() if holds)])


class Cells(dict[int, Cell]):
    """The cells of one image, by number.

    Parameters
    ----------
    n_frames : int
        Length T of the stack.
    """

    def __init__(self, n_frames: int) -> None:
        super().__init__()
        self.n_frames = n_frames

    def __missing__(self, object_id: int) -> Cell:
        """Make a cell that is asked for."""
        return self.setdefault(object_id, Cell(self.n_frames))

    @property
    def ids(self) -> list[int]:
        """The numbers, in order."""
        return sorted(self)

    def next_free(self) -> int:
        """Return the number for a new cell."""
        return max(self, default=0) + 1

    def note(self, news: FrameNews, known: Collection[PromptKey] | None) -> None:
        """Remember what was found in a frame; of a preview only what was prompted.

        Parameters
        ----------
        news : FrameNews
            What was found.
        known : collection of (object_id, frame_idx) or None
            Only these; None: everything.
        """
        t = news.frame_idx
        for object_id, found in news.objects.items():
            if known is None or (object_id, t) in known:
                cell = self[object_id]
                cell.confidence[t], cell.area[t] = found.confidence, found.area
                cell.flags[t], cell.outdated[t] = found.flags, False

    def take(self, standing: Standing, current: int) -> None:
        """Know what the engine knows: those cells, and the current one."""
        for object_id in [i for i in self if i not in standing.objects]:
            if object_id == current:
                self[object_id].forget()
            else:
                del self[object_id]
        for object_id, review in standing.objects.items():
            self[object_id].take(review)
        for object_id, cell in self.items():
            cell.name = standing.names.get(object_id, "")

    def take_some(
        self, reviews: Mapping[int, ObjectReview], object_ids: Collection[int]
    ) -> None:
        """Know of some cells what the engine knows; nothing, where it knows nothing."""
        for object_id in object_ids:
            if object_id in reviews:
                self[object_id].take(reviews[object_id])
            elif object_id in self:
                self[object_id].forget()

    def title(self, object_id: int) -> str:
        """Return what a cell is called."""
        name = self[object_id].name if object_id in self else ""
        return name or f"cell {object_id}"

    def doubtful_frame(self, after: int, *, backward: bool = False) -> int | None:
        """Return the next frame in which some cell is doubtful, or None."""
        doubtful = np.zeros(self.n_frames, np.bool_)
        for cell in self.values():
            doubtful |= cell.doubtful
        frames = np.flatnonzero(doubtful)
        frames = frames[frames < after] if backward else frames[frames > after]
        if not len(frames):
            return None
        return int(frames[-1] if backward else frames[0])
