"""What is chosen in the export window: layers, cells, frames, and a place for it."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QFileDialog

from napari_sam2.stacks import EXPORTS
from napari_sam2.widgets import export_texts
from napari_sam2.widgets.export_sources import (
    file_of,
    fitting_images,
    image_target,
    is_there,
    labels_layers,
    labels_target,
    steps_of,
)
from napari_sam2.widgets.exporting import ExportTask
from napari_sam2.widgets.panel_parts import chosen, show_layers
from napari_sam2.widgets.target import TargetError, pixel_shape, stack_axes

if TYPE_CHECKING:
    from napari.layers import Labels
    from napari.viewer import Viewer

    from napari_sam2.widgets.export_dialog import ExportDialog
    from napari_sam2.widgets.picture import Picture

OF_ONE_CELL = ("mask", "cutouts", "background")
FOLDER = ""


class ExportChoice(QObject):
    """Keeps the window's parts in step with the layers and with each other.

    Parameters
    ----------
    viewer : Viewer
        Whose layers can be written.
    dialog : ExportDialog
        The window.
    """

    def __init__(self, viewer: Viewer, dialog: ExportDialog) -> None:
        super().__init__()
        self._viewer, self._dialog = viewer, dialog
        self._labels: list[Labels] = []
        self._images: list[Picture | None] = []
        self._suggested: Path | None = None
        self._agreed: Path | None = None
        self._hint = self._said = ""
        self._cells_chosen = self._cells_typed = self._without_image = False
        events = viewer.layers.events
        for event in (events.inserted, events.removed, events.reordered):
            event.connect(self.refresh)
        viewer.dims.events.current_step.connect(self._slider_moved)
        dialog.kinds.currentRowChanged.connect(self._kind_chosen)
        dialog.labels.currentIndexChanged.connect(self._labels_chosen)
        dialog.axis.currentIndexChanged.connect(self._axis_chosen)
        dialog.image.currentIndexChanged.connect(self._update)
        dialog.image.activated.connect(self._image_chosen)
        dialog.labels.activated.connect(self._something_new)
        dialog.axis.activated.connect(self._something_new)
        for choice in (dialog.all_cells, dialog.some_cells):
            choice.clicked.connect(self._cells_clicked)
        dialog.cells.textEdited.connect(self._cells_edited)
        for box in (dialog.first, dialog.last):
            box.valueChanged.connect(self._frames_edited)
        dialog.browse.clicked.connect(self._browse)
        dialog.path.textEdited.connect(self._path_edited)

    @property
    def labels(self) -> Labels | None:
        """The layer that is written."""
        return chosen(self._dialog.labels, self._labels)

    @property
    def image(self) -> Picture | None:
        """The layer that it is made with, at the resolution of the labels."""
        return chosen(self._dialog.image, self._images)

    @property
    def axis(self) -> int | None:
        """The axis that is followed; None for a single picture."""
        data = self._dialog.axis.currentData()
        return None if data is None else int(data)

    def disconnect_all(self) -> None:
        """Listen to the viewer no longer."""
        events = self._viewer.layers.events
        for event in (events.inserted, events.removed, events.reordered):
            event.disconnect(self.refresh)
        self._viewer.dims.events.current_step.disconnect(self._slider_moved)

    def refresh(self, _event: Any = None) -> None:
        """Show the layers and their names as they are now."""
        before = self.labels
        self._labels = labels_layers(self._viewer)
        active = self._viewer.layers.selection.active
        wanted = before if before in self._labels else active
        show_layers(self._dialog.labels, self._labels, wanted)
        if self.labels is None or self.labels != before:
            self._labels_chosen()
        else:
            self._fill_images()
            self._show_selected()
            self._update()

    def prefer(self, layer: Labels, axis: int | None) -> None:
        """Choose a layer and the axis to follow."""
        if layer not in self._labels:
            return
        if layer != self.labels:
            self._dialog.labels.setCurrentIndex(self._labels.index(layer))
        at = self._dialog.axis.findData(axis)
        if at >= 0:
            self._dialog.axis.setCurrentIndex(at)

    def say(self, text: str) -> None:
        """Say what happened; it stays until the next thing happens."""
        self._said = text
        self._show_text()

    def show_hint(self, text: str) -> None:
        """Say what should be known before writing."""
        if text != self._hint:
            self._hint = text
            self._show_text()

    def ask_again(self) -> None:
        """Ask again before what was written is written over."""
        self._agreed = None

    def task(self) -> ExportTask | None:
        """Describe what is to be written, or ask and return None.

        Raises
        ------
        ValueError
            One sentence that says what to change.
        """
        dialog, labels = self._dialog, self.labels
        if labels is None or self._problem():
            return None
        path = self._path()
        if is_there(path) and path != self._agreed:
            self._agreed = path
            self.say(export_texts.replacing(path, folder=self._is_folder))
            return None
        target = labels_target(labels, self._viewer, self.axis)
        image = self.image
        frames = range(target.n_frames)
        if dialog.some_frames.isChecked():
            ends = dialog.first.value(), dialog.last.value()
            frames = range(min(ends), max(ends) + 1)
        cells = None
        if dialog.some_cells.isChecked():
            cells = export_texts.cell_numbers(dialog.cells.text())
        scale, units = steps_of((labels, image), self.axis)
        return ExportTask(
            kind=dialog.kind,
            labels=target,
            image=None if image is None else image_target(image, target),
            objects=cells,
            frames=frames,
            path=path,
            scale=scale,
            units=units,
            options=dialog.options.values(),
        )

    @property
    def _is_folder(self) -> bool:
        return self._ending() == FOLDER

    def _path(self) -> Path:
        """Return where to write, which must not be what a layer is read from."""
        typed = self._dialog.path.text().strip()
        if not typed:
            raise ValueError("Give the file a name first.")
        path = self._folder() / Path(typed).expanduser()
        read = [file_of(layer) for layer in self._viewer.layers]
        if is_there(path) and any(file and path.samefile(file) for file in read):
            raise ValueError(export_texts.own_file(path))
        return path

    def _ending(self) -> str:
        """Return the ending that is usual, or the one that works here."""
        endings = EXPORTS[self._dialog.kind].endings
        if endings[0] == ".mp4" and importlib.util.find_spec("imageio_ffmpeg") is None:
            return endings[1]
        return endings[0]

    def _problem(self) -> str:
        """Say why nothing can be written; "" if it can."""
        labels, kind = self.labels, EXPORTS[self._dialog.kind]
        if labels is None:
            return export_texts.NO_LABELS
        if kind.needs_image and self.image is None:
            return export_texts.no_image(kind.title, str(labels.name))
        return ""

    def _show_text(self) -> None:
        self._dialog.status.setText(self._said or self._problem() or self._hint)

    def _update(self, _index: Any = None) -> None:
        """Bring everything in line with what is chosen."""
        dialog, image = self._dialog, self.image
        grey = image is not None and not image.rgb
        dialog.options.show_kind(dialog.kind, brightness=grey)
        dialog.write.setEnabled(not self._problem())
        dialog.browse.setEnabled(self.labels is not None)
        self._show_held()
        self._suggest()
        self._show_text()

    def _kind_chosen(self, _row: int) -> None:
        if not self._cells_chosen:
            one = self._dialog.kind in OF_ONE_CELL
            chosen = self._dialog.some_cells if one else self._dialog.all_cells
            chosen.setChecked(True)
        self._said = ""
        self._fill_images()
        self._update()

    def _labels_chosen(self, _index: Any = None) -> None:
        dialog, labels = self._dialog, self.labels
        dialog.axis.blockSignals(True)
        dialog.axis.clear()
        for axis, words in [] if labels is None else stack_axes(labels):
            dialog.axis.addItem(words, axis)
        dialog.axis.blockSignals(False)
        for part in (dialog.axis, dialog.axis_label):
            part.setVisible(dialog.axis.count() > 1)
        self._show_selected()
        self._fill_images()
        self._axis_chosen()

    def _axis_chosen(self, _index: Any = None) -> None:
        labels, axis = self.labels, self.axis
        last = 0
        if labels is not None and axis is not None:
            last = pixel_shape(labels)[axis] - 1
        for box, value in ((self._dialog.first, 0), (self._dialog.last, last)):
            box.blockSignals(True)
            box.setRange(0, last)
            box.setValue(value)
            box.blockSignals(False)
        self._dialog.all_frames.setChecked(True)
        self._update()

    def _fill_images(self) -> None:
        """Offer the images that fit; none only where none is needed."""
        before = None if self.image is None else self.image.layer
        labels, kind = self.labels, EXPORTS[self._dialog.kind]
        found = [] if labels is None else fitting_images(self._viewer, labels)
        same = (picture for picture in found if picture.layer == before)
        wanted = next(same, next(iter(found), None))
        self._images = [*found]
        if not kind.needs_image or not self._images:
            self._images.append(None)
            wanted = None if self._without_image else wanted
        show_layers(self._dialog.image, self._images, wanted)

    def _slider_moved(self, _event: Any = None) -> None:
        if self._dialog.isVisible():
            self._show_held()

    def _show_held(self) -> None:
        """Say at which depth, or of which channel, frames are taken."""
        labels, text = self.labels, ""
        words = {} if labels is None else dict(stack_axes(labels))
        if labels is not None and len(words) > 1:
            try:
                target = labels_target(labels, self._viewer, self.axis)
            except TargetError as error:
                text = str(error)
            else:
                text = export_texts.held(target, words)
        self._dialog.held.setText(text)
        self._dialog.held.setVisible(bool(text))

    def _cells_clicked(self) -> None:
        self._cells_chosen = True

    def _cells_edited(self, _text: str) -> None:
        self._cells_chosen = self._cells_typed = True
        self._dialog.some_cells.setChecked(True)

    def _show_selected(self) -> None:
        """Mean the selected cell, unless others were typed."""
        if self.labels is not None and not self._cells_typed:
            self._dialog.cells.setText(str(self.labels.selected_label))

    def _image_chosen(self, _index: int) -> None:
        self._without_image = self.image is None
        self._something_new()

    def _something_new(self, _index: int = 0) -> None:
        """Say no more what was about something else."""
        self.say("")

    def _frames_edited(self, _value: int) -> None:
        self._dialog.some_frames.setChecked(True)

    def _path_edited(self, _text: str) -> None:
        self._suggested = None
        self.say("")

    def _folder(self) -> Path:
        """Return where it goes: the last place, the image's, or home."""
        typed = self._dialog.path.text().strip()
        if typed and Path(typed).expanduser().is_absolute():
            return Path(typed).expanduser().parent
        image = None if self.image is None else self.image.layer
        for layer in (image, self.labels):
            file = file_of(layer)
            if file is not None:
                return file.parent
        return Path.home()

    def _suggest(self) -> None:
        """Propose a name that is free; keep one that was typed, but for its ending."""
        labels, dialog, ending = self.labels, self._dialog, self._ending()
        if labels is None:
            return
        typed = dialog.path.text().strip()
        if typed and self._suggested is None:
            if Path(typed).suffix.lower() not in EXPORTS[dialog.kind].endings:
                known = {e for kind in EXPORTS.values() for e in kind.endings if e}
                path = Path(typed)
                stem = path.stem if path.suffix.lower() in known else path.name
                dialog.path.setText(str(path.with_name(stem + ending)))
            return
        name = str((self.image or labels).name)
        stem = re.sub(r"[^\w.-]+", "_", name).strip("._") or "cells"
        folder = self._folder()
        wished = f"{stem}_{export_texts.WORDS[dialog.kind]}"
        path = folder / f"{wished}{ending}"
        number = 2
        while is_there(path):
            path = folder / f"{wished}_{number}{ending}"
            number += 1
        self._suggested = path
        dialog.path.setText(str(path))

    def _browse(self) -> None:
        """Ask with the system's own window."""
        dialog, kind = self._dialog, EXPORTS[self._dialog.kind]
        now = Path(dialog.path.text().strip()).expanduser()
        if self._is_folder:
            found = QFileDialog.getExistingDirectory(
                dialog, f"{kind.title}: in which folder?", str(now.parent)
            )
            chosen = str(Path(found) / now.name) if found else ""
        else:
            shown = [f"{e[1:].upper()} (*{e})" for e in kind.endings if e]
            chosen, _ = QFileDialog.getSaveFileName(
                dialog, kind.title, str(now), ";;".join(shown)
            )
            if chosen and Path(chosen).suffix.lower() not in kind.endings:
                chosen += self._ending()
            elif chosen:
                self._agreed = Path(chosen)  # the system's window has asked
        if chosen:
            dialog.path.setText(chosen)
            self._path_edited(chosen)
