"""Whatever holds pixels, brought to one small interface.

After `open_source` nobody asks whether an array is dask, zarr or a file.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_sam2.stacks.errors import StackError

__all__ = ["ArraySource", "Index", "Info", "Source", "SupportsIndexing", "array_source"]

Index = tuple[int | slice, ...]


class SupportsIndexing(Protocol):
    """An array as numpy, dask, zarr and h5py have it."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""

    @property
    def dtype(self) -> Any:
        """Kind of number."""

    def __getitem__(self, index: Any, /) -> Any:
        """Cut out a part."""


@dataclass(frozen=True, kw_only=True)
class Info:
    """What a file's metadata says about its axes.

    Attributes
    ----------
    name : str
        For messages and layer names.
    axes : str or None
        One letter a dimension, None when the file does not say.
    scale : mapping of str to float
        Size of a step along an axis, where known.
    units : mapping of str to str
        Unit of that step, by pint's names ("micrometer", "second").
    coloured : bool
        Whether the channels are one RGB(A) picture.
    """

    name: str
    axes: str | None = None
    scale: Mapping[str, float] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    coloured: bool = False


class Source(Protocol):
    """Pixels that can be read a part at a time, from any thread."""

    @property
    def info(self) -> Info:
        """What the metadata says."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Kind of number, in native byte order."""

    def read(self, index: Index) -> NDArray[Any]:
        """Read the part at `index`: an int or slice of step 1 for every axis."""

    def close(self) -> None:
        """Let go of files; reading afterwards is an error."""


class ArraySource:
    """An array somebody else made: numpy, dask, zarr, h5py and their like.

    Parameters
    ----------
    array : SupportsIndexing
        Is read by basic indexing only, one part at a time.
    info : Info
        What is known about it.
    """

    def __init__(self, array: SupportsIndexing, info: Info) -> None:
        self._array = array
        self.info = info
        self.shape = tuple(int(n) for n in array.shape)
        self.dtype = np.dtype(array.dtype).newbyteorder("=")
        # zarr and h5py name one size an axis; dask's lists of sizes are not used.
        chunks = getattr(array, "chunks", None)
        self.chunks: tuple[int, ...] | None = None
        if isinstance(chunks, tuple) and all(isinstance(n, int) for n in chunks):
            self.chunks = chunks

    def read(self, index: Index) -> NDArray[Any]:
        """Read the part at `index` into an array of its own."""
        part = self._array[index]
        if hasattr(part, "compute"):
            # One frame on this thread: no pool that keeps other frames alive, and
            # without dask's global callbacks: napari's cache is for one thread only.
            part = part.compute(scheduler="synchronous", callbacks=())
        return np.array(part, dtype=self.dtype)

    def close(self) -> None:
        """Nothing: the array belongs to whoever gave it."""


def array_source(array: Any, *, name: str = "the array") -> ArraySource:
    """Wrap an array-like object.

    Parameters
    ----------
    array : array-like
        With `shape`, `dtype` and indexing; or a list of such arrays, each
        smaller than the one before (a multiscale layer's data), of which the
        first is used.
    name : str
        For messages.

    Returns
    -------
    ArraySource
        Reads nothing yet.

    Raises
    ------
    StackError
        When the object is no array.
    """
    if _is_pyramid(array):
        array = array[0]
    if not all(hasattr(array, a) for a in ("shape", "dtype", "__getitem__")):
        raise StackError(
            f"A {type(array).__name__} is neither a path nor an array; give a file, "
            "a folder of images, or anything with shape, dtype and indexing "
            "(stack separate frames with numpy.stack or dask.array.stack)."
        )
    try:
        np.dtype(array.dtype)
    except TypeError as error:
        raise StackError(
            f"Numbers of type {array.dtype} are not numpy's; convert the array with "
            "numpy.asarray first."
        ) from error
    return ArraySource(array, Info(name=name, axes=_named_dimensions(array)))


def short_name(path: Path) -> str:
    """Give a file's name as people say it, without its last endings."""
    name = path.name
    for ending in (".tiff", ".tif", ".zarr", ".npy", ".ome", ".png", ".jpg", ".jpeg"):
        if name.lower().endswith(ending):
            name = name[: -len(ending)]
    return name or path.name


def _is_pyramid(data: Any) -> bool:
    if type(data).__name__ == "MultiScaleData":
        return True
    if not isinstance(data, Sequence) or len(data) < 2:
        return False
    if not all(hasattr(level, "shape") for level in data):
        return False
    return all(
        math.prod(a.shape) > math.prod(b.shape) for a, b in itertools.pairwise(data)
    )


def _named_dimensions(array: Any) -> str | None:
    """Read the axes off an xarray or zarr 3 array with one-letter dimensions."""
    names = getattr(array, "dims", None)
    if names is None:
        names = getattr(getattr(array, "metadata", None), "dimension_names", None)
    if not isinstance(names, list | tuple) or len(names) != len(array.shape):
        return None
    letters = [str(name)[:1].upper() if name else "" for name in names]
    known = all(
        str(name).lower() in ("t", "time", "z", "y", "x", "c", "channel")
        for name in names
    )
    return "".join(letters) if known else None
