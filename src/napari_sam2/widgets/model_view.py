"""What the model sees, laid over the frame the user looks at."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image
from qtpy.QtCore import QObject

from napari_sam2.widgets import console_lines, messages
from napari_sam2.widgets.engine import Request
from napari_sam2.widgets.target import TargetError

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_sam2.tracking.results import Seen
    from napari_sam2.widgets.desk import Desk
    from napari_sam2.widgets.target import Target
    from napari_sam2.widgets.workplace import Workplace

SEEN = "seen"
NAME = "what the model sees"


class ModelView(QObject):
    """An Image layer with the picture that goes into the network.

    Parameters
    ----------
    viewer : Viewer
        Gets the layer, right above the image.
    desk : Desk
        What the panel's parts share.
    on_layer : callable
        Called with the layer before it is put into the viewer.

    Attributes
    ----------
    layer : Image or None
        While the box is ticked and the picture is there.
    """

    def __init__(
        self, viewer: Viewer, desk: Desk, on_layer: Callable[[Layer], None]
    ) -> None:
        super().__init__()
        self._viewer, self._desk, self._on_layer = viewer, desk, on_layer
        self._box = desk.panel.further.seen
        self._place: Workplace | None = None
        self.layer: Image | None = None
        self._box.toggled.connect(self._toggled)
        viewer.dims.events.current_step.connect(self.update)
        desk.opened.connect(self.update)
        desk.cells_changed.connect(self.update)

    def use(self, place: Workplace | None) -> None:
        """Turn to another image, or to none."""
        if place is not self._place:
            self._remove()
        self._place = place

    def update(self, _event: Any = None) -> None:
        """Ask for the picture of the frame and the cell that are chosen."""
        desk, place = self._desk, self._place
        if not self._box.isChecked() or place is None or not desk.models.info.here:
            return
        try:
            target = place.shown_target()
        except TargetError:
            self._remove()  # the sliders stand where there is no picture
            return
        request = Request(model=desk.models.choice, target=target)
        frame = place.here
        desk.submit(
            SEEN,
            partial(desk.engine.seen, request, frame, place.object_id),
            on_done=partial(self._show, place, target, frame),
        )

    def layer_removed(self, layer: Layer) -> None:
        """Show nothing any more if the user took the layer away."""
        if self.layer is not None and layer == self.layer:
            self.layer = None
            self._box.setChecked(False)

    def close(self) -> None:
        """Take the layer away and listen to nothing any more."""
        self._viewer.dims.events.current_step.disconnect(self.update)
        self._place = None
        self._remove()

    def _toggled(self, ticked: bool) -> None:
        if ticked:
            self.update()
            if self._place is not None:
                here, object_id = self._place.here, self._place.object_id
                self._desk.console(console_lines.seen_line(object_id, here))
        else:
            self._remove()

    def _show(self, place: Workplace, target: Target, frame: int, seen: Seen) -> None:
        """Lay the picture where it belongs: on this frame, and in no other."""
        if place is not self._place or not self._box.isChecked():
            return
        size = np.array(seen.picture.shape[:2]) / seen.shape  # pixels of one pixel
        step = np.ones(place.picture.ndim)
        step[-2:] = 1 / size
        first = np.array([*target.index(frame), *seen.corner], np.float64)
        first[-2:] += (step[-2:] - 1) / 2
        where = place.picture.placement(step, first)
        data = seen.picture.reshape(
            (1,) * (place.picture.ndim - 2) + seen.picture.shape
        )
        if self.layer is None:
            self.layer = Image(data, name=NAME, rgb=True, **where)
            self._on_layer(self.layer)
            self._insert(self.layer, place)
            whole = seen.shape == target.shape[-2:]
            self._desk.say(messages.seen(seen, place.object_id, whole=whole))
        else:
            self.layer.data = data
            self.layer.scale, self.layer.translate = where["scale"], where["translate"]

    def _insert(self, layer: Image, place: Workplace) -> None:
        """Put the layer right above its image; the tool stays in hand."""
        layers = self._viewer.layers
        active = layers.selection.active
        layers.insert(place.picture.above(self._viewer), layer)
        layers.selection.active = active

    def _remove(self) -> None:
        layer, self.layer = self.layer, None
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)
