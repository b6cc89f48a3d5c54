"""One tracked object: its prompts, its locks, its memories, and what is up to date.

An *anchor* is a frame whose mask the user fixed: prompted or locked. What was tracked
between two anchors depends on both; a change at one of them makes it stale.
"""

from __future__ import annotations

import zlib
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_sam2.tracking.masks import Patch, patch_from_mask
from napari_sam2.tracking.prompts import MaskPrompt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from napari_sam2.tracking.memory_bank import FrameMemory, MemoryBank
    from napari_sam2.tracking.prompts import Prompt
    from napari_sam2.tracking.scouting import Look
    from napari_sam2.tracking.windows import Window

UNTRACKED, FORWARD, BACKWARD = 0, 1, 2
# From which side a frame has to be tracked again: bits, both for a new frame.
FRESH, FROM_BEFORE, FROM_AFTER, FROM_BOTH = 0, 1, 2, 3


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """All that an undo has to bring back of an object, labels aside.

    Memories are shared, for they never change; `flow` is `tracked` and `stale`,
    compressed.
    """

    prompts: Mapping[int, tuple[Prompt, ...]]
    locked: Mapping[int, MaskPrompt]
    answered: Mapping[int, int]
    restarted: frozenset[int]
    looks: Mapping[int, Look]
    conditioning: Mapping[int, FrameMemory]
    flow: bytes


