"""Choosing an image and labels of it, in step with the layer list."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from qtpy.QtCore import QObject, Signal

from napari_sam2.widgets.adapting import Pair
from napari_sam2.widgets.export_sources import fitting_level
from napari_sam2.widgets.panel_parts import chosen, show_layers
from napari_sam2.widgets.picture import Picture
from napari_sam2.widgets.target import make_target, pixel_shape, stack_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_sam2.widgets.adapt_panel import AdaptPanel

# What may change whether two layers fit, and how they are called.
_PLACING = ("name", "scale", "translate", "rotate", "shear", "affine", "axis_labels")
_CONTENT = ("paint", "data")


class PairChoice(QObject):
    """The combo boxes that name an image, its axis and its labels.

    Attributes
    ----------
    changed : Signal()
        Another image, axis or Labels layer is chosen, or it was moved.
    edited : Signal()
        Something was painted into the chosen labels.
    removed : Signal(object)
        A layer has left the viewer.
    """

    changed = Signal()
    edited = Signal()
    removed = Signal(object)

    def __init__(self, viewer: Viewer, panel: AdaptPanel) -> None:
        super().__init__()
        self._viewer, self._panel = viewer, panel
        self._images: list[Image] = []
        self._labels: list[Labels] = []
        viewer.layers.events.inserted.connect(self._inserted)
        viewer.layers.events.removed.connect(self._removed)
        viewer.layers.events.reordered.connect(self.update_lists)
        for layer in viewer.layers:
            self._listen(layer)
        panel.image.currentIndexChanged.connect(self._image_chosen)
        panel.axis.currentIndexChanged.connect(self.changed)
        panel.labels.currentIndexChanged.connect(self.changed)
        active = viewer.layers.selection.active
        self._fill(active, active)

    @property
    def image(self) -> Image | None:
        """The chosen image."""
        return chosen(self._panel.image, self._images)

    @property
    def labels(self) -> Labels | None:
        """The chosen labels."""
        return chosen(self._panel.labels, self._labels)

    @property
    def axis(self) -> int | None:
        """The axis of the image that frames are counted along; None: a picture."""
        data = self._panel.axis.currentData()
        return None if data is None else int(data)

    def misfit(self) -> str | None:
        """Say why the labels cannot be those of the image; None if they can."""
        image, labels = self.image, self.labels
        if image is None or labels is None:
            return None
        return misfit(image, labels)

    def pair(self) -> Pair | None:
        """Return what is chosen; None if something is missing.

        Raises
        ------
        TargetError
            If the sliders stand where the image has no picture.
        """
        image, labels = self.image, self.labels
        if image is None or labels is None:
            return None
        picture = _seen_by(image, labels)
        target = make_target(picture, self._viewer, self.axis)
        return Pair(
            target=replace(target, level=picture.known_level),
            labels=labels.data[0] if labels.multiscale else labels.data,
        )

    def update_lists(self, _event: Any = None) -> None:
        """Show the layers and their names as they are now."""
        before = self.image, self.labels
        self._fill(*before)
        if (self.image, self.labels) != before:
            self.changed.emit()

    def disconnect_all(self) -> None:
        """Listen to the viewer no longer."""
        events = self._viewer.layers.events
        events.inserted.disconnect(self._inserted)
        events.removed.disconnect(self._removed)
        events.reordered.disconnect(self.update_lists)
        for layer in self._viewer.layers:
            self._ignore(layer)

    def _fill(self, image: Layer | None, labels: Layer | None) -> None:
        layers = list(self._viewer.layers)
        self._images = [layer for layer in layers if isinstance(layer, Image)]
        self._labels = [layer for layer in layers if isinstance(layer, Labels)]
        if labels not in self._labels:
            labels = None
        if image not in self._images:
            fitting = [
                one
                for one in self._images
                if labels is not None and misfit(one, labels) is None
            ]
            image = next(iter([*fitting, *self._images[::-1]]), None)
        show_layers(self._panel.image, self._images, image)
        show_layers(self._panel.labels, self._labels, labels or self._best_labels())
        self._fill_axes()

    def _best_labels(self) -> Labels | None:
        """Return the topmost labels that fit the image; others if none do."""
        image = self.image
        fitting = [
            layer
            for layer in self._labels
            if image is not None and misfit(image, layer) is None
        ]
        return next(iter([*fitting[::-1], *self._labels[::-1]]), None)

    def _fill_axes(self) -> None:
        combo, image, before = self._panel.axis, self.image, self.axis
        combo.blockSignals(True)
        combo.clear()
        axes = stack_axes(image) if image is not None else []
        for axis, words in axes:
            combo.addItem(words, axis)
        if not axes:
            combo.addItem("a single picture" if image is not None else "–", None)
        combo.setCurrentIndex(max(combo.findData(before), 0))
        combo.setEnabled(len(axes) > 1)
        combo.blockSignals(False)

    def _listen(self, layer: Layer) -> None:
        for name in _PLACING:
            getattr(layer.events, name).connect(self._placed)
        if isinstance(layer, Labels):
            for name in _CONTENT:
                getattr(layer.events, name).connect(self._painted)

    def _ignore(self, layer: Layer) -> None:
        for name in _PLACING:
            getattr(layer.events, name).disconnect(self._placed)
        if isinstance(layer, Labels):
            for name in _CONTENT:
                getattr(layer.events, name).disconnect(self._painted)

    def _inserted(self, event: Any) -> None:
        self._listen(event.value)
        self.update_lists()

    def _removed(self, event: Any) -> None:
        self._ignore(event.value)
        self.removed.emit(event.value)
        self.update_lists()

    def _placed(self, event: Any) -> None:
        self._fill(self.image, self.labels)
        if event.type != "name" and event.source in (self.image, self.labels):
            self.changed.emit()

    def _painted(self, event: Any) -> None:
        if event.source == self.labels:
            self.edited.emit()

    def _image_chosen(self) -> None:
        self._fill_axes()
        if self.misfit() is not None:
            show_layers(self._panel.labels, self._labels, self._best_labels())
        self.changed.emit()


def misfit(image: Image, labels: Labels) -> str | None:
    """Say in a sentence why labels are not those of an image; None if they may be."""
    picture = _seen_by(image, labels)
    ours, theirs = pixel_shape(picture), pixel_shape(labels)
    if ours != theirs:
        return (
            f"{labels.name!r} has {_sizes(theirs)} pixels but {image.name!r} "
            f"{_sizes(ours)}: choose labels that were made on this image."
        )
    for mine, other in zip(image.axis_labels, labels.axis_labels, strict=True):
        words = [str(word).lower() for word in (mine, other)]
        named = all(not word.removeprefix("axis ").startswith("-") for word in words)
        if named and words[0] != words[1]:
            return (
                f"{labels.name!r} has the axes {', '.join(labels.axis_labels)} but "
                f"{image.name!r} {', '.join(image.axis_labels)}: choose labels that "
                "were made on this image."
            )
    # Where the first pixel lies, and its neighbour along every axis.
    corners = [np.zeros(len(ours)), *np.eye(len(ours))]
    if not all(
        np.allclose(picture.data_to_world(at), labels.data_to_world(at))
        for at in corners
    ):
        return (
            f"{labels.name!r} does not lie on {image.name!r}: give both the same scale "
            "and position, or choose other labels."
        )
    return None


def _seen_by(image: Image, labels: Labels) -> Picture:
    """Return an image at the resolution of labels, at the finest if it lacks theirs."""
    return fitting_level(image, labels) or Picture(image)


def _sizes(shape: Sequence[int]) -> str:
    return " × ".join(str(n) for n in shape)
