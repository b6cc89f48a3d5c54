"""Do again what a session's journal says, and see whether the same labels come out."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2.tracking.prompt_json import prompt_from_json
from napari_sam2.tracking.resuming import apply, reload_model, reopen_stack
from napari_sam2.tracking.saving import read_start
from napari_sam2.tracking.session import Session
from napari_sam2.tracking.session_file import (
    SessionFileError,
    read_header,
    read_journal,
    read_labels,
    session_path,
)

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    import zarr

    from napari_sam2.model import SAM2
    from napari_sam2.tracking.results import FrameResult


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Where the labels of a replay are not those of the session.

    Attributes
    ----------
    frame_idx
        The frame.
    pixels
        How many pixels differ.
    ious
        By id, the IoU of both masks of each object that differs, in [0, 1].
    """

    frame_idx: int
    pixels: int
    ious: dict[int, float]


@dataclass(kw_only=True)
class Replay:
    """A session being done again.

    Made by `open_replay`.

    Attributes
    ----------
    session
        Is filled as the journal says.
    entries
        The journal.
    recorded
        The labels to compare with, (T, Y, X).
    other_model
        Whether the present model is another one than was used.
    folder
        Where the session is.
    """

    session: Session
    folder: Path
    entries: list[dict[str, Any]]
    recorded: zarr.Array[Any]
    other_model: bool

    @property
    def n_results(self) -> int:
        """How many frame results `run` yields."""
        return sum(entry["do"] == "frame" for entry in self.entries)

    def run(self) -> Generator[FrameResult, None, None]:
        """Do everything again, one frame result at a time.

        Raises
        ------
        SessionFileError
            If something in the journal cannot be done again.
        """
        walk: Generator[FrameResult, None, None] | None = None
        try:
            for number, entry in enumerate(self.entries, start=1):
                try:
                    if entry["do"] == "propagate":
                        if walk is not None:
                            walk.close()
                        walk = self.session.propagate(
                            entry["direction"],
                            entry["frames"],
                            entry["objects"],
                            everything=entry["everything"],
                        )
                    elif entry["do"] != "frame":
                        self._again(entry)
                        continue
                    result = None
                    if entry["do"] == "frame" and walk is not None:
                        result = next(walk, None)
                except (KeyError, IndexError, TypeError, ValueError) as error:
                    msg = f"Line {number} of the journal cannot be replayed ({error})."
                    raise SessionFileError(msg) from error
                if result is not None:
                    yield result
        finally:
            if walk is not None:
                walk.close()

    def _again(self, entry: dict[str, Any]) -> None:
        session, what = self.session, entry["do"]
        if what == "prompt":
            prompt = prompt_from_json(entry["prompt"])
            session.add_prompt(prompt, replace=bool(entry.get("replace")))
        elif what == "preview":
            session.preview(entry["frame"])
        elif what == "clear":
            session.clear_prompts(entry["object"], entry["frame"])
        elif what == "remove":
            session.remove_object(entry["object"])
        elif what == "name":
            session.rename(entry["object"], entry["name"])
        elif what in ("lock", "unlock", "scores"):
            apply(session._state, entry)  # locks with the masks of then
        elif what == "open":
            session.reopen()
        elif what == "start":
            session.begin_with(read_start(self.folder, entry["frames"]))
        elif what == "swap":
            session.swap(entry["first"], entry["second"], entry["start"])
        elif what == "split":
            session.split(entry["first"], entry["start"], entry["second"])
        elif what == "merge":
            session.merge(entry["first"], entry["second"], entry["start"])
        elif what == "undo":
            session.undo()
        elif what == "redo":
            session.redo()
        elif what not in ("plane", "done", "continue"):
            msg = f"nothing is known of {what!r}"
            raise ValueError(msg)

    def differences(self) -> Generator[Difference, None, None]:
        """Compare both labels, frame by frame; yield where they differ."""
        for t in range(self.session.stack.n_frames):
            before = np.asarray(self.recorded[t])
            now = np.asarray(self.session.labels[t])
            differs = before != now
            if not differs.any():
                continue
            ids = np.unique(np.concatenate((before[differs], now[differs])))
            ious = {}
            for object_id in ids[ids > 0].tolist():
                a, b = before == object_id, now == object_id
                ious[object_id] = float((a & b).sum() / (a | b).sum())
            yield Difference(frame_idx=t, pixels=int(differs.sum()), ious=ious)


@contextlib.contextmanager
def open_replay(
    path: str | Path,
    *,
    stack: Any = None,
    model: SAM2 | None = None,
    device: str = "auto",
    output: str | Path | None = None,
) -> Generator[Replay, None, None]:
    """Get ready to do a session again; the session itself is only read.

    Parameters
    ----------
    path
        The folder ``NAME.sam2.zarr``.
    stack, model, device
        As in `Session.open`.
    output
        Where to keep the replay, as a session of its own; None to forget it.

    Raises
    ------
    SessionFileError
        If the session, its model or its image cannot be used.
    """
    folder = session_path(path)
    header = read_header(folder)
    entries, _ = read_journal(folder)
    recorded = read_labels(folder, header)
    with contextlib.ExitStack() as opened:
        found = reopen_stack(header, stack, folder)
        if found is not stack:
            opened.callback(found.close)
        if model is None:
            model = reload_model(header, folder, device)
        session = Session(model, found, path=output, **header.settings)
        opened.callback(session.close)
        origin = model.origin
        yield Replay(
            session=session,
            folder=folder,
            entries=entries,
            recorded=recorded,
            other_model=origin is not None and origin.sha256 != header.model_sha256,
        )
