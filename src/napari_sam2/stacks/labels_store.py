"""Where labels are kept while they are made: one frame a write.

Small ones lie in memory, large ones in a zarr array whose chunks are frames, so
that writing a frame touches one file and the napari layer can paint on it.
"""

import errno
import math
import tempfile
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import zarr
from numpy.typing import DTypeLike, NDArray

from napari_sam2.stacks.closing import Closing
from napari_sam2.stacks.errors import StackError

__all__ = ["HeldFrames", "LabelsArray", "LabelsStore", "open_labels_store"]

LabelsArray: TypeAlias = "NDArray[Any] | zarr.Array[Any]"
Watcher: TypeAlias = Callable[[int, NDArray[Any], NDArray[Any]], None]

IN_MEMORY_BYTES = 256 * 2**20


class HeldFrames:
    """Labels of one stack inside an array of more axes; of numpy or of zarr.

    Parameters
    ----------
    array : ndarray or zarr.Array
        (..., Y, X), unsigned integers.
    index : callable
        Gives the place of a frame: an integer for each axis but Y and X.
    n_frames : int
        How many frames there are.
    """

    def __init__(
        self,
        array: LabelsArray,
        index: Callable[[int], tuple[int, ...]],
        n_frames: int,
    ) -> None:
        self._array, self._index = array, index
        self.shape = (n_frames, *array.shape[-2:])
        self.dtype = np.dtype(array.dtype)

    def __getitem__(self, frame_idx: int) -> Any:
        """Read a frame, (Y, X)."""
        return self._array[self._index(frame_idx)]

    def __setitem__(self, frame_idx: int, plane: Any) -> None:
        """Write a frame, (Y, X)."""
        self._array[self._index(frame_idx)] = plane


class LabelsStore(Closing):
    """Labels of a stack, (T, Y, X), 0 for background.

    Made by `open_labels_store`.

    Parameters
    ----------
    array : ndarray, zarr.Array or HeldFrames
        (T, Y, X), unsigned integers.
    path : Path, optional
        Where the zarr array lies, if it is to stay.
    temporary : TemporaryDirectory, optional
        Is removed on closing.
    lock : Lock, optional
        Is held while a frame is read or written; shared by stores of one array.

    Attributes
    ----------
    on_write : callable, optional
        Called before every write with the frame's index and its plane (Y, X) before
        and after.
    mirror : LabelsStore, optional
        Another store of the same shape that every plane is written to as well.
    """

    def __init__(
        self,
        array: LabelsArray,
        *,
        path: Path | None = None,
        temporary: "tempfile.TemporaryDirectory[str] | None" = None,
        lock: "threading.Lock | None" = None,
    ) -> None:
        self._array = array
        self.path = path
        self._temporary = temporary
        self._lock = lock or threading.Lock()
        self.on_write: Watcher | None = None
        self.mirror: LabelsStore | None = None

    @property
    def array(self) -> LabelsArray:
        """What to give a napari Labels layer."""
        return self._array

    @property
    def shape(self) -> tuple[int, int, int]:
        """(T, Y, X)."""
        t, y, x = self._array.shape
        return t, y, x

    @property
    def dtype(self) -> np.dtype[Any]:
        """Unsigned integers."""
        return np.dtype(self._array.dtype)

    def __len__(self) -> int:
        """Count the frames."""
        return self.shape[0]

    def write(
        self,
        frame_idx: int,
        plane: NDArray[Any],
        *,
        before: NDArray[Any] | None = None,
    ) -> None:
        """Replace the labels of one frame.

        Parameters
        ----------
        frame_idx : int
            0 to T - 1.
        plane : ndarray of int or bool
            (Y, X), object ids.
        before : ndarray, optional
            What `read` has just returned, so that it is not read once more.

        Raises
        ------
        IndexError
            When there is no such frame.
        ValueError
            When the shape differs or an id does not fit the store's numbers.
        StackError
            When the plane cannot be written: the disk is full, the folder has gone.
        """
        self._check_frame(frame_idx)
        plane = np.asarray(plane)
        if plane.shape != self.shape[1:]:
            raise ValueError(
                f"A label plane of shape {plane.shape} does not fit frames of "
                f"{self.shape[1:]}; give one (Y, X) plane."
            )
        if plane.dtype != self.dtype:
            plane = _cast(plane, self.dtype)
        with self._lock:
            if self.on_write is not None:
                if before is None:
                    before = np.array(self._array[frame_idx])
                self.on_write(frame_idx, before, plane)
            try:
                if isinstance(self._array, zarr.Array):
                    _check_there(self._array)
                self._array[frame_idx] = plane
            except OSError as error:
                raise StackError(
                    f"The labels of frame {frame_idx} could not be written "
                    f"({error.strerror or error}); make room on the disk and go on. "
                    "The frames before it are kept."
                ) from error
        if self.mirror is not None:
            self.mirror.write(frame_idx, plane)

    def read(self, frame_idx: int) -> NDArray[Any]:
        """Read the labels of one frame.

        Parameters
        ----------
        frame_idx : int
            0 to T - 1.

        Returns
        -------
        ndarray
            (Y, X), a copy.

        Raises
        ------
        IndexError
            When there is no such frame.
        """
        self._check_frame(frame_idx)
        with self._lock:
            return np.array(self._array[frame_idx])

    def drawn(self) -> Generator[tuple[int, NDArray[Any]], None, None]:
        """Yield the frames that hold labels, with their planes (Y, X)."""
        for frame_idx in range(len(self)):
            plane = self.read(frame_idx)
            if plane.any():
                yield frame_idx, plane

    def erase(
        self, object_ids: Sequence[int], frames: Iterable[int] | None = None
    ) -> None:
        """Take objects out of frames, by default of all; others are not written."""
        for frame_idx in range(len(self)) if frames is None else frames:
            plane = self.read(frame_idx)
            gone = np.isin(plane, object_ids)
            if gone.any():
                plane[gone] = 0
                self.write(frame_idx, plane)

    def copy_to(self, other: "LabelsStore") -> None:
        """Let another store of the same shape have these labels and no others."""
        for frame_idx in range(len(self)):
            plane = self.read(frame_idx)
            if plane.any() or other.read(frame_idx).any():
                other.write(frame_idx, plane)

    def move_to(self, other: "LabelsStore") -> None:
        """Keep the labels in another store's array from now on; it holds them already.

        Raises
        ------
        ValueError
            If its shape or its numbers are others.
        """
        if (other.shape, other.dtype) != (self.shape, self.dtype):
            raise ValueError(
                f"Labels of shape {self.shape} cannot be kept in {other.shape}; give a "
                "copy of them."
            )
        with self._lock:
            self._array, self.path = other.array, other.path

    def close(self) -> None:
        """Remove what was only temporary; a store with a path stays on disk."""
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary = None

    def _check_frame(self, frame_idx: int) -> None:
        if not 0 <= frame_idx < self.shape[0]:
            raise IndexError(
                f"Frame {frame_idx} does not exist; the labels have frames 0 to "
                f"{self.shape[0] - 1}."
            )


