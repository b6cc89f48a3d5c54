"""From a session's folder back to a session.

The journal is told to the state line by line; labels are on disk already. An edit that
a crash cut off is finished, an undo that was cut off is left to be tracked again.
"""

from __future__ import annotations

import logging
import zlib
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from napari_sam2.model import load_model
from napari_sam2.stacks import StackError, open_stack
from napari_sam2.tracking import edits
from napari_sam2.tracking.objects import FROM_BOTH, UNTRACKED
from napari_sam2.tracking.prompt_json import prompt_from_json
from napari_sam2.tracking.prompts import MaskPrompt
from napari_sam2.tracking.results import ObjectScore
from napari_sam2.tracking.session_file import (
    SessionFileError,
    first_frame_sha256,
    open_session,
    read_header,
    session_path,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike

    from napari_sam2.model import SAM2
    from napari_sam2.stacks import LabelsStore, Stack
    from napari_sam2.tracking.session import Session
    from napari_sam2.tracking.session_file import Header
    from napari_sam2.tracking.state import SessionState

    S = TypeVar("S", bound=Session)

log = logging.getLogger(__name__)


def resume(
    cls: type[S],
    path: str | Path,
    *,
    model: SAM2 | None,
    stack: Stack | ArrayLike | str | Path | None,
    device: str,
) -> S:
    """Open a session's folder; see `Session.open`."""
    folder_path = session_path(path)
    header = read_header(folder_path)
    opened = reopen_stack(header, stack, folder_path)
    try:
        model = reload_model(header, folder_path, device) if model is None else model
        folder = open_session(folder_path)
    except BaseException:
        if opened is not stack:
            opened.close()
        raise
    try:
        session = cls(model, opened, path=folder, **header.settings)
        session._owns_stack = opened is not stack
        finish(session._state, folder.store, folder.entries, folder_path)
    except BaseException:
        folder.close()
        if opened is not stack:
            opened.close()
        raise
    if folder.entries and folder.entries[-1]["do"] in (*_EDITS, "plane"):
        session._log({"do": "done"})
    session.reopen()
    return session


def reopen_stack(
    header: Header, given: Stack | ArrayLike | str | Path | None, folder: Path
) -> Stack:
    """Open a session's stack as it was opened first.

    Raises
    ------
    SessionFileError
        If it is needed, not there, or another one.
    """
    if given is None and header.stack is None:
        msg = (
            f"{folder.name} was made on an array in memory; give the same one as stack."
        )
        raise SessionFileError(msg)
    try:
        stack = open_stack(
            header.stack if given is None else given,
            contrast_limits=header.contrast_limits,
            **header.opened_as,
        )
    except StackError as error:
        if given is not None:
            raise
        msg = (
            f"The image of {folder.name} cannot be opened ({error}) Put it back, or "
            "say where it is now (stack=, or --input on the command line)."
        )
        raise SessionFileError(msg) from error
    known = header.first_frame_sha256
    if stack.shape != header.shape or (
        known is not None and first_frame_sha256(stack) not in (known, None)
    ):
        if stack is not given:
            stack.close()
        msg = (
            f"{folder.name} was made on another image: {stack.name} has shape "
            f"{stack.shape} where {header.shape} was, or other pixels. Give the "
            "image it was made on."
        )
        raise SessionFileError(msg)
    return stack


def reload_model(header: Header, folder: Path, device: str) -> SAM2:
    """Load the model a session was made with.

    A newer edition under the same name will do: memories are made again from labels.

    Raises
    ------
    SessionFileError
        If it cannot be loaded.
    """
    if header.model is None:
        msg = f"{folder.name} was made with a model from no file; give it as model."
        raise SessionFileError(msg)
    try:
        model = load_model(
            header.model,
            device=device,
            dtype=header.precision,
            image_size=header.image_size,
            recent_memories=header.recent_memories,
        )
    except (OSError, ValueError) as error:
        msg = (
            f"The model of {folder.name} cannot be loaded ({error}) Give another one "
            "as model, or on the command line as --model."
        )
        raise SessionFileError(msg) from error
    if model.origin is not None and model.origin.sha256 != header.model_sha256:
        log.warning(
            "%s was made with another edition of %s; new frames are tracked with the "
            "present one",
            folder.name,
            header.model,
        )
    return model


_EDITS = ("clear", "remove", "swap", "split", "merge", "undo", "redo")


def finish(
    state: SessionState,
    store: LabelsStore,
    entries: Sequence[dict[str, Any]],
    folder: Path,
) -> None:
    """Tell the state all that was done, and finish an edit that was cut off.

    Raises
    ------
    SessionFileError
        If the journal says something that cannot be.
    """
    written: dict[int, int] = {}
    cut: dict[str, Any] | None = None
    for number, entry in enumerate(entries, start=1):
        try:
            if entry["do"] == "plane":
                written[int(entry["t"])] = int(entry["crc"])
                continue
            if entry["do"] == "done":
                cut, written = None, {}
                continue
            if entry["do"] in _EDITS:
                cut, written = entry, {}
            apply(state, entry)
        except (KeyError, IndexError, TypeError, ValueError, zlib.error) as error:
            msg = (
                f"{folder.name} is damaged: line {number} of its journal cannot be "
                f"followed ({error})."
            )
            raise SessionFileError(msg) from error
    if cut is not None:
        _finish_edit(state, store, cut, written)
    state.reopen()


def apply(state: SessionState, entry: dict[str, Any]) -> None:
    """Tell the state one line of the journal."""
    what = entry["do"]
    if what == "prompt":
        prompt = prompt_from_json(entry["prompt"])
        state.add_prompt(prompt, replace=bool(entry.get("replace")))
    elif what == "clear":
        state.clear_prompts(entry["object"], entry["frame"])
    elif what == "remove":
        state.remove(entry["object"])
    elif what == "name":
        state.rename(entry["object"], entry["name"])
    elif what == "lock":
        state.lock(_masks(entry))
    elif what == "unlock":
        state.unlock(entry["object"], entry["frames"])
    elif what in ("swap", "split"):
        first, second, start = (entry[k] for k in ("first", "second", "start"))
        edits.exchange(state, first, second, start, _masks(entry))
    elif what == "merge":
        first, second, start = (entry[k] for k in ("first", "second", "start"))
        edits.merge(state, first, second, start, _masks(entry))
    elif what == "preview":
        state.previewed(entry["frame"], _scores(entry))
    elif what == "propagate":
        state.begin(f"{entry['direction']} propagation", entry["objects"])
        state.answered(entry["objects"])
    elif what == "continue":
        state.begin("propagation", entry["objects"])
    elif what == "frame":
        state.frame_done(entry["t"], _scores(entry), reverse=entry["back"])
    elif what in ("undo", "redo"):
        state.turn(undo=what == "undo")
    elif what == "open":
        state.reopen()
    elif what == "start":
        for object_id, frames in entry["drawn"].items():
            for t in frames:
                state.note_drawn(int(object_id), t)
    elif what == "scores":
        state.take_scores(entry["scores"])
    else:
        msg = f"nothing is known of {what!r}"
        raise ValueError(msg)


def _scores(entry: dict[str, Any]) -> dict[int, ObjectScore]:
    return {int(i): ObjectScore.from_row(row) for i, row in entry["scores"].items()}


def _masks(entry: dict[str, Any]) -> list[MaskPrompt]:
    masks = [prompt_from_json(item) for item in entry["masks"]]
    return [mask for mask in masks if isinstance(mask, MaskPrompt)]


def _finish_edit(
    state: SessionState,
    store: LabelsStore,
    cut: dict[str, Any],
    written: dict[int, int],
) -> None:
    """Do to the remaining planes what an edit had begun to do."""
    what = cut["do"]
    if what in ("undo", "redo"):
        # The planes of earlier times are gone: track again what may be mixed.
        for t in written:
            for found in state.objects.values():
                if t not in found.locked and t not in found.prompts:
                    found.tracked[t] = UNTRACKED
                    found.stale[t] = FROM_BOTH
        return
    if what in ("clear", "remove"):
        names = {cut["object"]: 0}
    elif what == "merge":
        names = {cut["first"]: cut["second"]}
    else:
        names = {cut["first"]: cut["second"], cut["second"]: cut["first"]}
    edit = edits.relabelling(names)
    start = cut.get("start", 0)
    drawn = {t for old in names for t in state.frames_drawn(old)}
    frames = (
        [cut["frame"]] if what == "clear" else sorted(t for t in drawn if t >= start)
    )
    for t in frames:
        plane = store.read(t)
        if written.get(t) == zlib.crc32(np.ascontiguousarray(plane).tobytes()):
            continue
        if t in written and t != list(written)[-1]:
            continue  # done, and changed since by others
        store.write(t, edit(plane))
