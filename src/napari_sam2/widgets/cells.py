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


Volume = tuple[int, ...]
"""Where the axes of an image stand that are neither followed nor Y and X."""


class _Known:
    """What is known of one cell in the T frames of one volume; see `Cell`."""

    def __init__(self, n_frames: int) -> None:
        self.prompts = 0
        self.clear(n_frames)

    def clear(self, n_frames: int) -> None:
        """Know nothing; clicks stay."""
        self.confidence = np.full(n_frames, np.nan, np.float32)
        self.area = np.zeros(n_frames, np.int32)
        self.flags = np.zeros(n_frames, np.uint8)
        self.prompted, self.locked, self.outdated = np.zeros((3, n_frames), np.bool_)

    def take(self, review: ObjectReview) -> None:
        """Know what the engine knows."""
        self.confidence, self.area = review.confidence, review.area
        self.flags, self.prompted = review.flags, review.prompted
        self.locked, self.outdated = review.locked, review.outdated

    @property
    def unknown(self) -> bool:
        """Whether nothing was found out."""
        return bool(np.isnan(self.confidence).all())


class Cell:
    """One cell, as it is in the volume that is shown.

    Parameters
    ----------
    n_frames : int
        Length T of the stack.

    Attributes
    ----------
    name : str
        What the user calls it; may be empty.
    hidden : bool
        Whether it is left out of the picture.
    shown : tuple of int
        The volume that all else is about.
    """

    def __init__(self, n_frames: int) -> None:
        self.name, self.hidden = "", False
        self.shown: Volume = ()
        self._n_frames = n_frames
        self._volumes: dict[Volume, _Known] = {}

    def at(self, volume: Volume) -> _Known:
        """Return what is known in a volume, to be changed."""
        if volume not in self._volumes:
            self._volumes[volume] = _Known(self._n_frames)
        return self._volumes[volume]

    @property
    def prompts(self) -> int:
        """Clicks, drawings and painted masks."""
        return self.at(self.shown).prompts

    @property
    def confidence(self) -> NDArray[np.float32]:
        """(T,) in [0, 1]; NaN where nothing is known."""
        return self.at(self.shown).confidence

    @property
    def area(self) -> NDArray[np.int32]:
        """(T,) pixels."""
        return self.at(self.shown).area

    @property
    def flags(self) -> NDArray[np.uint8]:
        """(T,) bits of `FLAG_WORDS`."""
        return self.at(self.shown).flags

    @property
    def prompted(self) -> NDArray[np.bool_]:
        """(T,); see `napari_sam2.tracking.review.ObjectReview`, as the next two."""
        return self.at(self.shown).prompted

    @property
    def locked(self) -> NDArray[np.bool_]:
        """(T,) where it stays as it is."""
        return self.at(self.shown).locked

    @property
    def outdated(self) -> NDArray[np.bool_]:
        """(T,) where it is to be followed again."""
        return self.at(self.shown).outdated

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

    @property
    def unknown(self) -> bool:
        """Whether nothing was found out in any volume."""
        return all(volume.unknown for volume in self._volumes.values())

    @property
    def empty(self) -> bool:
        """Whether there is nothing to lose in any volume."""
        return self.unknown and not any(v.prompts for v in self._volumes.values())

    def forget(self, volume: Volume) -> None:
        """Know nothing of a volume but the clicks there."""
        self.at(volume).clear(self._n_frames)

    def keep_only(self, volumes: Collection[Volume]) -> None:
        """Forget all other volumes."""
        self._volumes = {v: k for v, k in self._volumes.items() if v in volumes}

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

    A movie of volumes has a list of frames for each volume.

    Parameters
    ----------
    n_frames : int
        Length T of the stack.
    volume : tuple of int
        Where the sliders stand.

    Attributes
    ----------
    home : tuple of int
        The volume that the engine is asked about.
    shown : tuple of int
        The volume that the user looks at.
    """

    def __init__(self, n_frames: int, volume: Volume = ()) -> None:
        super().__init__()
        self.n_frames = n_frames
        self.home = self.shown = volume
        self._homes = {volume}

    def __missing__(self, object_id: int) -> Cell:
        """Make a cell that is asked for."""
        cell = self[object_id] = Cell(self.n_frames)
        cell.shown = self.shown
        return cell

    def have(self, object_id: int) -> None:
        """Make a cell if it is not there."""
        if object_id not in self:
            self.__missing__(object_id)

    @property
    def ids(self) -> list[int]:
        """The numbers, in order."""
        return sorted(self)

    @property
    def at_home(self) -> bool:
        """Whether the user looks at the volume that the engine is asked about."""
        return self.shown == self.home

    @property
    def locked_frames(self) -> set[int]:
        """The frames at `home` in which some cell stays as it is."""
        homes = [cell.at(self.home) for cell in self.values()]
        return {int(t) for home in homes for t in np.flatnonzero(home.locked)}

    def go_home(self, volume: Volume) -> None:
        """Have the engine asked about a volume from now on."""
        self.home = volume
        self._homes.add(volume)

    def show(self, volume: Volume) -> None:
        """Let all cells be as they are in a volume."""
        self.shown = volume
        for cell in self.values():
            cell.shown = volume

    def next_free(self) -> int:
        """Return the number for a new cell."""
        return max(self, default=0) + 1

    def note(
        self,
        news: FrameNews,
        known: Collection[PromptKey] | None,
        volume: Volume | None = None,
    ) -> None:
        """Remember what was found in a frame; of a preview only what was prompted.

        Parameters
        ----------
        news : FrameNews
            What was found.
        known : collection of (object_id, frame_idx) or None
            Only these; None: everything.
        volume : tuple of int, optional
            Where; `home` unless given.
        """
        t = news.frame_idx
        for object_id, found in news.objects.items():
            if known is None or (object_id, t) in known:
                cell = self[object_id].at(self.home if volume is None else volume)
                cell.confidence[t], cell.area[t] = found.confidence, found.area
                cell.flags[t], cell.outdated[t] = found.flags, False

    def count_prompts(self, counts: Mapping[int, int], current: int) -> None:
        """Know how many prompts there are at `home`; empty cells go.

        Parameters
        ----------
        counts : mapping of int to int
            Clicks, drawings and painted masks by cell.
        current : int
            A cell that stays, empty or not.
        """
        for object_id in {*self, *counts, current}:
            self[object_id].at(self.home).prompts = counts.get(object_id, 0)
        self._drop_empty({current})

    def take(self, standing: Standing, current: int) -> None:
        """Know what the engine knows of `home`: those cells, and the current one."""
        for object_id, cell in self.items():
            if object_id not in standing.objects:
                cell.keep_only(self._homes)  # what was repeated is asked for again
                cell.forget(self.home)
                cell.at(self.home).prompts = 0
        for object_id, review in standing.objects.items():
            self[object_id].at(self.home).take(review)
        self._drop_empty({current, *standing.objects})
        for object_id, cell in self.items():
            if object_id in standing.objects or cell.empty:
                cell.name = standing.names.get(object_id, "")

    def take_some(
        self, reviews: Mapping[int, ObjectReview], object_ids: Collection[int]
    ) -> None:
        """Know of some cells what the engine knows; nothing, where it knows nothing."""
        for object_id in object_ids:
            if object_id in reviews:
                self[object_id].at(self.home).take(reviews[object_id])
            elif object_id in self:
                self[object_id].forget(self.home)

    def take_repeated(
        self, volume: Volume, reviews: Mapping[int, ObjectReview]
    ) -> None:
        """Know of a volume what a repetition knows, which is not asked about others."""
        for cell in self.values():
            cell.keep_only(self._homes)
            if volume != self.home:
                cell.forget(volume)
        if volume != self.home:
            for object_id, review in reviews.items():
                self[object_id].at(volume).take(review)

    def _drop_empty(self, kept: Collection[int]) -> None:
        for object_id in [i for i, cell in self.items() if cell.empty]:
            if object_id not in kept:
                del self[object_id]

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
