"""Objects found in a frame from their memories: in batches, and kept apart.

Shapes: O objects, s = S / 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch

from napari_sam2.model import MaskOutput
from napari_sam2.tracking.batching import in_batches
from napari_sam2.tracking.lanes import evenly
from napari_sam2.tracking.planning import grouped

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Executor

    from torch import Tensor

    from napari_sam2.model import ImageFeatures
    from napari_sam2.tracking.flow import Carried
    from napari_sam2.tracking.memory_bank import FrameMemory, Recall
    from napari_sam2.tracking.tracker import Tracker
    from napari_sam2.tracking.windows import Window

OVERLAPPED_LOGIT = -10.0


@dataclass(frozen=True, kw_only=True)
class Query:
    """What one object is looked for with.

    Attributes
    ----------
    window
        The part of the frame to look at.
    recall
        The object's memories.
    previous
        Its answer in the neighbouring frame, or None.
    """

    window: Window
    recall: Recall
    previous: Carried | None


def find(
    tracker: Tracker,
    frame_idx: int,
    queries: Sequence[Query],
    features: Callable[[Window], ImageFeatures],
    *,
    batch: int,
) -> tuple[list[FrameMemory], int]:
    """Find objects in a frame.

    Objects with memories of one structure in one window are computed together. If
    the tracker has `non_overlapping_memory`, what is remembered of objects in one
    window does not overlap.

    Parameters
    ----------
    tracker
        Runs the network.
    frame_idx
        The frame.
    queries
        One an object.
    features
        Returns what a window of the frame looks like; asked for one window after
        the other, several times each.
    batch
        Most objects computed together.

    Returns
    -------
    memories, batch
        The answers, in order, and how many objects memory allowed together.

    Raises
    ------
    MemoryError
        When one object alone does not fit.
    """
    memories: dict[int, FrameMemory] = {}
    for window, members in by_window(queries).items():
        made, batch = _find_in_window(
            tracker,
            frame_idx,
            [queries[i] for i in members],
            partial(features, window),
            batch=batch,
        )
        memories.update(zip(members, made, strict=True))
    return [memories[i] for i in range(len(queries))], batch


def find_side_by_side(
    tracker: Tracker,
    frame_idx: int,
    queries: Sequence[Query],
    features: Callable[[Window], ImageFeatures],
    lanes: Executor,
    *,
    share: int,
    meanwhile: Callable[[], None],
) -> list[FrameMemory]:
    """Find objects in a frame, several at the same time.

    Parameters
    ----------
    tracker, frame_idx, queries, features
        As in `find`; `features` is asked in this thread.
    lanes
        Where to compute.
    share
        Most objects that one lane computes together, at least 1; see
        `lanes.fair_share`.
    meanwhile
        Called when all is handed in, before waiting for it.

    Raises
    ------
    MemoryError
        When memory is not enough.
    """

    def some(group: Sequence[int], seen: ImageFeatures) -> list[FrameMemory]:
        asked = [queries[i] for i in group]
        memories, _ = _find_in_window(
            tracker, frame_idx, asked, lambda: seen, batch=len(asked)
        )
        return memories

    tasks = {}
    for window, members in by_window(queries).items():
        seen = features(window)
        for group in evenly(members, share):
            tasks[group] = lanes.submit(some, group, seen)
    meanwhile()
    found: dict[int, FrameMemory] = {}
    for group, task in tasks.items():
        found.update(zip(group, task.result(), strict=True))
    return [found[i] for i in range(len(queries))]


def by_window(queries: Sequence[Query]) -> dict[Window, list[int]]:
    """Return which queries look through which window, by their places."""
    windows: dict[Window, list[int]] = {}
    for i, query in enumerate(queries):
        windows.setdefault(query.window, []).append(i)
    return windows


def _find_in_window(
    tracker: Tracker,
    frame_idx: int,
    queries: Sequence[Query],
    features: Callable[[], ImageFeatures],
    *,
    batch: int,
) -> tuple[list[FrameMemory], int]:
    """Find objects that are looked at through one window, as `find` does."""

    def decode(group: Sequence[int]) -> list[MaskOutput]:
        output = tracker.decode(
            features(),
            [queries[i].recall for i in group],
            [queries[i].previous for i in group],
        )
        return _split(output)

    groups = grouped(
        [query.recall for query in queries],
        alike=[query.previous is not None for query in queries],
        batch=len(queries),
    )
    outputs, batch = in_batches(groups, decode, limit=batch)
    everyone = range(len(queries))
    masks = [outputs[i].low_res_masks for i in everyone]
    if tracker.non_overlapping_memory:
        masks = list(without_overlaps(torch.cat(masks))[:, None])

    def remember(group: Sequence[int]) -> list[FrameMemory]:
        return tracker.remember(
            frame_idx,
            queries[0].window,
            features(),
            _joined([outputs[i] for i in group]),
            torch.cat([masks[i] for i in group]),
        )

    memories, batch = in_batches([everyone], remember, limit=batch)
    return [memories[i] for i in everyone], batch


def without_overlaps(logits: Tensor) -> Tensor:
    """Leave every place to the object with the highest logit there.

    The others are clamped to at most -10, as by SAM 2's
    ``non_overlap_masks_for_mem_enc`` (Meta's code does it after enlarging the masks
    to the input's size).

    Parameters
    ----------
    logits
        (O, 1, s, s) masks of one window; of equal ones the first wins.
    """
    if len(logits) == 1:
        return logits
    objects = torch.arange(len(logits), device=logits.device)[:, None, None, None]
    surest = logits.argmax(0, keepdim=True) == objects
    return torch.where(surest, logits, logits.clamp(max=OVERLAPPED_LOGIT))


def _split(output: MaskOutput) -> list[MaskOutput]:
    """Take an answer for O objects apart."""
    return [
        MaskOutput(
            low_res_masks=output.low_res_masks[i : i + 1],
            iou_scores=output.iou_scores[i : i + 1],
            object_score_logits=output.object_score_logits[i : i + 1],
            object_pointer=output.object_pointer[i : i + 1],
        )
        for i in range(len(output.iou_scores))
    ]


def _joined(outputs: Sequence[MaskOutput]) -> MaskOutput:
    """Put answers for one object each together."""
    if len(outputs) == 1:
        return outputs[0]
    return MaskOutput(
        low_res_masks=torch.cat([o.low_res_masks for o in outputs]),
        iou_scores=torch.cat([o.iou_scores for o in outputs]),
        object_score_logits=torch.cat([o.object_score_logits for o in outputs]),
        object_pointer=torch.cat([o.object_pointer for o in outputs]),
    )
