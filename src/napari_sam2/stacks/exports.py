"""Labels to files, one frame at a time, whole or not at all.

Everything is written beside the destination and renamed onto it at the end: a
crash or a full disk leaves whatever was there before.
"""

import contextlib
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import zarr
from numpy.typing import NDArray

from napari_sam2.stacks.errors import ExportError, StackError
from napari_sam2.stacks.labels_store import (
    LabelsArray,
    LabelsStore,
    create_zarr_labels,
)
from napari_sam2.stacks.source import ArraySource, array_source
from napari_sam2.stacks.zarr_source import looks_like_zarr

__all__ = ["save_labels"]

# Classic TIFF counts bytes in 32 bits; leave room for its tables.
CLASSIC_TIFF_BYTES = 2**32 - 2**25

OME_UNITS = {
    "micrometer": "µm",
    "nanometer": "nm",
    "millimeter": "mm",
    "centimeter": "cm",
    "meter": "m",
    "picometer": "pm",
    "angstrom": "Å",
    "second": "s",
    "millisecond": "ms",
    "minute": "min",
    "hour": "h",
    "day": "d",
}


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
    labels : LabelsStore or array of int, (T, Y, X)
        Is read one frame at a time.
    path : path
        ``.tif`` (an ImageJ hyperstack where that format suffices, else OME),
        ``.ome.tif`` or ``.zarr``. What is there already is replaced at the end.
    axes : str
        ``"TYX"`` or ``"ZYX"``.
    scale : (t, y, x), optional
        Size of a step along each axis.
    units : (t, y, x), optional
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
    place = Path(path).expanduser()
    writer = WRITERS.get(place.suffix.lower())
    if writer is None:
        raise StackError(
            f"Labels are written as .tif, .ome.tif or .zarr; {place.name} ends in "
            "something else."
        )
    if _own_place(labels) == place.resolve():
        return place  # the store writes every frame there as it comes
    source = _labels_source(labels)
    steps = _known_steps(axes, scale, units)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        _check_replaceable(place)
        with _beside(place) as unfinished:
            writer(unfinished, source, _needed_dtype(source), axes, steps)
            _replace(unfinished, place)
    except OSError as error:
        raise ExportError(
            f"{place} could not be written ({error.strerror or error}); nothing was "
            "changed there. Make room or choose another place."
        ) from error
    return place


def _labels_source(labels: "LabelsStore | LabelsArray") -> ArraySource:
    source = array_source(labels.array if isinstance(labels, LabelsStore) else labels)
    if len(source.shape) != 3 or source.dtype.kind not in "biu" or 0 in source.shape:
        raise StackError(
            f"An array of shape {source.shape} and type {source.dtype} is no label "
            "stack; give whole numbers of shape (T, Y, X)."
        )
    return source


def _plane(source: ArraySource, frame_idx: int) -> NDArray[Any]:
    return source.read((frame_idx, slice(None), slice(None)))


def _needed_dtype(source: ArraySource) -> np.dtype[Any]:
    if source.dtype.kind in "bu" and source.dtype.itemsize <= 2:
        return np.dtype(np.uint16)
    low = high = 0
    for frame_idx in range(source.shape[0]):
        plane = _plane(source, frame_idx)
        low, high = min(low, int(plane.min())), max(high, int(plane.max()))
    if low < 0 or high > np.iinfo(np.uint32).max:
        raise StackError(
            f"Ids from {low} to {high} do not fit a label file; renumber the objects "
            "between 1 and 4,294,967,295."
        )
    return np.dtype(np.uint16 if high <= np.iinfo(np.uint16).max else np.uint32)


Steps = dict[str, tuple[float, str]]  # by axis letter: size of a step and its unit


def _known_steps(
    axes: str, scale: Sequence[float] | None, units: Sequence[str] | None
) -> Steps:
    if axes not in ("TYX", "ZYX"):
        raise StackError(f"Labels follow axes 'TYX' or 'ZYX', not {axes!r}.")
    if scale is None:
        return {}
    if len(scale) != 3 or (units is not None and len(units) != 3):
        raise StackError("scale and units of labels have three entries: (t, y, x).")
    named = units or ("pixel",) * 3
    return {a: (float(s), u) for a, s, u in zip(axes, scale, named, strict=True)}


