"""What a user would do with the objects that were held aside, measured.

One click and a box on each, in one of its frames; and in movies and volumes its mask
there, followed through the labelled frames after it. Everything goes through
`Session`, as a user's work does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sam2.evaluation.metrics import iou
from napari_sam2.evaluation.users import deepest_point, tight_box
from napari_sam2.tracking import Session

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_sam2.model import SAM2
    from napari_sam2.training.own_data import Annotated, Census, ObjectKey

CLICK, BOX, FOLLOWED = "1 click", "box", "first mask"
FRAMES_FOLLOWED = 8


@dataclass(frozen=True, kw_only=True)
class _Case:
    """One object: where it is prompted, and the frames it is followed through."""

    key: ObjectKey
    frame_idx: int
    onwards: tuple[int, ...]


class HeldAside:
    """Measures models on the same objects in the same frames.

    Parameters
    ----------
    items, census
        What was annotated, and where objects are.
    aside
        The objects to measure.
    most
        How many at most, chosen by `seed`.
    seed
        For another choice of objects and frames.
    """

    def __init__(
        self,
        items: Sequence[Annotated],
        census: Census,
        aside: Sequence[ObjectKey],
        *,
        most: int,
        seed: int,
    ) -> None:
        rng = np.random.default_rng([seed, len(aside), 1])
        chosen = sorted(rng.permutation(len(aside))[:most].tolist())
        self._items = items
        self._cases: list[_Case] = []
        for i in chosen:
            key = aside[i]
            seen = [sighting.frame_idx for sighting in census.sightings[key]]
            # Rather early, so that there is something to follow.
            frame_idx = seen[int(rng.integers((len(seen) + 1) // 2))]
            labelled = census.labelled[key.item]
            at = labelled.index(frame_idx)
            onwards = _unbroken(labelled[at : at + 1 + FRAMES_FOLLOWED])
            self._cases.append(
                _Case(key=key, frame_idx=frame_idx, onwards=tuple(onwards[1:]))
            )

    @property
    def total(self) -> int:
        """How many objects are measured."""
        return len(self._cases)

    def scores(self, model: SAM2) -> Iterator[dict[str, float]]:
        """Yield the IoU of each task for one object after the other.

        Raises
        ------
        FrameReadError
            If a frame cannot be read.
        """
        for case in self._cases:
            yield self._ask(model, case)

    def _ask(self, model: SAM2, case: _Case) -> dict[str, float]:
        item, object_id = self._items[case.key.item], case.key.object_id
        truth = np.asarray(item.plane(case.frame_idx) == object_id)
        found: dict[str, float] = {}
        with Session(model, item.stack) as session:
            for task in (CLICK, BOX):
                if task == CLICK:
                    session.add_points(1, case.frame_idx, [deepest_point(truth)], [1])
                else:
                    session.add_box(1, case.frame_idx, tight_box(truth))
                plane = session.preview(case.frame_idx).labels
                found[task] = iou(plane == 1, truth)
                session.remove_object(1)
            if case.onwards:
                session.add_mask(1, case.frame_idx, truth)
                stop = case.onwards[-1] + 1
                frames = range(case.frame_idx, stop)
                agreed = [
                    iou(result.labels == 1, item.plane(result.frame_idx) == object_id)
                    for result in session.propagate("forward", frames=frames)
                    if result.frame_idx > case.frame_idx
                ]
                found[FOLLOWED] = float(np.mean(agreed))
        return found


def _unbroken(frames: Sequence[int]) -> list[int]:
    """Return the first frames as long as none is missing between them."""
    kept = [frames[0]]
    for t in frames[1:]:
        if t != kept[-1] + 1:
            break
        kept.append(t)
    return kept
