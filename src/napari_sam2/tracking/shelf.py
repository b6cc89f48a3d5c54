"""The shelf: where the panel keeps its sessions, so that nothing is lost.

The newest sessions stay; what was done on an image is found again by its shape and
its first frame. Sessions that were saved under a name lie elsewhere and stay for good;
the shelf has a list of them.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from napari_sam2.tracking.saving import read_image_note, write_beside
from napari_sam2.tracking.scripting import remove_orphans
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
    from napari_sam2.tracking.session_file import Header

SHELF_VARIABLE = "NAPARI_SAM2_SESSIONS"
KEPT = 10
SAVED, REMEMBERED = "saved.json", 30
DAY_SECONDS = 86400.0


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """A session that one can go on with.

    Attributes
    ----------
    path
        Its folder.
    when
        When it was worked on last, seconds since 1970.
    objects, frames
        How many objects were prompted, and in how many frames one was tracked.
    image
        What the image was called.
    saved
        Whether the user gave it a name and a place.
    """

    path: Path
    when: float
    objects: int
    frames: int
    image: str = ""
    saved: bool = False


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
    """Remove all but the newest sessions that nobody has open, and what was theirs."""
    sessions = sorted(folder.glob(f"*{ENDING}"), key=_when, reverse=True)
    for path in sessions[kept:]:
        if not is_open(path):
            shutil.rmtree(path, ignore_errors=True)
    remove_orphans(folder, before=time.time() - DAY_SECONDS)


def earlier_sessions(folder: Path, stack: Stack) -> list[Earlier]:
    """Find the sessions made on an image, the newest first; reads its first frame.

    Those without any prompt, those that are open, and damaged ones are left out.
    """
    candidates = []
    for path in folder.glob(f"*{ENDING}"):
        try:
            header = read_header(path)
            same = header.shape == stack.shape and header.opened_as == stack.opened_as
            if not same or header.first_frame_sha256 is None or is_open(path):
                continue
            found = _summary(path, header)
        except SessionFileError:
            continue  # it is offered for going on with, and this one is not fit for it
        if found.objects:
            candidates.append((header.first_frame_sha256, found))
    if not candidates:
        return []
    wanted = first_frame_sha256(stack)
    same_image = [found for sha256, found in candidates if sha256 == wanted]
    return sorted(same_image, key=lambda found: found.when, reverse=True)


def recent_sessions(folder: Path) -> list[Earlier]:
    """List what can be gone on with, on any image, the newest first.

    Those on the shelf and those saved under a name; without any prompt, open, damaged
    ones and such as have gone are left out.
    """
    saved = saved_sessions(folder)
    found = []
    for path in [*folder.glob(f"*{ENDING}"), *saved]:
        try:
            if not is_open(path):
                found.append(_summary(path, read_header(path), saved=path in saved))
        except SessionFileError:
            continue  # it may have been moved or deleted since
    used = [one for one in found if one.objects]
    return sorted(used, key=lambda one: one.when, reverse=True)


def saved_sessions(folder: Path) -> list[Path]:
    """Return where sessions were saved under a name, the latest first."""
    try:
        known = json.loads((folder / SAVED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [Path(path) for path in known] if isinstance(known, list) else []


def note_saved(folder: Path, path: Path) -> None:
    """Remember where a session was saved.

    Raises
    ------
    SessionFileError
        If the list cannot be written.
    """
    others = [known for known in saved_sessions(folder) if known != path]
    paths = [str(known) for known in (path, *others)][:REMEMBERED]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_beside(folder / SAVED, json.dumps(paths))
    except OSError as error:
        msg = (
            f"{path.name} is saved, but the list of recent sessions in {folder} cannot "
            f"be written ({error.strerror or error})."
        )
        raise SessionFileError(msg) from error


def _summary(path: Path, header: Header, *, saved: bool = False) -> Earlier:
    """Say what is in a session; reads its journal."""
    entries, _ = read_journal(path)
    objects = {e["prompt"]["object"] for e in entries if e["do"] == "prompt"}
    frames = {e["t"] for e in entries if e["do"] == "frame" and e["scores"]}
    frames.update(*(e["frames"] for e in entries if e["do"] == "start"))
    return Earlier(
        path=path,
        when=_when(path),
        objects=len(objects),
        frames=len(frames),
        image=image_name(path, header),
        saved=saved,
    )


def image_name(path: Path, header: Header) -> str:
    """Return what a session's image was called."""
    name = read_image_note(path).get("name")
    if isinstance(name, str) and name:
        return name
    return Path(header.stack).stem if header.stack else path.name.removesuffix(ENDING)


def _when(path: Path) -> float:
    """Return when a session was worked on last; 0 if that cannot be said."""
    try:
        return (path / "journal.jsonl").stat().st_mtime
    except OSError:
        return 0.0
