"""A session on disk: its labels, what it was made with, and a journal of what was done.

The folder ``NAME.sam2.zarr`` is a zarr group with the array ``labels``, so that any
program that reads zarr can read them, and two files more: ``session.json`` says what
the session was opened with, ``journal.jsonl`` what was done, one line each, written
before the next thing is done. A line that a crash cut off is dropped.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import version
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

import numpy as np
import torch
import zarr

from napari_sam2.model import weights_sha256
from napari_sam2.stacks import FrameReadError, LabelsStore
from napari_sam2.stacks.labels_store import create_zarr_labels
from napari_sam2.tracking.folder_lock import holder, take

if TYPE_CHECKING:
    from napari_sam2.model import SAM2, Precision
    from napari_sam2.stacks import Stack

FORMAT = "napari-sam2 session"
VERSION = 1
ENDING = ".sam2.zarr"
_HEADER, _JOURNAL, LABELS, LOCK = "session.json", "journal.jsonl", "labels", "lock"


class SessionFileError(ValueError):
    """A session file cannot be used; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a session was opened with.

    Attributes
    ----------
    model, model_sha256
        Name or file of the model, and its hash.
    precision
        What it computed in, "full" or "half"; see `napari_sam2.load_model`.
    image_size
        Side that it resized pictures to, px; None for what it was trained with.
    recent_memories
        How many recent frames each frame attended to; None for all.
    stack
        Path of the image, or None for an array that was in memory.
    opened_as
        What `open_stack` was told: axes, fixed, channels.
    shape
        (T, Y, X).
    contrast_limits
        (low, high) a channel.
    first_frame_sha256
        Of the first frame's stored numbers; None if it could not be read.
    settings
        The session's other arguments.
    labels_dtype
        Type of the labels.
    package
        Version of this package.
    """

    model: str | None
    model_sha256: str
    precision: Precision = "full"
    image_size: int | None = None
    recent_memories: int | None = None
    stack: str | None
    opened_as: dict[str, Any] = field(default_factory=dict)
    shape: tuple[int, int, int]
    contrast_limits: list[tuple[float, float]]
    first_frame_sha256: str | None
    settings: dict[str, Any] = field(default_factory=dict)
    labels_dtype: str
    package: str


def make_header(model: SAM2, stack: Stack, settings: dict[str, Any]) -> Header:
    """Return what a session on a stack is opened with; reads its first frame."""
    origin, recent = model.origin, model.config.recent_memories
    return Header(
        model=None if origin is None else origin.name,
        model_sha256=weights_sha256(model) if origin is None else origin.sha256,
        precision="half" if model.dtype == torch.bfloat16 else "full",
        image_size=model.config.image_size,
        recent_memories=None if recent == model.config.num_memories - 1 else recent,
        stack=None if stack.path is None else str(stack.path),
        opened_as=dict(stack.opened_as),
        shape=stack.shape,
        contrast_limits=[(float(a), float(b)) for a, b in stack.contrast_limits],
        first_frame_sha256=first_frame_sha256(stack),
        settings=settings,
        labels_dtype="uint16",
        package=version("napari-sam2"),
    )


def first_frame_sha256(stack: Stack) -> str | None:
    """Return a hash of the first frame's stored numbers, to know the stack again."""
    try:
        frame = stack.read_raw(0)
    except FrameReadError:
        return None
    return hashlib.sha256(frame.tobytes()).hexdigest()


