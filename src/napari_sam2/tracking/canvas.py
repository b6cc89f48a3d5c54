"""Where answers are drawn: label planes, and who is in which.

One frame is written at a time, whole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_sam2.tracking.masks import compose, tidy
from napari_sam2.tracking.results import FrameResult, ObjectScore
from napari_sam2.tracking.zoom import memory_patch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from napari_sam2.stacks import LabelsStore
    from napari_sam2.tracking.masks import Patch
    from napari_sam2.tracking.memory_bank import FrameMemory
    from napari_sam2.tracking.state import SessionState


@dataclass(kw_only=True)
class Canvas:
    """Draws the objects of one session into its labels.

    Attributes
    ----------
    store
        Where labels go.
    state
        Of the session.
    tidies
        Whether objects are one piece without holes.
    """

    store: LabelsStore
    state: SessionState
    tidies: bool = False

    def patches(self, answers: Mapping[int, FrameMemory]) -> dict[int, Patch]:
        """Return answers at the frame's resolution, or masks as painted, by id."""
        return {i: self._patch(i, memory) for i, memory in answers.items()}

    def draw(
        self,
        frame_idx: int,
        answers: Mapping[int, FrameMemory],
        patches: Mapping[int, Patch] | None = None,
    ) -> FrameResult:
        """Draw answers over a frame's labels and write them; see `compose`."""
        before = self.store.read(frame_idx)
        result = self._composed(frame_idx, answers, patches, before)
        self.store.write(frame_idx, result.labels, before=before)
        for object_id in answers:
            self.state.note_drawn(object_id, frame_idx)
        return result

    def compose(
        self,
        frame_idx: int,
        answers: Mapping[int, FrameMemory],
        patches: Mapping[int, Patch] | None = None,
    ) -> FrameResult:
        """Draw answers over a frame's labels; writes nothing.

        What other objects have painted or locked in the frame is not covered.

        Parameters
        ----------
        frame_idx
            The frame.
        answers
            By object id.
        patches
            What `patches` made of them, if that is at hand.
        """
        before = self.store.read(frame_idx)
        return self._composed(frame_idx, answers, patches, before)

    def _composed(
        self,
        frame_idx: int,
        answers: Mapping[int, FrameMemory],
        patches: Mapping[int, Patch] | None,
        before: NDArray[Any],
    ) -> FrameResult:
        if patches is None:
            patches = self.patches(answers)
        objects = self.state.objects
        kept = [
            i for i, o in objects.items() if i not in answers and o.keeps(frame_idx)
        ]
        plane, drawn = compose(patches, before=before, kept=kept)
        scores = {
            i: ObjectScore(
                iou=memory.iou,
                object_score=0.5 * (1 + math.tanh(memory.object_score / 2)),
                area=drawn[i].area,
                prompted=frame_idx in objects[i].bank.conditioning,
                lost=drawn[i].lost,
                centroid=drawn[i].centroid,
            )
            for i, memory in sorted(answers.items())
        }
        return FrameResult(frame_idx=frame_idx, labels=plane, scores=scores)

    def _patch(self, object_id: int, memory: FrameMemory) -> Patch:
        painted = self.state.objects[object_id].painted(memory.frame_idx)
        return self.patch(memory) if painted is None else painted

    def patch(self, memory: FrameMemory) -> Patch:
        """Return the network's answer at the frame's resolution."""
        patch = memory_patch(memory)
        return tidy(patch) if self.tidies else patch
