"""Brings a session's prompts in line with those of the layers, change by change."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_sam2.widgets.frame_prompts import FramePrompts, Outline, Scribble

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_sam2.tracking import Session
    from napari_sam2.tracking.prompts import MaskPrompt
    from napari_sam2.widgets.deeds import Deeds
    from napari_sam2.widgets.frame_prompts import PromptKey

    Prompts = dict[PromptKey, FramePrompts]
    Masks = Mapping[PromptKey, MaskPrompt]

DECIMALS = 6
"""Of a pixel, to which clicks and drawings are rounded: they stay the same when they go
through the coordinates of a layer."""


class PromptSync:
    """What a session was told.

    Attributes
    ----------
    told : dict of (object_id, frame_idx) to FramePrompts
        The clicks and drawings it knows.
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
            All clicks and drawings there are now.
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
            and deeds.take_back(session)
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

    def painted_over(self, key: PromptKey) -> None:
        """Know that a mask has replaced outlines, in the session and the layers."""
        before = self.told.get(key)
        if before is not None and before.outlines:
            self.told[key] = replace(before, outlines=())
            if not self.told[key].count:
                del self.told[key]

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
            if _only_more(given, before):
                _add(session, key, given, before)
            else:
                _replace(session, key, given, masks)
            self.told[key] = given


def prompts_of(session: Session) -> Prompts:
    """Return a session's clicks and drawings as the layers would give them."""
    from napari_sam2.tracking.drawn_prompts import OutlinePrompt, ScribblePrompt
    from napari_sam2.tracking.prompts import BoxPrompt, PointPrompt

    found: Prompts = {}
    for prompt in session.prompts:
        key = (prompt.object_id, prompt.frame_idx)
        old = found.get(key, FramePrompts())
        if isinstance(prompt, ScribblePrompt):
            scribble = Scribble(path=_rounded(prompt.path), label=prompt.labels[0])
            found[key] = replace(old, scribbles=(*old.scribbles, scribble))
        elif isinstance(prompt, OutlinePrompt):
            found[key] = replace(
                old,
                outlines=tuple(
                    Outline(kind=o.kind, vertices=_rounded(o.vertices), label=o.label)
                    for o in prompt.outlines
                ),
            )
        elif isinstance(prompt, PointPrompt):
            found[key] = replace(
                old,
                points=(*old.points, *_rounded(prompt.points)),
                labels=(*old.labels, *prompt.labels),
            )
        elif isinstance(prompt, BoxPrompt):
            y, x, y2, x2 = map(rounded, prompt.box)
            found[key] = replace(old, box=(y, x, y2, x2))
    return found


def _rounded(
    pairs: tuple[tuple[float, float], ...],
) -> tuple[tuple[float, float], ...]:
    return tuple((rounded(y), rounded(x)) for y, x in pairs)


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
    if prompts.outlines:
        outlines = [(o.kind, o.vertices, o.label) for o in prompts.outlines]
        session.add_outlines(object_id, frame_idx, outlines)
    elif key in masks:
        session.add_prompt(masks[key])
    if prompts.box is not None:
        session.add_box(object_id, frame_idx, prompts.box)
    _add(session, key, prompts, FramePrompts())


def _add(
    session: Session, key: PromptKey, prompts: FramePrompts, before: FramePrompts
) -> None:
    """Give scribbles and clicks that are new, one by one: each refines the answer.

    So the answer depends on them alone, not on how fast they were made.
    """
    object_id, frame_idx = key
    for scribble in prompts.scribbles[len(before.scribbles) :]:
        session.add_scribble(object_id, frame_idx, scribble.path, scribble.label)
    begin = len(before.points)
    for point, label in zip(
        prompts.points[begin:], prompts.labels[begin:], strict=True
    ):
        session.add_points(object_id, frame_idx, [point], [label])


def _only_more(prompts: FramePrompts, before: FramePrompts) -> bool:
    """Whether nothing but scribbles or clicks was added, and at the end."""
    clicks, scribbles = len(before.points), len(before.scribbles)
    return (
        prompts.box == before.box
        and prompts.outlines == before.outlines
        and prompts.points[:clicks] == before.points
        and prompts.labels[:clicks] == before.labels
        and prompts.scribbles[:scribbles] == before.scribbles
        and (not clicks or len(prompts.scribbles) == scribbles)
    )
