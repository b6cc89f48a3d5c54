"""The scores of every object in every frame: kept compactly, looked up, tabulated.

Shapes: T frames of the stack, R recorded frames of one object, N rows in all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from napari_sam2.tracking.changes import Flags
from napari_sam2.tracking.score_rows import (
    IS_PROMPTED,
    IS_REVERSE,
    RECORDED,
    ROW,
    all_of,
    one_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray
    from pandas import DataFrame

    from napari_sam2.tracking.results import ObjectScore
    from napari_sam2.tracking.score_rows import Frames, ObjectScores, Rows, ScoreRow


class ScoreTable:
    """Scores by object and frame; what is recorded again is replaced.

    Only what the network said and where the mask was drawn is kept, 25 bytes an
    object and frame. Steps, confidence and flags depend on neighbouring frames, so
    they are worked out when asked for and are right after any correction.

    Parameters
    ----------
    n_frames
        Length T of the stack.
    """

    def __init__(self, n_frames: int) -> None:
        self.n_frames = n_frames
        self._rows: dict[int, Rows] = {}

    @property
    def object_ids(self) -> list[int]:
        """Ids with at least one row, in order."""
        return sorted(i for i, rows in self._rows.items() if rows["state"].any())

    def __len__(self) -> int:
        """Return the number of rows N."""
        return sum(int(np.count_nonzero(r["state"])) for r in self._rows.values())

    def record(
        self,
        frame_idx: int,
        object_id: int,
        *,
        iou: float,
        object_score: float,
        area: int,
        centroid: tuple[float, float] | None,
        overlap_lost: float = 0.0,
        prompted: bool = False,
        reverse: bool = False,
    ) -> None:
        """Put down one object in one frame, in place of what was there.

        Parameters
        ----------
        frame_idx, object_id
            Which.
        iou, object_score
            What the network predicts, in [0, 1].
        area
            Pixels in the label plane.
        centroid
            y, x in px; None where the area is 0.
        overlap_lost
            Share in [0, 1] of the object's own answer that other objects took.
        prompted
            Whether the user fixed the answer, with prompts or by locking it.
        reverse
            Whether the object was followed here from the next frame.

        Raises
        ------
        IndexError
            If there is no such frame.
        """
        if not 0 <= frame_idx < self.n_frames:
            msg = f"Frame {frame_idx} is not one of the stack's {self.n_frames}."
            raise IndexError(msg)
        y, x = (np.nan, np.nan) if centroid is None or not area else centroid
        state = RECORDED | IS_PROMPTED * prompted | IS_REVERSE * reverse
        row = (iou, object_score, overlap_lost, y, x, area, state)
        self._of(object_id)[frame_idx] = row

    def take(
        self,
        frame_idx: int,
        scores: Mapping[int, ObjectScore],
        *,
        reverse: bool = False,
    ) -> None:
        """Put down what a session says of a frame; see `record`.

        Parameters
        ----------
        frame_idx
            Which frame.
        scores
            By object id, as in `FrameResult.scores`.
        reverse
            Whether the objects were followed here from the next frame.
        """
        for object_id, score in scores.items():
            self.record(
                frame_idx,
                object_id,
                iou=score.iou,
                object_score=score.object_score,
                area=score.area,
                centroid=score.centroid,
                overlap_lost=score.lost,
                prompted=score.prompted,
                reverse=reverse,
            )

    def take_from(
        self, other: ScoreTable, frame_idx: int, object_ids: Iterable[int]
    ) -> None:
        """Put down what another table of as many frames says of objects in a frame."""
        for object_id in object_ids:
            self._of(object_id)[frame_idx] = other._of(object_id)[frame_idx]

    def forget(self, object_id: int, frames: Iterable[int] | None = None) -> None:
        """Drop an object's rows, all or those of some frames; unknown ones are none."""
        if frames is None:
            self._rows.pop(object_id, None)
        elif object_id in self._rows:
            self._rows[object_id][list(frames)] = 0

    def exchange(self, a: int, b: int, start: int = 0) -> None:
        """Swap the rows of two objects from a frame on."""
        rows, others = self._of(a), self._of(b)
        held = rows[start:].copy()
        rows[start:] = others[start:]
        others[start:] = held

    def move(self, source: int, target: int, start: int = 0) -> None:
        """Give an object's rows from a frame on to another.

        They replace the other's in the same frames; its further rows stay.
        """
        if source == target or source not in self._rows:
            return
        rows, others = self._rows[source][start:], self._of(target)[start:]
        recorded = rows["state"] > 0
        others[recorded] = rows[recorded]
        rows[:] = 0

    def snapshot(self, object_id: int) -> tuple[Frames, Rows]:
        """Return an object's frames (R,) and records (R,), to `restore` them."""
        table = self._rows.get(object_id, np.zeros(0, ROW))
        frames = np.flatnonzero(table["state"])
        return frames, table[frames]

    def restore(self, object_id: int, held: tuple[Frames, Rows]) -> None:
        """Make an object's rows what they were at a `snapshot`."""
        self._rows.pop(object_id, None)
        frames, rows = held
        if len(frames):
            self._of(object_id)[frames] = rows

    def of(self, object_id: int) -> ObjectScores:
        """Return everything about an object; arrays of length 0 if it has no row."""
        return all_of(*self.snapshot(object_id))

    def row(self, object_id: int, frame_idx: int) -> ScoreRow:
        """Return one object in one frame.

        Raises
        ------
        KeyError
            If nothing is recorded there.
        """
        table = self._rows.get(object_id)
        if table is None or not (
            0 <= frame_idx < self.n_frames and table[frame_idx]["state"]
        ):
            msg = (
                f"Nothing is known of object {object_id} in frame {frame_idx}; "
                "propagate through that frame first."
            )
            raise KeyError(msg)
        return one_of(object_id, table, frame_idx)

    def frame(self, frame_idx: int) -> dict[int, ScoreRow]:
        """Return the objects recorded in a frame, by id."""
        return {
            i: self.row(i, frame_idx)
            for i in sorted(self._rows)
            if self._rows[i][frame_idx]["state"]
        }

    def lowest(self, object_id: int) -> ScoreRow | None:
        """Return an object's row of least confidence, the first; None without rows."""
        known = self.of(object_id)
        if not len(known.frames):
            return None
        return self.row(object_id, int(known.frames[known.confidence.argmin()]))

    def doubtful(
        self, threshold: float = 0.5, *, flagged: bool = True, starts: bool = False
    ) -> list[tuple[int, int]]:
        """Return what to look at next, as (frame_idx, object_id) in order.

        Parameters
        ----------
        threshold
            Rows of less confidence are doubtful.
        flagged
            Whether rows with flags are too.
        starts
            Only the frame in which a doubtful stretch of an object begins.
        """
        found = []
        for object_id in self.object_ids:
            known = self.of(object_id)
            doubtful = known.confidence < threshold
            if flagged:
                doubtful |= known.flags > 0
            if starts:
                doubtful[1:] &= ~doubtful[:-1]
            found += [(int(t), object_id) for t in known.frames[doubtful]]
        return sorted(found)

    def to_frame(self) -> DataFrame:
        """Return all rows as a table, sorted by object and frame.

        Returns
        -------
        pandas.DataFrame
            Columns object_id, frame, iou, object_score, area, y, x, step,
            overlap_lost, prompted, confidence and flags (words separated by
            spaces); see `ScoreRow`.
        """
        import pandas as pd  # slow to import, and needed here only

        parts = {i: self.of(i) for i in self.object_ids}
        rows = _joined([p.rows for p in parts.values()], ROW)
        owners = [np.full(len(p.rows), i) for i, p in parts.items()]
        flags = _joined([p.flags for p in parts.values()], np.uint8)
        words = [Flags(bits).words for bits in range(2 ** len(Flags))]
        sure = [p.confidence for p in parts.values()]
        return pd.DataFrame(
            {
                "object_id": _joined(owners, np.int64),
                "frame": _joined([p.frames for p in parts.values()], np.int64),
                "iou": rows["iou"],
                "object_score": rows["object_score"],
                "area": rows["area"],
                "y": rows["y"],
                "x": rows["x"],
                "step": _joined([p.step for p in parts.values()], np.float32),
                "overlap_lost": rows["overlap_lost"],
                "prompted": (rows["state"] & IS_PROMPTED) > 0,
                "confidence": _joined(sure, np.float32),
                "flags": [words[bits] for bits in flags.tolist()],
            }
        )

    def state(self) -> dict[str, NDArray[Any]]:
        """Return all that is kept, as plain arrays for `numpy.savez`.

        Returns
        -------
        dict
            "n_frames" () int64, "object_id" and "frame" (N,) int64, and (N,) each
            of what is recorded. ``{k: v.tolist()}`` of it is JSON; `from_state`
            takes both.
        """
        held = {i: self.snapshot(i) for i in self.object_ids}
        owners = [np.full(len(frames), i) for i, (frames, _) in held.items()]
        rows = _joined([rows for _, rows in held.values()], ROW)
        return {
            "n_frames": np.array(self.n_frames, np.int64),
            "object_id": _joined(owners, np.int64),
            "frame": _joined([frames for frames, _ in held.values()], np.int64),
            **{str(name): rows[name].copy() for name in ROW.fields or ()},
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Return the table that `state` was taken of.

        Raises
        ------
        ValueError
            If something is missing or does not fit together.
        """
        wanted = ("n_frames", "object_id", "frame", *(ROW.fields or ()))
        lacking = [name for name in wanted if name not in state]
        if lacking:
            msg = (
                f"The scores lack {', '.join(map(repr, lacking))}; they are not, or "
                "not whole, what ScoreTable.state returned. Propagate again instead."
            )
            raise ValueError(msg)
        table = cls(int(state["n_frames"]))
        ids = np.asarray(state["object_id"], np.int64)
        frames = np.asarray(state["frame"], np.int64)
        rows = np.zeros(len(ids), ROW)
        sizes = {np.size(state[name]) for name in wanted[1:]}
        if sizes != {len(ids)} or ((frames < 0) | (frames >= table.n_frames)).any():
            msg = (
                "The scores' arrays differ in length or name frames that the stack "
                "does not have; they were changed. Propagate again instead."
            )
            raise ValueError(msg)
        for name in ROW.fields or ():
            rows[name] = state[name]
        for object_id in np.unique(ids).tolist():
            own = ids == object_id
            table._of(object_id)[frames[own]] = rows[own]
        return table

    def _of(self, object_id: int) -> Rows:
        """Return an object's records, (T,), made if there are none."""
        if object_id not in self._rows:
            self._rows[object_id] = np.zeros(self.n_frames, ROW)
        return self._rows[object_id]


def _joined(parts: Sequence[NDArray[Any]], kind: Any) -> NDArray[Any]:
    """Return arrays as one of a type, even if there are none."""
    return np.concatenate([np.zeros(0, kind), *parts]).astype(kind, copy=False)
