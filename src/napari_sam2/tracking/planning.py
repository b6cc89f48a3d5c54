"""Which frames a propagation walks through, and which objects go together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from napari_sam2.tracking.objects import FROM_AFTER, FROM_BEFORE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_sam2.tracking.memory_bank import Recall
    from napari_sam2.tracking.objects import TrackedObject

    Flags = NDArray[np.bool_]

Direction: TypeAlias = Literal["forward", "backward", "both"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Pass:
    """One walk through the stack.

    Attributes
    ----------
    reverse
        Whether time runs backwards.
    frames
        The frames, in walking order.
    wanted
        By object id, (T,) bool: the frames in which the object takes part.
    """

    reverse: bool
    frames: tuple[int, ...]
    wanted: Mapping[int, Flags]

    def takes(self, object_id: int, frame_idx: int) -> bool:
        """Whether an object takes part in a frame."""
        return object_id in self.wanted and bool(self.wanted[object_id][frame_idx])

    @property
    def count(self) -> int:
        """Number of frames, each counted once an object."""
        return sum(int(flags.sum()) for flags in self.wanted.values())


def check_frames(frames: Iterable[int] | None, n_frames: int) -> list[int]:
    """Return the frames a caller wants, in order, each once.

    Raises
    ------
    IndexError
        If one of them does not exist.
    """
    if frames is None:
        return list(range(n_frames))
    chosen = sorted({int(t) for t in frames})
    outside = [t for t in chosen if not 0 <= t < n_frames]
    if outside:
        msg = (
            f"Frame {outside[0]} does not exist; the stack has frames 0 to "
            f"{n_frames - 1}."
        )
        raise IndexError(msg)
    return chosen


def plan_passes(
    objects: Sequence[TrackedObject],
    direction: Direction,
    frames: Sequence[int],
    *,
    everything: bool = False,
    before_prompts: bool = False,
) -> list[Pass]:
    """Lay out the walks of a propagation.

    Parameters
    ----------
    objects
        Who takes part; each has an anchor.
    direction
        "forward" begins at each object's first anchor, "backward" at its last one;
        "both" walks forward from every anchor to the next, and backward from the
        first; stretches that only a later anchor made stale are walked backward
        from it.
    frames
        The frames wanted, in ascending order.
    everything
        Walk through frames that are up to date too.
    before_prompts
        Track objects before their first anchor too, as Meta's predictor does.

    Raises
    ------
    ValueError
        If there is no such direction.
    """
    if direction not in ("forward", "backward", "both"):
        msg = f"direction must be forward, backward or both, not {direction!r}."
        raise ValueError(msg)
    ends = [o.anchors[0 if direction != "backward" else -1] for o in objects]
    earliest, latest = min(ends, default=0), max(ends, default=0)
    forward, backward = {}, {}
    for found in objects:
        n_frames = len(found.stale)
        t = np.arange(n_frames)
        asked = np.zeros(n_frames, np.bool_)
        asked[list(frames)] = True
        first, last = found.anchors[0], found.anchors[-1]
        if before_prompts:
            first, last = min(first, earliest), max(last, latest)
        ahead = asked & (t >= first)
        behind = asked & (t <= last)
        if not everything:
            ahead &= (found.stale & FROM_BEFORE) > 0
            behind &= (found.stale & FROM_AFTER) > 0
        elif direction == "both":
            behind &= t < first
        if direction == "both":
            behind &= ~ahead
        forward[found.object_id], backward[found.object_id] = ahead, behind
    passes = []
    if direction != "backward":
        passes.append(_one_pass(forward, frames, reverse=False))
    if direction != "forward":
        passes.append(_one_pass(backward, frames, reverse=True))
    return passes


def _one_pass(
    wanted: Mapping[int, Flags], frames: Sequence[int], *, reverse: bool
) -> Pass:
    walked = [t for t in frames if any(flags[t] for flags in wanted.values())]
    return Pass(
        reverse=reverse,
        frames=tuple(reversed(walked) if reverse else walked),
        wanted=wanted,
    )


def grouped(
    recalls: Sequence[Recall], *, alike: Sequence[object], batch: int
) -> list[list[int]]:
    """Return indices of objects that can be computed together.

    Parameters
    ----------
    recalls
        What each object remembers.
    alike
        A second thing that has to be the same in a group.
    batch
        Most objects in a group; 1 computes one by one.
    """
    groups: dict[object, list[int]] = {}
    for i, recall in enumerate(recalls):
        groups.setdefault((recall.structure, alike[i]), []).append(i)
    return [
        group[start : start + batch]
        for group in groups.values()
        for start in range(0, len(group), batch)
    ]
