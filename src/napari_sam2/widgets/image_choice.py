"""Choosing the image layer, its resolution and the axis to follow.

All in step with the layer list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels
from qtpy.QtCore import QObject, Signal

from napari_sam2.widgets.panel_parts import chosen, show_layers
from napari_sam2.widgets.picture import levels_of
from napari_sam2.widgets.target import stack_axes

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_sam2.widgets.panel import Panel


class ImageChoice(QObject):
    """The combo boxes that name layers and axes.

    Attributes
    ----------
    changed : Signal()
        Another image, another axis or another resolution is chosen.
    listed : Signal()
        Layers have come or gone, or have other names.
    removed : Signal(object)
        A layer has left the viewer.
    """

    changed = Signal()
    listed = Signal()
    removed = Signal(object)

    def __init__(self, viewer: Viewer, panel: Panel) -> None:
        super().__init__()
        self._viewer, self._panel = viewer, panel
        self._images: list[Image] = []
        self._labels: list[Labels] = []
        self._hidden: list[Layer] = []
        viewer.layers.events.inserted.connect(self._inserted)
        viewer.layers.events.removed.connect(self._removed)
        viewer.layers.events.reordered.connect(self.update_lists)
        for layer in viewer.layers:
            layer.events.name.connect(self.update_lists)
        panel.image.currentIndexChanged.connect(self._image_chosen)
        panel.axis.currentIndexChanged.connect(self._axis_chosen)
        panel.level.currentIndexChanged.connect(self._axis_chosen)

    @property
    def images(self) -> list[Image]:
        """The layers that are offered."""
        return list(self._images)

    @property
    def image(self) -> Image | None:
        """The chosen layer."""
        return chosen(self._panel.image, self._images)

    @image.setter
    def image(self, layer: Image) -> None:
        self._panel.image.setCurrentIndex(self._images.index(layer))

    @property
    def axis(self) -> int | None:
        """The axis of the image to follow; None for a single picture."""
        data = self._panel.axis.currentData()
        return None if data is None else int(data)

    @axis.setter
    def axis(self, axis: int | None) -> None:
        at = self._panel.axis.findData(axis)
        if at >= 0:
            self._panel.axis.setCurrentIndex(at)

    @property
    def level(self) -> int:
        """Which of the image's resolutions; 0 is the finest."""
        return max(self._panel.level.currentIndex(), 0)

    @property
    def start_labels(self) -> Labels | None:
        """The Labels layer to start from."""
        return chosen(self._panel.start_layer, self._labels)

    def begin(self) -> None:
        """Take the selected image, or the topmost one."""
        active = self._viewer.layers.selection.active
        images = self._offered(Image)
        wanted = active if active in images else (images[-1] if images else None)
        self._fill(wanted)
        self._fill_axes()
        self.changed.emit()

    def hide_result(self, layer: Layer) -> None:
        """Leave a layer of ours out of those to work on or to start from."""
        if layer not in self._hidden:
            self._hidden.append(layer)
        self.update_lists()

    def update_lists(self, _event: Any = None) -> None:
        """Show the layers and their names as they are now."""
        before = self.image
        self._fill(before)
        if self.image != before:
            self._fill_axes()
            self.changed.emit()

    def disconnect_all(self) -> None:
        """Listen to the viewer no longer."""
        events = self._viewer.layers.events
        events.inserted.disconnect(self._inserted)
        events.removed.disconnect(self._removed)
        events.reordered.disconnect(self.update_lists)
        for layer in self._viewer.layers:
            layer.events.name.disconnect(self.update_lists)

    def _fill(self, wanted: Image | None) -> None:
        self._images, self._labels = self._offered(Image), self._offered(Labels)
        show_layers(self._panel.image, self._images, wanted)
        show_layers(self._panel.start_layer, self._labels, self.start_labels)
        some = bool(self._labels)
        for widget in (
            self._panel.start_label,
            self._panel.start_layer,
            self._panel.use_labels,
        ):
            widget.setVisible(some)
        self.listed.emit()

    def _offered(self, kind: type[Layer]) -> list[Any]:
        """Return the layers of a kind that are not ours."""
        layers = list(self._viewer.layers)
        ours = [layer for layer in self._hidden if layer in layers]
        return [y for y in layers if isinstance(y, kind) and y not in ours]

    def _fill_axes(self) -> None:
        combo, image = self._panel.axis, self.image
        combo.blockSignals(True)
        combo.clear()
        axes = stack_axes(image) if image is not None else []
        for axis, words in axes:
            combo.addItem(words, axis)
        if not axes:
            combo.addItem("a single picture" if image is not None else "–", None)
        combo.setEnabled(len(axes) > 1)
        combo.blockSignals(False)
        levels, sizes = self._panel.level, levels_of(image)
        levels.blockSignals(True)
        levels.clear()
        levels.addItems(sizes)
        levels.blockSignals(False)
        self._panel.image_form.setRowVisible(levels, bool(sizes))
        self._fill_repeat()

    def _inserted(self, event: Any) -> None:
        event.value.events.name.connect(self.update_lists)
        self.update_lists()

    def _removed(self, event: Any) -> None:
        event.value.events.name.disconnect(self.update_lists)
        if event.value in self._hidden:
            self._hidden.remove(event.value)
        self.removed.emit(event.value)
        self.update_lists()

    def _image_chosen(self) -> None:
        self._fill_axes()
        self.changed.emit()

    def _axis_chosen(self) -> None:
        self._fill_repeat()
        self.changed.emit()

    def _fill_repeat(self) -> None:
        """Offer the axes that are neither followed nor the picture's."""
        combo, image = self._panel.repeat, self.image
        combo.clear()
        combo.addItem("no further axis", None)
        axes = stack_axes(image) if image is not None else []
        for axis, words in axes:
            if axis != self.axis:
                combo.addItem(f"over the {words}", axis)
        self._panel.repeat_row.setVisible(combo.count() > 1)
