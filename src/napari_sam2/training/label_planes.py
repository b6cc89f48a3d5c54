"""Label planes as they were when learning began, whatever is painted meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numcodecs import Blosc

from napari_sam2.stacks.source import array_source

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

MANY = 1 << 16


class LabelPlanes:
    """The labels (T, Y, X) of a stack's frames, inside an array of any axes.

    A plane is read when it is first asked for and kept compressed: files are read
    once, and what is painted afterwards changes nothing.

    Parameters
    ----------
    data
        Integer or bool array-like: numpy, dask, zarr, ...
    shape
        (T, Y, X).
    index
        Gives the index of a frame's plane in `data`.

    Attributes
    ----------
    shape : tuple of int
        As given.
    """

    def __init__(
        self,
        data: Any,
        shape: tuple[int, int, int],
        index: Callable[[int], tuple[int, ...]],
    ) -> None:
        self.shape = shape
        self._source, self._index = array_source(data), index
        self._codec = Blosc(cname="zstd", clevel=1, shuffle=Blosc.SHUFFLE)
        self._kept: dict[int, bytes | None] = {}
        self._numbers: dict[int, int] = {}

    def __getitem__(self, frame_idx: int) -> NDArray[np.int32]:
        """Return a plane (Y, X), 0 background.

        Ids from 65536 on are numbered anew from there, the same in all planes: what
        counts objects makes lists as long as the largest id.
        """
        if frame_idx not in self._kept:
            plane = self._numbered(self._source.read(self._index(frame_idx)))
            self._kept[frame_idx] = self._codec.encode(plane) if plane.any() else None
        packed = self._kept[frame_idx]
        if packed is None:
            return np.zeros(self.shape[1:], np.int32)
        return np.frombuffer(self._codec.decode(packed), np.int32).reshape(
            self.shape[1:]
        )

    def _numbered(self, plane: NDArray[Any]) -> NDArray[np.int32]:
        large = plane >= MANY
        if not large.any():
            return np.ascontiguousarray(plane, np.int32)
        small = np.where(large, 0, plane).astype(np.int32)
        ids, inverse = np.unique(plane[large], return_inverse=True)
        numbers = [
            self._numbers.setdefault(int(i), MANY + len(self._numbers)) for i in ids
        ]
        small[large] = np.array(numbers, np.int32)[inverse]
        return small
