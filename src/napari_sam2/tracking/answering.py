"""What a session does with prompts: each is answered once, in its own frame."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from napari_sam2.stacks import FrameReadError
from napari_sam2.tracking.earlier_answers import EarlierAnswers
from napari_sam2.tracking.objects import BACKWARD, UNTRACKED
from napari_sam2.tracking.parts import Parts
from napari_sam2.tracking.prompts import BoxPrompt
from napari_sam2.tracking.remaking import Remaker
from napari_sam2.tracking.zoom import Zoom

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from napari_sam2.tracking.objects import TrackedObject

REFINE_DEPTH = 1


@dataclass(kw_only=True)
class Answering(Parts):
    """Answers prompts, and remembers the answers.

    Attributes
    ----------
    corrections_condition
        Whether prompts on tracked frames make conditioning frames of them.
    """

    corrections_condition: bool = True

    @cached_property
    def zoom(self) -> Zoom:
        """Who chooses the windows."""
        return Zoom(frames=self.frames, tracker=self.tracker, store=self.store)

    @cached_property
    def earlier(self) -> EarlierAnswers:
        """Who knows what was answered before."""
        return EarlierAnswers(
            frames=self.frames, tracker=self.tracker, store=self.store
        )

    @cached_property
    def remaker(self) -> Remaker:
        """Who makes memories again."""
        return Remaker(frames=self.frames, tracker=self.tracker, store=self.store)

    def settle(
        self, objects: Sequence[TrackedObject], only: Collection[int] | None = None
    ) -> dict[int, FrameReadError]:
        """Answer the prompts that have no answer yet; each frame is read once.

        Parameters
        ----------
        objects
            Whose prompts.
        only
            Frames to answer in, locked ones too; None for all prompted ones that
            are not locked.

        Returns
        -------
        dict
            The frames that could not be read.
        """
        waiting: dict[int, list[TrackedObject]] = {}
        for found in objects:
            asked = found.prompts.keys() - found.locked.keys()
            if only is not None:
                asked = (found.prompts.keys() | found.locked.keys()) & set(only)
            for frame_idx in asked:
                if found.pending(frame_idx) or self._forgotten(found, frame_idx):
                    waiting.setdefault(frame_idx, []).append(found)
        failed = {}
        for frame_idx in sorted(waiting):
            try:
                for found in waiting[frame_idx]:
                    self.answer(found, frame_idx)
            except FrameReadError as error:
                failed[frame_idx] = error
        return failed

    def _forgotten(self, found: TrackedObject, frame_idx: int) -> bool:
        """Whether an answer is in the labels but not in memory: another day's."""
        return self.corrections_condition and frame_idx not in found.bank.conditioning

    def answer(self, found: TrackedObject, frame_idx: int) -> None:
        """Answer an object's prompts of one frame.

        Raises
        ------
        FrameReadError
            When the frame cannot be read.
        """
        if self._forgotten(found, frame_idx) and found.answered.get(frame_idx):
            remade = self.remaker.conditioning(found, frame_idx)
            if remade and not found.pending(frame_idx):
                return
            if not remade:
                found.answered.pop(frame_idx)
        prompts = found.said(frame_idx)
        done = found.answered.get(frame_idx, 0)
        past = UNTRACKED
        if frame_idx not in found.locked:
            past = int(found.tracked[frame_idx])
        recall = previous = logits = None
        held = found.bank.at(frame_idx)
        refines = bool(done or (past and self._refines(found, frame_idx)))
        look = self.zoom.for_prompts(
            found, frame_idx, held if refines else None, refines=refines
        )
        window = look.window
        if look.afresh:
            done, refines = 0, False
        features = self.frames.features(frame_idx, window=window)
        found.window = window
        if past != UNTRACKED:
            reverse = past == BACKWARD
            self.zoom.rescale(found)
            self.remaker.recent(
                [found],
                frame_idx,
                reverse=reverse,
                depth=REFINE_DEPTH,
                stale_too=True,
            )
            recall = found.bank.recall(
                frame_idx,
                reverse=reverse,
                n_frames=self.tracker.n_frames,
                window=window,
            )
            previous = self.earlier.previous(found, frame_idx, reverse=reverse)
        if refines:
            logits = self.earlier.logits(found, frame_idx, held, window)
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

    def _refines(self, found: TrackedObject, frame_idx: int) -> bool:
        """Whether the first prompt goes on from the mask tracked in the frame."""
        first = found.said(frame_idx)[0]
        return frame_idx not in found.restarted and not isinstance(first, BoxPrompt)
