"""What a session does with a frame: answer, track, remember.

The network's steps are in `tracker`, the drawing in `canvas`; who takes part and in
which order is decided in `session`.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

from napari_sam2.stacks import FrameReadError
from napari_sam2.tracking.canvas import Canvas
from napari_sam2.tracking.frames import FrameEncoder, read_ahead
from napari_sam2.tracking.objects import BACKWARD, FORWARD, UNTRACKED, TrackedObject
from napari_sam2.tracking.planning import grouped
from napari_sam2.tracking.prompts import BoxPrompt
from napari_sam2.tracking.results import FrameResult
from napari_sam2.tracking.zoom import Zoom, memory_patch

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Sequence

    from torch import Tensor

    from napari_sam2.stacks import LabelsStore
    from napari_sam2.tracking.memory_bank import FrameMemory
    from napari_sam2.tracking.planning import Pass
    from napari_sam2.tracking.tracker import Tracker
    from napari_sam2.tracking.windows import Window

Answers: TypeAlias = "dict[int, FrameMemory]"

REFINE_DEPTH = 1
MOVED_DEPTH = 2


@dataclass(kw_only=True)
class Engine:
    """The machinery of one session.

    Attributes
    ----------
    frames
        Reads and encodes frames.
    tracker
        Runs the network.
    store
        Where labels go.
    corrections_condition
        Whether prompts on tracked frames make conditioning frames of them.
    batch
        Most objects computed together; more than one pays on a GPU only.
    objects
        By id.
    moved
        Ids whose window moved, so that their memories do not lie in it.
    canvas
        Draws answers into the labels.
    """

    frames: FrameEncoder
    tracker: Tracker
    store: LabelsStore
    corrections_condition: bool = True
    batch: int = 1
    objects: dict[int, TrackedObject] = field(default_factory=dict)
    moved: set[int] = field(default_factory=set)
    canvas: Canvas = field(init=False)

    def __post_init__(self) -> None:
        """Share the objects with the canvas."""
        self.canvas = Canvas(
            store=self.store,
            n_frames=self.tracker.n_frames,
            objects=self.objects,
            tidies=self.tracker.model.config.dense_prompts,
        )

    @property
    def zoom(self) -> Zoom:
        """Who chooses the windows."""
        return Zoom(frames=self.frames, tracker=self.tracker, store=self.store)

    def run(
        self, objects: list[TrackedObject], passes: list[Pass]
    ) -> Generator[FrameResult, None, None]:
        """Walk through the stack; each frame is written before it is yielded.

        Raises
        ------
        FrameReadError
            When none of an object's prompted frames can be read.
        """
        failed = self.settle(objects)
        for found in objects:
            if not found.bank.conditioning:
                raise failed[found.prompted_frames[0]]
        for walk in passes:
            reader = read_ahead(self.frames.pixels, walk.frames)
            started: set[int] = set()
            with contextlib.closing(reader):
                for frame_idx, pixels in reader:
                    if isinstance(pixels, FrameReadError):
                        yield FrameResult(
                            frame_idx=frame_idx,
                            labels=self.store.read(frame_idx),
                            error=str(pixels),
                        )
                        continue
                    taking = [
                        o
                        for o in objects
                        if walk.takes(o.object_id, frame_idx)
                        # The user may have taken it back meanwhile.
                        and self.objects.get(o.object_id) is o
                        and o.bank.conditioning
                    ]
                    new = [o for o in taking if o.object_id not in started]
                    self.enter(new, frame_idx, reverse=walk.reverse)
                    started.update(o.object_id for o in new)
                    self._settle_moved(taking, frame_idx, reverse=walk.reverse)
                    yield self.step(taking, frame_idx, pixels, reverse=walk.reverse)

    def enter(
        self, objects: Sequence[TrackedObject], frame_idx: int, *, reverse: bool
    ) -> None:
        """Have all at hand that objects need to be tracked from a frame on."""
        for found in objects:
            self.zoom.place(found, frame_idx, reverse=reverse)
            self.zoom.rescale(found)
            self.moved.discard(found.object_id)
        self.remake(objects, frame_idx, reverse=reverse)

    def _settle_moved(
        self, objects: Sequence[TrackedObject], frame_idx: int, *, reverse: bool
    ) -> None:
        """Make the nearest memories again for objects whose window moved."""
        moved = [o for o in objects if o.object_id in self.moved]
        if not moved:
            return
        for found in moved:
            self.zoom.rescale(found)
        self.remake(moved, frame_idx, reverse=reverse, depth=MOVED_DEPTH)
        self.moved.difference_update(o.object_id for o in moved)

    def settle(
        self, objects: Sequence[TrackedObject], only: Collection[int] | None = None
    ) -> dict[int, FrameReadError]:
        """Answer the prompts that have no answer yet; each frame is read once.

        Parameters
        ----------
        objects
            Whose prompts.
        only
            Frames to answer in; None for all.

        Returns
        -------
        dict
            The frames that could not be read.
        """
        waiting: dict[int, list[TrackedObject]] = {}
        for found in objects:
            for frame_idx in found.prompted_frames:
                if found.pending(frame_idx) and (only is None or frame_idx in only):
                    waiting.setdefault(frame_idx, []).append(found)
        failed = {}
        for frame_idx in sorted(waiting):
            try:
                for found in waiting[frame_idx]:
                    self._answer(found, frame_idx)
            except FrameReadError as error:
                failed[frame_idx] = error
        return failed

    def _answer(self, found: TrackedObject, frame_idx: int) -> None:
        prompts = found.prompts[frame_idx]
        done = found.answered.get(frame_idx, 0)
        past = int(found.tracked[frame_idx])
        recall = previous = logits = None
        held = found.bank.at(frame_idx)
        refines = bool(done or (past and self._refines(found, frame_idx)))
        look = self.zoom.for_prompts(found, frame_idx, held if refines else None)
        window = look.window
        if look.afresh:
            done, refines = 0, False
        features = self.frames.features(frame_idx, window=window)
        found.window = window
        if past != UNTRACKED:
            reverse = past == BACKWARD
            self.zoom.rescale(found)
            self.remake([found], frame_idx, reverse=reverse, depth=REFINE_DEPTH)
            recall = found.bank.recall(
                frame_idx,
                reverse=reverse,
                n_frames=self.tracker.n_frames,
                window=window,
            )
            previous = self._previous(found, frame_idx, reverse=reverse)
        if refines:
            logits = self._logits(found, frame_idx, held, window)
        memory = self.tracker.answer(
            frame_idx,
            window,
            features,
            prompts,
            done=done,
            recall=recall if recall and recall.memories else None,
            logits=logits,
            previous=previous,
            first_choice=look.choice,
        )
        conditioning = (
            self.corrections_condition
            or past == UNTRACKED
            or frame_idx in found.bank.conditioning
        )
        found.bank.add(memory, conditioning=conditioning)
        found.answered[frame_idx] = len(prompts)

    def _logits(
        self,
        found: TrackedObject,
        frame_idx: int,
        held: FrameMemory | None,
        window: Window,
    ) -> Tensor:
        """Return an object's answer in a frame, seen through a window."""
        if held is None or held.mask_logits is None:
            mask = self.store.read(frame_idx) == found.object_id
        elif held.window == window:
            return held.mask_logits
        else:
            mask = memory_patch(held).mask(self.tracker.frame_shape)
        return self.tracker.logits_from_mask(mask, window)

    def _refines(self, found: TrackedObject, frame_idx: int) -> bool:
        """Whether the first prompt goes on from the mask tracked in the frame."""
        first = found.prompts[frame_idx][0]
        return frame_idx not in found.restarted and not isinstance(first, BoxPrompt)

    def remake(
        self,
        objects: Sequence[TrackedObject],
        frame_idx: int,
        *,
        reverse: bool,
        depth: int | None = None,
    ) -> None:
        """Make recent memories again that were dropped, from labels and frames.

        Parameters
        ----------
        objects
            Whose memories; those that keep all need none.
        frame_idx
            The frame about to be tracked or refined.
        reverse
            Whether time runs backwards.
        depth
            How many frames back; None for all that memory attention reaches.
        """
        if not self.frames.zoom:
            objects = [o for o in objects if o.bank.retention == "recent"]
        if not objects:
            return
        reach = objects[0].bank.reach(frame_idx, reverse=reverse)[:depth]
        for past in reversed(reach):  # the nearest last: it is kept longest
            if not 0 <= past < self.tracker.n_frames:
                continue
            lacking = [o for o in objects if o.tracked[past] and self._lacks(o, past)]
            if not lacking:
                continue
            with contextlib.suppress(FrameReadError):  # then it is simply missing
                plane = self.store.read(past)
                for found in lacking:
                    window = self._window(found)
                    features = self.frames.features(past, window=window)
                    mask = plane == found.object_id
                    memory = self.tracker.remake(past, window, features, mask)
                    held = found.bank.at(past)
                    if held is not None:
                        memory = replace(memory, pointer=held.pointer)
                    found.bank.add(memory, conditioning=False)

    def _window(self, found: TrackedObject) -> Window:
        return found.window or self.frames.whole

    def _lacks(self, found: TrackedObject, frame_idx: int) -> bool:
        if frame_idx in found.bank.conditioning:
            return False
        held = found.bank.at(frame_idx)
        return held is None or not held.covers(self._window(found))

    def look_up(
        self,
        objects: Sequence[TrackedObject],
        frame_idx: int,
        pixels: Tensor | None = None,
        *,
        reverse: bool,
    ) -> Answers:
        """Find objects in a frame from their memories; remembers nothing."""
        n_frames = self.tracker.n_frames
        windows = [self._window(o) for o in objects]
        recalls = [
            o.bank.recall(frame_idx, reverse=reverse, n_frames=n_frames, window=window)
            for o, window in zip(objects, windows, strict=True)
        ]
        previous = [self._previous(o, frame_idx, reverse=reverse) for o in objects]
        groups = grouped(
            recalls,
            alike=[
                (window, logits is not None)
                for window, logits in zip(windows, previous, strict=True)
            ],
            batch=self.batch,
        )
        answers: Answers = {}
        for group in groups:
            window = windows[group[0]]
            memories = self.tracker.track(
                frame_idx,
                window,
                self.frames.features(frame_idx, pixels, window=window),
                [recalls[i] for i in group],
                [previous[i] for i in group],
            )
            for i, memory in zip(group, memories, strict=True):
                answers[objects[i].object_id] = memory
        return answers

    def _previous(
        self, found: TrackedObject, frame_idx: int, *, reverse: bool
    ) -> Tensor | None:
        """Return the neighbouring frame's logits for networks that take them.

        As in training, an object that was absent there leaves none.
        """
        if not self.tracker.model.config.dense_prompts:
            return None
        memory = found.bank.neighbour(frame_idx, reverse=reverse)
        if memory is None or not memory.seen:
            return None
        return self._logits(found, memory.frame_idx, memory, self._window(found))

    def step(
        self,
        objects: Sequence[TrackedObject],
        frame_idx: int,
        pixels: Tensor,
        *,
        reverse: bool,
    ) -> FrameResult:
        """Compute, write and remember one frame of a propagation."""
        answers: Answers = {}
        free = []
        for found in objects:
            fixed = found.answer(frame_idx)
            if fixed is None:
                free.append(found)
            else:
                answers[found.object_id] = fixed
        if free:
            answers |= self.look_up(free, frame_idx, pixels, reverse=reverse)
        patches = self.canvas.patches(answers)
        result = self.canvas.draw(frame_idx, answers, patches)
        for found in free:
            found.bank.add(answers[found.object_id], conditioning=False)
        for found in objects:
            found.tracked[frame_idx] = BACKWARD if reverse else FORWARD
            memory = answers[found.object_id]
            if self.zoom.move(found, memory, patches[found.object_id]):
                self.moved.add(found.object_id)
        return result
