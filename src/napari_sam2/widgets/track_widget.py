"""The dock widget: click on a cell, see its mask, follow it through the stack.

This module connects the parts; each of them is in a module of its own. What takes
time is asked of the engine, in the worker's thread (`napari_sam2.widgets.desk`).
"""

from __future__ import annotations

import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QApplication, QVBoxLayout

from napari_sam2.widgets import console_lines, messages
from napari_sam2.widgets.asking import Asking
from napari_sam2.widgets.cell_menu import CellMenu
from napari_sam2.widgets.closing import CloseGuard
from napari_sam2.widgets.colour_choice import ColourChoice
from napari_sam2.widgets.contrast import Contrast
from napari_sam2.widgets.desk import Desk
from napari_sam2.widgets.docked import DockedWidget
from napari_sam2.widgets.editing import Editing
from napari_sam2.widgets.export_part import Exporting
from napari_sam2.widgets.following import Following
from napari_sam2.widgets.hovering import Hovering
from napari_sam2.widgets.image_choice import ImageChoice
from napari_sam2.widgets.key_overlay import KeyOverlay
from napari_sam2.widgets.keys import Keys
from napari_sam2.widgets.model_part import ModelPart
from napari_sam2.widgets.model_view import ModelView
from napari_sam2.widgets.panel import Panel
from napari_sam2.widgets.picture import Picture
from napari_sam2.widgets.preferences import read_preferences
from napari_sam2.widgets.recovering import Recovering
from napari_sam2.widgets.reviewing import Reviewing
from napari_sam2.widgets.saving_engine import SavingEngine
from napari_sam2.widgets.sessions import Sessions
from napari_sam2.widgets.tools import Tools
from napari_sam2.widgets.workplace import Workplace

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_sam2.widgets.engine import Direction, Engine
    from napari_sam2.widgets.kept_sessions import SessionScript
    from napari_sam2.widgets.preferences import Preferences
    from napari_sam2.widgets.worker import Worker