def open_labels_store(
    shape: Sequence[int],
    *,
    path: str | Path | None = None,
    dtype: DTypeLike = np.uint16,
) -> LabelsStore:
    """Make a place for labels, or find the ones made earlier.

    Parameters
    ----------
    shape : (T, Y, X)
        Of the stack.
    path : path, optional
        A ``.zarr`` folder that stays. One that is there already is continued if
        its shape and numbers agree. By default labels are in memory below
        256 MB, above it in a temporary zarr array that goes with the store.
    dtype : dtype
        Unsigned integers; uint16 holds ids to 65,535.

    Returns
    -------
    LabelsStore
        All background, unless continued.

    Raises
    ------
    StackError
        When the place cannot be made or holds something else.
    """
    sizes = tuple(int(n) for n in shape)
    kind = np.dtype(dtype)
    if len(sizes) != 3 or min(sizes) < 1 or kind.kind != "u":
        raise StackError(
            f"Labels of shape {sizes} and type {kind} cannot be kept; give (T, Y, X) "
            "and an unsigned type such as uint16."
        )
    if path is not None:
        place = Path(path).expanduser()
        return LabelsStore(_open_zarr_labels(place, sizes, kind), path=place)
    if math.prod(sizes) * kind.itemsize < IN_MEMORY_BYTES:
        return LabelsStore(np.zeros(sizes, kind))
    folder = tempfile.TemporaryDirectory(
        prefix="napari-sam2-labels-", ignore_cleanup_errors=True
    )
    array = create_zarr_labels(Path(folder.name) / "labels.zarr", sizes, kind)
    return LabelsStore(array, temporary=folder)


def create_zarr_labels(
    path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], axes: str = "TYX"
) -> "zarr.Array[Any]":
    """Create an empty zarr array, one chunk a plane (Y, X), axes named."""
    return zarr.create_array(
        store=str(path),
        shape=shape,
        chunks=(*(1,) * (len(shape) - 2), *shape[-2:]),
        dtype=dtype,
        fill_value=0,
        dimension_names=tuple(axes.lower()),
    )


def _open_zarr_labels(
    path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> "zarr.Array[Any]":
    if path.suffix.lower() != ".zarr":
        raise StackError(
            f"Labels are kept in a .zarr folder while they are made; {path.name} has "
            "another ending (export to .tif with save_labels)."
        )
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            return create_zarr_labels(path, shape, dtype)
        found = zarr.open(str(path), mode="r+")
    except (OSError, ValueError, KeyError) as error:
        raise StackError(
            f"{path} cannot hold labels ({error}); choose another place."
        ) from error
    same = isinstance(found, zarr.Array) and found.shape == shape
    if not isinstance(found, zarr.Array) or not same or found.dtype != dtype:
        raise StackError(
            f"{path} holds something else than labels of shape {shape} and type "
            f"{dtype}; choose another place or remove it."
        )
    return found


def _check_there(array: "zarr.Array[Any]") -> None:
    """Refuse to write into a folder that was deleted: zarr would make half a new one.

    Raises
    ------
    OSError
        If it has gone.
    """
    root = getattr(array.store, "root", None)
    if isinstance(root, Path) and not (root / array.path / "zarr.json").exists():
        raise FileNotFoundError(errno.ENOENT, "their folder was deleted", str(root))


def _cast(plane: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    if plane.dtype.kind not in "biu":
        raise ValueError(f"Labels are whole numbers, not {plane.dtype}; round them.")
    if plane.size and plane.dtype.kind != "b":
        low, high = int(plane.min()), int(plane.max())
        if low < 0 or high > np.iinfo(dtype).max:
            raise ValueError(
                f"Ids from {low} to {high} do not fit {dtype}; open the store with "
                "dtype=numpy.uint32."
            )
    return plane.astype(dtype)
