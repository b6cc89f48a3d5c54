"""What is remembered of one object: prompted frames and recent ones.

Shapes: C channels, m memory channels, e = S / 16, s = S / 4.

A frame being tracked sees (paper, section 4, memory bank) the memories of
prompted frames without temporal order, those of up to six recent frames with it
(fewer on request), and the object pointers of both.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

import torch

if TYPE_CHECKING:
    from collections.abc import Collection

    from torch import Tensor

    from napari_sam2.model import MaskOutput, ModelConfig
    from napari_sam2.tracking.selection import MemorySelection
    from napari_sam2.tracking.windows import Window

Retention: TypeAlias = Literal["recent", "all"]


@dataclass(frozen=True, kw_only=True)
class FrameMemory:
    """What is kept of one object in one frame.

    Attributes
    ----------
    frame_idx
        Which frame.
    pointer
        (1, C) object pointer.
    spatial
        (1, m, e, e) bfloat16 spatial memory; None when only the pointer is kept.
    mask_logits
        (1, 1, s, s) the answer, kept as long as the spatial memory.
    object_score
        Logit, positive where the object is in the frame.
    iou
        Predicted IoU in [0, 1].
    window, spatial_window
        The part of the frame that `mask_logits` and `spatial` cover.
    """

    frame_idx: int
    pointer: Tensor
    spatial: Tensor | None
    mask_logits: Tensor | None
    object_score: float
    iou: float
    window: Window
    spatial_window: Window

    @property
    def seen(self) -> bool:
        """Whether the object is in the frame."""
        return self.object_score > 0

    def covers(self, window: Window) -> bool:
        """Whether there is a spatial memory of just this part of the frame."""
        return self.spatial is not None and self.spatial_window == window


def frame_memories(
    frame_idx: int, window: Window, output: MaskOutput, spatial: Tensor
) -> list[FrameMemory]:
    """Split the network's answer for O objects into their memories.

    Parameters
    ----------
    frame_idx, window
        Which frame, and the part of it that was looked at.
    output
        The answer for O objects.
    spatial
        (O, m, e, e) from the memory encoder; kept as bfloat16, as Meta does.
    """
    spatial = spatial.to(torch.bfloat16)
    scores = output.object_score_logits.flatten().tolist()
    ious = output.iou_scores.flatten().tolist()
    return [
        FrameMemory(
            frame_idx=frame_idx,
            # Copies: a slice would keep the whole batch alive.
            pointer=output.object_pointer[i : i + 1].clone(),
            spatial=spatial[i : i + 1].clone(),
            mask_logits=output.low_res_masks[i : i + 1].clone(),
            object_score=float(scores[i]),
            iou=float(ious[i]),
            window=window,
            spatial_window=window,
        )
        for i in range(len(scores))
    ]


@dataclass(frozen=True, kw_only=True)
class Recall:
    """What one frame is conditioned on.

    Attributes
    ----------
    memories
        (memory, row of the temporal encoding).
    pointers
        (memory, signed distance in frames, positive in the past).
    """

    memories: tuple[tuple[FrameMemory, int], ...]
    pointers: tuple[tuple[FrameMemory, int], ...]

    @property
    def structure(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Equal for objects that can be computed together."""
        rows = tuple(row for _, row in self.memories)
        return rows, tuple(distance for _, distance in self.pointers)


