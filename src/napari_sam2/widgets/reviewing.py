"""Review: the heat strips, and going from one doubtful frame to the next."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Qt
from qtpy.QtWidgets import QDockWidget, QMainWindow

from napari_sam2.widgets import console_lines, messages
from napari_sam2.widgets.cells import Cells
from napari_sam2.widgets.heat_strip import HeatStrip
from napari_sam2.widgets.volumes import Volumes

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.viewer import Viewer

    from napari_sam2.widgets.desk import Desk
    from napari_sam2.widgets.editing import Editing
    from napari_sam2.widgets.following import Following

DOCK_NAME = "Review (SAM 2)"
_CORNERS = {
    Qt.Corner.BottomLeftCorner: Qt.DockWidgetArea.LeftDockWidgetArea,
    Qt.Corner.BottomRightCorner: Qt.DockWidgetArea.RightDockWidgetArea,
}
_VERTICAL = Qt.Orientation.Vertical


class Reviewing(QObject):
    """Shows how sure each frame is, and leads to those that are not.

    The strip lies below the picture, in a dock of its own, or in the panel while that
    dock is closed.

    Parameters
    ----------
    viewer : Viewer
        Gets the dock.
    desk : Desk
        What the panel's parts share.
    editing : Editing
        Locks what the user accepts.
    following : Following
        Fills frames and volumes.
    choose_object : callable
        Makes a cell the current one.
    """

    def __init__(
        self,
        viewer: Viewer,
        desk: Desk,
        editing: Editing,
        following: Following,
        choose_object: Callable[[int], None],
    ) -> None:
        super().__init__()
        self._viewer, self._desk, self._editing = viewer, desk, editing
        self._choose_object = choose_object
        self._place: object = None
        self._dock: QDockWidget | None = None
        self._corners: dict[Qt.Corner, Qt.DockWidgetArea] = {}
        self._volumes = Volumes(desk, following)
        self.strips = [desk.panel.strip]
        desk.panel.strip.chosen.connect(self._chosen)
        desk.panel.strip_below.toggled.connect(self._put_below)
        desk.cells_changed.connect(self._cells_changed)
        desk.frames_done.connect(self._frames_done)
        viewer.dims.events.point.connect(self._slider_moved)

    def next_doubtful(self, *, backward: bool = False) -> None:
        """Go to the next frame that should be looked at."""
        place = self._desk.place
        if place is None:
            return
        frame = place.cells.doubtful_frame(place.here, backward=backward)
        if frame is None:
            self._desk.say(messages.NO_DOUBT)
            return
        place.go_to(frame)
        doubtful = [i for i in place.cells.ids if place.cells[i].doubtful[frame]]
        if place.object_id not in doubtful:
            self._choose_object(doubtful[0])
        self._desk.console("session.scores.doubtful()")
        self._desk.say(messages.doubtful(frame, place.cells))

    def accept(self) -> None:
        """Keep the current cell as it is here, and go on to the next doubtful frame."""
        place = self._desk.place
        if place is None:
            return
        cell, here = place.cells.get(place.object_id), place.here
        if cell is None or not cell.known[here]:
            self._desk.say(messages.NOT_FOUND_HERE)
        elif cell.locked[here]:
            self.next_doubtful()
        else:
            self._editing.edit("lock", then=self.next_doubtful)

    def close(self) -> None:
        """Take the dock away, listen to nothing."""
        self._viewer.dims.events.point.disconnect(self._slider_moved)
        self._take_dock_away()

    def _put_below(self, below: bool) -> None:
        """Show the strip under the sliders, or in the panel."""
        self._desk.panel.strip.setVisible(not below)
        if not below:
            self._take_dock_away()
            return
        strip = HeatStrip()
        strip.set_colours(self._desk.panel.strip.colours)
        strip.chosen.connect(self._chosen)
        strip.undocked.connect(self._dock_closed)
        self.strips.append(strip)
        self._viewer.window.add_dock_widget(
            strip, name=DOCK_NAME, area="bottom", add_vertical_stretch=False
        )
        self._dock = _dock_around(strip)
        if self._dock is not None:
            self._dock.visibilityChanged.connect(self._dock_hidden)
        self._keep_corners(strip)
        self._place = None
        self._cells_changed()

    def _keep_corners(self, strip: HeatStrip) -> None:
        """Let the strip be as wide as the picture: corners belong to the sides."""
        window = strip.window()
        if isinstance(window, QMainWindow) and self._dock is not None:
            for corner, side in _CORNERS.items():
                self._corners[corner] = window.corner(corner)
                window.setCorner(corner, side)
            window.resizeDocks([self._dock], [strip.sizeHint().height()], _VERTICAL)

    def _dock_hidden(self, _visible: bool) -> None:
        if self._dock is not None and self._dock.isHidden():
            self._dock_closed()

    def _dock_closed(self) -> None:
        """Go on in the panel after the user has closed the dock."""
        if self._dock is not None:
            self._desk.panel.strip_below.setChecked(False)

    def _take_dock_away(self) -> None:
        dock, self._dock = self._dock, None
        if dock is None:
            return
        strip = self.strips.pop()
        with contextlib.suppress(RuntimeError, LookupError):  # gone with its window
            window = strip.window()
            if isinstance(window, QMainWindow):
                for corner, side in self._corners.items():
                    window.setCorner(corner, side)
            dock.visibilityChanged.disconnect(self._dock_hidden)
            self._viewer.window.remove_dock_widget(strip)
        with contextlib.suppress(RuntimeError):
            strip.deleteLater()

    def _cells_changed(self) -> None:
        place = self._desk.place
        for strip in self.strips:
            if place is None:
                strip.use(Cells(1), 1, 0)
            elif place is not self._place:
                strip.use(place.cells, place.object_id, place.here)
            else:
                strip.changed(place.object_id)
        self._place = place

    def _frames_done(self, first: int, last: int) -> None:
        for strip in self.strips:
            strip.frames_done(first, last)

    def _slider_moved(self, _event: Any = None) -> None:
        self._volumes.look()
        if self._desk.place is not None:
            for strip in self.strips:
                strip.show_frame(self._desk.place.here)

    def _chosen(self, frame_idx: int, object_id: int) -> None:
        place = self._desk.place
        if place is None:
            return
        if object_id != place.object_id:
            self._choose_object(object_id)
        place.go_to(frame_idx)
        self._desk.console(console_lines.go_line(place.axis, frame_idx))


def _dock_around(strip: HeatStrip) -> QDockWidget | None:
    """Return the dock itself; napari returns one that only shows what is public."""
    around = strip.parentWidget()
    while around is not None and not isinstance(around, QDockWidget):
        around = around.parentWidget()
    return around
