"""What is known of one object in its frames, and what follows from it.

Shapes: R recorded frames of one object, rising; N frames in the order of following.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2.tracking.changes import (
    HISTORY,
    RECENT,
    Changes,
    Flags,
    changes_of,
    recent_low,
)
from napari_sam2.tracking.confidence import Evidence, confidence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Rows = NDArray[Any]
    Frames = NDArray[np.intp]

ROW = np.dtype(
    [
        ("iou", np.float32),
        ("object_score", np.float32),
        ("overlap_lost", np.float32),
        ("y", np.float32),
        ("x", np.float32),
        ("area", np.int32),
        ("state", np.uint8),
    ]
)
"""25 bytes of one object in one frame."""
RECORDED, IS_PROMPTED, IS_REVERSE = 1, 2, 4
GIVEN, FORWARD, BACKWARD = 0, 1, 2


@dataclass(frozen=True, kw_only=True)
class ScoreRow:
    """One object in one frame.

    Attributes
    ----------
    object_id, frame_idx
        Which.
    iou
        IoU with the object as the network predicts it, in [0, 1].
    object_score
        Probability in [0, 1], by the network, that the object is in the frame.
    area
        Pixels in the label plane.
    centroid
        y, x in px; NaN where the area is 0.
    step
        Distance in px from the centroid in the nearest frame with one on the side
        it was followed from; NaN if there is none, and in prompted frames.
    overlap_lost
        Share in [0, 1] of the object's own answer that other objects took.
    prompted
        Whether the user's prompts fixed the answer.
    confidence
        Probability in [0, 1] that the answer is right; see `confidence`.
    flags
        What is to be looked at.
    """

    object_id: int
    frame_idx: int
    iou: float
    object_score: float
    area: int
    centroid: tuple[float, float]
    step: float
    overlap_lost: float
    prompted: bool
    confidence: float
    flags: Flags


@dataclass(frozen=True, kw_only=True, eq=False)
class ObjectScores:
    """All that is known of one object, in the order of its frames.

    Attributes
    ----------
    frames
        (R,) frame indices, rising.
    rows
        (R,) records of type `ROW`.
    step
        (R,) float64, px; see `napari_sam2.tracking.changes.Changes`.
    evidence
        What `confidence` is made of.
    confidence
        (R,) float64 in [0, 1].
    flags
        (R,) uint8 bits of `Flags`.
    """

    frames: Frames
    rows: Rows
    step: NDArray[np.float64]
    evidence: Evidence
    confidence: NDArray[np.float64]
    flags: NDArray[np.uint8]

    @property
    def prompted(self) -> NDArray[np.bool_]:
        """(R,) where the user's prompts fixed the answer."""
        return (self.rows["state"] & IS_PROMPTED) > 0


def all_of(frames: Frames, rows: Rows) -> ObjectScores:
    """Work out steps, confidence and flags of all frames of one object.

    Parameters
    ----------
    frames
        (R,) frame indices, rising.
    rows
        (R,) records of type `ROW`.
    """
    step, area_ratio, step_ratio = np.full((3, len(frames)), np.nan)
    recent = rows["iou"].astype(np.float64)
    flags = np.zeros(len(frames), np.uint8)
    for order, first in _stretches(_kinds(rows["state"])):
        changes = _changes(frames[order], rows[order])
        places = order[first:]
        step[places] = changes.step[first:]
        area_ratio[places] = changes.area_ratio[first:]
        step_ratio[places] = changes.step_ratio[first:]
        flags[places] = changes.flags[first:]
        recent[places] = _recent_iou(rows[order])[first:]
    merged = Changes(
        step=step, step_ratio=step_ratio, area_ratio=area_ratio, flags=flags
    )
    evidence = _evidence(rows, recent, merged)
    return ObjectScores(
        frames=frames,
        rows=rows,
        step=step,
        evidence=evidence,
        confidence=_confidence(rows, evidence),
        flags=flags,
    )


