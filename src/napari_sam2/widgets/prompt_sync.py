"""Brings a session's prompts in line with those of the layers, change by change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam2.widgets.engine import FramePrompts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_sam2.tracking import Session
    from napari_sam2.tracking.prompts import MaskPrompt
    from napari_sam2.widgets.engine import PromptKey

    Prompts = dict[PromptKey, FramePrompts]
    Masks = Mapping[PromptKey, MaskPrompt]

MOST_CHANGES = 50


class PromptSync:
    """What a session was told, and how it can be taken back."""

    def __init__(self) -> None:
        self._told: Prompts = {}
        self._adopts = False
        # Prompts before each change, and where the session stood before and after.
        self._changes: list[tuple[Prompts, int, int]] = []

    def adopt(self) -> None:
        """Take the next prompts for what the session knows already."""
        self._adopts = True

    def forget(self, object_id: int) -> None:
        """Forget an object that the session has forgotten."""
        self._told = {k: v for k, v in self._told.items() if k[0] != object_id}

    def tell(
        self, session: Session, prompts: Mapping[PromptKey, FramePrompts], masks: Masks
    ) -> None:
        """Tell the session what the user added, changed and took back.

        Going back to the prompts of before is undone in the session as well, so that
        labels are again what they were.

        Parameters
        ----------
        session
            Is told.
        prompts
            All clicks and boxes there are now.
        masks
            What was painted or taken over; comes before clicks in its frame.
        """
        if self._adopts:
            self._adopts, self._told = False, dict(prompts)
        if prompts == self._told:
            return
        before, depth, after = self._changes[-1] if self._changes else ({}, 0, -1)
        if before == prompts and after == session.position:
            self._changes.pop()
            while session.position > depth and session.undo():
                pass
            self._told = dict(before)
            if session.position == depth:
                return
        was, stood = dict(self._told), session.position
        self._change(session, prompts, masks)
        self._changes.append((was, stood, session.position))
        del self._changes[:-MOST_CHANGES]

    def _change(
        self, session: Session, prompts: Mapping[PromptKey, FramePrompts], masks: Masks
    ) -> None:
        for key in [k for k in self._told if k not in prompts]:
            _replace(session, key, FramePrompts(), masks)
            del self._told[key]
        for key, given in prompts.items():
            before = self._told.get(key, FramePrompts())
            if given == before:
                continue
            if _only_more_clicks(given, before):
                _click(session, key, given, len(before.points))
            else:
                _replace(session, key, given, masks)
            self._told[key] = given


def _replace(
    session: Session, key: PromptKey, prompts: FramePrompts, masks: Masks
) -> None:
    """Say everything about an object in a frame again, in the order it was said."""
    object_id, frame_idx = key
    if object_id in session.object_ids:
        session.clear_prompts(object_id, frame_idx)
    if key in masks:
        session.add_prompt(masks[key])
    if prompts.box is not None:
        session.add_box(object_id, frame_idx, prompts.box)
    _click(session, key, prompts, 0)


def _click(session: Session, key: PromptKey, prompts: FramePrompts, begin: int) -> None:
    """Give the clicks from `begin` on, one by one: each refines the last answer.

    So the answer depends on the clicks alone, not on how fast they were made.
    """
    object_id, frame_idx = key
    for point, label in zip(
        prompts.points[begin:], prompts.labels[begin:], strict=True
    ):
        session.add_points(object_id, frame_idx, [point], [label])


def _only_more_clicks(prompts: FramePrompts, before: FramePrompts) -> bool:
    """Whether nothing but clicks was added."""
    count = len(before.points)
    return (
        prompts.box == before.box
        and prompts.points[:count] == before.points
        and prompts.labels[:count] == before.labels
    )
