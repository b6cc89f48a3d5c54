"""Frames to one TIFF file: an ImageJ hyperstack where that suffices, else OME."""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_sam2.stacks.writing import fed

__all__ = ["Steps", "tiff_file"]

# Classic TIFF counts bytes in 32 bits; leave room for its tables.
CLASSIC_TIFF_BYTES = 2**32 - 2**25

IMAGEJ_TYPES = ("uint8", "uint16", "float32")
OME_TYPES = ("int8", "int16", "int32", "uint32", "float64", *IMAGEJ_TYPES)

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

Steps = dict[str, tuple[float, str]]  # by axis letter: size of a step and its unit


def tiff_file(
    path: Path,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    axes: str,
    steps: Steps,
) -> AbstractContextManager[Callable[[NDArray[Any]], None]]:
    """Open a TIFF file to be given its frames, one by one, in order.

    Parameters
    ----------
    path : Path
        ``.ome.tif`` asks for OME-TIFF.
    shape : tuple of int
        (T, Y, X) or (T, C, Y, X).
    dtype : dtype
        Of the frames.
    axes : str
        One letter a dimension: ``"TYX"``, ``"ZYX"``, ``"TCYX"``, ``"ZCYX"``.
    steps : dict
        Size of a step along an axis and its unit, where known.

    Returns
    -------
    context manager
        Gives a function that takes a frame (Y, X) or (C, Y, X).
    """
    big = math.prod(shape) * dtype.itemsize > CLASSIC_TIFF_BYTES
    asked_ome = ".ome." in path.name.lower()
    options: dict[str, Any] = {"metadata": {"axes": axes}}
    imagej = ome = False
    if shape[0] == 1 and not asked_ome:
        # ImageJ and OME drop an axis of length one; tifffile's own way keeps it.
        pass
    elif str(dtype) in IMAGEJ_TYPES and not big and not asked_ome:
        imagej = True
        options = _imagej_options(axes, steps)
    elif str(dtype) in OME_TYPES:
        ome = True
        options["metadata"] |= _ome_steps(steps)

    def write(frames: Iterator[NDArray[Any]]) -> None:
        planes = (
            plane.astype(dtype, copy=False)
            for frame in frames
            for plane in frame.reshape(-1, *shape[-2:])
        )
        with tifffile.TiffWriter(path, bigtiff=big, imagej=imagej, ome=ome) as writer:
            writer.write(
                planes,
                shape=shape,
                dtype=dtype,
                photometric="minisblack",
                compression="zlib",
                **options,
            )

    return fed(write)


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
