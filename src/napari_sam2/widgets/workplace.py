"""One image being worked on: its prompts, its result, its list of cells."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_sam2.widgets import messages
from napari_sam2.widgets.cells import Cells
from napari_sam2.widgets.engine import Painted, Request
from napari_sam2.widgets.picture import Picture, picture_target
from napari_sam2.widgets.prompt_layers import PromptLayers
from napari_sam2.widgets.result_layer import ResultLayer
from napari_sam2.widgets.target import current_index, pixel_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from napari.layers import Image, Labels, Layer
    from napari.viewer import Viewer

    from napari_sam2.widgets.engine import ModelChoice, Standing
    from napari_sam2.widgets.frame_prompts import FramePrompts, PromptKey
    from napari_sam2.widgets.target import Limits, Target


class Workplace:
    """Layers and prompts of one image.

    Parameters
    ----------
    viewer : Viewer
        Where the layers are.
    picture : Picture
        What is segmented.
    axis : int or None
        The axis of it that is followed.
    on_prompts, on_new_object, on_tool, on_painted : callable
        Called after the user prompted, asked for a new object, took another tool,
        painted.
    on_selected : callable
        Called with the object whose label the user selected.

    Attributes
    ----------
    result : ResultLayer or None
        Once the engine has opened the image.
    cells : Cells
        What is known of each cell.
    sent : dict of (object_id, frame_idx) to FramePrompts
        The prompts as they were when the engine was asked last.
    last_target : Target or None
        The stack as it was when the engine was asked last.
    """

    def __init__(
        self,
        viewer: Viewer,
        picture: Picture,
        axis: int | None,
        *,
        on_prompts: Callable[[], None],
        on_new_object: Callable[[], None],
        on_tool: Callable[[], None],
        on_painted: Callable[[], None],
        on_selected: Callable[[int], None],
    ) -> None:
        self._viewer, self.picture, self.axis = viewer, picture, axis
        self._on_painted, self._on_selected = on_painted, on_selected
        self.prompts = PromptLayers(
            viewer,
            picture,
            on_change=on_prompts,
            on_new_object=on_new_object,
            on_tool=on_tool,
        )
        self.result: ResultLayer | None = None
        self.cells = Cells(self.n_frames, self.volume_here)
        self._masks: dict[tuple[object, ...], set[PromptKey]] = {}
        self._sent_from: tuple[object, ...] = ()
        self.sent: dict[PromptKey, FramePrompts] = {}
        self.last_target: Target | None = None
        self._limits: tuple[Limits | None, ...] = ()

    @property
    def image(self) -> Image:
        """The layer that is segmented."""
        return self.picture.layer

    @property
    def object_id(self) -> int:
        """The cell that the next prompt belongs to."""
        return self.prompts.object_id

    @object_id.setter
    def object_id(self, value: int) -> None:
        self.prompts.object_id = value
        if self.result is not None and self.result.shown:
            self.result.select(value)

    @property
    def masks(self) -> set[PromptKey]:
        """(object_id, frame_idx) of painted or taken masks, in the present stack."""
        return self._masks.setdefault(self._stack_key(), set())

    @property
    def n_frames(self) -> int:
        """Number of frames along the followed axis."""
        return 1 if self.axis is None else pixel_shape(self.picture)[self.axis]

    @property
    def untouched(self) -> bool:
        """Whether there is nothing to lose."""
        return (
            self.prompts.empty
            and not self.masks
            and all(cell.unknown for cell in self.cells.values())
        )

    def request(self, model: ModelChoice, *, last: bool = False) -> Request:
        """Describe everything an answer depends on, as it is now.

        Parameters
        ----------
        model : ModelChoice
            Who is asked.
        last : bool
            In the stack that was worked on last, wherever the sliders stand.
        """
        target = self.last_target if last else None
        if target is None:
            target = self.target()
        return Request(model=model, target=target, prompts=self.prompts.collect(target))

    def target(self) -> Target:
        """Describe the stack that the engine is to be asked of, see `shown_target`."""
        self.last_target = self.shown_target()
        self.look()
        self.cells.go_home(self.cells.shown)
        return self.last_target

    def shown_target(self) -> Target:
        """Describe the stack, with the sliders where they stand.

        Its contrast stays what it was when the first cell was begun.

        Raises
        ------
        TargetError
            If the sliders stand outside the image, or its colours do not fit.
        """
        shown = picture_target(self.picture, self._viewer, self.axis)
        if self.untouched or len(self._limits) != len(shown.limits):
            self._limits = shown.limits
        return shown.with_limits(self._limits)

    @property
    def contrast_changed(self) -> bool:
        """Whether the user sees another contrast than the network."""
        return bool(self._limits) and self.picture.limits != self._limits

    def use_contrast(self) -> None:
        """Let the network see the contrast that the user sees from now on."""
        self._limits = ()

    @property
    def here(self) -> int:
        """The frame that the user looks at, the nearest one if beside all."""
        if self.axis is None:
            return 0
        at = current_index(self.picture, self._viewer)[self.axis]
        return min(max(at, 0), self.n_frames - 1)

    def why_not_clickable(self) -> str | None:
        """Return what the user has to do before a click can hit a pixel, or None."""
        dims = self._viewer.dims
        if dims.ndisplay != 2:
            return messages.FLAT_ONLY
        if tuple(dims.displayed) != (dims.ndim - 2, dims.ndim - 1):
            return messages.WRONG_AXES
        return None

    def take(self, standing: Standing, *, since: int) -> bool:
        """Have the prompts and cells that the engine has.

        Parameters
        ----------
        standing : Standing
            What the engine says.
        since : int
            Changes of prompts there had been when it was asked; later ones stay.

        Returns
        -------
        bool
            Whether there are later ones, of which the engine has to be told.
        """
        assert self.last_target is not None
        newer = self.prompts.show(standing.prompts, self.last_target, since=since)
        self.sent, self._sent_from = dict(standing.prompts), self._stack_key()
        self.masks.clear()
        self.masks.update(standing.masks)
        self.cells.take(standing, self.object_id)
        return newer

    def show_hidden(self) -> None:
        """Leave the cells that are hidden out of the picture, and show the others."""
        hidden = {i for i, cell in self.cells.items() if cell.hidden}
        self.prompts.hide(hidden)
        if self.result is not None:
            self.result.hide(hidden, self.cells.ids)

    def go_to(self, frame_idx: int) -> None:
        """Move the slider to a frame."""
        if self.axis is None:
            return
        where = list(current_index(self.picture, self._viewer))
        where[self.axis] = frame_idx
        world = self.picture.data_to_world(where)
        beyond = self._viewer.dims.ndim - self.picture.ndim
        self._viewer.dims.set_point(self.axis + beyond, world[self.axis])

    @property
    def index_here(self) -> tuple[int, ...]:
        """Where the sliders stand in the image: an index for each axis but Y and X."""
        return current_index(self.picture, self._viewer)[:-2]

    def volume_of(self, index: tuple[int, ...]) -> tuple[int, ...]:
        """Return which volume an index belongs to: where the other axes stand."""
        return tuple(at for axis, at in enumerate(index) if axis != self.axis)

    @property
    def volume_here(self) -> tuple[int, ...]:
        """The volume that the user looks at, the nearest one if beside all."""
        lengths = pixel_shape(self.picture)
        index = zip(self.index_here, lengths, strict=False)
        return self.volume_of(tuple(min(max(at, 0), n - 1) for at, n in index))

    def shows(self, index: tuple[int, ...]) -> bool:
        """Whether an index lies in the volume that the user looks at."""
        return self.volume_of(index) == self.cells.shown

    def look(self) -> bool:
        """Let cells be as they are where the user looks; return if that is new."""
        before = self.cells.shown
        self.cells.show(self.volume_here)
        return self.cells.shown != before

    def show_plane(self, index: tuple[int, ...]) -> None:
        """Move all sliders of the image to a plane."""
        world = self.picture.data_to_world([*index, 0, 0])
        beyond = self._viewer.dims.ndim - self.picture.ndim
        axes = [axis + beyond for axis in range(len(index))]
        self._viewer.dims.set_point(axes, list(world[: len(index)]))

    def changed_frames(
        self, prompts: Mapping[PromptKey, FramePrompts]
    ) -> list[tuple[int, int]]:
        """Return (frame, object) of prompts that differ since the last time."""
        here = self._stack_key()
        before = self.sent if here == self._sent_from else {}
        self.sent, self._sent_from = dict(prompts), here
        keys = sorted({*before, *prompts})
        return [(f, o) for o, f in keys if before.get((o, f)) != prompts.get((o, f))]

    def show_result(self, array: Any) -> ResultLayer:
        """Put the labels into the viewer, if they are not there."""
        if self.result is None:
            self.result = ResultLayer(
                self._viewer,
                self.picture,
                array,
                on_selected=self._on_selected,
                on_painted=self._on_painted,
            )
            self.result.select(self.object_id)
        elif not self.result.shown:
            self.result.show_again()
        return self.result

    def masks_taken(self, object_ids: Collection[int], frame_idx: int) -> None:
        """Know masks that were painted or taken over; they replace outlines."""
        keys = {(object_id, frame_idx) for object_id in object_ids}
        self.masks.update(keys)
        for key in keys & self.sent.keys():
            left = replace(self.sent.pop(key), outlines=())
            if left.count:
                self.sent[key] = left
        assert self.last_target is not None
        self.prompts.drop_outlines(keys, self.last_target)

    def painted(self, frame_idx: int) -> Painted:
        """Return what was known of a frame before the user painted in it."""
        assert self.result is not None
        areas = {
            object_id: int(cell.area[frame_idx])
            for object_id, cell in self.cells.items()
            if cell.known[frame_idx]
        }
        return Painted(selected=int(self.result.layer.selected_label), areas=areas)

    def plane(self, target: Target, frame_idx: int) -> Callable[[], Any]:
        """Return what reads our labels of a frame, in any thread."""
        assert self.result is not None
        array, where = self.result.array, target.index(frame_idx)
        return lambda: array[where]

    def plane_of(self, labels: Labels) -> Callable[[], Any]:
        """Return what reads the visible plane of other labels, in any thread."""
        array = labels.data[0] if labels.multiscale else labels.data
        where = current_index(labels, self._viewer)[:-2]
        top = array.shape
        inside = tuple(
            min(max(at, 0), n - 1) for at, n in zip(where, top, strict=False)
        )
        return lambda: array[inside]

    def owns(self, layer: Layer) -> bool:
        """Whether a layer is one of ours."""
        ours: list[Layer] = list(self.prompts.layers)
        if self.result is not None:
            ours.append(self.result.layer)
        return any(mine == layer for mine in ours)

    def _stack_key(self) -> tuple[object, ...]:
        """Return where the axes that are not followed were held the last time."""
        target = self.last_target
        return () if target is None else tuple(target.fixed.items())

    def leave(self) -> None:
        """Listen to nothing any more; take layers away that hold nothing."""
        self.prompts.disconnect()
        if self.result is not None:
            self.result.disconnect()
        if self.untouched:
            self.prompts.remove()
            if self.result is not None and self.result.shown:
                self._viewer.layers.remove(self.result.layer)
