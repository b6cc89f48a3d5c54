"""What of a repetition is done and how sure it is: in memory, and on disk if kept.

It can become again what it was, with the labels.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_sam2.tracking.history import History
from napari_sam2.tracking.repetition_scores import RepetitionScores
from napari_sam2.tracking.session_file import SessionFileError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    import numpy as np
    from numpy.typing import NDArray

    from napari_sam2.tracking.history import Step
    from napari_sam2.tracking.repetition_folder import Keys, RepetitionFolder, Walk
    from napari_sam2.tracking.repetition_scores import Scores


@dataclass(frozen=True, kw_only=True)
class Books:
    """What was known at one time, for undo."""

    keys: Keys
    walk: Walk | None
    scores: Scores


class RepetitionBooks:
    """Keys and scores of a repetition.

    Parameters
    ----------
    n_over, n_frames
        Positions of the further axis, and frames of a volume.
    folder
        Where they are kept.

    Attributes
    ----------
    keys
        What each part that is done was made from, as a checksum.
    walk
        How volumes were gone through the last time; None if they were not yet.
    scores
        How sure each plane is.

    Raises
    ------
    SessionFileError
        If what is on disk is damaged.
    """

    def __init__(
        self, n_over: int, n_frames: int, folder: RepetitionFolder | None
    ) -> None:
        self.folder = folder
        self.keys: Keys = {} if folder is None else dict(folder.keys)
        self.walk = None if folder is None else folder.walk
        self.scores = RepetitionScores(n_over, n_frames)
        if folder is not None:
            try:
                self._read(folder)
            except SessionFileError:
                folder.close()
                raise

    def _read(self, folder: RepetitionFolder) -> None:
        tables = folder.read_scores()
        try:
            self.scores.take(tables)
        except (KeyError, ValueError) as error:
            raise folder.damaged_scores from error

    def now(self) -> Books:
        """Return what is known now."""
        return Books(keys=dict(self.keys), walk=self.walk, scores=self.scores.now)

    def restore(self, books: Books) -> None:
        """Know again what was known then."""
        self.keys, self.scores.now = dict(books.keys), books.scores
        self.walk = books.walk
        self.keep_all()

    def done(self, **keys: int) -> None:
        """Note what parts were made from, now that they are done."""
        self.keys.update(keys)
        if self.folder is not None:
            self.folder.write_keys(self.keys, self.walk)

    def rename(self, before: Keys, after: Keys) -> None:
        """Take parts that are made from `before` for made from `after`."""
        for name, key in before.items():
            if self.keys.get(name) == key:
                del self.keys[name]
                if name in after:
                    self.keys[name] = after[name]

    def keep_scores(self, name: str) -> None:
        """Have one table of scores on disk."""
        if self.folder is not None:
            self.folder.write_scores({name: self.scores.table(name)})

    def keep_all(self) -> None:
        """Have everything on disk as it is here."""
        if self.folder is not None:
            arrays = self.scores.arrays()
            self.folder.keep_scores(arrays)
            self.folder.write_scores(arrays)
            self.folder.write_keys(self.keys, self.walk)


class RepetitionSteps:
    """Runs and removals of a repetition, which can be taken back one by one.

    Parameters
    ----------
    books
        What is known, and then was known.

    Attributes
    ----------
    note
        To be called with each plane that changes, as `History.note`.
    """

    def __init__(self, books: RepetitionBooks) -> None:
        self._books, self._history = books, History()
        self._turned: dict[Step, tuple[Books, Books]] = {}
        self.note = self._history.note

    @contextlib.contextmanager
    def one(self, name: str) -> Generator[None, None, None]:
        """Take what is done within for one step, even if it fails in the middle."""
        before, done = self._books.now(), self._history.done
        step = self._history.begin(name, {})
        try:
            yield
        finally:
            after = self._books.now()
            self._turned[step] = before, after
            same = before.keys == after.keys and before.scores is after.scores
            if same and not step.frames and step in done:
                done.remove(step)

    @property
    def undoable(self) -> int:
        """How many steps could be taken back."""
        return len(self._history.done)

    def turn(
        self,
        apply: Callable[[int, Callable[[NDArray[Any]], NDArray[Any]]], None],
        dtype: np.dtype[Any],
        *,
        undo: bool,
    ) -> str | None:
        """Take the latest step back, or do again what was taken back.

        Parameters
        ----------
        apply
            Given a plane and what is to be done to it.
        dtype
            Of planes.

        Returns
        -------
        str or None
            What it was, in words; None if there is nothing.
        """
        history = self._history
        source, other = (history.done, history.undone)[:: 1 if undo else -1]
        if not source:
            return None
        step = source.pop()
        for place, turned in history.planes(step, dtype, undo=undo):
            apply(place, turned)
        other.append(step)
        self._books.restore(self._turned[step][0 if undo else 1])
        return step.name

    def close(self) -> None:
        """Forget what could be taken back."""
        self._history.close()
