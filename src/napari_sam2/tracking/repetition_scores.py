"""How sure a repetition is of each object, in every volume.

An object is followed twice: over the further axis in one plane, and from there through
the planes of each volume. In that plane the first of both counts, elsewhere the second.

Shapes: P positions of the further axis, T frames (planes) of a volume.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2.tracking.review import review
from napari_sam2.tracking.scores import ScoreTable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from numpy.typing import NDArray

    from napari_sam2.tracking.review import ObjectReview
    from napari_sam2.tracking.score_rows import ScoreRow

    Arrays = dict[str, NDArray[Any]]

OVER = "over"
"""Name of the table over the further axis; the others are named by their position."""


@dataclass(frozen=True, kw_only=True)
class Scores:
    """All that is known at one time; tables in it change only while they are filled.

    Attributes
    ----------
    over
        Objects at the P positions of the further axis, in the plane of each.
    planes
        In which plane each object was followed over that axis.
    volumes
        Objects in the T frames of a volume, by position.
    """

    over: ScoreTable
    planes: Mapping[int, int] = field(default_factory=dict)
    volumes: Mapping[int, ScoreTable] = field(default_factory=dict)


class RepetitionScores:
    """The scores of a repetition, which can become again what they were.

    Parameters
    ----------
    n_over, n_frames
        P and T.

    Attributes
    ----------
    now
        What is known.
    """

    def __init__(self, n_over: int, n_frames: int) -> None:
        self._n_frames = n_frames
        self.now = Scores(over=ScoreTable(n_over))

    def begin_over(self, z: int, object_ids: Iterable[int]) -> ScoreTable:
        """Return the table that objects followed in a plane are to be put down in."""
        over, planes = copy.deepcopy(self.now.over), dict(self.now.planes)
        for object_id in object_ids:
            planes[object_id] = z
            over.forget(object_id)
        self.now = Scores(over=over, planes=planes, volumes=self.now.volumes)
        return over

    def keep_carried(self, object_ids: Collection[int]) -> None:
        """Forget over the further axis all objects but these, if there are others."""
        gone = [i for i in self.now.planes if i not in object_ids]
        if gone:
            over = copy.deepcopy(self.now.over)
            for object_id in gone:
                over.forget(object_id)
            planes = {i: z for i, z in self.now.planes.items() if i in object_ids}
            self.now = Scores(over=over, planes=planes, volumes=self.now.volumes)

    def begin_volume(self, at: int, gone: Iterable[int]) -> ScoreTable:
        """Return the table of a volume that is followed (again), without some objects.

        Frames that are not reached this time keep what was known of them.
        """
        table = copy.deepcopy(self._volume(at))
        for object_id in gone:
            table.forget(object_id)
        volumes = {**self.now.volumes, at: table}
        self.now = Scores(over=self.now.over, planes=self.now.planes, volumes=volumes)
        return table

    def drawn_at(self, at: int) -> list[int]:
        """Return the objects that were followed through a volume, in order."""
        return self._volume(at).object_ids

    def row(self, object_id: int, at: int, frame_idx: int) -> ScoreRow:
        """Return one object in one frame of a volume.

        Raises
        ------
        KeyError
            If nothing is known there.
        """
        row = self._carried(object_id, at)
        if row is not None and self.now.planes[object_id] == frame_idx:
            return row
        return self._volume(at).row(object_id, frame_idx)

    def reviews(
        self, at: int, outdated: Collection[int] | None = None
    ) -> dict[int, ObjectReview]:
        """Return what is known of all objects in a volume, as in its frames.

        Nobody prompted or locked there, so no frame is marked.

        Parameters
        ----------
        at
            Position of the volume.
        outdated
            Objects that are to be followed again; None: all of them.
        """
        carried = {i for i in self.now.planes if self._carried(i, at) is not None}
        ids = sorted(carried.union(self.drawn_at(at)))
        return {i: self._review(i, at, outdated is None or i in outdated) for i in ids}

    def _review(self, object_id: int, at: int, outdated: bool) -> ObjectReview:
        found = review(self._n_frames, self._volume(at).of(object_id), None)
        row = self._carried(object_id, at)
        if row is not None:
            z = self.now.planes[object_id]
            found.confidence[z], found.flags[z] = row.confidence, row.flags.value
            found.area[z] = row.area
        found.outdated[...] = outdated & ~np.isnan(found.confidence)
        return found

    def _carried(self, object_id: int, at: int) -> ScoreRow | None:
        """Return an object where it was followed over the further axis."""
        if object_id not in self.now.planes:
            return None
        try:
            return self.now.over.row(object_id, at)
        except KeyError:
            return None

    def _volume(self, at: int) -> ScoreTable:
        return self.now.volumes.get(at, ScoreTable(self._n_frames))

    def arrays(self) -> dict[str, Arrays]:
        """Return all tables as arrays for `numpy.savez`, by name; see `take`."""
        names = (OVER, *map(str, self.now.volumes))
        return {name: self.table(name) for name in names}

    def table(self, name: str) -> Arrays:
        """Return one table as `arrays` does; KeyError if it is not there."""
        if name != OVER:
            return self.now.volumes[int(name)].state()
        planes = self.now.planes
        return {
            **self.now.over.state(),
            "carried": np.array(list(planes), np.int64),
            "plane": np.array(list(planes.values()), np.int64),
        }

    def take(self, arrays: Mapping[str, Arrays]) -> None:
        """Know what `arrays` said.

        Raises
        ------
        ValueError, KeyError
            If something is missing or does not fit together.
        """
        if OVER not in arrays:
            return
        over = arrays[OVER]
        pairs = zip(over["carried"].tolist(), over["plane"].tolist(), strict=True)
        self.now = Scores(
            over=ScoreTable.from_state(over),
            planes=dict(pairs),
            volumes={
                int(name): ScoreTable.from_state(state)
                for name, state in arrays.items()
                if name != OVER
            },
        )
