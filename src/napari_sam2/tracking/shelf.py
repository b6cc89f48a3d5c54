"""The shelf: where the panel keeps its sessions, so that nothing is lost.

The newest sessions stay; what was done on an image is found again by its shape and
its first frame.
"""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from napari_sam2.tracking.session_file import (
    ENDING,
    SessionFileError,
    first_frame_sha256,
    is_open,
    read_header,
    read_journal,
)

if TYPE_CHECKING:
    from napari_sam2.stacks import Stack

SHELF_VARIABLE = "NAPARI_SAM2_SESSIONS"
KEPT = 10


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """A session that was made on the same image before.

    Attributes
    ----------
    path
        Its folder.
    when
        When it was worked on last, seconds since 1970.
    objects, frames
        How many objects were prompted, and in how many frames one was tracked.
    """

    path: Path
    when: float
    objects: int
    frames: int


def shelf_folder() -> Path:
    """Return the folder: $NAPARI_SAM2_SESSIONS, else in the user's data."""
    given = os.environ.get(SHELF_VARIABLE)
    if given:
        return Path(given).expanduser()
    return Path(platformdirs.user_data_dir("napari-sam2", appauthor=False), "sessions")


def new_session_path(folder: Path, name: str, kept: int = KEPT) -> Path:
    """Return a path on the shelf that is free, after tidying it up.

    Parameters
    ----------
    folder
        The shelf.
    name
        Of the image; what a file name cannot hold becomes an underscore.
    kept
        How many older sessions stay.
    """
    tidy_up(folder, kept)
    stem = "".join(c if c.isalnum() or c in "-_" else "_" for c in name)[:40]
    stem = f"{time.strftime('%Y%m%d-%H%M%S')}-{stem or 'image'}"
    path = folder / f"{stem}{ENDING}"
    number = 1
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}{ENDING}"
    return path


def tidy_up(folder: Path, kept: int = KEPT) -> None:
    """Remove all but the newest sessions that nobody has open."""
    sessions = sorted(folder.glob(f"*{ENDING}"), key=_when, reverse=True)
    for path in sessions[kept:]:
        if not is_open(path):
            shutil.rmtree(path, ignore_errors=True)


def earlier_sessions(folder: Path, stack: Stack) -> list[Earlier]:
    """Find the sessions made on an image, the newest first; reads its first frame.

    Those without any prompt, those that are open, and damaged ones are left out.
    """
    candidates = []
    for path in folder.glob(f"*{ENDING}"):
        try:
            header = read_header(path)
            same = header.shape == stack.shape and header.opened_as == stack.opened_as
            if not same or is_open(path):
                continue
            entries, _ = read_journal(path)
        except SessionFileError:
            continue  # it is offered for going on with, and this one is not fit for it
        objects = {e["prompt"]["object"] for e in entries if e["do"] == "prompt"}
        frames = {e["t"] for e in entries if e["do"] == "frame" and e["scores"]}
        if objects and header.first_frame_sha256 is not None:
            found = Earlier(
                path=path, when=_when(path), objects=len(objects), frames=len(frames)
            )
            candidates.append((header.first_frame_sha256, found))
    if not candidates:
        return []
    wanted = first_frame_sha256(stack)
    same_image = [found for sha256, found in candidates if sha256 == wanted]
    return sorted(same_image, key=lambda found: found.when, reverse=True)


def _when(path: Path) -> float:
    """Return when a session was worked on last; 0 if that cannot be said."""
    try:
        return (path / "journal.jsonl").stat().st_mtime
    except OSError:
        return 0.0
