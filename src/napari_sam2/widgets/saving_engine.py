"""Sessions as files of the user's: saved, thrown away, written as Python."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from napari_sam2.widgets.kept_sessions import Saved, SessionScript
from napari_sam2.widgets.tracking_engine import TrackingEngine

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sam2.widgets.engine import Request


class SavingEngine(TrackingEngine):
    """A `TrackingEngine` whose sessions can be kept under a name."""

    def save(self, request: Request, path: Path, *, replace: bool) -> Path:
        """Go on in a folder of the user's; what was on the shelf goes.

        Raises
        ------
        SessionFileError
            If it cannot be written; everything is as it was.
        """
        from napari_sam2.tracking.shelf import note_saved

        session = self._ready(request)
        before = session.path
        place = session.save_as(path, replace=replace)
        if self._shelf is not None:
            note_saved(self._shelf, place)
            if before is not None and before.parent == self._shelf and place != before:
                shutil.rmtree(before, ignore_errors=True)
        return place

    def discard(self) -> None:
        """Throw the present session away, unless it was saved under a name."""
        path = None if self._session is None else self._session.path
        self._close_session()
        if path is not None and path.parent == self._shelf:
            shutil.rmtree(path, ignore_errors=True)

    def look_at(self, path: Path) -> Saved:
        """Say what a session was made on and with.

        Raises
        ------
        SessionFileError
            If it is none, or damaged.
        """
        from napari_sam2.tracking.saving import read_image_note
        from napari_sam2.tracking.session_file import read_header, session_path
        from napari_sam2.tracking.shelf import image_name

        folder = session_path(path)
        header = read_header(folder)
        note = read_image_note(folder)
        if not note:  # it was made in the console, or on the command line
            note = {"path": header.stack, "shape": list(header.shape), "followed": 0}
            note["name"] = image_name(folder, header)
        return Saved(
            path=folder,
            model=header.model,
            image_size=header.image_size,
            recent_memories=header.recent_memories,
            found_at=note,
            saved=folder.parent != self._shelf,
        )

    def script(self, request: Request) -> SessionScript:
        """Write all that was done in the session as Python.

        Raises
        ------
        ExportError, SessionFileError
            If its masks cannot be written beside it.
        """
        from napari_sam2.tracking.scripting import (
            arrays_path,
            changed_settings,
            write_arrays,
            write_script,
        )
        from napari_sam2.tracking.session_file import read_header, read_journal

        session = self._ready(request)
        repeats = () if self._repeats is None else self._repeats.standing
        folder = session.path
        if folder is None:
            return SessionScript(repeats=repeats)
        entries, _ = read_journal(folder)
        script = write_script(entries, folder)
        write_arrays(script, arrays_path(folder))
        return SessionScript(
            imports=tuple(script.imports),
            settings=changed_settings(
                read_header(folder).settings, zoom=session.model.config.dense_prompts
            ),
            arrays=arrays_path(folder) if script.arrays else None,
            lines=tuple(script.lines),
            repeats=repeats,
        )
