"""A repetition on disk, in the folder of its session: labels, scores, what is done."""

from __future__ import annotations

import json
import shutil
import zipfile
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import zarr

from napari_sam2.stacks import LabelsStore
from napari_sam2.stacks.labels_store import HeldFrames, create_zarr_labels
from napari_sam2.tracking.folder_lock import take
from napari_sam2.tracking.planning import Direction
from napari_sam2.tracking.session_file import SessionFileError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from napari_sam2.stacks import Stack
    from napari_sam2.tracking.repetition_scores import Arrays

WALK = "walk"  # among the names of parts, which have a position

Keys = dict[str, int]
"""What each part that is done was made from, as a checksum."""


@dataclass(frozen=True, kw_only=True)
class Walk:
    """How a volume is gone through: see `Session.propagate`."""

    direction: Direction
    frames: list[int] | None = None

    def __post_init__(self) -> None:
        """Refuse what a damaged file may say."""
        frames = [] if self.frames is None else self.frames
        if self.direction not in get_args(Direction) or not all(
            isinstance(frame, int) for frame in frames
        ):
            msg = f"There is no {self.direction!r} through frames {self.frames!r}."
            raise ValueError(msg)


class RepetitionFolder:
    """Labels of all positions of an axis, ``over_T``.

    Beside it are ``over_T.json``, what is done, and ``over_T.scores``, how sure it is:
    a file for each position; ``over_T.lock`` says which process has it open.

    Parameters
    ----------
    session
        Folder of the session.
    over
        Letter of the axis.
    axes, shape, dtype
        Of the labels, (..., Y, X).

    Attributes
    ----------
    array
        The labels.
    keys
        What is done.
    walk
        How volumes were gone through the last time; None if they were not yet.
    session
        The folder of the session.

    Raises
    ------
    SessionFileError
        If something else is there, or another process has it.
    """

    def __init__(
        self,
        session: Path,
        over: str,
        *,
        axes: str,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
    ) -> None:
        self.path, self._axes = session / f"over_{over}", axes
        self._json = self.path.with_suffix(".json")
        self._scores = self.path.with_suffix(".scores")
        self._lock = self.path.with_suffix(".lock")
        self.session = session
        self._take()
        try:
            self.array = self._array(shape, dtype)
            self.keys, self.walk = self._read_keys()
        except SessionFileError:
            self.close()
            raise

    def close(self) -> None:
        """Let another process have it; everything is on disk already."""
        self._lock.unlink(missing_ok=True)

    def _take(self) -> None:
        try:
            other = take(self._lock)
        except OSError as error:
            msg = f"{self.session.name} cannot be written; make room or restore it."
            raise SessionFileError(msg) from error
        if other is not None:
            msg = (
                f"{self.session.name} is being repeated already ({other}); close it "
                f"there first, or delete {self._lock} if that is not so."
            )
            raise SessionFileError(msg)

    def _array(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> zarr.Array[Any]:
        if not self.path.exists():
            self._json.unlink(missing_ok=True)
            shutil.rmtree(self._scores, ignore_errors=True)
            return create_zarr_labels(self.path, shape, dtype, self._axes)
        return self._open(shape, dtype)

    def store(self, stack: Stack) -> LabelsStore:
        """Return the part of the labels that belongs to a stack."""
        layout, letters = stack.layout, self._axes[:-2]
        frames: Any = HeldFrames(
            self.array, lambda frame: layout.position(frame, letters), stack.n_frames
        )
        return LabelsStore(frames)

    def write_keys(self, keys: Keys, walk: Walk | None) -> None:
        """Keep what is done, whole or not at all."""
        part = self._json.with_suffix(".part")
        known = keys if walk is None else {**keys, WALK: asdict(walk)}
        part.write_text(json.dumps(known), encoding="utf-8")
        part.replace(self._json)

    def write_scores(self, arrays: Mapping[str, Arrays]) -> None:
        """Keep tables of scores by name, each whole or not at all."""
        self._scores.mkdir(exist_ok=True)
        for name, table in arrays.items():
            part = self._scores / f"{name}.part"
            with part.open("wb") as file:
                np.savez(file, allow_pickle=False, **table)
            part.replace(self._scores / f"{name}.npz")

    def keep_scores(self, names: Collection[str]) -> None:
        """Remove all tables but these."""
        for path in self._scores.glob("*.npz"):
            if path.stem not in names:
                path.unlink()

    def read_scores(self) -> dict[str, Arrays]:
        """Read all tables of scores, by name.

        Raises
        ------
        SessionFileError
            If one is damaged.
        """
        found: dict[str, Arrays] = {}
        for path in sorted(self._scores.glob("*.npz")):
            try:
                with np.load(path) as table:
                    found[path.stem] = dict(table)
            except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
                raise self.damaged_scores from error
        return found

    @property
    def damaged_scores(self) -> SessionFileError:
        """What to say of scores that cannot be used."""
        return SessionFileError(
            f"{self._scores} is damaged; remove it, and repeat again to have how sure "
            "each plane is."
        )

    def _open(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> zarr.Array[Any]:
        try:
            array = zarr.open_array(store=str(self.path), mode="r+")
        except (OSError, ValueError, KeyError) as error:
            msg = f"{self.path} is damaged and cannot be gone on with; remove it."
            raise SessionFileError(msg) from error
        if array.shape != shape or array.dtype != dtype:
            msg = (
                f"{self.path} holds labels of shape {array.shape}, not {shape}; remove "
                "it to begin anew."
            )
            raise SessionFileError(msg)
        return array

    def _read_keys(self) -> tuple[Keys, Walk | None]:
        try:
            known = json.loads(self._json.read_text(encoding="utf-8"))
            walk = known.pop(WALK, None)
            keys = {str(name): int(key) for name, key in known.items()}
            return keys, None if walk is None else Walk(**walk)
        except FileNotFoundError:
            return {}, None
        except (OSError, ValueError, AttributeError, TypeError) as error:
            msg = f"{self._json} is damaged; remove it to do all of it again."
            raise SessionFileError(msg) from error
