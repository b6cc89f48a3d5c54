"""Brings a session's prompts in line with those of the layers, change by change."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from napari_sam2.widgets.engine import FramePrompts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_sam2.tracking import Session
    from napari_sam2.tracking.prompts import MaskPrompt
    from napari_sam2.widgets.deeds import Deeds
    from napari_sam2.widgets.engine import PromptKey

    Prompts = dict[PromptKey, FramePrompts]
    Masks = Mapping[PromptKey, MaskPrompt]

DECIMALS = 6
"""Of a pixel, to which clicks and boxes are rounded: they stay the same when they go
through the coordinates of a layer."""


class PromptSync:
    """What a session was told.

    Attributes
    ----------
    told : dict of (object_id, frame_idx) to FramePrompts
        The clicks and boxes it knows.
    """

    def __init__(self) -> None:
        self.told: Prompts = {}

    def tell(
        self,
        session: Session,
        prompts: Mapping[PromptKey, FramePrompts],
        masks: Masks,
        deeds: Deeds | None,
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
        deeds
            What can be undone; None: this cannot, for it was done before.
        """
        if prompts == self.told:
            return
        if (
            deeds is not None
            and deeds.leads_back_to(session, prompts)
            and deeds.turn(session, undo=True) is not None
        ):
            self.told = dict(prompts)
            return
        one = (
            contextlib.nullcontext()
            if deeds is None
            else deeds.one(session, dict(self.told))
        )
        with one:
            self._change(session, prompts, masks)

    def _change(
        self, session: Session, prompts: Mapping[PromptKey, FramePrompts], masks: Masks
    ) -> None:
        for key in [k for k in self.told if k not in prompts]:
            _replace(session, key, FramePrompts(), masks)
            del self.told[key]
        for key, given in prompts.items():
            before = self.told.get(key, FramePrompts())
            if given == before:
                continue
            if _only_more_clicks(given, before):
                _click(session, key, given, len(before.points))
            else:
                _replace(session, key, given, masks)
            self.told[key] = given


def prompts_of(session: Session) -> Prompts:
    """Return a session's clicks and boxes as the layers would give them."""
    from napari_sam2.tracking.prompts import BoxPrompt, PointPrompt

    found: Prompts = {}
    for prompt in session.prompts:
        key = (prompt.object_id, prompt.frame_idx)
        old = found.get(key, FramePrompts())
        if isinstance(prompt, PointPrompt):
            points = [(rounded(y), rounded(x)) for y, x in prompt.points]
            found[key] = FramePrompts(
                points=(*old.points, *points),
                labels=(*old.labels, *prompt.labels),
                box=old.box,
            )
        elif isinstance(prompt, BoxPrompt):
            y, x, y2, x2 = map(rounded, prompt.box)
            found[key] = FramePrompts(
                points=old.points, labels=old.labels, box=(y, x, y2, x2)
            )
    return found


def rounded(value: float) -> float:
    """Round a coordinate to what prompts are compared by."""
    return round(float(value), DECIMALS) + 0.0  # no -0.0


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
