"""The layers a user prompts in: clicks are points, all that is drawn are shapes.

Each point and shape carries its object, its sign and its place in the order of giving
as features of the layer; so moving, deleting and undoing need no bookkeeping.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer

from napari_sam2.widgets.prompt_geometry import cuts, gather, to_draw, unusable
from napari_sam2.widgets.prompt_making import (
    OBJECT,
    ORDER,
    SIGN,
    TOOLS,
    UNFINISHED_IN,
    make_points,
    make_shapes,
    paint_prompts,
    put_prompts,
    read_prompts,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from napari.layers import Layer, Points, Shapes
    from napari.viewer import Viewer

    from napari_sam2.widgets.frame_prompts import FramePrompts, PromptKey
    from napari_sam2.widgets.picture import Picture
    from napari_sam2.widgets.prompt_geometry import Drawn
    from napari_sam2.widgets.target import Target

NEGATIVE_MODIFIERS = frozenset({"Control", "Alt"})
_UNFINISHED = ("adding", "removing", "changing")


class PromptLayers:
    """The Points and Shapes layers of one image.

    Parameters
    ----------
    viewer : Viewer
        Gets the layers.
    image : Picture
        What is clicked on.
    on_change : callable
        Called after the user added, moved or removed a prompt.
    on_new_object : callable
        Called when a press asks for a new object (Shift), before it is placed.
    on_tool : callable
        Called when another tool of a layer was taken.

    Attributes
    ----------
    points : Points
        The clicks.
    shapes : Shapes or None
        Boxes, scribbles and outlines, once one of these tools was used.
    object_id : int
        Object that the next prompt belongs to.
    positive : bool
        Whether the next click says "this belongs to it".
    """

    def __init__(
        self,
        viewer: Viewer,
        image: Picture,
        *,
        on_change: Callable[[], None],
        on_new_object: Callable[[], None],
        on_tool: Callable[[], None],
    ) -> None:
        self._viewer, self._image = viewer, image
        self._on_change, self._on_new_object = on_change, on_new_object
        self._on_tool_taken = on_tool
        self._busy = False
        self._count = 0
        self._object_id, self._positive = 1, True
        self._once_negative = False
        self._hidden: set[int] = set()
        # The mode in which a shape is being drawn, and how many there were before.
        self._drawing: tuple[str, int] | None = None
        self.shapes: Shapes | None = None
        self.points: Points = make_points(viewer, image)
        self._connect(self.points)

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
        return [self.points] + ([self.shapes] if self.shapes is not None else [])

    @property
    def tool(self) -> str | None:
        """The tool of `TOOLS` that the selected layer has in hand, if it is ours."""
        active = self._viewer.layers.selection.active
        mine = next((layer for layer in self.layers if layer == active), None)
        return None if mine is None else TOOLS.get(str(mine.mode))

    @property
    def count(self) -> int:
        """How many changes there were; the next prompt's place in the order."""
        return self._count

    @property
    def empty(self) -> bool:
        """Whether nothing was prompted yet."""
        return not any(len(layer.data) for layer in self.layers)

    def collect(self, target: Target) -> dict[PromptKey, FramePrompts]:
        """Gather the prompts for a stack, by object and frame; see `gather`."""
        return gather((d for layer in self.layers for d in self._drawn(layer)), target)

    def drop_unusable(self, target: Target) -> str | None:
        """Remove prompts that cannot be used; say why, where that is not plain."""
        reason: str | None = None
        for layer in self.layers:
            for why in unusable(self._drawn(layer), target).values():
                reason = why or reason
            self._drop(layer, unusable, target)
        return reason

    def take_cuts(self, target: Target) -> dict[PromptKey, list[Drawn]]:
        """Take out the outlines that take away from no other outline, see `cuts`."""
        found: dict[PromptKey, list[Drawn]] = defaultdict(list)
        if self.shapes is not None:
            drawn = self._drawn(self.shapes)
            for row, key in cuts(drawn, target).items():
                found[key].append(drawn[row])
            self._drop(self.shapes, cuts, target)
        return found

    def _drop(
        self,
        layer: Layer,
        which: Callable[[list[Drawn], Target], Mapping[int, Any]],
        target: Target,
    ) -> None:
        """Remove prompts, when napari has finished with what is being drawn."""

        def drop() -> None:
            self._remove_quietly(layer, [*which(self._drawn(layer), target)])

        if layer.mode not in UNFINISHED_IN:
            drop()
        elif which(self._drawn(layer), target):
            QTimer.singleShot(0, drop)

    def drop_outlines(self, keys: Collection[PromptKey], target: Target) -> None:
        """Remove the outlines of objects in frames: they were painted over."""
        if self.shapes is not None:
            drawn = enumerate(self._drawn(self.shapes))
            given = [(i, one) for i, one in drawn if one.is_outline]
            rows = [i for i, o in given if (o.object_id, o.frame(target)) in keys]
            self._remove_quietly(self.shapes, rows)

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
            All clicks and drawings in the stack.
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
            given = to_draw(prompts, target)
            clicks = [drawn for drawn in given if drawn.kind == "click"]
            shapes = [drawn for drawn in given if drawn.kind != "click"]
            self._refill(self.points, clicks, target, since)
            if shapes and self.shapes is None:
                active = self._viewer.layers.selection.active
                self.shapes = self._make_shapes()
                self._viewer.layers.selection.active = active
            if self.shapes is not None:
                self._refill(self.shapes, shapes, target, since)
            self._count += 1
            self._set_defaults()
        finally:
            self._busy = False
        return any(later)

    def hide(self, object_ids: set[int]) -> None:
        """Show the prompts of all objects but these."""
        if object_ids != self._hidden:
            self._hidden = set(object_ids)
            for layer in self.layers:
                paint_prompts(layer, self._hidden)

    def changed(self) -> None:
        """Let the engine be told of what is in the layers."""
        self._on_change()

    def _refill(
        self, layer: Layer, given: list[Drawn], target: Target, since: int
    ) -> None:
        """Put prompts into a layer in place of its own in a stack, all at once."""
        elsewhere, later = [], []
        orders = [int(order) for order in layer.features[ORDER]]
        for drawn, order in zip(self._drawn(layer), orders, strict=False):
            if drawn.frame(target) is None:
                elsewhere.append((drawn, order))
            elif order >= since:
                later.append((drawn, order))
        rows = [*elsewhere, *((drawn, self._count) for drawn in given), *later]
        put_prompts(layer, self._image, rows)
        if layer == self.shapes:
            self._drawing = None
        paint_prompts(layer, self._hidden)
        layer.selected_data = set()

    def _drawn(self, layer: Layer) -> list[Drawn]:
        """Read what is in a layer, without what is being drawn just now."""
        found = read_prompts(layer, self._image)
        if self._drawing is not None and layer == self.shapes:
            return found[: self._drawing[1]]
        return found

    def take_tool(self, tool: str) -> None:
        """Select the layer that a tool of `TOOLS` needs, and put the tool in hand."""
        if self._drawing is not None and self.shapes is not None:
            self.shapes.mode = "pan_zoom"  # ends what is being drawn
        layer: Layer = self.points
        if tool != "click":
            layer = self.shapes = self.shapes or self._make_shapes()
        if layer not in self._viewer.layers:
            self._viewer.add_layer(layer)
        self._viewer.layers.selection.active = layer
        layer.mode = next(mode for mode, name in TOOLS.items() if name == tool)

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
        for layer in self.layers:
            layer.events.data.disconnect(self._changed)
            layer.events.mode.disconnect(self._on_tool)
            if self._press in layer.mouse_drag_callbacks:
                layer.mouse_drag_callbacks.remove(self._press)

    def _make_shapes(self) -> Shapes:
        layer = make_shapes(self._viewer, self._image)
        self._connect(layer)
        return layer

    def _connect(self, layer: Layer) -> None:
        layer.mouse_drag_callbacks.append(self._press)
        layer.events.data.connect(self._changed)
        layer.events.mode.connect(self._on_tool)
        self._set_defaults_of(layer)

    def _on_tool(self, _event: Any = None) -> None:
        if not self._busy:
            self._set_defaults()
            self._on_tool_taken()

    def _set_defaults(self) -> None:
        for layer in self.layers:
            self._set_defaults_of(layer)

    def _set_defaults_of(self, layer: Layer) -> None:
        sign = self._positive and not self._once_negative
        if TOOLS.get(str(layer.mode)) == "box":
            sign = True  # there is no other side to it
        layer.feature_defaults = {
            OBJECT: self._object_id,
            SIGN: int(sign),
            ORDER: self._count,
        }

    def _press(self, layer: Layer, event: Any) -> None:
        """Read the modifiers of a press that napari is about to make a prompt."""
        if layer.mode not in TOOLS:
            return
        self._once_negative = bool(NEGATIVE_MODIFIERS.intersection(event.modifiers))
        if "Shift" in event.modifiers:
            self._on_new_object()
        self._set_defaults()

    def _changed(self, event: Any) -> None:
        """Follow the user's adding, moving and removing."""
        layer, action = event.source, getattr(event, "action", None)
        action = getattr(action, "value", action)
        if action == "adding" and layer.mode in UNFINISHED_IN:
            self._drawing = str(layer.mode), len(layer.data)
        if self._busy or action in _UNFINISHED:
            return
        if self._drawing is not None and layer == self.shapes:
            if layer.mode != self._drawing[0]:  # another tool was taken meanwhile
                QTimer.singleShot(0, self._abandon_drawing)
                return
            self._drawing = None
        self._busy = True
        try:
            if len(layer.features) > len(layer.data):
                # napari removes a shape that came to nothing, but not its features.
                gone = [i % len(layer.features) for i in event.data_indices]
                kept = layer.features.drop(layer.features.index[gone])
                layer.features = kept.reset_index(drop=True)
            self._count += 1
            self._once_negative = False
            self._set_defaults()
            paint_prompts(layer, self._hidden)
            if action == "added":
                # napari selects what was added, and its highlight hides the sign.
                QTimer.singleShot(0, layer.selected_data.clear)
        finally:
            self._busy = False
        self._on_change()

    def _abandon_drawing(self) -> None:
        """Take away a shape that was begun and left."""
        if self._drawing is None or self.shapes is None:
            return
        (_, before), self._drawing = self._drawing, None
        self._remove_quietly(self.shapes, [*range(before, len(self.shapes.data))])
        self.shapes.features = self.shapes.features.iloc[:before]

    def _remove_quietly(self, layer: Layer, rows: list[int]) -> None:
        busy, self._busy = self._busy, True
        try:
            if rows:
                self._remove_rows(layer, rows)
        finally:
            self._busy = busy

    def _remove_rows(self, layer: Layer, rows: list[int]) -> None:
        layer.selected_data = set(rows)
        layer.remove_selected()
