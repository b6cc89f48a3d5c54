"""Labels of the image's own shape, of which a session fills one stack of frames.

A movie of volumes followed at one depth fills that depth only; another depth fills
another part of the same layer.
"""

from __future__ import annotations

import contextlib
import math
import tempfile
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import zarr

    from napari_sam2.stacks import LabelsStore
    from napari_sam2.widgets.target import Target

IN_MEMORY_BYTES = 256 * 2**20
DTYPE = np.dtype(np.uint16)
_LOCKS: dict[int, threading.Lock] = {}  # by the id of an array that lives


def lock_of(array: Any) -> contextlib.AbstractContextManager[object]:
    """Return what to hold while a frame of labels is read that a session may fill."""
    return _LOCKS.get(id(array)) or contextlib.nullcontext()


class LabelsVolume:
    """Labels for all that a Labels layer shows of one image.

    In memory below 256 MB, else in a temporary zarr array, one chunk a frame, that
    lives as long as the array: a layer may outlive the panel.

    Attributes
    ----------
    array : ndarray or zarr.Array
        uint16, of the image's shape without colours.
    lock : Lock
        Held while a frame is read or written.
    """

    def __init__(self, target: Target) -> None:
        self.array: Any
        self._image = target.data  # found by its id, which must not be given away
        if math.prod(target.shape) * DTYPE.itemsize < IN_MEMORY_BYTES:
            self.array = np.zeros(target.shape, DTYPE)
        else:
            self.array = _temporary_array(target.shape)
        self.lock = _LOCKS[id(self.array)] = threading.Lock()
        weakref.finalize(self.array, _LOCKS.pop, id(self.array))

    def erase(self, object_id: int, target: Target) -> None:
        """Take an object out of all frames of a stack."""
        self.store(target).erase([object_id])

    def store(self, target: Target) -> LabelsStore:
        """Return the part that a session on `target` fills, (T, Y, X)."""
        from napari_sam2.stacks import LabelsStore
        from napari_sam2.stacks.labels_store import HeldFrames

        whole = target.followed == 0 and len(target.shape) == 3
        frames: Any = self.array
        if not whole:
            frames = HeldFrames(self.array, target.index, target.n_frames)
        return LabelsStore(frames, lock=self.lock)


def _temporary_array(shape: tuple[int, ...]) -> zarr.Array[Any]:
    """Make labels on disk that go with the array."""
    import zarr

    folder = tempfile.TemporaryDirectory(
        prefix="napari-sam2-labels-", ignore_cleanup_errors=True
    )
    array = zarr.create_array(
        store=str(Path(folder.name) / "labels.zarr"),
        shape=shape,
        chunks=(*(1,) * (len(shape) - 2), *shape[-2:]),
        dtype=DTYPE,
        fill_value=0,
    )
    weakref.finalize(array, folder.cleanup)
    return array