class TrackWidget(DockedWidget):
    """Segment a cell by a click and follow it through a movie or a stack.

    Parameters
    ----------
    napari_viewer : Viewer
        The viewer to work in.
    engine : Engine, optional
        What segments and tracks; SAM 2 unless given.
    """

    def __init__(self, napari_viewer: Viewer, *, engine: Engine | None = None) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.panel = Panel()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.panel)
        self.images = ImageChoice(napari_viewer, self.panel)
        prefers = read_preferences()
        self.models = ModelPart(
            self.panel,
            detail=self.panel.detail,
            device=prefers.device,
            precision=prefers.precision,
        )
        self.desk = Desk(
            self.panel, self.models, _engine(prefers) if engine is None else engine
        )
        self.tools = Tools(napari_viewer, self.desk, self.images)
        self.following = Following(self.desk)
        self.asking = Asking(self.desk, self.following)
        self.colours = ColourChoice(napari_viewer, self.panel.further, self.images)
        self.contrast = Contrast(self.desk, self.asking)
        self.model_view = ModelView(napari_viewer, self.desk, self.images.hide_result)
        self.editing = Editing(self.desk, self.following)
        self.recovering = Recovering(self.desk, self.editing)
        self.cell_menu = CellMenu(self.desk, self.editing)
        self.reviewing = Reviewing(
            napari_viewer,
            self.desk,
            self.editing,
            self.following,
            self._object_chosen,
        )
        self.hovering = Hovering(napari_viewer, self.desk, self.following)
        self.exporting = Exporting(napari_viewer, self.desk, self.following)
        self.sessions = Sessions(
            napari_viewer, self.desk, self.images, self.following, self.recovering
        )
        self.guard = CloseGuard(self, self.sessions, self.following)
        # However this widget ends, its thread must end too.
        self._goodbye = weakref.finalize(
            self,
            _end,
            self.desk.worker,
            self.desk.engine,
            weakref.ref(self.following),  # it knows the panel, which knows this widget
        )
        self._goodbye.atexit = False  # Qt is gone by then; the worker has its own way
        self.destroyed.connect(self._goodbye)
        self.destroyed.connect(self.exporting.end_thread)
        self.destroyed.connect(self.sessions.end_thread)
        self._places: list[Workplace] = []
        self._open = True
        self._connect()
        self.keys = Keys(napari_viewer, self.panel, self._key_actions(), prefers.keys)
        self.asking.look_around()
        self.images.begin()
        self.panel.strip.set_colours(prefers.colours)
        self.panel.strip_below.setChecked(prefers.strip_opens)
        self.panel.hover.setChecked(prefers.hover)

    @property
    def place(self) -> Workplace | None:
        """The image being worked on."""
        return self.desk.place

    def new_object(self) -> None:
        """Let the next prompt begin another cell."""
        place = self.place
        if place is None:
            return
        cell = place.cells.get(place.object_id)
        if cell is not None and (cell.prompts or cell.known.any()):
            place.object_id = place.cells.next_free()
        self.desk.show_objects()
        self.desk.say(messages.next_object(place.object_id))
        self.desk.console(f"session.add_points({place.object_id}, …)  # the next click")

    def _key_actions(self) -> dict[str, Callable[[], object]]:
        return {
            "new_object": self.new_object,
            "sign": self.panel.sign.toggle,
            "follow": self.follow_or_stop,
            "stop": self.following.stop,
            "undo": self.undo,
            "redo": self.redo,
            "next_doubtful": self.reviewing.next_doubtful,
            "previous_doubtful": partial(self.reviewing.next_doubtful, backward=True),
            "accept": self.reviewing.accept,
            "lock": self.toggle_lock,
            "absent": self.delete_here,
            **{f"{t}_tool": partial(self.tools.choose, t) for t in self.tools.buttons},
            "hover": self.panel.hover.toggle,
            "help": self.show_keys,
        }

    def undo(self) -> None:
        """Take back what was done last, whatever it was."""
        self.editing.turn(undo=True)

    def redo(self) -> None:
        """Do again what was taken back last."""
        self.editing.turn(undo=False)

    def toggle_lock(self) -> None:
        """Keep the current cell as it is in the visible frame, or no longer."""
        self.editing.toggle_lock()

    def delete_here(self) -> None:
        """Say that the current cell is not in the visible frame."""
        self.editing.edit("absent")

    def show_keys(self) -> None:
        """Show what mouse and keys do, until the next click or key."""
        window = self.window()
        if window is not None:
            KeyOverlay(window, self.keys.keys, self.panel.strip.colours)

    def delete_object(self) -> None:
        """Delete the current cell from all frames."""
        self.editing.edit("remove")

    def follow(self, direction: Direction) -> None:
        """Follow all cells through the stack."""
        self.hovering.clear()
        self.following.begin(direction)

    def follow_or_stop(self) -> None:
        """Do what the key G does: follow forward, or stop."""
        if self.following.run is not None:
            self.following.stop()
        else:
            self.follow("forward")

    def settled(self) -> None:
        """Ask about unsaved work when the window or the dock is closed."""
        if self._open:
            self.guard.watch()

    def close_down(self) -> None:
        """End the thread, give the keys back, listen to nothing; layers stay."""
        if not self._open:
            return
        self._open = False
        self._goodbye()
        self.exporting.close()
        self.hovering.switch(False)
        self.guard.end()
        self.sessions.end_thread()
        self.keys.release()
        self.reviewing.close()
        self.images.disconnect_all()
        self.tools.close()
        self.contrast.stop()
        self.model_view.close()
        self.viewer.layers.selection.events.active.disconnect(self._layer_selected)
        self.viewer.dims.events.current_step.disconnect(self.following.slider_moved)
        self.viewer.dims.events.ndisplay.disconnect(self._layer_selected)
        for place in self._places:
            place.leave()
        self._places.clear()

    def _connect(self) -> None:
        panel, asking, following = self.panel, self.asking, self.following
        self.images.changed.connect(self._image_changed)
        self.images.removed.connect(self._layer_removed)
        self.colours.changed.connect(self._colours_changed)
        self.colours.refused.connect(self.desk.complain)
        for tool, button in self.tools.buttons.items():
            button.clicked.connect(partial(self.tools.choose, tool))
        panel.sign.toggled.connect(self._sign_changed)
        panel.hover.toggled.connect(self._hover_switched)
        panel.objects.chosen.connect(self._object_chosen)
        panel.new_object.clicked.connect(self.new_object)
        panel.undo.clicked.connect(self.undo)
        panel.redo.clicked.connect(self.redo)
        panel.help_button.clicked.connect(self.show_keys)
        panel.lock.clicked.connect(self.toggle_lock)
        panel.recover.clicked.connect(self.recovering.recover)
        self.desk.opened.connect(self.recovering.look)
        panel.delete_object.clicked.connect(self.delete_object)
        panel.more.clicked.connect(self._show_cell_menu)
        panel.objects.menu_wanted.connect(self.cell_menu.pop_up)
        panel.objects.renamed.connect(
            lambda object_id, name: self.editing.edit("rename", object_id, name=name)
        )
        panel.use_labels.clicked.connect(self._use_labels)
        panel.backward.clicked.connect(lambda: self.follow("backward"))
        panel.both.clicked.connect(lambda: self.follow("both"))
        panel.forward.clicked.connect(lambda: self.follow("forward"))
        panel.stop.clicked.connect(following.stop)
        panel.previous_doubtful.clicked.connect(
            lambda: self.reviewing.next_doubtful(backward=True)
        )
        panel.next_doubtful.clicked.connect(lambda: self.reviewing.next_doubtful())
        panel.accept.clicked.connect(self.reviewing.accept)
        panel.export.clicked.connect(lambda: self.exporting.open(self))
        panel.copy.clicked.connect(self._copy_script)
        panel.download.clicked.connect(asking.download)
        self.models.changed.connect(self._model_changed)
        self.desk.result_shown.connect(self.images.hide_result)
        self.viewer.layers.selection.events.active.connect(self._layer_selected)
        self.viewer.dims.events.current_step.connect(following.slider_moved)
        self.viewer.dims.events.ndisplay.connect(self._layer_selected)

    def _image_changed(self) -> None:
        """Work on the chosen image, where it was left if it was worked on before."""
        image, axis, level = self.images.image, self.images.axis, self.images.level
        self.asking.abandon()
        left = self.place
        if left is not None and left.untouched and left in self._places:
            self._places.remove(left)
            left.leave()
        if image is None:
            self._work_on(None)
            return
        wanted = image, axis, level
        place = next(
            (p for p in self._places if (p.image, p.axis, p.picture.level) == wanted),
            None,
        )
        if place is None:
            place = Workplace(
                self.viewer,
                Picture(image, level),
                axis,
                on_prompts=self.asking.prompted,
                on_new_object=self.new_object,
                on_tool=self._layer_selected,
                on_painted=self.asking.painted,
                on_selected=self._object_chosen,
            )
            self._places.append(place)
        place.prompts.positive = not self.panel.sign.isChecked()
        self._work_on(place)
        self.tools.take_chosen()

    def _work_on(self, place: Workplace | None) -> None:
        self.asking.work_on(place)
        self.colours.use(place)
        self.contrast.watch(place)
        self.model_view.use(place)

    def _colours_changed(self) -> None:
        """Let the model see the same frames in other colours."""
        if self.place is not None and self.place.result is not None:
            self.place.result.rise()
        self.contrast.watch(self.place)
        self.asking.prepare()

    def _layer_removed(self, layer: Layer) -> None:
        self.model_view.layer_removed(layer)
        for place in self._places:
            if place.picture.leave_out(layer) and place is self.place:
                self._colours_changed()
                self.desk.say(messages.COLOUR_GONE)
        for place in [p for p in self._places if p.image == layer]:
            self._places.remove(place)
            self.asking.forget(place)
            place.leave()
        if self.place is not None and self.place.owns(layer):
            self.following.layer_gone()

    def _layer_selected(self, _event: Any = None) -> None:
        """Show which tool the selected layer is."""
        self.hovering.clear()
        active = self.viewer.layers.selection.active
        if self.place is not None and active is not None and self.place.owns(active):
            self.keys.bind_layer(active)
        self.tools.show()

    def _sign_changed(self, negative: bool) -> None:
        self.panel.sign.setText(messages.BELONGS_NOT if negative else messages.BELONGS)
        if self.place is not None:
            self.place.prompts.positive = not negative
            self.tools.announce()

    def _hover_switched(self, on: bool) -> None:
        self.hovering.switch(on)
        if on and self.place is not None:
            place = self.place
            self.desk.console(console_lines.suppose_line(place.object_id, place.here))

    def _model_changed(self) -> None:
        self.asking.prepare()
        if self.place is not None and self.models.info.here:
            self.desk.console(console_lines.model_line(self.models.choice))

    def _object_chosen(self, object_id: int) -> None:
        if self.place is not None and object_id != self.place.object_id:
            self.place.object_id = object_id
            self.desk.show_objects()

    def _show_cell_menu(self) -> None:
        button = self.panel.more
        if self.place is not None:
            below = button.mapToGlobal(button.rect().bottomLeft())
            self.cell_menu.pop_up(self.place.object_id, below)

    def _use_labels(self) -> None:
        labels = self.images.start_labels
        if labels is not None:
            self.asking.take_labels(labels)

    def _copy_script(self) -> None:
        request = self.desk.request()
        clipboard = QApplication.clipboard()
        if request is not None and clipboard is not None and self.place is not None:
            place, desk = self.place, self.desk

            def done(written: SessionScript) -> None:
                text = console_lines.script(request, written)
                clipboard.setText(text + self.exporting.script(place))
                desk.say(messages.COPIED)

            desk.submit("script", partial(desk.engine.script, request), on_done=done)


def _engine(prefers: Preferences) -> Engine:
    from napari_sam2.tracking.shelf import shelf_folder

    return SavingEngine(
        shelf=shelf_folder(), kept=prefers.sessions_kept, models=prefers.model_folder
    )


def _end(
    worker: Worker, engine: Engine, following: weakref.ref[Following], *_: Any
) -> None:
    """End what outlives the widget. It may be gone already, so no Qt in here."""
    shown = following()
    if shown is not None:
        shown.close()
    worker.close(last=engine.close)
