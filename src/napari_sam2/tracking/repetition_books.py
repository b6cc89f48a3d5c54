"""What of a repetition is done and how sure it is: in memory, and on disk if kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_sam2.tracking.repetition_scores import RepetitionScores
from napari_sam2.tracking.session_file import SessionFileError

if TYPE_CHECKING:
    from napari_sam2.tracking.repetition_folder import Keys, RepetitionFolder
    from napari_sam2.tracking.repetition_scores import Scores


@dataclass(frozen=True, kw_only=True)
class Books:
    """What was known at one time, for undo."""

    keys: Keys
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
        return Books(keys=dict(self.keys), scores=self.scores.now)

    def restore(self, books: Books) -> None:
        """Know again what was known then."""
        self.keys, self.scores.now = dict(books.keys), books.scores
        self.keep_all()

    def done(self, **keys: int) -> None:
        """Note what parts were made from, now that they are done."""
        self.keys.update(keys)
        if self.folder is not None:
            self.folder.write_keys(self.keys)

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
            self.folder.write_keys(self.keys)
