"""A session's folder under another name, and the labels it began with.

A copy is written beside its place and renamed when it is whole.
"""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from napari_sam2.stacks.labels_store import create_zarr_labels
from napari_sam2.tracking.session_file import (
    LABELS,
    LOCK,
    SessionFileError,
    is_open,
    open_session,
    session_path,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sam2.tracking.session_file import SessionFolder

START, IMAGE = "start", "image.json"


def move_session(
    folder: SessionFolder, path: str | Path, *, replace: bool
) -> SessionFolder:
    """Copy a session's folder and let go of the old one; see `Session.save_as`.

    Returns
    -------
    SessionFolder
        The copy, open.

    Raises
    ------
    SessionFileError
        If it cannot be written, or there is something already; the old folder is as
        it was, and still open.
    """
    place = session_path(path)
    if place == folder.path:
        return folder
    if place.exists() and not replace:
        msg = f"{place.name} exists already in {place.parent}; choose another name."
        raise SessionFileError(msg)
    if place.exists() and is_open(place):
        msg = f"{place.name} is open elsewhere; close it there, or choose another name."
        raise SessionFileError(msg)
    part = place.with_name(f".{place.name}.part")
    old = place.with_name(f".{place.name}.old")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.parent.mkdir(parents=True, exist_ok=True)
        ignored = shutil.ignore_patterns(LOCK, "*.lock", "*.partial")
        shutil.copytree(folder.path, part, ignore=ignored, copy_function=shutil.copy2)
        if place.exists():
            shutil.rmtree(old, ignore_errors=True)
            place.rename(old)
        part.rename(place)
    except OSError as error:  # shutil.Error is one, too
        shutil.rmtree(part, ignore_errors=True)
        if old.exists() and not place.exists():
            old.rename(place)
        msg = (
            f"{place.name} cannot be written ({_reason(error)}); make room or choose "
            f"another place. Nothing is lost: {folder.path.name} is as it was."
        )
        raise SessionFileError(msg) from error
    shutil.rmtree(old, ignore_errors=True)
    moved = open_session(place)
    folder.close()
    return moved


def write_beside(path: Path, text: str) -> None:
    """Write a small text file so that it is whole or as it was.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def note_image(folder: Path, image: Mapping[str, Any]) -> None:
    """Keep beside a session what finds its image again: plain JSON.

    Raises
    ------
    SessionFileError
        If it cannot be written.
    """
    try:
        write_beside(folder / IMAGE, json.dumps(image))
    except OSError as error:
        msg = f"{folder.name} cannot be written ({_reason(error)}); make room on disk."
        raise SessionFileError(msg) from error


def read_image_note(folder: Path) -> dict[str, Any]:
    """Read what `note_image` kept; empty if there is nothing fit to be read."""
    try:
        found = json.loads((folder / IMAGE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def keep_start(folder: Path, frames: list[int]) -> None:
    """Keep a copy of the labels a session begins with: those of some frames.

    Raises
    ------
    SessionFileError
        If it cannot be written.
    """
    try:
        labels = zarr.open_array(store=str(folder / LABELS), mode="r")
        start = create_zarr_labels(
            folder / START, (len(frames), *labels.shape[1:]), labels.dtype
        )
        for at, t in enumerate(frames):
            start[at] = labels[t]
    except OSError as error:
        msg = f"{folder.name} cannot be written ({_reason(error)}); make room on disk."
        raise SessionFileError(msg) from error


def read_start(
    folder: Path, frames: Sequence[int]
) -> Generator[tuple[int, NDArray[Any]], None, None]:
    """Read the labels a session began with: frames and their planes, (Y, X).

    Raises
    ------
    SessionFileError
        If they are damaged.
    """
    try:
        start = zarr.open_array(store=str(folder / START), mode="r")
        for at, t in enumerate(frames):
            yield t, np.asarray(start[at])
    except (OSError, ValueError, KeyError, IndexError) as error:
        msg = f"{folder.name} is damaged: the labels it began with cannot be read."
        raise SessionFileError(msg) from error


def _reason(error: OSError) -> str:
    """Say in a few words what the system said; of many files, what was said first."""
    if isinstance(error, shutil.Error) and error.args and error.args[0]:
        first = error.args[0][0]
        return str(first[-1] if isinstance(first, tuple) else first)
    return error.strerror or (os.strerror(error.errno) if error.errno else str(error))
