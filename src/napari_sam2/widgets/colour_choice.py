"""Choosing the layers that the network sees as red, green and blue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_sam2.widgets.panel_parts import chosen
from napari_sam2.widgets.picture import Picture, check_alike
from napari_sam2.widgets.splitting import split_channels, splittable
from napari_sam2.widgets.target import TargetError, axis_name, pixel_shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image
    from napari.viewer import Viewer
    from qtpy.QtWidgets import QComboBox

    from napari_sam2.widgets.further import Further
    from napari_sam2.widgets.image_choice import ImageChoice
    from napari_sam2.widgets.workplace import Workplace

ALONE, SEVERAL = "alone", "several"
NONE = "–"
MOST_OTHERS = 2


class ColourChoice(QObject):
    """The combo boxes that name red, green and blue.

    Parameters
    ----------
    viewer : Viewer
        Whose layers are offered.
    panel : Further
        Has the combo boxes.
    images : ImageChoice
        The layer that is red.

    Attributes
    ----------
    changed : Signal()
        The picture of the present place has other colours.
    refused : Signal(object)
        Layers do not go together; a `TargetError`.
    """

    changed = Signal()
    refused = Signal(object)

    def __init__(self, viewer: Viewer, panel: Further, images: ImageChoice) -> None:
        super().__init__()
        self._viewer, self._panel, self._images = viewer, panel, images
        self._place: Workplace | None = None
        self._layers: list[Image] = []
        images.listed.connect(self.show)
        panel.colour.activated.connect(self._mode_chosen)
        panel.red.activated.connect(self._red_chosen)
        panel.green.activated.connect(self._others_chosen)
        panel.blue.activated.connect(self._others_chosen)

    def use(self, place: Workplace | None) -> None:
        """Show and change the colours of an image."""
        self._place = place
        self.show()

    def show(self) -> None:
        """Offer the layers there are, and show which are chosen."""
        panel, place = self._panel, self._place
        panel.colour.clear()
        if place is None or place.image.rgb:
            panel.colour.addItem(NONE if place is None else "its own colours", ALONE)
            panel.colour.setEnabled(False)
            panel.show_colours(shown=False)
            return
        main, others = place.image, place.picture.others
        self._layers = [
            layer
            for layer in self._images.images
            if not layer.rgb and layer.ndim == main.ndim
        ]
        panel.colour.addItem("the layer alone", ALONE)
        if len(self._layers) > 1:
            panel.colour.addItem("several layers: red, green, blue", SEVERAL)
        for axis in splittable(main):
            words = f"channels of the {axis_name(main, axis)}"
            panel.colour.addItem(f"{words} ({pixel_shape(main)[axis]})", axis)
        panel.colour.setEnabled(panel.colour.count() > 1)
        panel.colour.setCurrentIndex(panel.colour.findData(SEVERAL) if others else 0)
        panel.show_colours(shown=bool(others))
        _fill(panel.red, self._layers, main, with_none=False)
        _fill(panel.green, self._layers, others[0] if others else None)
        _fill(panel.blue, self._layers, others[1] if len(others) > 1 else None)

    def _mode_chosen(self, index: int) -> None:
        place, mode = self._place, self._panel.colour.itemData(index)
        if place is None:
            return
        if mode == ALONE:
            self._take([])
        elif mode == SEVERAL:
            if not place.picture.others:
                self._take_fitting(place)
            self._panel.colour.setCurrentIndex(index)
            self._panel.show_colours(shown=True)
        else:
            first, *others = split_channels(self._viewer, place.image, int(mode))
            self._images.image = first  # another place
            self._take(others[:MOST_OTHERS])

    def _take_fitting(self, place: Workplace) -> None:
        """Use the layers of the same frames, in their order if nothing is done yet."""
        found = []
        for layer in self._layers:
            try:
                check_alike(place.picture, Picture(layer, place.picture.level))
                found.append(layer)
            except TargetError:
                continue  # it is another picture
        first, *others = found
        if place.untouched and place.image in found[: MOST_OTHERS + 1]:
            self._images.image = first  # another place, or the same
        else:
            others = [layer for layer in found if layer != place.image]
        self._take(others[:MOST_OTHERS])

    def _red_chosen(self) -> None:
        red, others = chosen(self._panel.red, self._layers), self._others()
        if red is not None and self._place is not None and red != self._place.image:
            self._images.image = red
            self._take([layer for layer in others if layer != red])

    def _others_chosen(self) -> None:
        self._take(self._others())

    def _others(self) -> list[Image]:
        """Return what green and blue show, each layer once."""
        offered = [None, *self._layers]
        found: list[Image] = []
        for combo in (self._panel.green, self._panel.blue):
            layer = chosen(combo, offered)
            if layer is not None and layer not in found:
                found.append(layer)
        return found

    def _take(self, others: Sequence[Image]) -> None:
        """Use these layers; say so if they do not go with the image."""
        place = self._place
        if place is None:
            return
        wanted = tuple(layer for layer in others if layer != place.image)
        try:
            for layer in wanted:
                check_alike(place.picture, Picture(layer, place.picture.level))
        except TargetError as error:
            self.show()
            self.refused.emit(error)
            return
        before, place.picture.others = place.picture.others, wanted
        self.show()
        if wanted != before:
            self.changed.emit()


def _fill(
    combo: QComboBox,
    layers: Sequence[Any],
    wanted: Image | None,
    *,
    with_none: bool = True,
) -> None:
    combo.clear()
    offered = [None, *layers] if with_none else list(layers)
    combo.addItems([NONE if layer is None else str(layer.name) for layer in offered])
    combo.setCurrentIndex(offered.index(wanted) if wanted in offered else 0)
