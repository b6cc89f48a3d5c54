"""Repetitions of one session, as the panel asks for them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from napari_sam2.widgets.engine import ObjectNews, PlaneNews, Repeat

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from napari_sam2.tracking import Session
    from napari_sam2.tracking.repeating import Repetition
    from napari_sam2.tracking.results import PlaneResult
    from napari_sam2.tracking.review import ObjectReview
    from napari_sam2.widgets.deeds import Deeds, Turn
    from napari_sam2.widgets.labels_volume import LabelsVolume
    from napari_sam2.widgets.target import Target


class Repeats:
    """Repeats a session's objects over other axes, into the labels of the image.

    Parameters
    ----------
    session : Session
        Whose objects.
    target : Target
        What its stack is of the image.
    volume : LabelsVolume
        All labels of the image.
    """

    def __init__(self, session: Session, target: Target, volume: LabelsVolume) -> None:
        self._session, self._target, self._volume = session, target, volume
        self._made: dict[str, Repetition] = {}
        self._done: list[Repeat] = []

    @property
    def standing(self) -> tuple[Repeat, ...]:
        """What was repeated and not taken back: the latest over each axis."""
        return tuple({repeat.over: repeat for repeat in self._done}.values())

    def frames_to_do(self, repeat: Repeat, *, everything: bool) -> int:
        """Return how many planes `run` would do."""
        return self._open(repeat.over).frames_to_do(
            repeat.direction, repeat.frames, everything=everything
        )

    def run(
        self, repeat: Repeat, deeds: Deeds, *, everything: bool
    ) -> Generator[PlaneNews, None, None]:
        """Repeat plane by plane; all of it is one deed."""
        repetition = self._open(repeat.over)
        before = repetition.undoable
        running = repetition.run(repeat.direction, repeat.frames, everything=everything)
        try:
            for plane in running:
                yield PlaneNews(
                    place=plane.place,
                    objects=self._news(repetition, plane),
                    again=plane.again,
                    error=plane.result.error,
                )
        finally:
            running.close()
            if repetition.undoable != before:
                self._done.append(repeat)
                with deeds.one(self._session) as outside:
                    outside.append(partial(self._turn, repetition, repeat))

    def _turn(
        self, repetition: Repetition, repeat: Repeat, *, undo: bool
    ) -> str | None:
        """Take the latest run back, or do it again."""
        what = repetition.turn(undo=undo)
        if what is not None and undo:
            self._done.pop()
        elif what is not None:
            self._done.append(repeat)
        return what

    def remove(self, object_id: int) -> list[Turn]:
        """Take an object out of all volumes; return what takes that back."""
        turns: list[Turn] = []
        for repetition in self._made.values():
            before = repetition.undoable
            repetition.remove_object(object_id)
            if repetition.undoable != before:
                turns.append(repetition.turn)
        return turns

    def volumes(self, over: str) -> set[tuple[object, ...]]:
        """Return where there may be labels of a repetition, as `Target.key` begins."""
        target, axis = self._target, self._target.axes.index(over)
        held = [
            (*target.held[:axis], at, *target.held[axis + 1 :])
            for at in range(target.shape[axis])
        ]
        return {replace(target, held=where).key[:3] for where in held}

    def reviews(self, index: tuple[int, ...]) -> Mapping[int, ObjectReview] | None:
        """Say what is known of the volume at an index; None if it was not repeated."""
        target, letters = self._target, self._target.axes
        moved = [
            axis
            for axis, at in enumerate(index)
            if axis != target.followed and at != target.held[axis]
        ]
        if len(moved) != 1 or letters[moved[0]] not in self._made:
            return None
        return self._made[letters[moved[0]]].reviews(index[moved[0]])

    def _news(
        self, repetition: Repetition, plane: PlaneResult
    ) -> dict[int, ObjectNews]:
        at, frame = self._target.axes.index(repetition.over), self._target.followed
        assert frame is not None
        rows = {
            i: repetition.scores.row(i, plane.place[at], plane.place[frame])
            for i in plane.result.scores
        }
        return {
            i: ObjectNews(confidence=r.confidence, area=r.area, flags=r.flags.value)
            for i, r in rows.items()
        }

    def bring_back(self, over: str) -> None:
        """Have in the image's labels what was repeated over an axis before a crash."""
        repetition = self._open(over)
        repetition.copy_kept()
        walk = repetition.walk
        if walk is not None and walk.frames:
            some = range(walk.frames[0], walk.frames[-1] + 1)
            frames = None if some == range(self._target.n_frames) else some
            self._done.append(
                Repeat(over=over, direction=walk.direction, frames=frames)
            )

    def close(self) -> None:
        """Forget what could be taken back."""
        for repetition in self._made.values():
            repetition.close()
        self._made.clear()

    def _open(self, over: str) -> Repetition:
        from napari_sam2.tracking.repeating import Repetition

        if over not in self._made:
            letters, n_axes = self._target.axes, len(self._target.shape)
            self._made[over] = Repetition(
                self._session,
                over,
                labels=self._volume.array,
                axes=f"{letters[: n_axes - 2]}YX",
                lock=self._volume.lock,
            )
        return self._made[over]
