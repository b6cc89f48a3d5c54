"""The session: prompts in, label planes out, corrections anywhere, nothing lost.

The engine yields and does not know who is watching; closing the generator stops
it. One thread at a time may drive a session.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from napari_sam2.tracking import edits, lanes, resuming
from napari_sam2.tracking.estimate import Workload, estimate
from napari_sam2.tracking.planning import check_frames
from napari_sam2.tracking.prompt_json import prompt_to_json
from napari_sam2.tracking.prompts import MaskPrompt, PromptError
from napari_sam2.tracking.session_keeping import KeptSession
from napari_sam2.tracking.timing import time_model

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import ArrayLike

    from napari_sam2.model import SAM2
    from napari_sam2.stacks import Stack
    from napari_sam2.tracking.estimate import Estimate
    from napari_sam2.tracking.planning import Direction


class Session(KeptSession):
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
    path
        A folder ``NAME.sam2.zarr`` that keeps everything, labels included, as it is
        done: after a crash `Session.open` goes on from there. There must be none of
        that name yet.
    retention
        "recent" bounds memory by the number of objects and prompts and makes
        older memories again from the labels where they are needed; "all" keeps
        every frame's, as Meta's predictor does.
    max_conditioning
        Most prompted frames an object is conditioned on at once, the closest; by
        default 8 under "recent" and all under "all".
    meta_behaviour
        Do as Meta's predictor does where we differ: corrections of tracked frames
        count as recent frames and are lost when propagated over, objects are
        tracked before their first prompted frame too, and every propagation redoes
        all its frames.
    zoom
        Look at each object through a window of a few times its size, for small
        objects in large frames; by default with ``nano`` and not with the official
        checkpoints, which see 1024 x 1024 pixels.
    non_overlapping_memory
        Let objects that are looked at through one window not overlap in memory
        either; in the labels they never do.
    memory_selection
        "default", or "motion": prefer the mask where the object should be by its
        motion; see docs/memory.md.
    lanes
        Threads that run the network at the same time, for different objects and the
        next frame; by default torch's number of threads with small networks on a
        CPU, and 1 (none at all) otherwise.

    Raises
    ------
    StackError
        If the stack cannot be opened.
    SessionFileError
        If there is something at `path` already, or it cannot be made.
    """

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        model: SAM2 | None = None,
        stack: Stack | ArrayLike | str | Path | None = None,
        device: str = "auto",
    ) -> Self:
        """Go on with a session that was kept in a folder.

        Nothing is computed: memories are made again from the labels when they are
        needed. An edit that a crash cut off is finished first.

        Parameters
        ----------
        path
            The folder ``NAME.sam2.zarr``.
        model
            By default the one that was used, loaded again.
        stack
            By default the file that was used. Needed if it was an array in memory,
            or has moved.
        device
            Where to load the model.

        Raises
        ------
        SessionFileError
            If the folder, the model or the stack cannot be used; says what to do.
        """
        return resuming.resume(cls, path, model=model, stack=stack, device=device)

    @property
    def computes(self) -> str:
        """Where and how the network computes, in a few words."""
        return lanes.computes(self.model, self._engine.lanes)

    def estimate(
        self,
        direction: Direction = "forward",
        frames: Iterable[int] | None = None,
        object_ids: Iterable[int] | None = None,
        *,
        everything: bool = False,
    ) -> Estimate:
        """Say what `propagate` would need: memory, disk, time.

        The time is that of the frames tracked last; before there are any, the network
        runs once or twice on nothing to find it.

        Parameters
        ----------
        direction, frames, object_ids, everything
            As in `propagate`, whose errors it raises.
        """
        objects, passes = self._plan(direction, frames, object_ids, everything)
        if self._timing is None:
            self._timing = time_model(self.model)
        zoom, bank = self._engine.frames.zoom, objects[0].bank
        # Where objects will be looked at is not known before they are tracked.
        windows = len({o.window or o.object_id for o in objects}) if zoom else 1
        work = Workload(
            frame_shape=self.stack.shape[1:],
            frames=sum(len(walk.frames) for walk in passes),
            objects=len(objects),
            batch=self._engine.batch,
            lanes=self._engine.lanes,
            windows=windows,
            zoom=zoom,
            conditioning=min(
                max(len(o.anchors) for o in objects), bank.max_conditioning or 8
            ),
            retention=bank.retention,
            pixel_bytes=self.stack.dtype.itemsize * self.stack.n_channels,
            label_bytes=self._store.dtype.itemsize,
            labels_in_memory=isinstance(self._store.array, np.ndarray),
        )
        return estimate(
            self.model.config,
            work,
            self._timing.corrected(self._measured),
            device=self.model.device,
            dtype=self.model.dtype,
        )

    def lock(self, object_id: int, frames: int | Iterable[int]) -> None:
        """Keep an object's labels in some frames as they are.

        They are not tracked again, other objects do not cover them, and they feed
        the memory as if they had been painted.

        Parameters
        ----------
        object_id
            An object with pixels in the labels.
        frames
            One frame or several. Where the object has no pixels, it is kept absent.

        Raises
        ------
        KeyError
            If there is no such object.
        IndexError
            If there is no such frame.
        """
        self._state.get(object_id)
        found = self._state.objects[object_id]
        wanted = [t for t in self._frames(frames) if t not in found.locked]
        masks = [self._mask(object_id, t) for t in wanted]
        if masks:
            self._state.lock(masks)
            self._log({"do": "lock", "masks": [prompt_to_json(m) for m in masks]})

    def unlock(self, object_id: int, frames: int | Iterable[int]) -> None:
        """Let an object be tracked again in frames that were locked.

        Raises
        ------
        KeyError
            If there is no such object.
        IndexError
            If there is no such frame.
        """
        wanted = self._frames(frames)
        self._state.unlock(object_id, wanted)
        self._log({"do": "unlock", "object": object_id, "frames": wanted})

    def swap(self, first: int, second: int, start: int = 0) -> None:
        """Let two objects trade places from a frame on: their identities were mixed up.

        Labels, prompts and locks go along. What they are in the first of these frames
        becomes a prompt, so that earlier corrections do not run over it.

        Raises
        ------
        KeyError
            If one of the objects does not exist.
        IndexError
            If there is no such frame.
        PromptError
            If both are the same.
        """
        for object_id in (first, second):
            self._state.get(object_id)
        self._distinct(first, second)
        self._exchange("swap", first, second, start)

    def split(self, object_id: int, start: int, new_id: int | None = None) -> int:
        """Let what an object is from a frame on be a new object.

        Returns
        -------
        int
            The new object's id: `new_id`, or the next free one.

        Raises
        ------
        KeyError
            If there is no such object.
        IndexError
            If there is no such frame, or it is the first.
        PromptError
            If `new_id` is taken.
        """
        self._state.get(object_id)
        taken = self._state.objects.keys() | self._state.drawn.keys()
        if new_id is None:
            new_id = max(taken) + 1
        if new_id in taken or not 0 < new_id <= np.iinfo(self._store.dtype).max:
            msg = f"Object id {new_id} cannot be given to a new object; choose another."
            raise PromptError(msg)
        if start < 1:
            msg = f"Frame {start} has nothing before it to be split from."
            raise IndexError(msg)
        self._exchange("split", object_id, new_id, start)
        return new_id

    def _exchange(self, what: str, first: int, second: int, start: int) -> None:
        (start,) = self._frames(start)
        plane = self._store.read(start)
        masks = [
            MaskPrompt.from_array(first, start, plane == second),
            MaskPrompt.from_array(second, start, plane == first),
        ]
        edits.exchange(self._state, first, second, start, masks)
        self._log_edit(what, first, second, start, masks)
        self._edit(
            [t for t in self._state.frames_drawn(first) if t >= start],
            edits.relabelling({first: second, second: first}),
        )

    def merge(self, source: int, target: int, start: int = 0) -> None:
        """Join one object into another from a frame on.

        Parameters
        ----------
        source
            Ends at `start`; is forgotten if it had nothing before.
        target
            Is both from then on.
        start
            First frame in which they are one.

        Raises
        ------
        KeyError
            If one of the objects does not exist.
        IndexError
            If there is no such frame.
        PromptError
            If both are the same.
        """
        a, b = (self._state.get(i) for i in (source, target))
        self._distinct(source, target)
        (start,) = self._frames(start)
        fixed = {start, *(t for t in (*a.anchors, *b.anchors) if t > start)}
        masks = []
        for t in sorted(fixed):
            plane = self._store.read(t)
            both = (plane == source) | (plane == target)
            masks.append(MaskPrompt.from_array(target, t, both))
        edits.merge(self._state, source, target, start, masks)
        self._log_edit("merge", source, target, start, masks)
        self._edit(
            [t for t in self._state.frames_drawn(source) if t >= start],
            edits.relabelling({source: target}),
        )

    def undo(self) -> str | None:
        """Take the latest step back: a prompt, an edit or a propagation.

        Labels go back with it, except where they were changed by others since.

        Returns
        -------
        str or None
            What was taken back, in words; None if there was nothing.
        """
        return self._turn(undo=True)

    def redo(self) -> str | None:
        """Do again what `undo` took back last; see there."""
        return self._turn(undo=False)

    def _turn(self, *, undo: bool) -> str | None:
        step = self._state.turn(undo=undo)
        if step is None:
            return None
        self._log({"do": "undo" if undo else "redo"})
        history = self._state.history
        self._store.on_write = None  # turning a step is not one
        try:
            for t, turn in history.planes(step, self._store.dtype, undo=undo):
                self._edit([t], turn, last=False)
        finally:
            self._store.on_write = history.note
        self._log({"do": "done"})
        return step.name

    def _log_edit(
        self, what: str, first: int, second: int, start: int, masks: list[MaskPrompt]
    ) -> None:
        self._log(
            {
                "do": what,
                "first": first,
                "second": second,
                "start": start,
                "masks": [prompt_to_json(mask) for mask in masks],
            }
        )

    def _frames(self, frames: int | Iterable[int]) -> list[int]:
        """Return frames as a list, after checking that they exist."""
        wanted = [frames] if isinstance(frames, int | np.integer) else frames
        return check_frames(wanted, self.stack.n_frames)

    def _mask(self, object_id: int, frame_idx: int) -> MaskPrompt:
        plane = self._store.read(frame_idx)
        return MaskPrompt.from_array(object_id, frame_idx, plane == object_id)

    def _distinct(self, first: int, second: int) -> None:
        if first == second:
            msg = f"Object {first} was named twice; name two different objects."
            raise PromptError(msg)
