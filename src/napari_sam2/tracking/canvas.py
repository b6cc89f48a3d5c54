"""Where answers are drawn: label planes, and who is in which.

One frame is written at a time, whole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from napari_sam2.tracking.masks import compose, tidy
from napari_sam2.tracking.results import FrameResult, ObjectScore
from napari_sam2.tracking.zoom import memory_patch

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from numpy.typing import NDArray

    from napari_sam2.stacks import LabelsStore
    from napari_sam2.tracking.masks import Patch
    from napari_sam2.tracking.memory_bank import FrameMemory
    from napari_sam2.tracking.objects import TrackedObject


@dataclass(kw_only=True)
class Canvas:
    """Draws the objects of one session into its labels.

    Attributes
    ----------
    store
        Where labels go.
    n_frames
        Length of the stack.
    objects
        By id; shared with the engine.
    tidies
        Whether objects are one piece without holes.
    drawn
        By id, in which frames (T,) an object was drawn; kept when its last prompt
        is cleared.
    """

    store: LabelsStore
    n_frames: int
    objects: Mapping[int, TrackedObject]
    tidies: bool = False
    drawn: dict[int, NDArray[np.bool_]] = field(default_factory=dict)

    def patches(self, answers: Mapping[int, FrameMemory]) -> dict[int, Patch]:
        """Return answers at the frame's resolution, or masks as painted, by id."""
        return {i: self._patch(i, memory) for i, memory in answers.items()}

    def draw(
        self,
        frame_idx: int,
        answers: Mapping[int, FrameMemory],
        patches: Mapping[int, Patch] | None = None,
        *,
        kept: Collection[int] = (),
    ) -> FrameResult:
        """Draw answers over a frame's labels and write them; see `compose`."""
        result = self.compose(frame_idx, answers, patches, kept=kept)
        self.store.write(frame_idx, result.labels)
        for object_id in answers:
            drawn = self.drawn.setdefault(object_id, np.zeros(self.n_frames, np.bool_))
            drawn[frame_idx] = True
        return result

    def compose(
        self,
        frame_idx: int,
        answers: Mapping[int, FrameMemory],
        patches: Mapping[int, Patch] | None = None,
        *,
        kept: Collection[int] = (),
    ) -> FrameResult:
        """Draw answers over a frame's labels; writes nothing.

        Parameters
        ----------
        frame_idx
            The frame.
        answers
            By object id.
        patches
            What `patches` made of them, if that is at hand.
        kept
            Ids whose pixels in the frame stay exactly as they are.
        """
        if patches is None:
            patches = self.patches(answers)
        before = self.store.read(frame_idx)
        plane, drawn = compose(patches, before=before, kept=kept)
        scores = {
            i: ObjectScore(
                iou=memory.iou,
                object_score=0.5 * (1 + math.tanh(memory.object_score / 2)),
                area=drawn[i].area,
                prompted=frame_idx in self.objects[i].bank.conditioning,
                lost=drawn[i].lost,
                centroid=drawn[i].centroid,
            )
            for i, memory in sorted(answers.items())
        }
        return FrameResult(frame_idx=frame_idx, labels=plane, scores=scores)

    def _patch(self, object_id: int, memory: FrameMemory) -> Patch:
        painted = self.objects[object_id].painted(memory.frame_idx)
        if painted is not None:
            return painted
        patch = memory_patch(memory)
        return tidy(patch) if self.tidies else patch

    def erase(self, object_id: int, frame_idx: int) -> None:
        """Take an object's pixels out of a frame."""
        plane = self.store.read(frame_idx)
        inside = plane == object_id
        if inside.any():
            plane[inside] = 0
            self.store.write(frame_idx, plane)

    def erase_everywhere(self, object_id: int) -> None:
        """Take an object's pixels out of all frames it was drawn in."""
        for frame_idx in np.flatnonzero(self.drawn.pop(object_id, ())):
            self.erase(object_id, int(frame_idx))
