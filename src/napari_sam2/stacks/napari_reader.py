"""napari's way in: a movie or volume as a lazy Image layer.

Knows npe2's conventions, not napari itself: a reader is a function from a path
to tuples of data, keyword arguments and layer type.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import dask.array as da
import numpy as np

from napari_sam2.stacks.axes import resolve_axes
from napari_sam2.stacks.errors import StackError
from napari_sam2.stacks.files import (
    FRAME_ENDINGS,
    FolderSource,
    image_files,
    open_file,
)
from napari_sam2.stacks.source import Index, Source
from napari_sam2.stacks.zarr_source import looks_like_zarr, open_zarr_levels

__all__ = ["get_reader"]

LayerData = tuple[Any, dict[str, Any], str]
Reader = Callable[[str | Sequence[str]], list[LayerData]]

# A plane larger than this is read in the file's own chunks, where it has any.
PLANE_BYTES = 2**26


def get_reader(path: str | Sequence[str]) -> Reader | None:
    """Tell napari whether this plugin opens a path.

    Parameters
    ----------
    path : str or list of str
        A file, a folder, or files that are frames of one stack.

    Returns
    -------
    callable or None
        The reader for TIFF, OME-TIFF, OME-Zarr, .npy and folders of images;
        None for anything else. It gives Image layer data backed by dask that
        read a frame when it is shown.
    """
    if not isinstance(path, str | Path):
        frames = [Path(p) for p in path]
        several = len(frames) > 0 and all(
            f.suffix.lower() in FRAME_ENDINGS and f.is_file() for f in frames
        )
        return read_layers if several else None
    place = Path(path)
    if place.is_dir():
        opens = looks_like_zarr(place) or bool(_listed(place))
    else:
        opens = place.suffix.lower() in (*FRAME_ENDINGS, ".npy") and place.is_file()
    return read_layers if opens else None


def read_layers(path: str | Sequence[str]) -> list[LayerData]:
    """Open a path as lazy Image layer data.

    Parameters
    ----------
    path : str or list of str
        As `get_reader` accepted it.

    Returns
    -------
    list of (data, keyword arguments, "image")
        One entry; napari splits its channels where it has any.

    Raises
    ------
    StackError
        One sentence, when the file cannot be read.
    """
    levels: Sequence[Source]
    if not isinstance(path, str | Path):
        frames = [Path(p) for p in path]
        name = frames[0].parent.name or frames[0].stem
        levels = [FolderSource(frames, name)]
    elif looks_like_zarr(Path(path)):
        levels = open_zarr_levels(Path(path))
    else:
        levels = [open_file(Path(path))]
    return [_layer(levels)]


def _layer(levels: Sequence[Source]) -> LayerData:
    full = levels[0]
    try:
        axes = resolve_axes(full.shape, known=full.info.axes)
    except StackError:  # napari can show what we could not follow
        axes = None
    options: dict[str, Any] = {"name": full.info.name}
    channel = None
    if axes is not None:
        channel = next((a for a in "SC" if a in axes), None)
    coloured = axes is not None and channel is not None and _is_colour(full, axes)
    arrays = [_lazy(level, axes, coloured) for level in levels]
    if axes is not None:
        shown = axes.replace(channel or "", "") if channel else axes
        options |= _describe(full, shown)
        if coloured and channel:
            at = axes.index(channel)
            arrays = [da.moveaxis(array, at, -1) for array in arrays]
            options["rgb"] = True
        elif channel:
            options["channel_axis"] = axes.index(channel)
    if len(arrays) > 1:
        return arrays, options | {"multiscale": True}, "image"
    return arrays[0], options, "image"


def _is_colour(source: Source, axes: str) -> bool:
    letter = "S" if "S" in axes else "C"
    return source.shape[axes.index(letter)] in (3, 4) and (
        source.info.coloured or (source.info.axes is None and axes[-1] == letter)
    )


def _describe(source: Source, axes: str) -> dict[str, Any]:
    """Give axis labels, and scale and units where the file knows any."""
    options: dict[str, Any] = {
        "axis_labels": tuple(
            letter.lower() if letter.isalpha() else f"axis {at}"
            for at, letter in enumerate(axes)
        )
    }
    if source.info.scale:
        options["scale"] = tuple(source.info.scale.get(a, 1.0) for a in axes)
        options["units"] = tuple(source.info.units.get(a, "pixel") for a in axes)
    return options


def _lazy(source: Source, axes: str | None, coloured: bool) -> Any:
    """Wrap a source in a dask array of one frame a chunk."""
    whole = [len(source.shape) - 2, len(source.shape) - 1]
    if axes is not None:
        whole = [at for at, a in enumerate(axes) if a in ("YXSC" if coloured else "YX")]
    plane = int(np.prod([source.shape[at] for at in whole])) * source.dtype.itemsize
    own = getattr(source, "chunks", None) if plane > PLANE_BYTES else None
    chunks = tuple(
        (own[at] if own else n) if at in whole else 1
        for at, n in enumerate(source.shape)
    )
    return da.from_array(  # type: ignore[no-untyped-call]
        _Indexable(source),
        chunks=chunks,
        name=f"napari-sam2-{uuid4().hex}",  # hashing would read the file
        asarray=False,
        fancy=False,
        meta=np.empty((0,) * len(source.shape), source.dtype),
    )


class _Indexable:
    """What dask asks of an array."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.shape = source.shape
        self.dtype = source.dtype
        self.ndim = len(source.shape)

    def __getitem__(self, index: Index) -> Any:
        return self._source.read(index)


def _listed(folder: Path) -> list[Path]:
    try:
        return image_files(folder)
    except OSError:
        return []
