"""Labels to files, one frame at a time, whole or not at all."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from napari_sam2.stacks.errors import StackError
from napari_sam2.stacks.labels_store import (
    LabelsArray,
    LabelsStore,
    create_zarr_labels,
)
from napari_sam2.stacks.source import ArraySource, array_source
from napari_sam2.stacks.tiff_writing import Steps, tiff_file
from napari_sam2.stacks.writing import Progress, finish, written_beside

__all__ = [
    "known_steps",
    "needed_dtype",
    "planes_file",
    "save_labels",
    "write_labels",
    "write_planes",
]


def save_labels(
    labels: "LabelsStore | LabelsArray",
    path: str | Path,
    *,
    axes: str = "TYX",
    scale: Sequence[float] | None = None,
    units: Sequence[str] | None = None,
) -> Path:
    """Write labels to a TIFF file or a zarr folder.

    Parameters
    ----------
    labels : LabelsStore or array of int, (T, Y, X) or (T, Z, Y, X)
        Is read one frame at a time.
    path : path
        ``.tif`` (an ImageJ hyperstack where that format suffices, else OME),
        ``.ome.tif`` or ``.zarr``. What is there already is replaced at the end.
    axes : str
        ``"TYX"``, ``"ZYX"``, ``"TZYX"`` …
    scale : sequence of float, optional
        Size of a step along each axis.
    units : sequence of str, optional
        Units of `scale`, such as ("second", "micrometer", "micrometer").

    Returns
    -------
    Path
        The file written: uint16, or uint32 if an id is above 65,535.

    Raises
    ------
    StackError
        When these are no labels, or the ending is another.
    ExportError
        When writing fails; the destination is as it was.
    """
    return finish(write_labels(labels, path, axes=axes, scale=scale, units=units))


def write_labels(
    labels: "LabelsStore | LabelsArray",
    path: str | Path,
    *,
    axes: str = "TYX",
    scale: Sequence[float] | None = None,
    units: Sequence[str] | None = None,
) -> Progress:
    """Write labels as `save_labels` does, a frame a step.

    Yields
    ------
    (int, int)
        Frames done, and of how many. Closing the generator leaves nothing behind.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    StackError, ExportError
        As `save_labels` does.
    """
    place = Path(path).expanduser()
    _check_ending(place)
    if _own_place(labels) == place.resolve():
        return place  # the store writes every frame there as it comes
    source = _labels_source(labels, axes)
    n_frames = source.shape[0]

    def plane(frame_idx: int) -> NDArray[Any]:
        return source.read((frame_idx, *(slice(None),) * (len(source.shape) - 1)))

    dtype = needed_dtype(plane, n_frames, source.dtype)
    steps = known_steps(axes, scale, units)
    yield from write_planes(place, plane, source.shape, dtype, axes, steps)
    return place


def write_planes(
    place: Path,
    plane: Callable[[int], NDArray[Any]],
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    axes: str,
    steps: Steps,
    *,
    check: Callable[[], None] | None = None,
) -> Progress:
    """Write frames to a TIFF file or zarr folder, a frame a step.

    Parameters
    ----------
    place : Path
        ``.tif``, ``.ome.tif`` or ``.zarr``; replaced at the end.
    plane : callable
        Gives a frame, (Y, X) or (C, Y, X), by its index.
    shape, dtype, axes, steps
        As `planes_file` takes them.
    check : callable, optional
        Is called when all frames are written; what it raises ends it all.

    Yields
    ------
    (int, int)
        Frames done, and of how many. Closing the generator leaves nothing behind.

    Returns
    -------
    Path
        What was written.

    Raises
    ------
    StackError
        When the ending is another.
    ExportError
        When writing fails; what was there is untouched.
    """
    _check_ending(place)
    with (
        written_beside(place) as unfinished,
        planes_file(unfinished, shape, dtype, axes, steps) as put,
    ):
        for index in range(shape[0]):
            put(plane(index).astype(dtype, copy=False))
            yield index + 1, shape[0]
        if check is not None:
            check()
    return place


def planes_file(
    path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], axes: str, steps: Steps
) -> AbstractContextManager[Callable[[NDArray[Any]], None]]:
    """Open a TIFF file or zarr folder to be given its frames, one by one, in order.

    Parameters
    ----------
    path : Path
        ``.tif``, ``.ome.tif`` or ``.zarr``.
    shape : tuple of int
        (T, Y, X) or (T, C, Y, X).
    dtype : dtype
        Of the frames.
    axes : str
        One letter a dimension.
    steps : dict
        Size of a step along an axis and its unit, where known.

    Returns
    -------
    context manager
        Gives a function that takes the next frame.

    Raises
    ------
    StackError
        When the ending is another.
    """
    _check_ending(path)
    opener = _zarr_folder if path.suffix.lower() == ".zarr" else tiff_file
    return opener(path, shape, dtype, axes, steps)


@contextmanager
def _zarr_folder(
    path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], axes: str, steps: Steps
) -> Iterator[Callable[[NDArray[Any]], None]]:
    array = create_zarr_labels(path, shape, dtype, axes)
    if steps:
        array.attrs["scale"] = [steps[a][0] if a in steps else 1.0 for a in axes]
        array.attrs["units"] = [steps[a][1] if a in steps else "pixel" for a in axes]
    n_written = 0

    def put(frame: NDArray[Any]) -> None:
        nonlocal n_written
        array[n_written] = frame
        n_written += 1

    yield put


def _check_ending(place: Path) -> None:
    if place.suffix.lower() not in (".tif", ".tiff", ".zarr"):
        raise StackError(
            f"This is written as .tif, .ome.tif or .zarr; {place.name} ends in "
            "something else."
        )


def _labels_source(labels: "LabelsStore | LabelsArray", axes: str) -> ArraySource:
    source = array_source(labels.array if isinstance(labels, LabelsStore) else labels)
    fits = len(source.shape) == len(axes) and 0 not in source.shape
    if not fits or source.dtype.kind not in "biu":
        raise StackError(
            f"An array of shape {source.shape} and type {source.dtype} is no label "
            f"stack; give whole numbers of shape ({', '.join(axes)})."
        )
    return source


def needed_dtype(
    plane: Callable[[int], NDArray[Any]], n_frames: int, dtype: np.dtype[Any]
) -> np.dtype[Any]:
    """Return uint16, or uint32 where an id needs it; looks through the frames.

    Raises
    ------
    StackError
        When ids are below 0 or above what uint32 holds.
    """
    if dtype.kind in "bu" and dtype.itemsize <= 2:
        return np.dtype(np.uint16)
    low = high = 0
    for frame_idx in range(n_frames):
        ids = plane(frame_idx)
        low, high = min(low, int(ids.min())), max(high, int(ids.max()))
    if low < 0 or high > np.iinfo(np.uint32).max:
        raise StackError(
            f"Ids from {low} to {high} do not fit a label file; renumber the objects "
            "between 1 and 4,294,967,295."
        )
    return np.dtype(np.uint16 if high <= np.iinfo(np.uint16).max else np.uint32)


def known_steps(
    axes: str, scale: Sequence[float] | None, units: Sequence[str] | None
) -> Steps:
    """Name the steps of labels by axis; empty where nothing is known."""
    if axes not in ("TYX", "ZYX", "TZYX", "ZTYX"):
        raise StackError(f"Labels follow axes 'TYX', 'ZYX' or 'TZYX', not {axes!r}.")
    if scale is None:
        return {}
    if {len(scale), len(units or axes)} != {len(axes)}:
        raise StackError(
            f"scale and units of labels have one entry for each axis of {axes}."
        )
    named = units or ("pixel",) * len(axes)
    return {a: (float(s), u) for a, s, u in zip(axes, scale, named, strict=True)}


def _own_place(labels: object) -> Path | None:
    """Tell where labels lie already, if they are a zarr folder."""
    array = labels.array if isinstance(labels, LabelsStore) else labels
    root = getattr(getattr(array, "store", None), "root", None)
    if not isinstance(array, zarr.Array) or not isinstance(root, Path):
        return None
    return (root / array.path).resolve()
