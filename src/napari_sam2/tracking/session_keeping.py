"""Where a session is kept: under another name, and from labels that are there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sam2.tracking.prompts import PromptError
from napari_sam2.tracking.saving import keep_start, move_session
from napari_sam2.tracking.session_file import SessionFileError
from napari_sam2.tracking.session_review import ReviewedSession

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import ArrayLike

    from napari_sam2.tracking.scores import ScoreTable


class KeptSession(ReviewedSession):
    """A session that can change its place; see `Session`."""

    def save_as(self, path: str | Path, *, replace: bool = False) -> Path:
        """Go on in a copy of the session's folder; the present one stays as it is.

        What can be undone stays, too. The copy is written beside its place and
        renamed when it is whole.

        Parameters
        ----------
        path
            A folder ``NAME.sam2.zarr``.
        replace
            Whether an earlier session there may be replaced.

        Returns
        -------
        Path
            The folder, with its ending.

        Raises
        ------
        SessionFileError
            If it cannot be written, or there is something already.
        """
        if self._folder is None:
            msg = "This session is on no disk; begin it with path= to keep it."
            raise SessionFileError(msg)
        moved = move_session(self._folder, path, replace=replace)
        self._store.move_to(moved.store)
        self._folder = moved
        return moved.path

    def begin_with(self, labels: Iterable[tuple[int, ArrayLike]]) -> None:
        """Begin with labels that are there already, as any other frame's would be.

        They are nobody's prompts: tracking writes over them.

        Parameters
        ----------
        labels
            Frames and their planes, (Y, X) whole numbers, in order.

        Raises
        ------
        PromptError
            If something was done in the session already.
        """
        if self._state.objects or self._state.drawn:
            msg = "Labels to begin with come first; begin another session for them."
            raise PromptError(msg)
        frames: list[int] = []
        drawn: dict[int, list[int]] = {}
        for t, plane in labels:
            found = np.asarray(plane)
            self._store.write(t, found)
            frames.append(int(t))
            for object_id in np.unique(found[found > 0]).tolist():
                drawn.setdefault(object_id, []).append(int(t))
                self._state.note_drawn(object_id, t)
        if self._folder is not None and frames:
            keep_start(self._folder.path, frames)
        self._log({"do": "start", "frames": frames, "drawn": drawn})

    def take_scores(self, scores: ScoreTable) -> None:
        """Take over what another session said of the labels that are there already.

        Until a frame is tracked again it counts as out of date, see `review`.

        Parameters
        ----------
        scores
            `Session.scores` of the other one, on as many frames.

        Raises
        ------
        PromptError
            If there are scores already, or the other has more or fewer frames.
        """
        if self._state.scores.object_ids or scores.n_frames != self._state.n_frames:
            msg = (
                "Scores can be taken over into a session that has none, from one of as "
                "many frames; begin another session for them."
            )
            raise PromptError(msg)
        held = {name: column.tolist() for name, column in scores.state().items()}
        self._state.take_scores(held)
        self._log({"do": "scores", "scores": held})

    def reopen(self) -> None:
        """Forget memories and what can be undone, as opening it again does.

        Memories are made again from the labels when they are needed.
        """
        self._state.reopen()
        self._log({"do": "open"})
