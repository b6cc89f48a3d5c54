"""The Labels layer that fills: shown sparingly, followed in its selected label."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_sam2.widgets.colours import colours_without, label_colours

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from napari.layers import Labels, Layer
    from napari.viewer import Viewer

    from napari_sam2.widgets.picture import Picture

LEVEL = "napari_sam2_level"
"""The metadata that says which resolution of a multiscale image labels belong to."""


class ResultLayer:
    """The labels of one image.

    Parameters
    ----------
    viewer : Viewer
        Gets the layer.
    image : Picture
        What the labels lie on: scale, translate, units and axis labels are copied.
        If it has several resolutions, the layer's name and metadata say which it is.
    array : ndarray or zarr.Array
        The labels, of the image's shape without colours; shared with the engine.
    on_selected : callable
        Called with the object when the user selects another label.
    on_painted : callable
        Called when the user painted, filled or erased.
    """

    def __init__(
        self,
        viewer: Viewer,
        image: Picture,
        array: Any,
        *,
        on_selected: Callable[[int], None],
        on_painted: Callable[[], None],
    ) -> None:
        self._viewer = viewer
        self._on_selected, self._on_painted = on_selected, on_painted
        self._busy = False
        self._coloured: tuple[frozenset[int], tuple[int, ...]] = (frozenset(), ())
        before = viewer.layers.selection.active
        self.array, level = array, image.known_level
        self.layer: Labels = viewer.add_labels(
            array,
            name=f"{image.name} objects" + (f", level {level}" if level else ""),
            metadata={} if level is None else {LEVEL: level},
            colormap=label_colours(),
            opacity=0.55,
            **image.placement(),
        )
        self._image = image
        self._put_under_clicks(before)
        self.layer.events.selected_label.connect(self._selected)
        self.layer.events.paint.connect(self._painted)

    @property
    def shown(self) -> bool:
        """Whether the layer is still in the viewer."""
        return self.layer in self._viewer.layers

    def show_again(self) -> None:
        """Put the layer back after the user removed it."""
        before = self._viewer.layers.selection.active
        self._viewer.add_layer(self.layer)
        self._put_under_clicks(before)

    def select(self, object_id: int) -> None:
        """Make `object_id` the label that painting uses."""
        self._busy = True
        try:
            self.layer.selected_label = object_id
        finally:
            self._busy = False

    def hide(self, hidden: Collection[int], object_ids: Collection[int]) -> None:
        """Leave objects out of the picture; all others are shown."""
        wanted = frozenset(hidden), tuple(object_ids) if hidden else ()
        if wanted != self._coloured:
            self._coloured = wanted
            self.layer.colormap = colours_without(hidden, object_ids)

    def start_painting(self) -> None:
        """Select the layer and make the mouse a brush."""
        self._viewer.layers.selection.active = self.layer
        self.layer.mode = "paint"

    def refresh(self) -> None:
        """Draw what is visible again; nothing else is looked at."""
        if self.shown:
            self.layer.refresh(thumbnail=False, extent=False, highlight=False)

    def forget_paint_history(self) -> None:
        """Let napari's undo not bring back pixels the engine has written over."""
        if self.layer.editable:
            mode = self.layer.mode
            self.layer.editable = False
            self.layer.editable = True
            self.layer.mode = mode

    def disconnect(self) -> None:
        """Listen to the layer no longer; it stays, with what was found."""
        self._busy = True
        self.layer.events.selected_label.disconnect(self._selected)
        self.layer.events.paint.disconnect(self._painted)

    def rise(self) -> None:
        """Lie above all colours of the image."""
        if self.shown:
            layers = self._viewer.layers
            here, above = layers.index(self.layer), self._image.above(self._viewer)
            if here < above:
                layers.move(here, above)

    def _put_under_clicks(self, active: Layer | None) -> None:
        """Move the layer right above its image; the tool stays in hand."""
        layers = self._viewer.layers
        here, above = layers.index(self.layer), self._image.above(self._viewer)
        if here > above:
            layers.move(here, above)
        if active is not None and active in layers:
            layers.selection.active = active

    def _selected(self, _event: Any = None) -> None:
        if not self._busy and int(self.layer.selected_label) > 0:
            self._on_selected(int(self.layer.selected_label))

    def _painted(self, _event: Any = None) -> None:
        if not self._busy:
            self._on_painted()