def _write_tiff(
    path: Path, source: ArraySource, dtype: np.dtype[Any], axes: str, steps: Steps
) -> None:
    shape = source.shape
    big = math.prod(shape) * dtype.itemsize > CLASSIC_TIFF_BYTES
    asked_ome = ".ome." in path.name.lower()
    options: dict[str, Any] = {"metadata": {"axes": axes}}
    imagej = ome = False
    if shape[0] == 1 and not asked_ome:
        # ImageJ and OME drop an axis of length one; tifffile's own way keeps it.
        pass
    elif dtype == np.uint16 and not big and not asked_ome:
        imagej = True
        options = _imagej_options(axes, steps)
    else:
        ome = True
        options["metadata"] |= _ome_steps(steps)

    def planes() -> Iterator[NDArray[Any]]:
        for frame_idx in range(shape[0]):
            yield _plane(source, frame_idx).astype(dtype)

    with tifffile.TiffWriter(path, bigtiff=big, imagej=imagej, ome=ome) as writer:
        writer.write(
            planes(),
            shape=shape,
            dtype=dtype,
            photometric="minisblack",
            compression="zlib",
            **options,
        )
    _flush(path)


def _ome_steps(steps: Steps) -> dict[str, Any]:
    says: dict[str, Any] = {}
    for letter, (step, unit) in steps.items():
        if unit in OME_UNITS:
            name = "TimeIncrement" if letter == "T" else f"PhysicalSize{letter}"
            says |= {name: step, f"{name}Unit": OME_UNITS[unit]}
    return says


def _imagej_options(axes: str, steps: Steps) -> dict[str, Any]:
    metadata: dict[str, Any] = {"axes": axes}
    options: dict[str, Any] = {"metadata": metadata}
    if "T" in steps and steps["T"][1] in OME_UNITS:
        metadata |= {"finterval": steps["T"][0], "tunit": OME_UNITS[steps["T"][1]]}
    if "X" in steps and steps["X"][1] in OME_UNITS:
        metadata["unit"] = OME_UNITS[steps["X"][1]].replace("µ", "u")
        options["resolution"] = (1 / steps["X"][0], 1 / steps["Y"][0])
        if "Z" in steps:
            metadata["spacing"] = steps["Z"][0]
    return options


def _write_zarr(
    path: Path, source: ArraySource, dtype: np.dtype[Any], axes: str, steps: Steps
) -> None:
    array = create_zarr_labels(path, source.shape, dtype, axes)
    if steps:
        array.attrs["scale"] = [steps[a][0] for a in axes]
        array.attrs["units"] = [steps[a][1] for a in axes]
    for frame_idx in range(source.shape[0]):
        array[frame_idx] = _plane(source, frame_idx).astype(dtype)
    for file in path.rglob("*"):
        if file.is_file():
            _flush(file)


WRITERS: dict[str, Callable[..., None]] = {
    ".tif": _write_tiff,
    ".tiff": _write_tiff,
    ".zarr": _write_zarr,
}


def _own_place(labels: object) -> Path | None:
    """Tell where labels lie already, if they are a zarr folder."""
    array = labels.array if isinstance(labels, LabelsStore) else labels
    root = getattr(getattr(array, "store", None), "root", None)
    if not isinstance(array, zarr.Array) or not isinstance(root, Path):
        return None
    return (root / array.path).resolve()


def _check_replaceable(place: Path) -> None:
    wants_folder = place.suffix.lower() == ".zarr"
    if place.exists() and (
        place.is_dir() != wants_folder or (wants_folder and not looks_like_zarr(place))
    ):
        raise StackError(
            f"{place} is there and is not what would be written; choose another name."
        )


@contextlib.contextmanager
def _beside(place: Path) -> Iterator[Path]:
    """Give a path in the destination's folder that goes if it is not renamed."""
    folder = Path(
        tempfile.mkdtemp(prefix=f".{place.name}.", suffix=".part", dir=place.parent)
    )
    try:
        yield folder / place.name
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _replace(finished: Path, place: Path) -> None:
    if not finished.is_dir() or not place.exists():
        finished.replace(place)
    else:
        # A folder cannot be renamed onto another: step the old one aside first.
        aside = finished.with_name(f"{finished.name}.old")
        place.rename(aside)
        try:
            finished.rename(place)
        except OSError:
            aside.rename(place)
            raise
    if os.name == "posix":
        _flush(place.parent)


def _flush(path: Path) -> None:
    """Have the disk hold what was written before it gets its name."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
