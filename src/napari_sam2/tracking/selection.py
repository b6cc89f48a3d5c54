"""Other ways of choosing an object's mask and memories, without any training.

The default, the paper's first in, first out, is in `memory_bank`; a bank whose
`selection` is set asks that instead, one object at a time. What a strategy keeps is
bounded: at most 6 spatial memories and 64 traces of a few numbers for an object.

Shapes: s side of the low-resolution masks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
from scipy import ndimage

from napari_sam2.tracking.memory_bank import Recall
from napari_sam2.tracking.motion import expect, overlap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from napari_sam2.model import ImageFeatures
    from napari_sam2.model.mask_decoder import DecoderOutput
    from napari_sam2.tracking.memory_bank import FrameMemory, MemoryBank
    from napari_sam2.tracking.motion import Box
    from napari_sam2.tracking.tracker import Tracker
    from napari_sam2.tracking.windows import Window

MAX_TRACES = 64
AMBIGUOUS = (1, 2, 3)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One frame in which one object is looked for.

    Attributes
    ----------
    tracker
        Runs the network.
    frame_idx, window, features
        The frame, and the part of it that the features cover.
    previous
        (1, 1, s, s) logits in the neighbouring frame, or None.
    reverse
        Whether time runs backwards.
    """

    tracker: Tracker
    frame_idx: int
    window: Window
    features: ImageFeatures
    previous: Tensor | None
    reverse: bool

    def back(self, steps: int) -> int:
        """Return the frame that was walked through some steps before."""
        return self.frame_idx + (steps if self.reverse else -steps)

    def ago(self, frame_idx: int) -> int:
        """Return how many steps before this a frame was walked through."""
        return (frame_idx - self.frame_idx) * (1 if self.reverse else -1)

    def recall(self, bank: MemoryBank) -> Recall:
        """Return what the frame is conditioned on by default."""
        return bank.recall(
            self.frame_idx,
            reverse=self.reverse,
            n_frames=self.tracker.n_frames,
            window=self.window,
        )

    def propose(self, recall: Recall) -> DecoderOutput:
        """Find the object, with all masks."""
        return self.tracker.propose(self.features, recall, self.previous)

    def decide(self, raw: DecoderOutput, choice: int) -> FrameMemory:
        """Answer with one of the masks."""
        return self.tracker.decide(
            self.frame_idx, self.window, self.features, raw, choice
        )


class MemorySelection(Protocol):
    """A way of choosing masks and memories; it belongs to one object."""

    def look_up(self, bank: MemoryBank, step: Step) -> FrameMemory:
        """Find the object in a frame; remembers nothing."""
        ...

    def remember(self, memory: FrameMemory, *, conditioning: bool) -> None:
        """Take note of a memory that the bank keeps."""
        ...

    def forget(self, frame_idx: int) -> None:
        """Drop what is known of a frame."""
        ...


@dataclass(frozen=True, kw_only=True)
class Trace:
    """What is noted of one object in one frame.

    Attributes
    ----------
    box
        Centre y and x, height and width in px of the frame; None if absent.
    area
        px.
    iou
        Predicted IoU; None where the network's is not known.
    seen
        Whether the object is in the frame.
    motion
        Overlap of the box with the expected one; None if none was expected.
    distracted
        Whether another mask reached well beyond the answer.
    """

    box: Box | None
    area: float
    iou: float | None
    seen: bool
    motion: float | None = None
    distracted: bool = False