def one_of(object_id: int, table: Rows, frame_idx: int) -> ScoreRow:
    """Work out one frame of one object; gives what `all_of` gives.

    Parameters
    ----------
    object_id
        Which object.
    table
        (T,) records of type `ROW`, with one in the frame.
    frame_idx
        Which frame.
    """
    frames = _past(table, frame_idx)
    rows = table[frames]
    row = rows[-1]
    changes = _changes(frames, rows)
    sure = _confidence(rows, _evidence(rows, _recent_iou(rows), changes))
    return ScoreRow(
        object_id=object_id,
        frame_idx=frame_idx,
        iou=float(row["iou"]),
        object_score=float(row["object_score"]),
        area=int(row["area"]),
        centroid=(float(row["y"]), float(row["x"])),
        step=float(changes.step[-1]),
        overlap_lost=float(row["overlap_lost"]),
        prompted=bool(row["state"] & IS_PROMPTED),
        confidence=float(sure[-1]),
        flags=Flags(int(changes.flags[-1])),
    )


def _kinds(state: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return of each recorded frame if it was prompted or whence it was followed."""
    kinds = np.where(state & IS_REVERSE, BACKWARD, FORWARD)
    return np.where(state & IS_PROMPTED, GIVEN, kinds).astype(np.uint8)


def _stretches(kinds: NDArray[np.uint8]) -> Iterator[tuple[Frames, int]]:
    """Return runs of frames followed one from the other, in that order.

    Yields
    ------
    order
        Places in `kinds`; where there is one, the frame before the run comes first.
    first
        Where in `order` the run itself begins, 0 or 1.
    """
    count = len(kinds)
    edges = [0, *(np.flatnonzero(np.diff(kinds)) + 1).tolist(), count]
    for start, stop in pairwise(edges):
        if start == stop or kinds[start] == GIVEN:
            continue
        if kinds[start] == FORWARD:
            origin = max(start - 1, 0)
            yield np.arange(origin, stop), start - origin
        else:
            origin = min(stop, count - 1)
            yield np.arange(origin, start - 1, -1), origin - (stop - 1)


def _past(table: Rows, frame_idx: int) -> Frames:
    """Return the frames that one is compared with, and itself as the last."""
    known = np.flatnonzero(table["state"])
    kinds = _kinds(table["state"][known])
    place = int(np.searchsorted(known, frame_idx))
    if kinds[place] == GIVEN:
        return known[place : place + 1]
    if kinds[place] == BACKWARD:
        known, kinds = known[::-1], kinds[::-1]
        place = len(known) - 1 - place
    others = np.flatnonzero(kinds[:place] != kinds[place])
    origin = int(others[-1]) if len(others) else 0
    frames = known[origin : place + 1]
    seen = np.flatnonzero(table["area"][frames[:-1]])
    if len(seen) <= HISTORY:
        return frames
    # A pace needs a step, so one frame more than `HISTORY`.
    enough = min(int(seen[-HISTORY - 1]), len(frames) - RECENT)
    return frames[max(enough, 0) :]


def _changes(frames: Frames, rows: Rows) -> Changes:
    centroid = np.stack([rows["y"], rows["x"]], axis=-1)
    return changes_of(frames, rows["area"], centroid, rows["overlap_lost"])


def _recent_iou(rows: Rows) -> NDArray[np.float64]:
    """Return the lowest of the last predicted IoUs, prompted frames left out."""
    given = rows["state"] & IS_PROMPTED
    return recent_low(np.where(given, np.inf, rows["iou"]))


def _evidence(rows: Rows, recent: NDArray[np.float64], changes: Changes) -> Evidence:
    return Evidence(
        iou=rows["iou"],
        recent_iou=recent,
        object_score=rows["object_score"],
        area=rows["area"],
        overlap_lost=rows["overlap_lost"],
        area_ratio=changes.area_ratio,
        step_ratio=changes.step_ratio,
    )


def _confidence(rows: Rows, evidence: Evidence) -> NDArray[np.float64]:
    # What the user fixed is not judged.
    return np.where(rows["state"] & IS_PROMPTED, 1.0, confidence(evidence))
