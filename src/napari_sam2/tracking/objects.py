"""One tracked object: its prompts, its memories, and where it was tracked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_sam2.tracking.masks import Patch, patch_from_mask
from napari_sam2.tracking.prompts import MaskPrompt

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_sam2.tracking.memory_bank import FrameMemory, MemoryBank
    from napari_sam2.tracking.prompts import Prompt
    from napari_sam2.tracking.windows import Window
    from napari_sam2.tracking.zoom import Look

UNTRACKED, FORWARD, BACKWARD = 0, 1, 2


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
    prompts
        By frame, in the order in which they were given.
    answered
        By frame, how many of the prompts are in the answer already.
    window
        The part of the next frame to look at; None until it is known.
    looks
        By frame, how its clicks were looked at last.
    """

    object_id: int
    bank: MemoryBank
    tracked: NDArray[np.uint8]
    prompts: dict[int, list[Prompt]] = field(default_factory=dict)
    answered: dict[int, int] = field(default_factory=dict)
    restarted: set[int] = field(default_factory=set)
    window: Window | None = None
    looks: dict[int, Look] = field(default_factory=dict)

    def add_prompt(self, prompt: Prompt, *, replace: bool) -> None:
        """Add a prompt; `replace` drops what was said in its frame before."""
        frame_idx = prompt.frame_idx
        if replace:
            self.clear_prompts(frame_idx)
            self.restarted.add(frame_idx)
        self.prompts.setdefault(frame_idx, []).append(prompt)

    def clear_prompts(self, frame_idx: int) -> bool:
        """Forget the prompts of a frame and their answer; say if there were any."""
        had = self.prompts.pop(frame_idx, None) is not None
        self.answered.pop(frame_idx, None)
        self.looks.pop(frame_idx, None)
        self.restarted.discard(frame_idx)
        if had:
            self.bank.forget(frame_idx)
        return had

    def pending(self, frame_idx: int) -> bool:
        """Whether a frame has prompts that are not in its answer yet."""
        given = len(self.prompts.get(frame_idx, ()))
        return self.answered.get(frame_idx, 0) < given

    @property
    def prompted_frames(self) -> list[int]:
        """Frames with prompts, in order."""
        return sorted(self.prompts)

    def answer(self, frame_idx: int) -> FrameMemory | None:
        """Return the answer that a user's prompts fixed for a frame, or None."""
        return self.bank.conditioning.get(frame_idx)

    def painted(self, frame_idx: int) -> Patch | None:
        """Return the frame's mask as painted, if nothing refined it since."""
        given = self.prompts.get(frame_idx)
        last = given[-1] if given else None
        return patch_from_mask(last) if isinstance(last, MaskPrompt) else None
