"""How a session stands: locks, what is to be tracked again, names, undo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sam2.tracking.planning import check_frames
from napari_sam2.tracking.results import Seen
from napari_sam2.tracking.review import review
from napari_sam2.tracking.session_prompts import PromptedSession

if TYPE_CHECKING:
    from napari_sam2.tracking.review import ObjectReview


class ReviewedSession(PromptedSession):
    """A session that says how its objects stand; see `Session`."""

    def locked(self, object_id: int) -> list[int]:
        """Return the frames in which an object is locked, in order.

        Raises
        ------
        KeyError
            If there is no such object.
        """
        return sorted(self._state.get(object_id).locked)

    def stale(self, object_id: int) -> list[int]:
        """Return the frames in which an object is yet to be tracked (again).

        Raises
        ------
        KeyError
            If there is no such object.
        """
        return [int(t) for t in np.flatnonzero(self._state.get(object_id).stale)]

    def review(self, object_id: int) -> ObjectReview:
        """Return what is known of an object in every frame, to be drawn.

        Raises
        ------
        KeyError
            If there is no such object, and nothing is known of one that was.
        """
        if object_id not in self._state.scores.object_ids:
            self._state.get(object_id)
        return review(
            self.stack.n_frames,
            self._state.scores.of(object_id),
            self._state.objects.get(object_id),
        )

    def seen(self, frame: int, object_id: int | None = None) -> Seen:
        """Return the very picture that goes into the network for a frame.

        Parameters
        ----------
        frame
            Frame of the stack.
        object_id
            Whose window, where objects are looked at through windows; the whole frame
            for None, or an object that is not there yet.

        Raises
        ------
        IndexError
            If there is no such frame.
        FrameReadError
            If the frame cannot be read.
        """
        check_frames([frame], self.stack.n_frames)
        window = self._engine.frames.whole
        found = self._state.objects.get(object_id or 0)
        if found is not None:
            window = self._engine.zoom.looks_at(found, frame)
        picture = self._engine.frames.seen(frame, window)
        return Seen(picture=picture, corner=(window.y, window.x), shape=window.shape)

    @property
    def names(self) -> dict[int, str]:
        """The names that objects were given, by id."""
        return dict(self._state.names)

    def rename(self, object_id: int, name: str) -> None:
        """Give an object a name; an empty one takes it away.

        Raises
        ------
        KeyError
            If there is no such object.
        """
        self._state.get(object_id)
        name = name.strip()
        if name != self._state.names.get(object_id, ""):
            self._state.rename(object_id, name)
            self._log({"do": "name", "object": object_id, "name": name})

    def undo_frames(self) -> list[int]:
        """Return the frames whose labels `undo` would change."""
        done = self._state.history.done
        return done[-1].frames if done else []

    @property
    def position(self) -> int:
        """How many steps were done and not taken back, forgotten ones included."""
        return self._state.history.position

    @property
    def undoable(self) -> list[str]:
        """What `undo` would take back, the latest last."""
        return [step.name for step in self._state.history.done]

    @property
    def redoable(self) -> list[str]:
        """What `redo` would do again, the next last."""
        return [step.name for step in self._state.history.undone]
