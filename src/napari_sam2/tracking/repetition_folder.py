"""A repetition on disk, in the folder of its session: all labels, and what is done."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import zarr

from napari_sam2.stacks import LabelsStore
from napari_sam2.stacks.labels_store import HeldFrames, create_zarr_labels
from napari_sam2.tracking.session_file import SessionFileError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from napari_sam2.stacks import Stack

Keys = dict[str, int]
"""What each part that is done was made from, as a checksum."""


class RepetitionFolder:
    """Labels of all positions of an axis, ``over_T``, and beside it ``over_T.json``.

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

    Raises
    ------
    SessionFileError
        If something else is there.
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
        self.array: zarr.Array[Any]
        if not self.path.exists():
            self._json.unlink(missing_ok=True)
            self.array = create_zarr_labels(self.path, shape, dtype, axes)
        else:
            self.array = self._open(shape, dtype)
        self.keys = self._read_keys()

    def store(self, stack: Stack) -> LabelsStore:
        """Return the part of the labels that belongs to a stack."""
        layout, letters = stack.layout, self._axes[:-2]
        frames: Any = HeldFrames(
            self.array, lambda frame: layout.position(frame, letters), stack.n_frames
        )
        return LabelsStore(frames)

    def write_keys(self, keys: Keys) -> None:
        """Keep what is done, whole or not at all."""
        part = self._json.with_suffix(".part")
        part.write_text(json.dumps(keys), encoding="utf-8")
        part.replace(self._json)

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

    def _read_keys(self) -> Keys:
        try:
            text = self._json.read_text(encoding="utf-8")
            return {str(name): int(key) for name, key in json.loads(text).items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AttributeError, TypeError) as error:
            msg = f"{self._json} is damaged; remove it to do all of it again."
            raise SessionFileError(msg) from error
