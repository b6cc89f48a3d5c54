"""Edits, undo and redo: asked of the engine, and what follows from them shown."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from napari_sam2.widgets import console_lines, messages
from napari_sam2.widgets.engine import Edit

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sam2.widgets.desk import Desk
    from napari_sam2.widgets.engine import Standing, Verb
    from napari_sam2.widgets.following import Following
    from napari_sam2.widgets.workplace import Workplace


class Editing:
    """What is done to cells as a whole, or to their masks in single frames.

    Parameters
    ----------
    desk : Desk
        What the panel's parts share.
    following : Following
        Is stopped by every edit.
    """

    def __init__(self, desk: Desk, following: Following) -> None:
        self._desk, self._following = desk, following
        self._count = 0

    def edit(
        self,
        verb: Verb,
        object_id: int | None = None,
        *,
        other: int = 0,
        frames: tuple[int, ...] | None = None,
        name: str = "",
        then: Callable[[], None] | None = None,
    ) -> None:
        """Do something to a cell.

        Parameters
        ----------
        verb, other, name
            See `Edit`.
        object_id : int, optional
            Which cell; the current one unless given.
        frames : tuple of int, optional
            Where; the visible frame unless given.
        then : callable, optional
            What to do after it.
        """
        desk, place, request = self._desk, self._desk.place, self._desk.request()
        if place is None or request is None:
            return
        asked = Edit(
            verb=verb,
            object_id=place.object_id if object_id is None else object_id,
            other=other,
            frames=(place.here,) if frames is None else frames,
            name=name,
        )
        self._following.stop_quietly()

        def done(standing: Standing) -> None:
            if verb == "merge":
                place.object_id = other
            elif verb in ("split", "remove"):
                place.object_id = max(standing.objects, default=1)
            self.show(place, standing, since=since)
            desk.say(messages.edited(asked, place.cells))
            desk.console(console_lines.edit_line(asked))
            if then is not None:
                then()

        since = place.prompts.count

        def failed(error: Exception) -> None:
            desk.show_objects()
            desk.complain(error)

        work = partial(desk.engine.edit, request, asked)
        desk.submit(self._kind(), work, on_done=done, on_error=failed)

    def toggle_lock(self) -> None:
        """Keep the current cell as it is in the visible frame, or no longer."""
        place = self._desk.place
        if place is None:
            return
        frame, cell = place.here, place.cells.get(place.object_id)
        if cell is None or not (cell.known[frame] or cell.locked[frame]):
            self._desk.say(messages.NOT_FOUND_HERE)
        else:
            self.edit("unlock" if cell.locked[frame] else "lock")

    def toggle_lock_everywhere(self, object_id: int) -> None:
        """Keep a cell as it is in all frames, or in none any more."""
        place = self._desk.place
        if place is None:
            return
        cell = place.cells[object_id]
        free = cell.known & ~cell.locked
        if free.any():
            frames = tuple(int(t) for t in free.nonzero()[0])
            self.edit("lock", object_id, frames=frames)
        elif cell.locked.any():
            frames = tuple(int(t) for t in cell.locked.nonzero()[0])
            self.edit("unlock", object_id, frames=frames)
        else:
            self._desk.say(messages.NOT_FOUND_HERE)

    def turn(self, *, undo: bool) -> None:
        """Take back what was done last, or do it again."""
        desk, place = self._desk, self._desk.place
        if place is None:
            desk.say(messages.NO_IMAGE)
            return
        request = desk.request(last=True)  # wherever the user looks meanwhile
        if request is None:
            return
        self._following.stop_quietly()

        def done(standing: Standing | None) -> None:
            if standing is not None:
                self.show(place, standing, since=since)
                desk.say(messages.turned(standing.what, undo=undo))
                desk.console("session.undo()" if undo else "session.redo()")
            # Clicks that were given to another session, before the contrast changed:
            elif not (undo and place.prompts.undo()):
                desk.say(messages.NO_UNDO if undo else messages.NO_REDO)

        since = place.prompts.count
        work = partial(desk.engine.turn, request, undo=undo)
        desk.submit(self._kind(), work, on_done=done)

    def show(self, place: Workplace, standing: Standing, *, since: int) -> None:
        """Show how everything stands; prompts that are newer than `since` stay."""
        newer = place.take(standing, since=since)
        if place.result is not None:
            place.result.forget_paint_history()
            place.result.refresh()
        self._desk.show_objects()
        if newer:
            place.prompts.changed()

    def _kind(self) -> str:
        """Name a job so that no later one takes its place."""
        self._count += 1
        return f"edit {self._count}"
