"""The layers a user prompts in: clicks are points, boxes are rectangles.

Each point and rectangle carries its object, its sign and its place in the order of
giving as features of the layer; so moving, deleting and undoing need no bookkeeping.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Points, Shapes
from qtpy.QtCore import QTimer

from napari_sam2.widgets import messages
from napari_sam2.widgets.colours import object_colour
from napari_sam2.widgets.engine import FramePrompts, PromptKey
from napari_sam2.widgets.prompt_geometry import (
    Put,
    box_is_usable,
    box_of,
    boxes_to_put,
    click_is_usable,
    clicks_to_put,
    clipped,
)
from napari_sam2.widgets.prompt_making import (
    NEGATIVE_SYMBOL,
    OBJECT,
    ORDER,
    POSITIVE_SYMBOL,
    SIGN,
    make_boxes,
    make_points,
)
from napari_sam2.widgets.prompt_sync import rounded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from napari.layers import Image, Layer
    from napari.viewer import Viewer

    from napari_sam2.widgets.target import Target

NEGATIVE_MODIFIERS = frozenset({"Control", "Alt"})
_UNFINISHED = ("adding", "removing", "changing")
Prompts = dict[PromptKey, FramePrompts]


class PromptLayers:
    """The Points and Shapes layers of one image.

    Parameters
    ----------
    viewer : Viewer
        Gets the layers.
    image : Image
        What is clicked on.
    on_change : callable
        Called after the user added, moved or removed a prompt.
    on_new_object : callable
        Called when a click asks for a new object (Shift), before it is placed.

    Attributes
    ----------
    points : Points
        The clicks.
    boxes : Shapes or None
        The rectangles, once the box tool was used.
    object_id : int
        Object that the next prompt belongs to.
    positive : bool
        Whether the next click says "this belongs to it".
    """

    def __init__(
        self,
        viewer: Viewer,
        image: Image,
        *,
        on_change: Callable[[], None],
        on_new_object: Callable[[], None],
    ) -> None:
        self._viewer, self._image = viewer, image
        self._on_change, self._on_new_object = on_change, on_new_object
        self._busy = False
        self._count = 0
        self._object_id, self._positive = 1, True
        self._once_negative = False
        self._hidden: set[int] = set()
        self.boxes: Shapes | None = None
        self.points: Points = self._make_points()

    @property
    def object_id(self) -> int:
        """Object that the next prompt belongs to."""
        return self._object_id

    @object_id.setter
    def object_id(self, value: int) -> None:
        self._object_id = value
        self._set_defaults()

    @property
    def positive(self) -> bool:
        """Whether the next click says "this belongs to it"."""
        return self._positive

    @positive.setter
    def positive(self, value: bool) -> None:
        self._positive = value
        self._set_defaults()

    @property
    def layers(self) -> list[Layer]:
        """The layers; they keep their prompts if the user removes them."""
        return [self.points] + ([self.boxes] if self.boxes is not None else [])

    @property
    def count(self) -> int:
        """How many changes there were; the next prompt's place in the order."""
        return self._count

    @property
    def empty(self) -> bool:
        """Whether nothing was prompted yet."""
        return not any(len(layer.data) for layer in self.layers)

    def collect(self, target: Target) -> Prompts:
        """Gather the prompts for a stack, by object and frame.

        Clicks and boxes outside it, or at other positions of the axes that are held,
        are left out; of several boxes on one object in one frame the last counts.
        """
        clicks: dict[PromptKey, list[tuple[tuple[float, float], int]]]
        clicks = defaultdict(list)
        boxes: dict[PromptKey, tuple[float, float, float, float]] = {}
        for layer in self.layers:
            is_box = isinstance(layer, Shapes)
            for row, vertices in enumerate(layer.data):
                inside = self._in_image(layer, np.atleast_2d(vertices))
                place: Any = clipped(inside[0], target) if is_box else inside[0]
                frame = target.frame_of(place)
                if frame is None:
                    continue
                key = (int(layer.features[OBJECT][row]), frame)
                if is_box:
                    y, x, y2, x2 = map(rounded, box_of(inside, target))
                    boxes[key] = (y, x, y2, x2)
                else:
                    y, x = (rounded(v) for v in inside[0, -2:])
                    clicks[key].append(((y, x), int(layer.features[SIGN][row])))
        return {
            key: FramePrompts(
                points=tuple(point for point, _ in clicks.get(key, ())),
                labels=tuple(sign for _, sign in clicks.get(key, ())),
                box=boxes.get(key),
            )
            for key in sorted({*clicks, *boxes})
        }

    def drop_unusable(self, target: Target) -> str | None:
        """Remove clicks that hit no pixel and boxes around none; say which."""
        reason: str | None = None
        for layer in self.layers:
            is_box = isinstance(layer, Shapes)
            usable = box_is_usable if is_box else click_is_usable
            rows = [
                row
                for row, vertices in enumerate(layer.data)
                if not usable(self._in_image(layer, np.atleast_2d(vertices)), target)
            ]
            if rows:
                reason = messages.BAD_BOX if is_box else messages.OUTSIDE
                self._busy = True
                try:
                    self._remove_rows(layer, rows)
                finally:
                    self._busy = False
        return reason

    def click(self, position: Sequence[float], *, positive: bool = True) -> None:
        """Click as the user would, at a position in the image's data."""
        was = self._positive
        self.positive = positive
        self.points.add(
            self.points.world_to_data(self._image.data_to_world(position)),
        )
        self.positive = was

    def show(
        self, prompts: Mapping[PromptKey, FramePrompts], target: Target, *, since: int
    ) -> bool:
        """Have these prompts in a stack, and none but those given later.

        Parameters
        ----------
        prompts : mapping of (object_id, frame_idx) to FramePrompts
            All clicks and boxes in the stack.
        target : Target
            The stack; prompts elsewhere stay.
        since : int
            What `count` was when these were all there were; later ones stay.

        Returns
        -------
        bool
            Whether there are later ones.
        """
        later = [
            any(int(order) >= since for order in layer.features[ORDER])
            for layer in self.layers
        ]
        if not any(later) and self.collect(target) == prompts:
            return False
        self._busy = True
        try:
            boxes = boxes_to_put(prompts, target)
            self._refill(self.points, clicks_to_put(prompts, target), target, since)
            if boxes and self.boxes is None:
                active = self._viewer.layers.selection.active
                self.boxes = self._make_boxes()
                self._viewer.layers.selection.active = active
            if self.boxes is not None:
                self._refill(self.boxes, boxes, target, since)
            self._count += 1
            self._set_defaults()
        finally:
            self._busy = False
        return any(later)

    def hide(self, object_ids: set[int]) -> None:
        """Show the clicks of all objects but these."""
        if object_ids != self._hidden:
            self._hidden = set(object_ids)
            self._paint(self.points)

    def changed(self) -> None:
        """Let the engine be told of what is in the layers."""
        self._on_change()

    def _refill(
        self, layer: Layer, given: list[Put], target: Target, since: int
    ) -> None:
        """Put prompts into a layer in place of its own in a stack, all at once."""
        is_box = isinstance(layer, Shapes)
        elsewhere, later = [], []
        for row, vertices in enumerate(layer.data):
            inside = self._in_image(layer, np.atleast_2d(vertices))
            place: Any = clipped(inside[0], target) if is_box else inside[0]
            object_id, sign, order = (
                int(layer.features[name][row]) for name in (OBJECT, SIGN, ORDER)
            )
            kept = Put(object_id, sign, inside)
            if target.frame_of(place) is None:
                elsewhere.append((kept, order))
            elif order >= since:
                later.append((kept, order))
        rows = [*elsewhere, *((put, self._count) for put in given), *later]
        data = [self._in_layer(layer, put.vertices) for put, _ in rows]
        if is_box:
            layer.selected_data = set(range(len(layer.data)))
            layer.remove_selected()
            if data:
                layer.add(data, shape_type="rectangle")
        else:
            empty = np.empty((0, self._image.ndim))
            layer.data = np.concatenate([empty, *data])
        layer.features = {
            OBJECT: np.array([put.object_id for put, _ in rows], int),
            SIGN: [put.sign for put, _ in rows],
            ORDER: [order for _, order in rows],
        }
        self._paint(layer)
        layer.selected_data = set()

    def _in_layer(self, layer: Layer, vertices: np.ndarray) -> np.ndarray:
        """Bring (N, D) positions in the image's data to a layer's."""
        world = (self._image.data_to_world(vertex) for vertex in vertices)
        return np.array([layer.world_to_data(point) for point in world])

    def start_clicking(self) -> None:
        """Select the Points layer and make a mouse click a prompt."""
        if self.points not in self._viewer.layers:
            self._viewer.add_layer(self.points)
        self._viewer.layers.selection.active = self.points
        self.points.mode = "add"

    def start_boxing(self) -> None:
        """Select the Shapes layer and make a mouse drag a box."""
        if self.boxes is None:
            self.boxes = self._make_boxes()
        elif self.boxes not in self._viewer.layers:
            self._viewer.add_layer(self.boxes)
        self._viewer.layers.selection.active = self.boxes
        self.boxes.mode = "add_rectangle"

    def undo(self) -> bool:
        """Take back the last prompt that was given; say whether there was one."""
        newest: tuple[int, int, Layer] | None = None
        for layer in self.layers:
            for row, order in enumerate(layer.features[ORDER]):
                if newest is None or int(order) > newest[0]:
                    newest = (int(order), row, layer)
        if newest is None:
            return False
        self._remove_rows(newest[2], [newest[1]])
        return True

    def remove(self) -> None:
        """Take the layers out of the viewer."""
        for layer in self.layers:
            if layer in self._viewer.layers:
                self._viewer.layers.remove(layer)

    def disconnect(self) -> None:
        """Listen to the layers no longer; they stay as ordinary ones."""
        self._busy = True
        self.points.events.data.disconnect(self._changed)
        if self._press in self.points.mouse_drag_callbacks:
            self.points.mouse_drag_callbacks.remove(self._press)
        if self.boxes is not None:
            self.boxes.events.data.disconnect(self._changed)

    def _make_points(self) -> Points:
        layer = make_points(self._viewer, self._image)
        layer.mouse_drag_callbacks.append(self._press)
        layer.events.data.connect(self._changed)
        self._set_defaults_of(layer)
        return layer

    def _make_boxes(self) -> Shapes:
        layer = make_boxes(self._viewer, self._image)
        layer.events.data.connect(self._changed)
        self._set_defaults_of(layer)
        return layer

    def _set_defaults(self) -> None:
        for layer in self.layers:
            self._set_defaults_of(layer)

    def _set_defaults_of(self, layer: Layer) -> None:
        sign = self._positive and not self._once_negative
        layer.feature_defaults = {
            OBJECT: self._object_id,
            SIGN: int(sign),
            ORDER: self._count,
        }

    def _press(self, _layer: Layer, event: Any) -> None:
        """Read the modifiers of a click that napari is about to make a point."""
        self._once_negative = bool(NEGATIVE_MODIFIERS.intersection(event.modifiers))
        if "Shift" in event.modifiers:
            self._on_new_object()
        self._set_defaults()

    def _changed(self, event: Any) -> None:
        """Follow the user's adding, moving and removing."""
        action = getattr(event, "action", None)
        if self._busy or getattr(action, "value", action) in _UNFINISHED:
            return
        self._busy = True
        try:
            self._count += 1
            self._once_negative = False
            self._set_defaults()
            self._paint(event.source)
            if getattr(action, "value", action) == "added":
                # napari selects what was added, and its highlight hides the sign.
                QTimer.singleShot(0, event.source.selected_data.clear)
        finally:
            self._busy = False
        self._on_change()

    def _paint(self, layer: Layer) -> None:
        """Colour prompts by object, draw negative clicks as crosses."""
        colours = np.array([object_colour(int(i)) for i in layer.features[OBJECT]])
        if not len(colours):
            return
        if isinstance(layer, Shapes):
            layer.edge_color = colours
            return
        signs = layer.features[SIGN]
        layer.face_color = colours
        layer.shown = [int(i) not in self._hidden for i in layer.features[OBJECT]]
        layer.symbol = [POSITIVE_SYMBOL if s else NEGATIVE_SYMBOL for s in signs]

    def _remove_rows(self, layer: Layer, rows: list[int]) -> None:
        layer.selected_data = set(rows)
        layer.remove_selected()

    def _in_image(self, layer: Layer, vertices: np.ndarray) -> np.ndarray:
        """Bring (N, D) positions in a layer's data to the image's data."""
        world = (layer.data_to_world(vertex) for vertex in vertices)
        return np.array([self._image.world_to_data(point) for point in world])
