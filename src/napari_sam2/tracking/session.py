"""The session: prompts in, label planes out, one frame at a time.

The engine yields and does not know who is watching; closing the generator stops
it. One thread at a time may drive a session.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from napari_sam2.stacks import (
    LabelsStore,
    Stack,
    open_labels_store,
    open_stack,
)
from napari_sam2.tracking.engine import Engine
from napari_sam2.tracking.frames import FrameEncoder
from napari_sam2.tracking.memory_bank import MemoryBank
from napari_sam2.tracking.objects import TrackedObject
from napari_sam2.tracking.planning import check_frames, plan_passes
from napari_sam2.tracking.prompt_checks import check_prompt, points_prompt
from napari_sam2.tracking.prompts import BoxPrompt, MaskPrompt, PromptError
from napari_sam2.tracking.tracker import Tracker

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from pathlib import Path
    from types import TracebackType

    from numpy.typing import ArrayLike

    from napari_sam2.model import SAM2
    from napari_sam2.stacks.labels_store import LabelsArray
    from napari_sam2.tracking.memory_bank import Retention
    from napari_sam2.tracking.planning import Direction
    from napari_sam2.tracking.prompts import Prompt
    from napari_sam2.tracking.results import FrameResult

RECENT_CONDITIONING = 8
GPU_BATCH = 32


class Session:
    """Prompted objects in one stack, segmented frame by frame.

    One thread at a time may drive a session; reading its labels is always safe.

    Parameters
    ----------
    model
        From `napari_sam2.load_model`.
    stack
        A `Stack`, a path or an array-like; see `napari_sam2.open_stack`.
    axes, contrast_limits
        Passed on to `open_stack`.
    labels
        Where labels go: a `LabelsStore` of the stack's shape, a ``.zarr`` path, or
        None for memory or a temporary folder, by size.
    retention
        "recent" bounds memory by the number of objects and prompts and makes
        older memories again from the labels where they are needed; "all" keeps
        every frame's, as Meta's predictor does.
    max_conditioning
        Most prompted frames an object is conditioned on at once, the closest; by
        default 8 under "recent" and all under "all".
    meta_behaviour
        Do as Meta's predictor does where we differ: corrections of tracked frames
        count as recent frames and are lost when propagated over, and objects are
        tracked before their first prompted frame too.
    zoom
        Look at each object through a window of a few times its size, for small
        objects in large frames; by default with ``nano`` and not with the official
        checkpoints, which see 1024 x 1024 pixels.
    """

    def __init__(
        self,
        model: SAM2,
        stack: Stack | ArrayLike | str | Path,
        *,
        axes: str | None = None,
        contrast_limits: object = None,
        labels: LabelsStore | str | Path | None = None,
        retention: Retention = "recent",
        max_conditioning: int | None = None,
        meta_behaviour: bool = False,
        zoom: bool | None = None,
    ) -> None:
        if zoom is None:
            zoom = model.config.dense_prompts
        if retention not in ("recent", "all"):
            msg = f'retention must be "recent" or "all", not {retention!r}.'
            raise ValueError(msg)
        self._owns_stack = not isinstance(stack, Stack)
        self.stack = open_stack(stack, axes=axes, contrast_limits=contrast_limits)
        self.model = model
        self._owns_store = not isinstance(labels, LabelsStore)
        self._store = (
            labels
            if isinstance(labels, LabelsStore)
            else open_labels_store(self.stack.shape, path=labels)
        )
        if self._store.shape != self.stack.shape:
            msg = (
                f"The labels have shape {self._store.shape} but the stack "
                f"{self.stack.shape}; give labels of the stack's shape."
            )
            raise ValueError(msg)
        if max_conditioning is None and retention == "recent":
            max_conditioning = RECENT_CONDITIONING
        self._retention: Retention = retention
        self._max_conditioning = max_conditioning
        self._meta = meta_behaviour
        self._engine = Engine(
            frames=FrameEncoder(self.stack, model, zoom=zoom),
            tracker=Tracker(model, self.stack.shape),
            store=self._store,
            corrections_condition=not meta_behaviour,
            batch=GPU_BATCH if model.device.type == "cuda" else 1,
        )
        self._objects = self._engine.objects

    @property
    def labels(self) -> LabelsArray:
        """(T, Y, X) labels, for a napari Labels layer; filled frame by frame."""
        return self._store.array

    @property
    def object_ids(self) -> list[int]:
        """Ids of all objects, in order."""
        return sorted(self._objects)

    @property
    def prompts(self) -> list[Prompt]:
        """All prompts, by object and frame, in the order in which they were given."""
        return [
            prompt
            for object_id in self.object_ids
            for frame_idx in self._objects[object_id].prompted_frames
            for prompt in self._objects[object_id].prompts[frame_idx]
        ]

    def bank(self, object_id: int) -> MemoryBank:
        """Return what is remembered of an object, to look at.

        Raises
        ------
        KeyError
            If there is no such object.
        """
        return self._object(object_id).bank

    def add_points(
        self,
        object_id: int,
        frame: int,
        points: ArrayLike,
        labels: ArrayLike = 1,
        *,
        replace: bool = False,
    ) -> None:
        """Click on an object, or beside it.

        Clicks refine the answer to earlier prompts in the frame, and what was
        tracked there.

        Parameters
        ----------
        object_id
            The object's value in the labels, from 1; a new one makes an object.
        frame
            Frame of the stack.
        points
            (N, 2) floats (y, x) in pixels, pixel centres at integers.
        labels
            (N,) 1 on the object, 0 beside it; one number for all.
        replace
            Forget what was said about the object in this frame before.

        Raises
        ------
        PromptError
            If the frame, a point, a label or the id cannot be used.
        """
        prompt = points_prompt(object_id, frame, points, labels)
        self.add_prompt(prompt, replace=replace)

    def add_box(self, object_id: int, frame: int, box: ArrayLike) -> None:
        """Draw a box around an object; it replaces an earlier one in the frame.

        Parameters
        ----------
        object_id, frame
            As in `add_points`.
        box
            (y, x, y2, x2): rows y <= r < y2, columns x <= c < x2.

        Raises
        ------
        PromptError
            If the frame, the box or the id cannot be used.
        """
        edges = np.asarray(box, dtype=np.float64).reshape(-1).tolist()
        if len(edges) != 4:
            msg = f"A box is (y, x, y2, x2), four numbers, not {len(edges)}."
            raise PromptError(msg)
        y, x, y2, x2 = edges
        self.add_prompt(
            BoxPrompt(object_id=object_id, frame_idx=frame, box=(y, x, y2, x2))
        )

    def add_mask(self, object_id: int, frame: int, mask: ArrayLike) -> None:
        """Give an object's mask; it replaces what was said in the frame before.

        Parameters
        ----------
        object_id, frame
            As in `add_points`.
        mask
            (Y, X) bool; all False says that the object is not in the frame.

        Raises
        ------
        PromptError
            If the frame, the mask's shape or the id cannot be used.
        """
        self.add_prompt(MaskPrompt.from_array(object_id, frame, mask))

    def add_prompt(self, prompt: Prompt, *, replace: bool = False) -> None:
        """Add a prompt made elsewhere, for example by `read_prompts_csv`.

        Raises
        ------
        PromptError
            If it cannot be used on this stack.
        """
        check_prompt(prompt, self.stack.shape, int(np.iinfo(self._store.dtype).max))
        found = self._objects.get(prompt.object_id)
        if found is None:
            found = TrackedObject(
                object_id=prompt.object_id,
                bank=MemoryBank(
                    config=self.model.config,
                    retention=self._retention,
                    max_conditioning=self._max_conditioning,
                ),
                tracked=np.zeros(self.stack.n_frames, np.uint8),
            )
            self._objects[prompt.object_id] = found
        replace = replace or isinstance(prompt, MaskPrompt)
        found.add_prompt(prompt, replace=replace)

    def clear_prompts(self, object_id: int, frame: int) -> None:
        """Forget what was said about an object in a frame, and its pixels there.

        An object without any prompt left is forgotten; its labels in other frames
        stay.

        Raises
        ------
        KeyError
            If there is no such object.
        """
        found = self._object(object_id)
        if not found.clear_prompts(frame):
            return
        self._engine.canvas.erase(object_id, frame)
        if not found.prompts:
            del self._objects[object_id]

    def remove_object(self, object_id: int) -> None:
        """Forget an object and take its pixels out of all frames.

        Raises
        ------
        KeyError
            If there is no such object.
        """
        if object_id not in self._engine.canvas.drawn:
            self._object(object_id)
        self._objects.pop(object_id, None)
        self._engine.canvas.erase_everywhere(object_id)

    def preview(self, frame: int) -> FrameResult:
        """Answer the prompts in a frame, at once.

        The answers are written to the labels. Where no object is prompted, those
        with prompts elsewhere are looked up from memory instead, and nothing is
        written.

        Parameters
        ----------
        frame
            Frame of the stack.

        Raises
        ------
        IndexError
            If there is no such frame.
        FrameReadError
            If the frame cannot be read.
        """
        check_frames([frame], self.stack.n_frames)
        prompted = [o for o in self._sorted() if frame in o.prompts]
        if prompted:
            failed = self._engine.settle(prompted, [frame])
            if failed:
                raise failed[frame]
            answers = {o.object_id: o.bank.at(frame) for o in prompted}
            known = {i: memory for i, memory in answers.items() if memory is not None}
            return self._engine.canvas.draw(frame, known)
        self._engine.settle(self._sorted())
        others = [o for o in self._sorted() if o.bank.conditioning]
        self._engine.enter(others, frame, reverse=False)
        found = self._engine.look_up(others, frame, reverse=False)
        return self._engine.canvas.compose(frame, found)

    def propagate(
        self,
        direction: Direction = "forward",
        frames: Iterable[int] | None = None,
        object_ids: Iterable[int] | None = None,
    ) -> Generator[FrameResult, None, None]:
        """Segment frame after frame.

        Each frame's labels are written before it is yielded. Closing the generator
        stops within a frame and leaves everything yielded so far in place.

        Parameters
        ----------
        direction
            "forward" from each object's first prompted frame, "backward" from its
            last, or "both": forward from the first and then backward from it. In
            "both" a frame comes twice if objects begin at different frames.
        frames
            Only these frames, for example ``range(100, 200)``.
        object_ids
            Only these objects; the others' labels stay, except where a new answer
            covers them.

        Returns
        -------
        generator of FrameResult
            A frame that cannot be read has `error` set, and tracking goes on.

        Raises
        ------
        PromptError
            If nothing, or one of the objects asked for, has no prompt.
        IndexError
            If one of the frames does not exist.
        FrameReadError
            When the only prompted frame of an object cannot be read.
        """
        objects = self._chosen(object_ids)
        passes = plan_passes(
            objects,
            direction,
            check_frames(frames, self.stack.n_frames),
            before_prompts=self._meta,
        )
        return self._engine.run(objects, passes)

    def close(self) -> None:
        """Let go of the stack's file and of temporary labels made here."""
        self._engine.frames.clear()
        self._objects.clear()
        if self._owns_store:
            self._store.close()
        if self._owns_stack:
            self.stack.close()

    def __enter__(self) -> Self:
        """Give the session itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the session."""
        self.close()

    def _object(self, object_id: int) -> TrackedObject:
        found = self._objects.get(object_id)
        if found is None:
            known = ", ".join(map(str, self.object_ids)) or "none"
            msg = f"There is no object {object_id}; prompted objects: {known}."
            raise KeyError(msg)
        return found

    def _sorted(self) -> list[TrackedObject]:
        return [self._objects[i] for i in self.object_ids]

    def _chosen(self, object_ids: Iterable[int] | None) -> list[TrackedObject]:
        wanted = self.object_ids if object_ids is None else sorted(set(object_ids))
        unknown = [i for i in wanted if i not in self._objects]
        if unknown:
            msg = f"Object {unknown[0]} has no prompt; click on it in some frame first."
            raise PromptError(msg)
        if not wanted:
            msg = "No object has a prompt; click on one in some frame first."
            raise PromptError(msg)
        return [self._objects[i] for i in wanted]
