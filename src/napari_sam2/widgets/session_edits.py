"""Edits of whole objects, done to a session; and how it stands after them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_sam2.widgets.engine import Standing
from napari_sam2.widgets.prompt_sync import prompts_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from numpy.typing import ArrayLike

    from napari_sam2.tracking import Session
    from napari_sam2.tracking.prompts import MaskPrompt
    from napari_sam2.tracking.review import ObjectReview
    from napari_sam2.tracking.scores import ScoreTable
    from napari_sam2.widgets.engine import Edit, Painted, Request
    from napari_sam2.widgets.frame_prompts import FramePrompts, PromptKey


@dataclass(frozen=True, kw_only=True)
class Left:
    """What the next session on the same frames takes over from the last.

    Attributes
    ----------
    told : mapping of (object_id, frame_idx) to FramePrompts
        The clicks and drawings it knew.
    names : mapping of int to str
        What objects were called.
    locked : mapping of int to list of int
        In which frames objects were kept as they are.
    scores : ScoreTable
        How sure it was of them.
    """

    told: Mapping[PromptKey, FramePrompts]
    names: Mapping[int, str]
    locked: Mapping[int, list[int]]
    scores: ScoreTable

    def still(self, request: Request) -> dict[PromptKey, FramePrompts]:
        """Return those clicks and drawings that the user has not changed since."""
        return {
            key: given
            for key, given in request.prompts.items()
            if self.told.get(key) == given
        }

    def restore(self, session: Session) -> None:
        """Give the names and the locks to a session that has the labels."""
        for object_id in session.object_ids:
            session.rename(object_id, self.names.get(object_id, ""))
            session.lock(object_id, self.locked.get(object_id, []))


def leave(session: Session, told: Mapping[PromptKey, FramePrompts]) -> Left:
    """Note what the next session on the same frames has to know."""
    return Left(
        told=dict(told),
        names=session.names,
        locked={i: session.locked(i) for i in session.object_ids},
        scores=session.scores,
    )


def do_edit(session: Session, edit: Edit) -> None:
    """Do what an edit says.

    Raises
    ------
    KeyError, IndexError, PromptError
        If it cannot be done; the message says why.
    """
    import numpy as np

    object_id, frames = edit.object_id, edit.frames
    if edit.verb == "absent":
        nothing = np.zeros(session.stack.shape[1:], np.bool_)
        for t in frames:
            session.add_mask(object_id, t, nothing)
            session.preview(t)
    elif edit.verb == "lock":
        session.lock(object_id, frames)
    elif edit.verb == "unlock":
        session.unlock(object_id, frames)
    elif edit.verb == "remove":
        session.remove_object(object_id)
    elif edit.verb == "rename":
        session.rename(object_id, edit.name)
    elif edit.verb == "swap":
        session.swap(object_id, edit.other, frames[0])
    elif edit.verb == "merge":
        session.merge(object_id, edit.other, frames[0])
    else:
        session.split(object_id, frames[0])


def masks_in(
    frame_idx: int, plane: ArrayLike, painted: Painted | None
) -> list[MaskPrompt]:
    """Return the objects of a label plane (Y, X) as prompts in a frame.

    Those that were painted: the selected one, and others that differ from what was
    known; None: all of them.
    """
    import numpy as np

    from napari_sam2.tracking.prompts import MaskPrompt, masks_from_labels

    pixels = np.asarray(plane)
    if painted is None:
        return masks_from_labels(frame_idx, pixels)
    return [
        MaskPrompt.from_array(object_id, frame_idx, pixels == object_id)
        for object_id in sorted({painted.selected, *painted.areas})
        if object_id == painted.selected
        or np.count_nonzero(pixels == object_id) != painted.areas[object_id]
    ]


def masks_of(session: Session) -> dict[PromptKey, MaskPrompt]:
    """Return the masks that were painted or taken over, by object and frame."""
    from napari_sam2.tracking.drawn_prompts import OutlinePrompt
    from napari_sam2.tracking.prompts import MaskPrompt

    return {
        (prompt.object_id, prompt.frame_idx): prompt
        for prompt in session.prompts
        if isinstance(prompt, MaskPrompt) and not isinstance(prompt, OutlinePrompt)
    }


def reviews_of(
    session: Session, object_ids: Collection[int] | None = None
) -> dict[int, ObjectReview]:
    """Return what is known of objects, all or those of some ids that there are."""
    known = {*session.object_ids, *session.scores.object_ids}
    wanted = known if object_ids is None else known.intersection(object_ids)
    return {object_id: session.review(object_id) for object_id in sorted(wanted)}


def standing_of(session: Session, what: str) -> Standing:
    """Say how a session stands after `what` was done."""
    return Standing(
        what=what,
        prompts=prompts_of(session),
        masks=tuple(masks_of(session)),
        objects=reviews_of(session),
        names=session.names,
    )
