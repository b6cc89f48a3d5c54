"""Undo and redo: what objects were, and how label planes changed.

Snapshots of objects are small and stay in memory. Planes go to a file of their own for
each step, as the rectangle that changed before and after, compressed. The newest steps
are kept, up to a number and a size on disk.
"""

from __future__ import annotations

import logging
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numcodecs import Blosc

from napari_sam2.tracking.windows import extent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from napari_sam2.tracking.state import ObjectState

log = logging.getLogger(__name__)

States: TypeAlias = "Mapping[int, ObjectState]"

MOST_STEPS = 100
MOST_BYTES = 512 * 2**20


@dataclass(frozen=True, kw_only=True)
class _Record:
    """Where a file holds the changed rectangle of one frame, twice."""

    frame_idx: int
    rows: tuple[int, int]
    cols: tuple[int, int]
    offset: int
    length: int


@dataclass(kw_only=True, eq=False)
class Step:
    """One thing the user did.

    Attributes
    ----------
    name
        What to call it in a menu, for example ``"click on 3"``.
    states
        The objects as they were on the other side of the step, by id.
    """

    name: str
    states: States
    _path: Path | None = None
    _records: list[_Record] = field(default_factory=list)

    @property
    def frames(self) -> list[int]:
        """Frames whose labels the step changed, each once, in order."""
        return sorted({record.frame_idx for record in self._records})


class History:
    """Steps that can be taken back, and those taken back.

    Parameters
    ----------
    most_steps
        How many steps are kept.
    most_bytes
        How much disk their label planes may take.
    """

    def __init__(
        self, *, most_steps: int = MOST_STEPS, most_bytes: int = MOST_BYTES
    ) -> None:
        self.most_steps, self.most_bytes = most_steps, most_bytes
        self.done: list[Step] = []
        self.undone: list[Step] = []
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._count = 0
        self._dropped = 0
        self._codec = Blosc(cname="zstd", clevel=1, shuffle=Blosc.SHUFFLE)

    def begin(self, name: str, states: States) -> Step:
        """Begin a step; what had been undone cannot be redone any more."""
        for step in self.undone:
            _discard(step)
        self.undone.clear()
        step = Step(name=name, states=states)
        self.done.append(step)
        self._bound()
        return step

    def note(self, frame_idx: int, before: NDArray[Any], after: NDArray[Any]) -> None:
        """Add a changed plane (Y, X) to the latest step, if there is one.

        A disk that is full costs the undo of that frame, not the work.
        """
        if not self.done:
            return
        changed = extent(before != after)
        if changed is None:
            return
        rows, cols = (changed.top, changed.bottom), (changed.left, changed.right)
        place = slice(*rows), slice(*cols)
        both = np.stack((before[place], after[place]))
        step = self.done[-1]
        try:
            offset, length = self._append(step, self._codec.encode(both))
        except OSError as error:
            log.warning("frame %d cannot be undone: %s", frame_idx, error)
            return
        step._records.append(
            _Record(
                frame_idx=frame_idx, rows=rows, cols=cols, offset=offset, length=length
            )
        )
        self._bound()

    def _append(self, step: Step, data: bytes) -> tuple[int, int]:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(
                prefix="napari-sam2-undo-", ignore_cleanup_errors=True
            )
        if step._path is None:
            step._path = Path(self._folder.name) / f"{self._count}.planes"
            self._count += 1
        with step._path.open("ab") as file:
            offset = file.tell()
            file.write(data)
        return offset, len(data)

    def _bound(self) -> None:
        while len(self.done) > self.most_steps or (
            self.n_bytes > self.most_bytes and len(self.done) > 1
        ):
            _discard(self.done.pop(0))
            self._dropped += 1

    @property
    def position(self) -> int:
        """How many steps were done and not undone, those no longer kept included."""
        return self._dropped + len(self.done)

    @property
    def n_bytes(self) -> int:
        """Bytes on disk."""
        return sum(
            step._records[-1].offset + step._records[-1].length
            for step in (*self.done, *self.undone)
            if step._records
        )

    def planes(
        self, step: Step, dtype: np.dtype[Any], *, undo: bool
    ) -> Iterator[tuple[int, Callable[[NDArray[Any]], NDArray[Any]]]]:
        """Yield frames and what has to be done to their planes (Y, X).

        A pixel is only changed back if it still is what the step made of it, so that
        later work by others stays.

        Raises
        ------
        OSError
            If the step's file has gone.
        """
        for record in reversed(step._records) if undo else step._records:
            assert step._path is not None
            with step._path.open("rb") as file:
                file.seek(record.offset)
                data = self._codec.decode(file.read(record.length))
            rows, cols = slice(*record.rows), slice(*record.cols)
            shape = (2, rows.stop - rows.start, cols.stop - cols.start)
            before, after = np.frombuffer(data, dtype).reshape(shape)
            if not undo:
                before, after = after, before

            def turn(
                plane: NDArray[Any],
                place: tuple[slice, slice] = (rows, cols),
                wanted: NDArray[Any] = before,
                known: NDArray[Any] = after,
            ) -> NDArray[Any]:
                turned = plane.copy()
                same = (turned[place] == known) & (wanted != known)
                turned[place][same] = wanted[same]
                return turned

            yield record.frame_idx, turn

    def clear(self) -> None:
        """Forget everything."""
        for step in (*self.done, *self.undone):
            _discard(step)
        self.done.clear()
        self.undone.clear()

    def close(self) -> None:
        """Forget everything and remove the folder."""
        self.done.clear()
        self.undone.clear()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


def _discard(step: Step) -> None:
    if step._path is not None:
        step._path.unlink(missing_ok=True)