def largest_piece(logits: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return the largest connected piece of a mask, (s, s)."""
    inside = logits > 0
    pieces, count = ndimage.label(inside)
    if count <= 1:
        return np.asarray(inside)
    return np.asarray(pieces == np.bincount(pieces.ravel())[1:].argmax() + 1)


def mask_box(inside: NDArray[np.bool_], window: Window) -> Box | None:
    """Return the box of an (s, s) mask in the frame, or None if it is empty."""
    rows, cols = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    if not rows.size:
        return None
    y_scale = window.height / inside.shape[0]
    x_scale = window.width / inside.shape[1]
    top, bottom = rows[0] * y_scale, (rows[-1] + 1) * y_scale
    left, right = cols[0] * x_scale, (cols[-1] + 1) * x_scale
    return (
        window.y + float(top + bottom) / 2,
        window.x + float(left + right) / 2,
        float(bottom - top),
        float(right - left),
    )


def trace_of(memory: FrameMemory, *, scored: bool) -> Trace:
    """Note what a memory says; `scored` tells whether its scores mean anything."""
    box, area = None, 0.0
    if memory.mask_logits is not None and memory.seen:
        inside = largest_piece(memory.mask_logits[0, 0].float().cpu().numpy())
        box = mask_box(inside, memory.window)
        share = memory.window.height * memory.window.width / inside.size
        area = float(np.count_nonzero(inside)) * share
    return Trace(
        box=box, area=area, iou=memory.iou if scored else None, seen=memory.seen
    )


@dataclass(kw_only=True)
class Notes:
    """Traces and older memories of one object, both bounded.

    Attributes
    ----------
    traces
        By frame, the latest noted last.
    kept
        Spatial memories that the bank may have dropped, the latest kept last.
    most
        Most of `kept`.
    """

    traces: dict[int, Trace] = field(default_factory=dict)
    kept: dict[int, FrameMemory] = field(default_factory=dict)
    most: int = 6
    pending: tuple[FrameMemory, Trace] | None = None

    def note(self, memory: FrameMemory, *, conditioning: bool) -> Trace:
        """Note a memory that the bank takes, and return its trace."""
        frame_idx = memory.frame_idx
        known = self.traces.pop(frame_idx, None)
        if self.pending is not None and self.pending[0] is memory:
            trace = self.pending[1]
        elif memory.derived and known is not None:
            trace = known  # the network's own scores are better than none
        else:
            trace = trace_of(memory, scored=not (memory.derived or conditioning))
        self.pending = None
        self.traces[frame_idx] = trace
        for old in list(self.traces)[:-MAX_TRACES]:
            del self.traces[old]
        return trace

    def keep(self, memory: FrameMemory) -> None:
        """Keep a memory; the one kept first goes when there are too many."""
        self.kept.pop(memory.frame_idx, None)
        self.kept[memory.frame_idx] = memory
        for old in list(self.kept)[: -self.most]:
            del self.kept[old]

    def forget(self, frame_idx: int) -> None:
        """Drop a frame."""
        self.traces.pop(frame_idx, None)
        self.kept.pop(frame_idx, None)

    def run(self, step: Step, most: int) -> list[Trace]:
        """Return the unbroken traces up to a frame, the earliest first."""
        found: list[Trace] = []
        while len(found) < most:
            trace = self.traces.get(step.back(len(found) + 1))
            if trace is None:
                break
            found.append(trace)
        return found[::-1]


def past_memories(
    bank: MemoryBank, step: Step, kept: Iterable[FrameMemory]
) -> list[FrameMemory]:
    """Return usable spatial memories of earlier frames, the nearest first."""
    fixed = {m.frame_idx for m, row in step.recall(bank).memories if is_fixed(bank, row)}
    every = {m.frame_idx: m for m in kept}
    every |= bank.conditioning
    every |= {t: m for t, m in bank.recent.items() if m.spatial is not None}
    usable = [
        m
        for t, m in every.items()
        if t not in fixed and step.ago(t) > 0 and m.covers(step.window)
    ]
    return sorted(usable, key=lambda m: step.ago(m.frame_idx))


def is_fixed(bank: MemoryBank, row: int) -> bool:
    """Whether a row of the temporal encoding is that of prompted frames."""
    return row == bank.config.num_memories - 1


def assemble(
    bank: MemoryBank,
    step: Step,
    nearest: Sequence[FrameMemory],
    anchors: Sequence[FrameMemory] = (),
) -> Recall:
    """Condition a frame on chosen memories instead of the last ones.

    Parameters
    ----------
    bank, step
        Whose memories, and where.
    nearest
        At most ``num_memories - 1``, the nearest first; they get the temporal
        encoding of the frames just before, in their order.
    anchors
        Remembered like prompted frames, without temporal order.
    """
    base = step.recall(bank)
    top = bank.config.num_memories - 1
    fixed = [(m, row) for m, row in base.memories if row == top]
    fixed += [(m, top) for m in anchors]
    ordered = [(m, i) for i, m in enumerate(nearest[:top])]
    return Recall(memories=(*fixed, *reversed(ordered)), pointers=base.pointers)


def masks_of(raw: DecoderOutput) -> NDArray[np.float32]:
    """Return the four masks, (4, s, s) logits."""
    return np.asarray(raw.masks[0].float().cpu().numpy())


def best_of(raw: DecoderOutput) -> int:
    """Return which of the ambiguous masks has the best predicted IoU."""
    return int(raw.iou_scores[0, 1:].argmax()) + 1


@dataclass(frozen=True, kw_only=True)
class SamuraiConfig:
    """Numbers of SAMURAI (arXiv 2411.11922, section 5.1).

    Attributes
    ----------
    motion_weight
        Share of motion in a mask's score.
    steady_frames
        Frames that have to be steady before motion counts.
    steady_overlap
        Overlap from which on a frame is steady.
    least_iou, least_motion
        A remembered frame has more predicted IoU and more overlap than these.
    chooses, selects
        Whether masks are chosen, and memories selected.
    """

    motion_weight: float = 0.15
    steady_frames: int = 15
    steady_overlap: float = 0.3
    least_iou: float = 0.5
    least_motion: float = 0.0
    chooses: bool = True
    selects: bool = True


@dataclass(kw_only=True)
class Samurai:
    """Motion-aware choice of masks and memories (SAMURAI, arXiv 2411.11922)."""

    config: SamuraiConfig = SamuraiConfig()
    notes: Notes = field(default_factory=Notes)

    def look_up(self, bank: MemoryBank, step: Step) -> FrameMemory:
        """Find the object in a frame; remembers nothing."""
        past = self.notes.run(step, 2 * self.config.steady_frames + 1)
        expected, steady = expect(
            [trace.box for trace in past], least_overlap=self.config.steady_overlap
        )
        raw = step.propose(
            self._recall(bank, step) if self.config.selects else step.recall(bank)
        )
        choice = best_of(raw)
        if expected and steady >= self.config.steady_frames and self.config.chooses:
            choice = self._choose(raw, step.window, expected)
        memory = step.decide(raw, choice)
        trace = trace_of(memory, scored=True)
        if expected is not None and trace.box is not None:
            trace = replace(trace, motion=overlap(expected, trace.box))
        self.notes.pending = memory, trace
        return memory

    def _choose(self, raw: DecoderOutput, window: Window, expected: Box) -> int:
        masks = masks_of(raw)
        ious = raw.iou_scores[0].float().tolist()
        weight = self.config.motion_weight
        scores = {}
        for k in AMBIGUOUS:
            box = mask_box(largest_piece(masks[k]), window)
            motion = 0.0 if box is None else overlap(expected, box)
            scores[k] = weight * motion + (1 - weight) * ious[k]
        return max(scores, key=lambda k: scores[k])

    def _recall(self, bank: MemoryBank, step: Step) -> Recall:
        past = past_memories(bank, step, self.notes.kept.values())
        last = step.back(1)
        good = [m for m in past if m.frame_idx == last or self._is_good(m.frame_idx)]
        return assemble(bank, step, good)

    def _is_good(self, frame_idx: int) -> bool:
        trace = self.notes.traces.get(frame_idx)
        if trace is None:
            return True
        return (
            trace.seen
            and (trace.iou is None or trace.iou > self.config.least_iou)
            and (trace.motion is None or trace.motion > self.config.least_motion)
        )

    def remember(self, memory: FrameMemory, *, conditioning: bool) -> None:
        """Take note of a memory that the bank keeps."""
        self.notes.note(memory, conditioning=conditioning)
        if not conditioning and self._is_good(memory.frame_idx):
            self.notes.keep(memory)

    def forget(self, frame_idx: int) -> None:
        """Drop what is known of a frame."""
        self.notes.forget(frame_idx)


@dataclass(frozen=True, kw_only=True)
class DistractorConfig:
    """Numbers of DAM4SAM (arXiv 2411.17576, section 3).

    Attributes
    ----------
    every
        Recent appearances are so many frames apart.
    recents, anchors
        Most recent appearances, the last frame included, and most anchor frames
        beside the prompted ones.
    least_iou
        Predicted IoU of an anchor.
    area_share, area_frames
        How far an anchor's area may be from the median of how many frames.
    box_share
        Share of the box of answer and alternative from which on the answer's own
        box says that there is no distractor.
    """

    every: int = 5
    recents: int = 3
    anchors: int = 2
    least_iou: float = 0.8
    area_share: float = 0.2
    area_frames: int = 10
    box_share: float = 0.7


@dataclass(kw_only=True)
class DistractorAware:
    """Memory of recent appearances and of distractors (DAM4SAM, arXiv 2411.17576)."""

    config: DistractorConfig = DistractorConfig()
    notes: Notes = field(default_factory=lambda: Notes(most=3))
    anchors: dict[int, FrameMemory] = field(default_factory=dict)

    def look_up(self, bank: MemoryBank, step: Step) -> FrameMemory:
        """Find the object in a frame; remembers nothing."""
        raw = step.propose(self._recall(bank, step))
        choice = best_of(raw)
        memory = step.decide(raw, choice)
        trace = trace_of(memory, scored=True)
        recent = self.notes.run(step, self.config.area_frames)
        if self._is_anchor(memory, trace, recent, step):
            masks = masks_of(raw)
            others = [masks[k] for k in AMBIGUOUS if k != choice]
            trace = replace(trace, distracted=self._distracted(masks[choice], others))
        self.notes.pending = memory, trace
        return memory

    def _recall(self, bank: MemoryBank, step: Step) -> Recall:
        past = [
            m
            for m in past_memories(bank, step, self.notes.kept.values())
            if m.seen and m.frame_idx not in self.anchors
        ]
        chosen = past[:1]
        chosen += [m for m in past[1:] if m.frame_idx % self.config.every == 0]
        anchors = [
            m
            for m in self.anchors.values()
            if step.ago(m.frame_idx) > 0
            and m.spatial_window.shape == step.window.shape
        ]
        return assemble(bank, step, chosen[: self.config.recents], anchors)

    def _is_anchor(
        self, memory: FrameMemory, trace: Trace, recent: list[Trace], step: Step
    ) -> bool:
        areas = [past.area for past in recent if past.seen]
        if not memory.seen or memory.iou < self.config.least_iou or not areas:
            return False
        median = float(np.median(areas))
        near = abs(trace.area - median) <= self.config.area_share * median
        return near and all(
            abs(t - step.frame_idx) >= self.config.every for t in self.anchors
        )

    def _distracted(
        self, chosen: NDArray[np.float32], others: list[NDArray[np.float32]]
    ) -> bool:
        inside = largest_piece(chosen)
        for other in others:
            both = inside | largest_piece(np.where(inside, -1, other))
            if _box_area(inside) < self.config.box_share * _box_area(both):
                return True
        return False

    def remember(self, memory: FrameMemory, *, conditioning: bool) -> None:
        """Take note of a memory that the bank keeps."""
        trace = self.notes.note(memory, conditioning=conditioning)
        if conditioning or not trace.seen:
            return
        if trace.distracted:
            self.anchors.pop(memory.frame_idx, None)
            self.anchors[memory.frame_idx] = memory
            for old in list(self.anchors)[: -self.config.anchors]:
                del self.anchors[old]
        if memory.frame_idx % self.config.every == 0:
            self.notes.keep(memory)

    def forget(self, frame_idx: int) -> None:
        """Drop what is known of a frame."""
        self.notes.forget(frame_idx)
        self.anchors.pop(frame_idx, None)


def _box_area(inside: NDArray[np.bool_]) -> int:
    rows, cols = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    if not rows.size:
        return 0
    return int((rows[-1] - rows[0] + 1) * (cols[-1] - cols[0] + 1))


@dataclass(frozen=True, kw_only=True)
class TreeConfig:
    """Numbers of SAM2Long (arXiv 2410.16268, section 4.1).

    Attributes
    ----------
    paths
        Hypotheses kept.
    least_iou
        A remembered frame has more predicted IoU than this.
    sure
        Object score, either way, from which on the best branches are taken as they
        are; below, they have to differ.
    selects
        Whether memories are selected by score.
    """

    paths: int = 3
    least_iou: float = 0.3
    sure: float = 2.0
    selects: bool = True


@dataclass(frozen=True, kw_only=True)
class Path:
    """One hypothesis: what the object was in the frames so far."""

    score: float = 0.0
    memories: tuple[FrameMemory, ...] = ()


@dataclass(kw_only=True)
class Tree:
    """A tree over hypotheses (SAM2Long, arXiv 2410.16268)."""

    config: TreeConfig = TreeConfig()
    paths: list[Path] = field(default_factory=lambda: [Path()])
    pending: tuple[FrameMemory, list[Path]] | None = None
    latest: tuple[int, int] | None = None

    def look_up(self, bank: MemoryBank, step: Step) -> FrameMemory:
        """Find the object in a frame; remembers nothing."""
        paths = self.paths
        last = self.latest
        if last is None or last[0] != step.back(1):
            paths = [Path()]
        branches = []
        for path in paths:
            raw, own = self._propose(bank, step, path)
            for k in AMBIGUOUS:
                iou = float(raw.iou_scores[0, k])
                score = path.score + math.log(max(iou, 1e-6))
                branches.append((score, iou, k, path, raw, own))
        branches.sort(key=lambda branch: -branch[0])
        chosen = self._prune(branches)
        made = []
        for score, _, k, path, raw, own in chosen:
            memory = own.decide(raw, k)
            kept = (*path.memories, memory)[-16:]
            made.append(Path(score=score, memories=_slimmed(kept)))
        answer = made[0].memories[-1]
        best = made[0].score
        made = [replace(path, score=path.score - best) for path in made]
        self.pending = answer, made
        return answer

    def _propose(
        self, bank: MemoryBank, step: Step, path: Path
    ) -> tuple[DecoderOutput, Step]:
        own = replace(
            bank,
            selection=None,
            recent=dict(bank.recent),
            conditioning=dict(bank.conditioning),
        )
        for memory in path.memories:
            held = own.recent.get(memory.frame_idx)
            if held is None:
                continue
            if memory.covers(step.window):
                own.recent[memory.frame_idx] = memory
            else:
                own.recent[memory.frame_idx] = replace(held, pointer=memory.pointer)
        last = path.memories[-1] if path.memories else None
        if last is not None and step.previous is not None:
            if last.mask_logits is not None and last.window == step.window:
                step = replace(
                    step, previous=last.mask_logits if last.seen else None
                )
        if not self.config.selects:
            return step.propose(step.recall(own)), step
        kept = [m for m in path.memories if m.spatial is not None]
        nearest = [
            m
            for m in past_memories(own, step, kept)
            if m.frame_idx == step.back(1)
            or m.derived
            or (m.seen and m.iou > self.config.least_iou)
        ]
        return step.propose(assemble(own, step, nearest)), step

    def _prune(self, branches: list) -> list:
        sure = any(
            abs(float(branch[4].object_score_logits)) > self.config.sure
            for branch in branches
        )
        if sure:
            return branches[: self.config.paths]
        chosen, seen = [], set()
        for branch in branches:
            key = round(branch[1], 2)
            if key not in seen:
                chosen.append(branch)
                seen.add(key)
        return chosen[: self.config.paths]

    def remember(self, memory: FrameMemory, *, conditioning: bool) -> None:
        """Take note of a memory that the bank keeps."""
        if self.pending is not None and self.pending[0] is memory:
            self.paths = self.pending[1]
            self.latest = memory.frame_idx, len(self.paths)
            self.pending = None

    def forget(self, frame_idx: int) -> None:
        """Drop what is known of a frame."""
        self.latest = None


def _slimmed(memories: tuple[FrameMemory, ...]) -> tuple[FrameMemory, ...]:
    keep = 6
    return (
        *(
            replace(m, spatial=None, mask_logits=None)
            for m in memories[:-keep]
        ),
        *memories[-keep:],
    )


@dataclass(kw_only=True)
class Short:
    """Exploration: only the last `count` memories."""

    count: int = 2
    pointers: int = 15

    def look_up(self, bank: MemoryBank, step: Step) -> FrameMemory:
        past = past_memories(bank, step, ())
        recall = assemble(bank, step, past[: self.count])
        recall = replace(
            recall,
            pointers=tuple(
                (m, d)
                for m, d in recall.pointers
                if d <= self.pointers or m.frame_idx in bank.conditioning
            ),
        )
        raw = step.propose(recall)
        return step.decide(raw, best_of(raw))

    def remember(self, memory: FrameMemory, *, conditioning: bool) -> None:
        pass

    def forget(self, frame_idx: int) -> None:
        pass


STRATEGIES: dict[str, Callable[[], MemorySelection]] = {
    "plain": lambda: Short(count=6),
    "samurai": Samurai,
    "samurai-5": lambda: Samurai(config=SamuraiConfig(steady_frames=5)),
    "samurai-choice": lambda: Samurai(
        config=SamuraiConfig(steady_frames=5, selects=False)
    ),
    "samurai-memory": lambda: Samurai(config=SamuraiConfig(chooses=False)),
    "samurai-strong": lambda: Samurai(
        config=SamuraiConfig(steady_frames=3, motion_weight=0.5, selects=False)
    ),
    "dam": DistractorAware,
    "tree": Tree,
    "tree-fifo": lambda: Tree(config=TreeConfig(selects=False)),
    "short-1": lambda: Short(count=1),
    "short-3": lambda: Short(count=3),
    "short-3-5": lambda: Short(count=3, pointers=5),
    "short-6-5": lambda: Short(count=6, pointers=5),
}


def make(name: str) -> MemorySelection | None:
    """Make what an object's bank needs to choose memories in a named way.

    Raises
    ------
    ValueError
        If there is no such way.
    """
    if name == "default":
        return None
    if name not in STRATEGIES:
        known = ", ".join(["default", *STRATEGIES])
        msg = f"There is no memory selection {name!r}; choose one of {known}."
        raise ValueError(msg)
    return STRATEGIES[name]()
