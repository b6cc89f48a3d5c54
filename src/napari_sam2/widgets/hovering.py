"""What a click would give, shown around the mouse before it is made.

The worker is asked for one place at a time, the latest, and only when it has nothing
else to do; nothing of it is kept but the lines in a layer of their own.
"""

from __future__ import annotations

import logging
import time
import weakref
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, QTimer

from napari_sam2.widgets.colours import object_colour
from napari_sam2.widgets.engine import Request
from napari_sam2.widgets.prompt_layers import NEGATIVE_MODIFIERS
from napari_sam2.widgets.prompt_making import NEGATIVE_LINE, line_width
from napari_sam2.widgets.target import TargetError, current_index

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Shapes
    from napari.viewer import Viewer
    from numpy.typing import NDArray

    from napari_sam2.widgets.desk import Desk
    from napari_sam2.widgets.following import Following
    from napari_sam2.widgets.picture import Picture

    Lines = list[NDArray[np.float64]]

logger = logging.getLogger(__name__)

HOVER = "hover"
PAUSE_MILLISECONDS, REST_MILLISECONDS, BUSY_MILLISECONDS = 40, 300, 200
SHARE = 1.5  # of the time that an answer took, to wait before the next question
OPACITY, LINE_SHARE = 0.75, 0.6


@dataclass(frozen=True, kw_only=True)
class Spot:
    """Where the mouse is, and what a click there would say.

    Attributes
    ----------
    object_id, frame_idx : int
        Of which cell, in which frame.
    point : (y, x)
        Pixels, centres at integers.
    label : int
        1 on the cell, 0 beside it.
    """

    object_id: int
    frame_idx: int
    point: tuple[float, float]
    label: int


