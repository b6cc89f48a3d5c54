"""Repetitions of one session, as the panel asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam2.widgets.engine import PlaneNews

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari_sam2.tracking import Session
    from napari_sam2.tracking.repeating import Repetition
    from napari_sam2.widgets.deeds import Deeds
    from napari_sam2.widgets.engine import Repeat
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
                    place=plane.place, again=plane.again, error=plane.result.error
                )
        finally:
            running.close()
            if repetition.undoable != before:
                deeds.add(self._session, repetition.turn)

    def bring_back(self, over: str) -> None:
        """Have in the image's labels what was repeated over an axis before a crash."""
        self._open(over).copy_kept()

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