@dataclass(kw_only=True)
class MemoryBank:
    """The memories of one object.

    Attributes
    ----------
    config
        Of the network: how many memories and pointers are attended to.
    retention
        "recent" keeps prompted frames and what the next frames can need; "all"
        keeps every frame, as Meta's predictor does.
    max_conditioning
        Most prompted frames attended to as such, the closest ones; None for all.
    conditioning
        Memories of prompted frames.
    recent
        Memories of tracked frames, the latest last.
    selection
        Another way of choosing masks and memories; None for the paper's.
    """

    config: ModelConfig
    retention: Retention = "recent"
    max_conditioning: int | None = None
    conditioning: dict[int, FrameMemory] = field(default_factory=dict)
    recent: dict[int, FrameMemory] = field(default_factory=dict)
    selection: MemorySelection | None = None

    def at(self, frame_idx: int) -> FrameMemory | None:
        """Return the memory of a frame, or None."""
        found = self.conditioning.get(frame_idx)
        return found if found is not None else self.recent.get(frame_idx)

    def add(self, memory: FrameMemory, *, conditioning: bool) -> None:
        """Keep a memory in place of an earlier one of the same frame."""
        self.forget(memory.frame_idx)
        if conditioning:
            self.conditioning[memory.frame_idx] = memory
            return
        self.recent[memory.frame_idx] = memory
        if self.retention == "recent":
            self._drop_old()

    def forget(self, frame_idx: int) -> None:
        """Drop the memory of a frame, if there is one."""
        self.conditioning.pop(frame_idx, None)
        self.recent.pop(frame_idx, None)

    def _drop_old(self) -> None:
        frames = list(self.recent)
        for frame_idx in frames[: -self.config.max_pointers]:
            del self.recent[frame_idx]
        for frame_idx in frames[-self.config.max_pointers : 1 - self._slots]:
            memory = self.recent[frame_idx]
            if memory.spatial is not None:
                # Assigning to an existing key leaves the order as it is.
                self.recent[frame_idx] = replace(memory, spatial=None, mask_logits=None)

    @property
    def _slots(self) -> int:
        return self.config.num_memories

    def kept(self, frame_idx: int, *, reverse: bool) -> list[int]:
        """Return the frames before one whose masks are kept, nearest first."""
        step = 1 if reverse else -1
        return [frame_idx + step * t for t in range(1, self._slots)]

    def reach(self, frame_idx: int, *, reverse: bool) -> list[int]:
        """Return the frames whose spatial memory a frame can use, nearest first."""
        return self.kept(frame_idx, reverse=reverse)[: self.config.recent_memories]

    def recall(
        self, frame_idx: int, *, reverse: bool, n_frames: int, window: Window
    ) -> Recall:
        """Choose what a frame is conditioned on.

        Parameters
        ----------
        frame_idx
            The frame to be tracked or refined.
        window
            The part of it to be looked at: spatial memories of other parts do not
            lie where they should and are left out.
        reverse
            Whether time runs backwards.
        n_frames
            Length of the stack.
        """
        near = closest(self.conditioning, frame_idx, self.max_conditioning)
        chosen = {t: self.conditioning[t] for t in near}
        others = {t: m for t, m in self.conditioning.items() if t not in chosen}
        past = {**others, **self.recent}
        memories = [(memory, self._slots - 1) for memory in chosen.values()]
        reach = self.reach(frame_idx, reverse=reverse)
        for steps, t in reversed(list(enumerate(reach, start=1))):
            found = past.get(t)
            if found is not None and found.covers(window):
                memories.append((found, steps - 1))
        sign = -1 if reverse else 1
        pointers = [
            (memory, (frame_idx - t) * sign)
            for t, memory in chosen.items()
            if (frame_idx - t) * sign >= 0
        ]
        for distance in range(1, min(n_frames, self.config.max_pointers)):
            found = past.get(frame_idx - distance * sign)
            if found is not None:
                pointers.append((found, distance))
        return Recall(
            memories=tuple((m, row) for m, row in memories if m.spatial is not None),
            pointers=tuple(pointers),
        )

    def neighbour(self, frame_idx: int, *, reverse: bool) -> FrameMemory | None:
        """Return the nearest earlier memory that still has its logits, or None.

        Parameters
        ----------
        frame_idx
            The frame to be tracked.
        reverse
            Whether time runs backwards; "earlier" then means later frames.
        """
        sign = -1 if reverse else 1
        past = {
            (frame_idx - t) * sign: memory
            for group in (self.conditioning, self.recent)
            for t, memory in group.items()
            if (frame_idx - t) * sign > 0 and memory.mask_logits is not None
        }
        return past[min(past)] if past else None


def closest(
    frames: Collection[int], frame_idx: int, limit: int | None
) -> dict[int, None]:
    """Choose at most `limit` prompted frames: the last, the next, the nearest.

    The order of the answer, of a dict's keys, is that of memory attention.
    """
    if limit is None or len(frames) <= limit:
        return dict.fromkeys(frames)
    before = [t for t in frames if t < frame_idx]
    after = [t for t in frames if t >= frame_idx]
    first = [max(before)] if before else []
    first += [min(after)] if after else []
    rest = sorted(
        (t for t in frames if t not in first), key=lambda t: (abs(t - frame_idx), t)
    )
    return dict.fromkeys([*first, *rest][:limit])