@dataclass(kw_only=True)
class TrackedObject:
    """State of one object in a session.

    Attributes
    ----------
    object_id
        Its value in the labels.
    bank
        Its memories.
    tracked
        (T,) uint8: how each frame was last propagated through.
    stale
        (T,) uint8: from which anchor each frame has to be tracked again, the one
        before it, the one after it, or either; 0 where the labels are up to date.
    prompts
        By frame, in the order in which they were given.
    locked
        By frame, the mask that is kept as it is.
    answered
        By frame, how many of the prompts are in the answer already.
    restarted
        Frames whose first prompt does not go on from what was tracked there.
    window
        The part of the next frame to look at; None until it is known.
    looks
        By frame, how its clicks were looked at last.
    """

    object_id: int
    bank: MemoryBank
    tracked: NDArray[np.uint8]
    stale: NDArray[np.uint8]
    prompts: dict[int, list[Prompt]] = field(default_factory=dict)
    locked: dict[int, MaskPrompt] = field(default_factory=dict)
    answered: dict[int, int] = field(default_factory=dict)
    restarted: set[int] = field(default_factory=set)
    window: Window | None = None
    looks: dict[int, Look] = field(default_factory=dict)

    @staticmethod
    def new(object_id: int, bank: MemoryBank, n_frames: int) -> TrackedObject:
        """Return an object that nothing is known of in `n_frames` frames."""
        return TrackedObject(
            object_id=object_id,
            bank=bank,
            tracked=np.full(n_frames, UNTRACKED, np.uint8),
            stale=np.full(n_frames, FROM_BOTH, np.uint8),
        )

    def copy(self) -> TrackedObject:
        """Return one that can be changed for itself; memories are shared."""
        bank = self.bank
        return replace(
            self,
            bank=replace(
                bank, conditioning=dict(bank.conditioning), recent=dict(bank.recent)
            ),
            tracked=self.tracked.copy(),
            stale=self.stale.copy(),
            prompts={t: list(given) for t, given in self.prompts.items()},
            locked=dict(self.locked),
            answered=dict(self.answered),
            restarted=set(self.restarted),
            looks=dict(self.looks),
        )

    @property
    def anchors(self) -> list[int]:
        """Frames that are prompted or locked, in order."""
        return sorted(self.prompts.keys() | self.locked.keys())

    @property
    def prompted_frames(self) -> list[int]:
        """Frames with prompts, in order."""
        return sorted(self.prompts)

    def add_prompt(self, prompt: Prompt, *, replace: bool) -> None:
        """Add a prompt; `replace` drops what was said in its frame before."""
        frame_idx = prompt.frame_idx
        if replace:
            self.clear_prompts(frame_idx)
            self.restarted.add(frame_idx)
        self.prompts.setdefault(frame_idx, []).append(prompt)
        self.invalidate(frame_idx)

    def clear_prompts(self, frame_idx: int) -> bool:
        """Forget the prompts of a frame and their answer; say if there were any."""
        had = self.prompts.pop(frame_idx, None) is not None
        self.answered.pop(frame_idx, None)
        self.looks.pop(frame_idx, None)
        self.restarted.discard(frame_idx)
        if had:
            self.bank.forget(frame_idx)
            self.invalidate(frame_idx)
        return had

    def lock(self, mask: MaskPrompt) -> None:
        """Keep the mask of a frame as it is."""
        self.locked[mask.frame_idx] = mask
        self.answered.pop(mask.frame_idx, None)
        self.bank.forget(mask.frame_idx)
        self.stale[mask.frame_idx] = FRESH

    def unlock(self, frame_idx: int) -> bool:
        """Let a frame be tracked again; say if it was locked."""
        if self.locked.pop(frame_idx, None) is None:
            return False
        self.bank.forget(frame_idx)
        self.answered.pop(frame_idx, None)
        self.invalidate(frame_idx)
        return True

    def invalidate(self, frame_idx: int) -> None:
        """Mark what the anchor of a frame reaches: up to the next one on each side.

        If the frame is no anchor (any more), it is marked itself as well.
        """
        anchors = self.anchors
        before = bisect_left(anchors, frame_idx)
        after = bisect_right(anchors, frame_idx)
        first = anchors[before - 1] + 1 if before else 0
        last = anchors[after] if after < len(anchors) else len(self.stale)
        if before < after:
            self.stale[first:frame_idx] |= FROM_AFTER
            self.stale[frame_idx + 1 : last] |= FROM_BEFORE
            if frame_idx not in self.locked:
                self.stale[frame_idx] = FROM_BOTH
        else:
            self.stale[first:last] = FROM_BOTH

    def outdated(self) -> NDArray[np.bool_]:
        """Return (T,) where the anchor that a frame was tracked from has changed.

        A new anchor on the other side makes such frames stale but not outdated.
        """
        sides = np.array([FROM_BOTH, FROM_BEFORE, FROM_AFTER], np.uint8)
        outdated: NDArray[np.bool_] = (self.stale & sides[self.tracked]) > 0
        outdated[self.anchors] = False
        return outdated

    def pending(self, frame_idx: int) -> bool:
        """Whether a frame has prompts that are not in its answer yet."""
        return self.answered.get(frame_idx, 0) < len(self.said(frame_idx))

    def answer(self, frame_idx: int) -> FrameMemory | None:
        """Return the answer that a user's prompts fixed for a frame, or None."""
        return self.bank.conditioning.get(frame_idx)

    def said(self, frame_idx: int) -> Sequence[Prompt]:
        """Return what the answer in a frame has to follow: its lock or its prompts."""
        kept = self.locked.get(frame_idx)
        return self.prompts.get(frame_idx, []) if kept is None else [kept]

    def keeps(self, frame_idx: int) -> bool:
        """Whether the mask in a frame is painted or locked, so that none covers it."""
        said = self.said(frame_idx)
        return bool(said) and isinstance(said[-1], MaskPrompt)

    def painted(self, frame_idx: int) -> Patch | None:
        """Return the frame's mask as painted, if nothing refined it since."""
        said = self.said(frame_idx)
        last = said[-1] if said else None
        return patch_from_mask(last) if isinstance(last, MaskPrompt) else None

    def forget_memories(self) -> None:
        """Forget all but what is in the labels; memories are made anew."""
        self.bank.conditioning.clear()
        self.bank.recent.clear()
        self.looks.clear()
        self.window = None

    def snapshot(self) -> Snapshot:
        """Return what an undo has to bring back."""
        return Snapshot(
            prompts={t: tuple(given) for t, given in self.prompts.items()},
            locked=dict(self.locked),
            answered=dict(self.answered),
            restarted=frozenset(self.restarted),
            looks=dict(self.looks),
            conditioning=dict(self.bank.conditioning),
            flow=zlib.compress(self.tracked.tobytes() + self.stale.tobytes(), 1),
        )

    def restore(self, before: Snapshot) -> None:
        """Go back to a snapshot; memories of tracked frames are made anew."""
        self.prompts = {t: list(given) for t, given in before.prompts.items()}
        self.locked = dict(before.locked)
        self.answered = dict(before.answered)
        self.restarted = set(before.restarted)
        self.looks = dict(before.looks)
        flow = np.frombuffer(zlib.decompress(before.flow), np.uint8).copy()
        self.tracked, self.stale = flow.reshape(2, -1)
        self.bank.conditioning = dict(before.conditioning)
        self.bank.recent.clear()
        self.window = None
