"""What a session knows, pixels and network aside: objects, their past, undo.

A session does its work and tells the state; a reopened one tells the state what the
journal says. So there is one bookkeeping for both.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2.tracking.drawn_prompts import OutlinePrompt, ScribblePrompt
from napari_sam2.tracking.history import History
from napari_sam2.tracking.objects import (
    BACKWARD,
    FORWARD,
    FRESH,
    UNTRACKED,
    TrackedObject,
)
from napari_sam2.tracking.prompts import MaskPrompt, PromptError
from napari_sam2.tracking.score_rows import ROW
from napari_sam2.tracking.scores import ScoreTable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_sam2.tracking.history import Step
    from napari_sam2.tracking.memory_bank import MemoryBank
    from napari_sam2.tracking.objects import Snapshot
    from napari_sam2.tracking.prompts import Prompt
    from napari_sam2.tracking.results import ObjectScore


@dataclass(frozen=True, kw_only=True)
class ObjectState:
    """What an object was at some time, for undo.

    Attributes
    ----------
    found
        The object; None if it was not there.
    scores
        Its rows of the score table, packed.
    name
        Empty if it has none.
    """

    found: Snapshot | None
    scores: bytes
    name: str = ""


@dataclass(kw_only=True)
class SessionState:
    """The objects of a session and what was done to them.

    Attributes
    ----------
    n_frames
        Length of the stack.
    new_bank
        Makes the memory of a new object.
    objects
        By id.
    drawn
        By id, in which frames (T,) an object was drawn; kept when its last prompt
        is cleared.
    removed
        Ids that were deleted everywhere.
    names
        What the user calls objects, by id, where they have names.
    scores
        What the network said of each object and frame.
    history
        What can be undone.
    """

    n_frames: int
    new_bank: Callable[[], MemoryBank]
    objects: dict[int, TrackedObject] = field(default_factory=dict)
    drawn: dict[int, NDArray[np.bool_]] = field(default_factory=dict)
    removed: set[int] = field(default_factory=set)
    names: dict[int, str] = field(default_factory=dict)
    scores: ScoreTable = field(init=False)
    history: History = field(default_factory=History)

    def __post_init__(self) -> None:
        """Begin with no scores."""
        self.scores = ScoreTable(self.n_frames)

    def get(self, object_id: int) -> TrackedObject:
        """Return an object.

        Raises
        ------
        KeyError
            If there is no such object.
        """
        found = self.objects.get(object_id)
        if found is None:
            known = ", ".join(map(str, sorted(self.objects))) or "none"
            msg = f"There is no object {object_id}; prompted objects: {known}."
            raise KeyError(msg)
        return found

    def begin(self, name: str, object_ids: Iterable[int]) -> Step:
        """Begin a step that may change objects; see `History.begin`."""
        return self.history.begin(name, self._snapshots(object_ids))

    def _snapshots(self, object_ids: Iterable[int]) -> dict[int, ObjectState]:
        return {
            i: ObjectState(
                found=self.objects[i].snapshot() if i in self.objects else None,
                scores=_packed(*self.scores.snapshot(i)),
                name=self.names.get(i, ""),
            )
            for i in object_ids
        }

    def turn(self, *, undo: bool) -> Step | None:
        """Take the latest step back, or the latest one taken back forth again.

        Returns
        -------
        Step or None
            Whose planes are to be turned as well; None if there is no step.
        """
        source = self.history.done if undo else self.history.undone
        if not source:
            return None
        step = source.pop()
        other = self._snapshots(step.states)
        for object_id, before in step.states.items():
            self.scores.restore(object_id, _unpacked(before.scores))
            self._call(object_id, before.name)
            self.removed.discard(object_id)  # it may be drawn again
            if before.found is None:
                self.objects.pop(object_id, None)
            else:
                self.made(object_id).restore(before.found)
        step.states = other
        (self.history.undone if undo else self.history.done).append(step)
        return step

    def made(self, object_id: int) -> TrackedObject:
        """Return an object, new if need be."""
        self.removed.discard(object_id)
        if object_id not in self.objects:
            self.objects[object_id] = TrackedObject.new(
                object_id, self.new_bank(), self.n_frames
            )
        return self.objects[object_id]

    def spare(self, object_id: int) -> TrackedObject:
        """Return a copy of an object, or a new one, that does not count."""
        found = self.objects.get(object_id)
        if found is None:
            return TrackedObject.new(object_id, self.new_bank(), self.n_frames)
        return found.copy()

    def reopen(self) -> None:
        """Forget what a session that is opened again does not have: memory and undo."""
        for found in self.objects.values():
            found.forget_memories()
        self.history.clear()

    def note_drawn(self, object_id: int, frame_idx: int) -> None:
        """Note that an object may have pixels in a frame."""
        if object_id not in self.drawn:
            self.drawn[object_id] = np.zeros(self.n_frames, np.bool_)
        self.drawn[object_id][frame_idx] = True

    def frames_drawn(self, object_id: int, start: int = 0) -> list[int]:
        """Return the frames from `start` on in which an object may have pixels."""
        drawn = self.drawn.get(object_id)
        if drawn is None:
            return []
        return [int(t) for t in np.flatnonzero(drawn) if t >= start]

    def add_prompt(self, prompt: Prompt, *, replace: bool) -> None:
        """Add a prompt, and its object if it is new.

        Raises
        ------
        PromptError
            If the object is locked in the frame.
        """
        found = self.objects.get(prompt.object_id)
        if found is not None and prompt.frame_idx in found.locked:
            msg = (
                f"Object {prompt.object_id} is locked in frame {prompt.frame_idx}; "
                "unlock it there first."
            )
            raise PromptError(msg)
        self.begin(f"{_verb(prompt)} {prompt.object_id}", [prompt.object_id])
        replace = replace or isinstance(prompt, MaskPrompt)
        self.made(prompt.object_id).add_prompt(prompt, replace=replace)

    def clear_prompts(self, object_id: int, frame_idx: int) -> bool:
        """Forget an object's prompts in a frame; say if there were any."""
        found = self.get(object_id)
        if frame_idx not in found.prompts:
            return False
        self.begin(f"clear prompts of {object_id}", [object_id])
        found.clear_prompts(frame_idx)
        found.tracked[frame_idx] = UNTRACKED  # its pixels go, too
        self.scores.forget(object_id, [frame_idx])
        if not found.anchors:
            del self.objects[object_id]
        return True

    def remove(self, object_id: int) -> list[int]:
        """Forget an object; return the frames in which it may have pixels.

        Raises
        ------
        KeyError
            If there is no such object, not even drawn earlier.
        """
        if object_id not in self.drawn or object_id in self.removed:
            self.get(object_id)
        self.begin(f"delete {object_id}", [object_id])
        self.objects.pop(object_id, None)
        self.removed.add(object_id)
        self.names.pop(object_id, None)
        self.scores.forget(object_id)
        return self.frames_drawn(object_id)

    def take_scores(self, held: Mapping[str, Any]) -> None:
        """Begin with scores that were held, see `ScoreTable.state`."""
        self.scores = ScoreTable.from_state(held)

    def rename(self, object_id: int, name: str) -> None:
        """Give an object a name, or take it away with an empty one."""
        self.begin(f"name of {object_id}", [object_id])
        self._call(object_id, name)

    def _call(self, object_id: int, name: str) -> None:
        self.names.pop(object_id, None)
        if name:
            self.names[object_id] = name

    def lock(self, masks: Sequence[MaskPrompt]) -> None:
        """Keep the masks of one object in some frames as they are."""
        object_id = masks[0].object_id
        self.begin(f"lock {object_id}", [object_id])
        found = self.made(object_id)
        for mask in masks:
            found.lock(mask)
            inside = np.argwhere(mask.cut)
            centroid = inside.mean(0) + mask.corner if len(inside) else (0, 0)
            self.scores.record(
                mask.frame_idx,
                object_id,
                iou=1.0,
                object_score=float(len(inside) > 0),
                area=len(inside),
                centroid=(float(centroid[0]), float(centroid[1])),
                prompted=True,
            )
            self.note_drawn(object_id, mask.frame_idx)

    def unlock(self, object_id: int, frames: Iterable[int]) -> None:
        """Let an object be tracked again in some frames."""
        found = self.get(object_id)
        locked = [t for t in frames if t in found.locked]
        if not locked:
            return
        self.begin(f"unlock {object_id}", [object_id])
        for t in locked:
            found.unlock(t)
        if not found.anchors:
            del self.objects[object_id]

    def answered(self, object_ids: Iterable[int]) -> None:
        """Note that all prompts of some objects were answered."""
        for object_id in object_ids:
            found = self.objects[object_id]
            for t in found.prompts.keys() - found.locked.keys():
                found.answered[t] = len(found.prompts[t])

    def previewed(self, frame_idx: int, scores: Mapping[int, ObjectScore]) -> None:
        """Note that prompts in a frame were answered and drawn."""
        self.scores.take(frame_idx, scores)
        for object_id in scores:
            found = self.objects[object_id]
            self.note_drawn(object_id, frame_idx)
            if frame_idx not in found.locked:
                found.answered[frame_idx] = len(found.prompts[frame_idx])

    def frame_done(
        self, frame_idx: int, scores: Mapping[int, ObjectScore], *, reverse: bool
    ) -> None:
        """Note that objects were propagated through a frame."""
        self.scores.take(frame_idx, scores, reverse=reverse)
        for object_id in scores:
            found = self.objects[object_id]
            found.tracked[frame_idx] = BACKWARD if reverse else FORWARD
            found.stale[frame_idx] = FRESH
            self.note_drawn(object_id, frame_idx)


def _verb(prompt: Prompt) -> str:
    if isinstance(prompt, OutlinePrompt):
        return "outline of"
    if isinstance(prompt, ScribblePrompt):
        return "scribble on"
    return "mask of" if isinstance(prompt, MaskPrompt) else "prompt on"


def _packed(frames: NDArray[np.intp], rows: NDArray[Any]) -> bytes:
    """Return an object's scores as few bytes."""
    return zlib.compress(frames.astype(np.int64).tobytes() + rows.tobytes(), 1)


def _unpacked(packed: bytes) -> tuple[NDArray[np.intp], NDArray[Any]]:
    data = zlib.decompress(packed)
    count = len(data) // (8 + ROW.itemsize)
    frames = np.frombuffer(data, np.int64, count)
    return frames.astype(np.intp), np.frombuffer(data, ROW, count, offset=8 * count)