class Hovering(QObject):
    """Shows what a click would give, while it is switched on.

    Parameters
    ----------
    viewer : Viewer
        Whose mouse is followed.
    desk : Desk
        What the panel's parts share.
    following : Following
        While it runs, nothing is shown.
    """

    def __init__(self, viewer: Viewer, desk: Desk, following: Following) -> None:
        super().__init__()
        self._viewer, self._desk, self._following = viewer, desk, following
        self._layer: Shapes | None = None
        self._image: Picture | None = None
        self._wanted: Spot | None = None
        self._asked: Spot | None = None
        self._pause = PAUSE_MILLISECONDS
        self._timer = _one_shot(self, self._ask)
        self._rest = _one_shot(self, partial(self._ask, afresh=True))
        # The viewer must not keep the panel alive.
        self._on_move = _weakly(self._moved)
        self._on_press = _weakly(self._pressed)
        self.on = self._adding = False

    def switch(self, on: bool) -> None:
        """Begin or end to show what clicks would give."""
        if on == self.on:
            return
        self.on = on
        viewer = self._viewer
        if on:
            viewer.mouse_move_callbacks.append(self._on_move)
            viewer.mouse_drag_callbacks.append(self._on_press)
            viewer.events.mouse_over_canvas.connect(self._crossed)
            viewer.dims.events.current_step.connect(self.clear)
            self._desk.cells_changed.connect(self.clear)
            return
        self.clear()
        viewer.mouse_move_callbacks.remove(self._on_move)
        viewer.mouse_drag_callbacks.remove(self._on_press)
        viewer.events.mouse_over_canvas.disconnect(self._crossed)
        viewer.dims.events.current_step.disconnect(self.clear)
        self._desk.cells_changed.disconnect(self.clear)
        self._drop_layer()

    def clear(self, _event: Any = None) -> None:
        """Show nothing until the mouse moves again."""
        if self._adding:
            return
        self._wanted = None
        self._timer.stop()
        self._rest.stop()
        self._hide()

    def _hide(self) -> None:
        if self._layer is not None and self._layer.visible:
            self._layer.visible = False

    def _moved(self, _viewer: Any, event: Any) -> None:
        spot = self._spot(event)
        if spot is None:
            self.clear()
        elif spot != self._wanted:
            self._wanted = spot
            self._rest.stop()
            if not self._timer.isActive():
                self._timer.start(self._pause)

    def _crossed(self, _event: Any = None) -> None:
        if not self._viewer.mouse_over_canvas:
            self.clear()

    def _pressed(self, _viewer: Any, _event: Any) -> None:
        self.clear()

    def _spot(self, event: Any) -> Spot | None:
        """Return what a click at the mouse would say; None if nothing."""
        place = self._desk.place
        if place is None or place.prompts.tool != "click" or self._following.run:
            return None
        if place.why_not_clickable() is not None:
            return None
        at = [float(x) for x in place.picture.world_to_data(event.position)]
        here = current_index(place.picture, self._viewer)[:-2]
        target = place.last_target
        if target is None or not target.holds([*here, *at[-2:]]):
            return None
        negative = not place.prompts.positive
        negative |= bool(NEGATIVE_MODIFIERS.intersection(event.modifiers))
        new = "Shift" in event.modifiers
        return Spot(
            object_id=place.cells.next_free() if new else place.object_id,
            frame_idx=place.here,
            point=(at[-2], at[-1]),
            label=int(not negative),
        )

    def _ask(self, *, afresh: bool = False) -> None:
        """Ask for the latest place, unless an answer is still to come."""
        spot, place, desk = self._wanted, self._desk.place, self._desk
        if spot is None or place is None or self._asked is not None:
            return
        if self._following.run is not None:
            self.clear()
            return
        if desk.worker.busy:
            self._timer.start(BUSY_MILLISECONDS)
            return
        try:
            target = place.shown_target()
        except TargetError:
            self.clear()  # a click would say why
            return
        request = Request(
            model=desk.models.choice,
            target=target,
            prompts=place.prompts.collect(target),
        )
        work = partial(
            desk.engine.suppose,
            request,
            spot.object_id,
            spot.frame_idx,
            spot.point,
            spot.label,
            afresh=afresh,
        )
        self._asked = spot
        desk.submit(
            HOVER,
            work,
            on_done=partial(
                self._answered, place.picture, time.monotonic(), last=afresh
            ),
            on_error=self._failed,
        )

    def _answered(
        self, image: Picture, began: float, lines: Lines | None, *, last: bool
    ) -> None:
        """Show an answer if it is still wanted, and ask for where the mouse is now.

        An answer may be that the frame has to be looked at; that is done when the
        mouse rests, unless this was the `last` attempt.
        """
        took = 1000 * (time.monotonic() - began)
        self._pause = int(max(PAUSE_MILLISECONDS, SHARE * took))
        spot, self._asked = self._asked, None
        wanted = self._wanted
        if wanted is None or spot is None:
            return
        if lines is None and wanted == spot and not last:
            self._rest.start(REST_MILLISECONDS)
        same = (wanted.object_id, wanted.frame_idx, wanted.label) == (
            spot.object_id,
            spot.frame_idx,
            spot.label,
        )
        if lines and same:
            self._draw(image, spot, lines)
        else:
            self._hide()
        if wanted != spot:
            self._timer.start(self._pause)

    def _failed(self, error: Exception) -> None:
        """Show nothing: a click there would say what is wrong."""
        logger.debug("no preview: %s", error)
        self._asked = None
        self._hide()

    def _draw(self, image: Picture, spot: Spot, lines: Lines) -> None:
        if image != self._image:
            self._drop_layer()
            self._image = image
        where = list(current_index(image, self._viewer)[:-2])
        paths = [
            np.column_stack([np.tile(where, (len(line), 1)), line]) for line in lines
        ]
        layer = self._shown_layer(image)
        colour = object_colour(spot.object_id) if spot.label else NEGATIVE_LINE
        layer.data = [(path, "path") for path in paths]
        layer.edge_color = [colour] * len(paths)
        layer.edge_width = LINE_SHARE * line_width(image)
        layer.visible = True

    def _shown_layer(self, image: Picture) -> Shapes:
        """Return the layer of the lines, in the viewer; all else stays as it is."""
        viewer = self._viewer
        if self._layer is not None and self._layer in viewer.layers:
            return self._layer
        active, said = viewer.layers.selection.active, self._desk.panel.status.text()
        self._adding = True
        try:
            self._layer = viewer.add_shapes(
                None,
                ndim=image.ndim,
                name=f"{image.name} preview",
                face_color="transparent",
                opacity=OPACITY,
                **image.placement(),
            )
            viewer.layers.selection.active = active
        finally:
            self._adding = False
        self._desk.say(said)
        return self._layer

    def _drop_layer(self) -> None:
        if self._layer is not None and self._layer in self._viewer.layers:
            self._viewer.layers.remove(self._layer)
        self._layer = self._image = None


def _one_shot(parent: QObject, what: Callable[[], None]) -> QTimer:
    timer = QTimer(parent)
    timer.setSingleShot(True)
    timer.timeout.connect(what)
    return timer


def _weakly(method: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    """Return a function that calls a method as long as its object is there."""
    known = weakref.WeakMethod(method)

    def call(owner: Any, event: Any) -> None:
        found = known()
        if found is not None:
            found(owner, event)

    return call
