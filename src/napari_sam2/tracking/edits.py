"""Edits of who is who: swap, merge and split objects from a frame on.

Each edit fixes the masks of its first frame as prompts, so that a correction made
earlier does not run over it. The functions change the state; `relabelling` says what
has to be done to the planes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2.tracking.objects import FRESH, UNTRACKED
from napari_sam2.tracking.prompts import MaskPrompt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_sam2.tracking.objects import TrackedObject
    from napari_sam2.tracking.state import SessionState

    PlaneEdit = Callable[[NDArray[Any]], NDArray[Any]]


def relabelling(names: Mapping[int, int]) -> PlaneEdit:
    """Return a function that gives pixels of a (Y, X) plane new ids, all at once."""

    def edit(plane: NDArray[Any]) -> NDArray[Any]:
        out = plane.copy()
        for old, new in names.items():
            out[plane == old] = new
        return out

    return edit


def exchange(
    state: SessionState,
    first: int,
    second: int,
    start: int,
    masks: Sequence[MaskPrompt],
) -> None:
    """Let two objects trade places from a frame on; the second may be new.

    Parameters
    ----------
    state
        Of the session.
    first, second
        Ids.
    start
        First frame in which they trade places.
    masks
        Both objects' masks in that frame, after the edit.
    """
    new = second not in state.objects
    what = "split" if new else "swap"
    state.begin(f"{what} {first} and {second}", [first, second])
    a, b = state.made(first), state.made(second)
    for mine, theirs in (
        (a.prompts, b.prompts),
        (a.locked, b.locked),
        (a.answered, b.answered),
        (a.looks, b.looks),
        (a.bank.conditioning, b.bank.conditioning),
    ):
        _trade(mine, theirs, start)
    late = [{t for t in found.restarted if t >= start} for found in (a, b)]
    a.restarted = (a.restarted - late[0]) | late[1]
    b.restarted = (b.restarted - late[1]) | late[0]
    _share_drawn(state, first, second)
    for one, other in ((a.tracked, b.tracked), (a.stale, b.stale)):
        kept = one[start:].copy()
        one[start:] = other[start:]
        other[start:] = kept
    state.scores.exchange(first, second, start)
    for found in (a, b):
        found.bank.recent.clear()
        found.window = None
        _rename(found, start)
    for mask in masks:
        _fix(state.objects[mask.object_id], mask)
    if new:  # one ends and the other begins here: nothing to track beyond that
        a.stale[start:] = FRESH
        b.stale[:start] = FRESH


def merge(
    state: SessionState,
    source: int,
    target: int,
    start: int,
    masks: Sequence[MaskPrompt],
) -> None:
    """Join one object into another from a frame on.

    Parameters
    ----------
    state
        Of the session.
    source, target
        Ids; the source ends at `start`, or is forgotten if nothing is left of it.
    start
        First frame in which they are one.
    masks
        The target's masks after the edit in `start` and in every later frame that
        is prompted or locked for either.
    """
    state.begin(f"merge {source} into {target}", [source, target])
    a, b = state.objects[source], state.made(target)
    late = np.zeros(state.n_frames, np.bool_)
    late[start:] = True
    news = late & (b.tracked == UNTRACKED)
    b.tracked[news] = a.tracked[news]
    b.stale[late & ((a.stale == FRESH) | (b.stale == FRESH))] = FRESH
    _share_drawn(state, source, target)
    state.scores.move(source, target, start)
    for t in [t for t in a.anchors if t >= start]:
        a.prompts.pop(t, None)
        a.locked.pop(t, None)
        a.answered.pop(t, None)
        a.bank.forget(t)
    a.tracked[start:] = UNTRACKED
    for found in (a, b):
        found.bank.recent.clear()
        found.window = None
    for mask in masks:
        if mask.frame_idx in b.locked:
            b.lock(mask)
        else:
            _fix(b, mask)
    if not a.anchors:
        del state.objects[source]
        return
    shape = masks[0].shape
    _fix(a, MaskPrompt.from_array(source, start, np.zeros(shape, np.bool_)))
    a.stale[start:] = FRESH


def _fix(found: TrackedObject, mask: MaskPrompt) -> None:
    """Make a mask the prompt of its frame; what was tracked around it stays."""
    t = mask.frame_idx
    if t in found.locked:
        return
    stale = found.stale.copy()
    found.add_prompt(mask, replace=True)
    found.stale[:] = stale
    found.stale[t] = FRESH


def _trade(mine: dict[int, Any], theirs: dict[int, Any], start: int) -> None:
    """Exchange what two objects have from a frame on."""
    ours = {t: mine.pop(t) for t in [t for t in mine if t >= start]}
    mine.update({t: theirs.pop(t) for t in [t for t in theirs if t >= start]})
    theirs.update(ours)


def _share_drawn(state: SessionState, first: int, second: int) -> None:
    """Take both for drawn wherever one was: rather once too often than too seldom."""
    for t in (*state.frames_drawn(first), *state.frames_drawn(second)):
        state.note_drawn(first, t)
        state.note_drawn(second, t)


def _rename(found: TrackedObject, start: int) -> None:
    """Give the prompts and locks an object has taken over its own id."""
    own = found.object_id
    for t, given in found.prompts.items():
        if t >= start:
            found.prompts[t] = [replace(p, object_id=own) for p in given]
    for t, mask in found.locked.items():
        if t >= start:
            found.locked[t] = replace(mask, object_id=own)
