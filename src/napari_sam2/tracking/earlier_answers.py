"""What was answered before, as the logits that the next answer begins with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_sam2.stacks import FrameReadError
from napari_sam2.tracking.flow import Carried, unmoved
from napari_sam2.tracking.parts import Parts
from napari_sam2.tracking.zoom import memory_patch

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sam2.tracking.memory_bank import FrameMemory
    from napari_sam2.tracking.objects import TrackedObject
    from napari_sam2.tracking.windows import Window


@dataclass(kw_only=True)
class EarlierAnswers(Parts):
    """Brings answers of before to the window that is looked at now."""

    def logits(
        self,
        found: TrackedObject,
        frame_idx: int,
        held: FrameMemory | None,
        window: Window,
    ) -> Tensor:
        """Return an object's answer in a frame, seen through a window.

        Parameters
        ----------
        found
            The object.
        frame_idx
            The frame.
        held
            Its memory there; without one, or without its logits, the label is taken.
        window
            The part of the frame.

        Returns
        -------
        Tensor
            (1, 1, s, s).
        """
        if held is None or held.mask_logits is None:
            mask = self.store.read(frame_idx) == found.object_id
        elif held.window == window:
            return held.mask_logits
        else:
            mask = memory_patch(held).mask(self.tracker.frame_shape)
        return self.tracker.logits_from_mask(mask, window)

    def previous(
        self, found: TrackedObject, frame_idx: int, *, reverse: bool
    ) -> Carried | None:
        """Return the neighbouring frame's answer, moved along with the picture.

        Parameters
        ----------
        found
            The object.
        frame_idx
            The frame about to be looked at.
        reverse
            Whether time runs backwards.

        Returns
        -------
        Carried or None
            For networks that take it. As in training, an object that was absent there
            leaves none. Where the neighbour cannot be read any more, it is not moved.
        """
        if not self.tracker.model.config.dense_prompts:
            return None
        memory = found.bank.neighbour(frame_idx, reverse=reverse)
        if memory is None or not memory.seen:
            return None
        window = found.window or self.frames.whole
        logits = self.logits(found, memory.frame_idx, memory, window)
        try:
            motion = self.frames.motion(memory.frame_idx, frame_idx, window)
        except FrameReadError:
            return unmoved(logits)
        return motion.carry(logits)