class SessionFolder:
    """A session's folder, open for one process at a time.

    Made by `create_session` and `open_session`.

    Attributes
    ----------
    path
        The folder.
    header
        What the session was opened with.
    store
        Its labels.
    entries
        What the journal said when it was opened.
    """

    def __init__(
        self,
        path: Path,
        header: Header,
        store: LabelsStore,
        entries: list[dict[str, Any]],
    ) -> None:
        self.path, self.header, self.store = path, header, store
        self.entries = entries
        self._journal: IO[str] | None = None

    def write(self, entry: dict[str, Any]) -> None:
        """Add a line to the journal; it is on its way to disk when this returns.

        Raises
        ------
        SessionFileError
            If it cannot be written.
        """
        journal = self.path / _JOURNAL
        if not journal.exists():
            msg = f"{self.path} has been deleted or moved while it was in use."
            raise SessionFileError(msg)
        try:
            if self._journal is None:
                self._journal = journal.open("a", encoding="utf-8")
            self._journal.write(json.dumps(entry, separators=(",", ":")) + "\n")
            self._journal.flush()
        except OSError as error:
            msg = (
                f"{self.path.name} cannot be written ({error.strerror or error}); make "
                "room or restore the folder. What was tracked so far is kept."
            )
            raise SessionFileError(msg) from error

    def close(self) -> None:
        """Let go of the folder; everything is on disk already."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None
        (self.path / LOCK).unlink(missing_ok=True)


def create_session(path: str | Path, header: Header) -> SessionFolder:
    """Make the folder of a new session.

    Raises
    ------
    SessionFileError
        If there is something already, or it cannot be made.
    """
    folder = session_path(path)
    if folder.exists():
        msg = (
            f"{folder} exists already; open it with Session.open, or choose another "
            "name."
        )
        raise SessionFileError(msg)
    part = folder.with_name(f"{folder.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        zarr.create_group(store=str(part))
        create_zarr_labels(part / LABELS, header.shape, _dtype(header.labels_dtype))
        text = json.dumps({"format": FORMAT, "version": VERSION, **asdict(header)})
        (part / _HEADER).write_text(text, encoding="utf-8")
        (part / _JOURNAL).touch()
        part.rename(folder)
    except OSError as error:
        msg = f"{folder} cannot be made ({error.strerror or error}); choose another."
        raise SessionFileError(msg) from error
    return open_session(folder)


def open_session(path: str | Path) -> SessionFolder:
    """Open the folder of an earlier session.

    Raises
    ------
    SessionFileError
        If it is no session, a damaged one, of a later version, or open elsewhere.
    """
    folder = session_path(path)
    header = read_header(folder)
    _take(folder)
    try:
        entries, end = read_journal(folder)
        array = read_labels(folder, header, mode="r+")
    except SessionFileError:
        (folder / LOCK).unlink(missing_ok=True)
        raise
    # What a crash cut off: the end of the journal, and a frame half written beside.
    with (folder / _JOURNAL).open("r+b") as file:
        file.truncate(end)
    for left in (folder / LABELS).rglob("*.partial"):
        left.unlink(missing_ok=True)
    return SessionFolder(folder, header, LabelsStore(array, path=folder), entries)


def read_labels(
    folder: Path, header: Header, *, mode: Literal["r", "r+"] = "r"
) -> zarr.Array[Any]:
    """Open the labels of a session.

    Raises
    ------
    SessionFileError
        If they are damaged or of another shape.
    """
    try:
        array = zarr.open_array(store=str(folder / LABELS), mode=mode)
    except (OSError, ValueError, KeyError) as error:
        msg = f"{folder.name} is damaged: its labels cannot be opened ({error})."
        raise SessionFileError(msg) from error
    if array.shape != header.shape or array.dtype != _dtype(header.labels_dtype):
        msg = f"{folder.name} is damaged: its labels have shape {array.shape}."
        raise SessionFileError(msg)
    return array


def session_path(path: str | Path) -> Path:
    """Return the folder's path, with its ending.

    Raises
    ------
    SessionFileError
        If it ends in something else.
    """
    folder = Path(path).expanduser()
    if folder.name.endswith(ENDING):
        return folder.absolute()
    if folder.suffix:
        msg = f"A session is a folder whose name ends in {ENDING}, not {folder.name}."
        raise SessionFileError(msg)
    return folder.with_name(folder.name + ENDING).absolute()


def read_header(folder: Path) -> Header:
    """Read what a session was opened with.

    Raises
    ------
    SessionFileError
        If it is no session, a damaged one, or of a later version.
    """
    try:
        table = json.loads((folder / _HEADER).read_text(encoding="utf-8"))
    except FileNotFoundError:
        what = (
            "is no session: it has no session.json"
            if folder.exists()
            else ("does not exist")
        )
        msg = f"{folder} {what}; choose a folder that ends in {ENDING}."
        raise SessionFileError(msg) from None
    except (OSError, ValueError) as error:
        msg = (
            f"{folder.name} is damaged: session.json cannot be read. Its labels are in "
            f"{folder / LABELS}."
        )
        raise SessionFileError(msg) from error
    if not isinstance(table, dict) or table.get("format") != FORMAT:
        msg = f"{folder.name} is no session of napari-sam2; choose another folder."
        raise SessionFileError(msg)
    if table.get("version") != VERSION:
        msg = (
            f"{folder.name} was made by a later version of napari-sam2 (format "
            f"{table.get('version')}, this one knows {VERSION}); update napari-sam2."
        )
        raise SessionFileError(msg)
    # The first editions did not say.
    table.setdefault("precision", "full")
    table.setdefault("image_size", None)
    table.setdefault("recent_memories", None)
    names = {item.name for item in fields(Header)}
    try:
        known = {name: table[name] for name in names}
        known["shape"] = tuple(int(n) for n in known["shape"])
        known["contrast_limits"] = [
            (float(a), float(b)) for a, b in known["contrast_limits"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        msg = f"{folder.name} is damaged: session.json is incomplete ({error})."
        raise SessionFileError(msg) from error
    return Header(**known)


def read_journal(folder: Path) -> tuple[list[dict[str, Any]], int]:
    """Read what was done, and where its last whole line ends (bytes).

    Raises
    ------
    SessionFileError
        If a line in the middle is damaged.
    """
    try:
        data = (folder / _JOURNAL).read_bytes()
    except OSError as error:
        msg = f"{folder.name} is damaged: its {_JOURNAL} cannot be read."
        raise SessionFileError(msg) from error
    end = data.rfind(b"\n") + 1
    entries = []
    for number, line in enumerate(data[:end].splitlines(), start=1):
        try:
            entry = json.loads(line)
            entry["do"]
        except (ValueError, TypeError, KeyError) as error:
            msg = (
                f"{folder.name} is damaged: line {number} of {_JOURNAL} is unreadable."
            )
            raise SessionFileError(msg) from error
        entries.append(entry)
    return entries, end


def _dtype(name: str) -> np.dtype[Any]:
    dtype = np.dtype(name)
    if dtype.kind != "u":
        msg = f"labels of type {name}"
        raise ValueError(msg)
    return dtype


def is_open(folder: Path) -> bool:
    """Whether a process has a session open."""
    return holder(folder / LOCK) is not None


def _take(folder: Path) -> None:
    """Note that this process has the session open, unless another one has."""
    lock = folder / LOCK
    other = take(lock)
    if other is not None:
        msg = (
            f"{folder.name} is open already ({other}); close it there first, or "
            f"delete {lock} if that is not so."
        )
        raise SessionFileError(msg)
