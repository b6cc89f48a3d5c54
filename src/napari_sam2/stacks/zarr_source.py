"""zarr arrays (formats 2 and 3) and OME-Zarr images (0.1 to 0.5)."""

import json
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import zarr

from napari_sam2.stacks.errors import StackError
from napari_sam2.stacks.metadata import ngff_axes, ngff_info
from napari_sam2.stacks.source import ArraySource, Info, array_source, short_name

__all__ = ["is_zarr_array", "looks_like_zarr", "open_zarr", "open_zarr_levels"]

MARKERS = ("zarr.json", ".zarray", ".zgroup")


def looks_like_zarr(path: Path) -> bool:
    """Tell whether a folder is a zarr array or group."""
    return any((path / marker).is_file() for marker in MARKERS)


def is_zarr_array(path: Path) -> bool:
    """Tell whether a folder is one zarr array, and no group of several."""
    if (path / ".zarray").is_file():
        return True
    try:
        says = json.loads((path / "zarr.json").read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(says, dict) and says.get("node_type") == "array"


def open_zarr(path: Path) -> ArraySource:
    """Open a zarr array, or the full resolution of an OME-Zarr image.

    Parameters
    ----------
    path : Path
        The folder.

    Returns
    -------
    ArraySource
        Chunks are read when asked for.

    Raises
    ------
    StackError
        When there is no array, or it is unclear which.
    """
    return open_zarr_levels(path)[0]


def open_zarr_levels(path: Path) -> list[ArraySource]:
    """Open every resolution of an OME-Zarr image, the full one first.

    See `open_zarr`; a plain array is its only level.
    """
    try:
        with warnings.catch_warnings():
            # Strangers' files beside the chunks are no concern of a reader.
            warnings.simplefilter("ignore")
            node = zarr.open(path, mode="r")
            if isinstance(node, zarr.Array):
                return [_plain(node, path)]
            return _image(node, path)
    except StackError:
        raise
    except Exception as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise StackError(
            f"{path.name} is not a readable zarr array or OME-Zarr image ({reason}); "
            "check that the folder was copied whole."
        ) from error


def _plain(array: "zarr.Array[Any]", path: Path) -> ArraySource:
    source = array_source(array, name=short_name(path))
    dims = array.attrs.get("_ARRAY_DIMENSIONS")  # xarray's way in format 2
    if source.info.axes is None and isinstance(dims, list):
        letters = "".join(str(name)[:1].upper() for name in dims)
        if len(letters) == len(source.shape) and set(letters) <= set("TZCYX"):
            source.info = replace(source.info, axes=letters)
    scale = array.attrs.get("scale")
    units = array.attrs.get("units")
    axes = source.info.axes
    if axes and isinstance(scale, list) and len(scale) == len(axes):
        source.info = replace(
            source.info,
            scale={a: float(str(s)) for a, s in zip(axes, scale, strict=True)},
            units=_by_axis(axes, units),
        )
    return source


def _by_axis(axes: str, units: object) -> dict[str, str]:
    if not isinstance(units, list) or len(units) != len(axes):
        return {}
    return {a: str(u) for a, u in zip(axes, units, strict=True) if u}


def _image(group: zarr.Group, path: Path) -> list[ArraySource]:
    attributes: dict[str, Any] = dict(group.attrs)
    ome = attributes.get("ome", attributes)
    multiscales = ome.get("multiscales")
    if multiscales:
        return _levels(group, multiscales[0], path)
    if "plate" in ome or "well" in ome:
        raise StackError(
            f"{path.name} is a plate of many images; give one of them, for example "
            f"{path.name}/A/1/0."
        )
    names = sorted(group.array_keys())
    series = sorted(group.group_keys())
    if not names and "0" in series:  # bioformats2raw puts its images in 0, 1, …
        inner = group["0"]
        if isinstance(inner, zarr.Group):
            return _image(inner, path)
    if len(names) == 1 or "0" in names:
        chosen = group["0" if "0" in names else names[0]]
        if isinstance(chosen, zarr.Array):
            return [_plain(chosen, path)]
    inside = ", ".join((names + series)[:5]) or "nothing"
    raise StackError(
        f"{path.name} is a zarr group without a multiscale image (it holds {inside}); "
        "give the path of the array inside it."
    )


def _levels(
    group: zarr.Group, multiscale: Mapping[str, Any], path: Path
) -> list[ArraySource]:
    levels = []
    for dataset in multiscale.get("datasets", []):
        array = group[str(dataset["path"])]
        if isinstance(array, zarr.Array):
            levels.append(array_source(array, name=short_name(path)))
    if not levels:
        raise StackError(
            f"{path.name} names no arrays in its multiscale metadata; export it again."
        )
    axes = ngff_axes(multiscale)
    if axes is None or len(axes) != len(levels[0].shape):
        return levels
    scale, units = ngff_info(multiscale, axes)
    for level in levels:
        level.info = Info(name=short_name(path), axes=axes, scale=scale, units=units)
    return levels
