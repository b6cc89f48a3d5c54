"""What a session does with a frame: answer, track, remember.

The network's steps are in `tracker`, the drawing in `canvas`; who takes part and in
which order is decided in `session`.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from napari_sam2.stacks import FrameReadError
from napari_sam2.tracking.answering import Answering
from napari_sam2.tracking.canvas import Canvas
from napari_sam2.tracking.frames import read_ahead, with_next
from napari_sam2.tracking.lanes import fair_share, open_lanes
from napari_sam2.tracking.lookup import Query, find, find_side_by_side
from napari_sam2.tracking.memory_bank import closest
from napari_sam2.tracking.results import FrameResult
from napari_sam2.tracking.selection import Search

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from concurrent.futures import Executor

    import numpy as np
    from numpy.typing import NDArray

    from napari_sam2.model import ImageFeatures
    from napari_sam2.tracking.frames import Pixels
    from napari_sam2.tracking.memory_bank import FrameMemory
    from napari_sam2.tracking.objects import TrackedObject
    from napari_sam2.tracking.planning import Pass
    from napari_sam2.tracking.prompts import Prompt
    from napari_sam2.tracking.state import SessionState
    from napari_sam2.tracking.windows import Window

Answers: TypeAlias = "dict[int, FrameMemory]"

MOVED_DEPTH = 2


@dataclass(kw_only=True)
class Beside:
    """What is computed beside the frame in work.

    Attributes
    ----------
    lanes
        The threads that do it.
    coming
        The next frame, read already.
    """

    lanes: Executor
    coming: tuple[int, Pixels | FrameReadError] | None = None


@dataclass(kw_only=True)
class Engine(Answering):
    """The machinery of one session.

    Attributes
    ----------
    batch
        Most objects computed together; more than one pays on a GPU only.
    lanes
        Threads for objects computed at the same time; see `lanes`.
    state
        Of the session.
    moved
        Ids whose window moved, so that their memories do not lie in it.
    canvas
        Draws answers into the labels.
    """

    state: SessionState
    batch: int = 1
    lanes: int = 1
    moved: set[int] = field(default_factory=set)
    canvas: Canvas = field(init=False)

    def __post_init__(self) -> None:
        """Share the state with the canvas."""
        self.canvas = Canvas(
            store=self.store,
            state=self.state,
            tidies=self.tracker.model.config.dense_prompts,
        )

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
            unread = [failed[t] for t in found.prompted_frames if t in failed]
            if unread and not found.bank.conditioning:
                raise unread[0]
        with self._beside() as beside:
            for walk in passes:
                yield from self._walk(objects, walk, beside)

    @contextlib.contextmanager
    def _beside(self) -> Iterator[Beside | None]:
        """Have threads for what can be computed at the same time, if that pays."""
        if self.lanes <= 1 or self.tracker.non_overlapping_memory:
            yield None
            return
        with open_lanes(self.lanes) as pool:
            try:
                yield Beside(lanes=pool)
            finally:
                self.frames.expect_nothing()

    def _walk(
        self, objects: list[TrackedObject], walk: Pass, beside: Beside | None
    ) -> Generator[FrameResult, None, None]:
        reader = read_ahead(self.frames.pixels, walk.frames)
        latest: dict[int, int] = {}
        with contextlib.closing(reader):
            for (frame_idx, pixels), coming in with_next(reader):
                taking = [
                    o
                    for o in objects
                    if walk.takes(o.object_id, frame_idx)
                    # The user may have taken it back meanwhile.
                    and self.state.objects.get(o.object_id) is o
                    and o.anchors
                ]
                past = frame_idx + 1 if walk.reverse else frame_idx - 1
                new = [o for o in taking if latest.get(o.object_id) != past]
                latest.update((o.object_id, frame_idx) for o in taking)
                if isinstance(pixels, FrameReadError):
                    yield FrameResult(
                        frame_idx=frame_idx,
                        labels=self.store.read(frame_idx),
                        error=str(pixels),
                    )
                    continue
                self.enter(new, frame_idx, reverse=walk.reverse)
                self.settle([o for o in taking if frame_idx in o.locked], [frame_idx])
                taking = [o for o in taking if o.bank.conditioning]
                self._settle_moved(taking, frame_idx, reverse=walk.reverse)
                if beside is not None:
                    beside.coming = coming
                yield self.step(
                    taking, frame_idx, pixels, reverse=walk.reverse, beside=beside
                )

    def enter(
        self, objects: Sequence[TrackedObject], frame_idx: int, *, reverse: bool
    ) -> None:
        """Have all at hand that objects need to be tracked from a frame on."""
        for found in objects:
            if self.corrections_condition:
                self._refresh(found, frame_idx)
        objects = [o for o in objects if o.bank.conditioning]
        for found in objects:
            self.zoom.place(found, frame_idx, reverse=reverse)
            self.zoom.rescale(found)
            self.moved.discard(found.object_id)
        self.remaker.recent(objects, frame_idx, reverse=reverse)

    def _refresh(self, found: TrackedObject, frame_idx: int) -> None:
        """Drop memories of stale frames; have those of the nearest locked ones.

        There can be many locked frames: only those that count are encoded and kept.
        """
        bank = found.bank
        for t in [t for t in bank.recent if found.stale[t]]:
            bank.forget(t)
        if not found.locked:
            return
        near = closest(found.anchors, frame_idx, bank.max_conditioning)
        if bank.retention == "recent":
            for t in found.locked.keys() & bank.conditioning.keys() - near:
                bank.forget(t)
                found.answered.pop(t, None)
        self.settle([found], {*near, frame_idx} & found.locked.keys())

    def _settle_moved(
        self, objects: Sequence[TrackedObject], frame_idx: int, *, reverse: bool
    ) -> None:
        """Make the nearest memories again for objects whose window moved."""
        moved = [o for o in objects if o.object_id in self.moved]
        if not moved:
            return
        for found in moved:
            self.zoom.rescale(found)
        self.remaker.recent(moved, frame_idx, reverse=reverse, depth=MOVED_DEPTH)
        self.moved.difference_update(o.object_id for o in moved)

    def suppose(self, found: TrackedObject, prompt: Prompt) -> NDArray[np.bool_]:
        """Return the (Y, X) mask that `found`, a spare, has after one more prompt."""
        found.add_prompt(prompt, replace=False)
        self.answer(found, prompt.frame_idx)
        memory = found.bank.at(prompt.frame_idx)
        assert memory is not None
        return self.canvas.patch(memory).mask(self.tracker.frame_shape)

    def look_up(
        self,
        objects: Sequence[TrackedObject],
        frame_idx: int,
        pixels: Pixels | None = None,
        *,
        reverse: bool,
        beside: Beside | None = None,
    ) -> Answers:
        """Find objects in a frame from their memories; remembers nothing."""
        answers: Answers = {}
        if pixels is not None:
            self.frames.keep(frame_idx, pixels)
            if beside is not None:
                self._encode_ahead(objects, frame_idx, pixels, beside)
        for found in objects:
            if found.bank.selection is not None:
                answers[found.object_id] = found.bank.selection.look_up(
                    found.bank, self._search(found, frame_idx, pixels, reverse=reverse)
                )
        objects = [o for o in objects if o.bank.selection is None]
        n_frames = self.tracker.n_frames
        queries = []
        for found in objects:
            window = self.remaker.window(found)
            recall = found.bank.recall(
                frame_idx, reverse=reverse, n_frames=n_frames, window=window
            )
            previous = self.earlier.previous(found, frame_idx, reverse=reverse)
            queries.append(Query(window=window, recall=recall, previous=previous))
        features = partial(self._features, frame_idx, pixels)
        if beside is not None:
            memories = find_side_by_side(
                self.tracker,
                frame_idx,
                queries,
                features,
                beside.lanes,
                share=fair_share(len(queries), self.lanes),
                meanwhile=partial(self._encode_next, objects, beside),
            )
        else:
            memories, self.batch = find(
                self.tracker, frame_idx, queries, features, batch=self.batch
            )
        found_ids = [o.object_id for o in objects]
        return answers | dict(zip(found_ids, memories, strict=True))

    def _features(
        self, frame_idx: int, pixels: Pixels | None, window: Window
    ) -> ImageFeatures:
        return self.frames.features(frame_idx, pixels, window=window)

    def _encode_next(self, objects: Sequence[TrackedObject], beside: Beside) -> None:
        if beside.coming is not None:
            frame_idx, pixels = beside.coming
            if not isinstance(pixels, FrameReadError):
                self._encode_ahead(objects, frame_idx, pixels, beside)

    def _encode_ahead(
        self,
        objects: Sequence[TrackedObject],
        frame_idx: int,
        pixels: Pixels,
        beside: Beside,
    ) -> None:
        """Begin to encode the parts of a frame where objects probably are."""
        windows = [self.remaker.window(found) for found in objects]
        self.frames.encode_ahead(beside.lanes, frame_idx, pixels, windows)

    def _search(
        self,
        found: TrackedObject,
        frame_idx: int,
        pixels: Pixels | None,
        *,
        reverse: bool,
    ) -> Search:
        """Describe a frame to a way of selecting memories."""
        window = self.remaker.window(found)
        return Search(
            tracker=self.tracker,
            frame_idx=frame_idx,
            window=window,
            features=self.frames.features(frame_idx, pixels, window=window),
            previous=self.earlier.previous(found, frame_idx, reverse=reverse),
            reverse=reverse,
        )

    def step(
        self,
        objects: Sequence[TrackedObject],
        frame_idx: int,
        pixels: Pixels,
        *,
        reverse: bool,
        beside: Beside | None = None,
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
            answers |= self.look_up(
                free, frame_idx, pixels, reverse=reverse, beside=beside
            )
        patches = self.canvas.patches(answers)
        result = self.canvas.draw(frame_idx, answers, patches)
        for found in free:
            found.bank.add(answers[found.object_id], conditioning=False)
        self.state.frame_done(frame_idx, result.scores, reverse=reverse)
        for found in objects:
            memory = answers[found.object_id]
            if self.zoom.move(found, memory, patches[found.object_id]):
                self.moved.add(found.object_id)
        return result
