"""What can be done to one cell, as a menu: at the table, and behind its button."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtWidgets import QMenu

from napari_sam2.widgets import console_lines, messages

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtCore import QPoint

    from napari_sam2.widgets.desk import Desk
    from napari_sam2.widgets.editing import Editing


class CellMenu:
    """Makes the menu of a cell and does what is chosen in it.

    Parameters
    ----------
    desk : Desk
        What the panel's parts share.
    editing : Editing
        Does the edits.
    """

    def __init__(self, desk: Desk, editing: Editing) -> None:
        self._desk, self._editing = desk, editing

    def pop_up(self, object_id: int, where: QPoint) -> None:
        """Show the menu of a cell at a place on the screen."""
        menu = self.menu(object_id)
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(where)

    def menu(self, object_id: int) -> QMenu:
        """Return the menu of a cell."""
        menu, place = QMenu(self._desk.panel), self._desk.place
        if place is None:
            return menu
        edit, cell = self._editing.edit, place.cells[object_id]
        menu.addAction("Go to its first frame", partial(self._go, object_id, 0))
        menu.addAction("Go to its last frame", partial(self._go, object_id, -1))
        menu.addSeparator()
        hide = "Show" if cell.hidden else "Hide"
        menu.addAction(hide, partial(self.toggle_hidden, object_id))
        free = (cell.known & ~cell.locked).any() or not cell.locked.any()
        lock = "Lock in all frames" if free else "Unlock in all frames"
        everywhere = partial(self._editing.toggle_lock_everywhere, object_id)
        menu.addAction(lock, everywhere)
        menu.addSeparator()
        menu.addAction("Not in this frame", partial(edit, "absent", object_id))
        menu.addAction("A new cell from here on", partial(edit, "split", object_id))
        self._others(
            menu,
            "Swap from here on with",
            object_id,
            lambda other: edit("swap", object_id, other=other),
        )
        self._others(
            menu,
            "Same cell as",
            object_id,
            lambda other: edit("merge", object_id, other=other, frames=(0,)),
        )
        menu.addSeparator()
        menu.addAction("Delete from all frames", partial(edit, "remove", object_id))
        return menu

    def toggle_hidden(self, object_id: int) -> None:
        """Leave a cell out of the picture, or show it again."""
        place = self._desk.place
        if place is not None:
            cell = place.cells[object_id]
            cell.hidden = not cell.hidden
            place.show_hidden()
            self._desk.show_objects()

    def _others(
        self, menu: QMenu, title: str, object_id: int, do: Callable[[int], None]
    ) -> None:
        """Add a menu of all other cells."""
        place = self._desk.place
        others = [] if place is None else [i for i in place.cells.ids if i != object_id]
        inner = menu.addMenu(title)
        if inner is None or place is None:
            return
        inner.setEnabled(bool(others))
        for other in others:
            inner.addAction(place.cells.title(other), partial(do, other))

    def _go(self, object_id: int, which: int) -> None:
        place = self._desk.place
        if place is None:
            return
        frames = np.flatnonzero(place.cells[object_id].area)
        if not len(frames):
            self._desk.say(messages.NOT_FOUND_ANYWHERE)
            return
        frame = int(frames[which])
        place.go_to(frame)
        self._desk.console(console_lines.go_line(place.axis, frame))
