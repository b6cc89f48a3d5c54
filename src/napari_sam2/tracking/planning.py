"""Which frames a propagation walks through, and which objects go together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari_sam2.tracking.memory_bank import Recall
    from napari_sam2.tracking.objects import TrackedObject

Direction: TypeAlias = Literal["forward", "backward", "both"]


@dataclass(frozen=True, kw_only=True)
class Pass:
    """One walk through the stack.

    Attributes
    ----------
    reverse
        Whether time runs backwards.
    frames
        The frames, in walking order.
    begins
        By object id, the frame from which the object takes part.
    """

    reverse: bool
    frames: tuple[int, ...]
    begins: dict[int, int]

    def takes(self, object_id: int, frame_idx: int) -> bool:
        """Whether an object takes part in a frame."""
        begin = self.begins.get(object_id)
        if begin is None:
            return False
        return frame_idx <= begin if self.reverse else frame_idx >= begin


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
    before_prompts: bool = False,
) -> list[Pass]:
    """Lay out the walks of a propagation.

    Parameters
    ----------
    objects
        Who takes part; each has a prompt.
    direction
        "forward" begins at each object's first prompted frame, "backward" at its
        last one; "both" walks forward from the first and then backward from it.
    frames
        The frames wanted, in ascending order.
    before_prompts
        Track objects before their first prompt too, as Meta's predictor does.

    Raises
    ------
    ValueError
        If there is no such direction.
    """
    if direction not in ("forward", "backward", "both"):
        msg = f"direction must be forward, backward or both, not {direction!r}."
        raise ValueError(msg)
    passes = []
    if direction != "backward":
        begins = {o.object_id: o.prompted_frames[0] for o in objects}
        if before_prompts:
            begins = dict.fromkeys(begins, min(begins.values(), default=0))
        passes.append(_one_pass(begins, frames, reverse=False))
    if direction != "forward":
        end = 0 if direction == "both" else -1
        begins = {o.object_id: o.prompted_frames[end] for o in objects}
        if before_prompts:
            begins = dict.fromkeys(begins, max(begins.values(), default=0))
        if direction == "both":  # the frame it begins at is done already
            begins = {i: t - 1 for i, t in begins.items()}
        passes.append(_one_pass(begins, frames, reverse=True))
    return passes


def _one_pass(begins: dict[int, int], frames: Sequence[int], *, reverse: bool) -> Pass:
    everyone = Pass(reverse=reverse, frames=(), begins=begins)
    walked = [t for t in frames if any(everyone.takes(i, t) for i in begins)]
    return Pass(
        reverse=reverse,
        frames=tuple(reversed(walked) if reverse else walked),
        begins=begins,
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
