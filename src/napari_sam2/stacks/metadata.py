"""Step sizes and units as OME-XML, ImageJ and OME-NGFF write them."""

import math
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

__all__ = ["imagej_info", "ngff_axes", "ngff_info", "ome_xml_info", "unit_name"]

Steps = tuple[dict[str, float], dict[str, str]]  # scale and units by axis letter

# pint, which napari reads units with, by what microscopes write.
UNIT_NAMES = {
    "µm": "micrometer",
    "μm": "micrometer",
    "um": "micrometer",
    "micron": "micrometer",
    "microns": "micrometer",
    "micrometer": "micrometer",
    "micrometre": "micrometer",
    "nm": "nanometer",
    "nanometer": "nanometer",
    "mm": "millimeter",
    "millimeter": "millimeter",
    "cm": "centimeter",
    "centimeter": "centimeter",
    "m": "meter",
    "meter": "meter",
    "pm": "picometer",
    "å": "angstrom",
    "angstrom": "angstrom",
    "inch": "inch",
    "s": "second",
    "sec": "second",
    "second": "second",
    "seconds": "second",
    "ms": "millisecond",
    "msec": "millisecond",
    "millisecond": "millisecond",
    "min": "minute",
    "minute": "minute",
    "h": "hour",
    "hour": "hour",
    "d": "day",
    "day": "day",
}


def unit_name(written: object) -> str | None:
    """Translate a unit as files write it to pint's name; None if unknown."""
    text = str(written or "").strip().replace("\\u00B5", "µ")
    return UNIT_NAMES.get(text) or UNIT_NAMES.get(text.lower())


def ome_xml_info(xml: str, image: int = 0) -> Steps:
    """Read the step sizes of one image of an OME-XML block.

    Parameters
    ----------
    xml : str
        The first page's description in an OME-TIFF.
    image : int
        Which image of the file.

    Returns
    -------
    scale, units : dict
        By axis letter; empty where the file says nothing usable.
    """
    scale: dict[str, float] = {}
    units: dict[str, str] = {}
    try:
        root = ElementTree.fromstring(xml)
    except ElementTree.ParseError:
        return scale, units
    pixels = [e for e in root.iter() if e.tag.rpartition("}")[2] == "Pixels"]
    if image >= len(pixels):
        return scale, units
    says = pixels[image].attrib
    for letter in "XYZ":
        unit = says.get(f"PhysicalSize{letter}Unit", "µm")
        _note(letter, says.get(f"PhysicalSize{letter}"), unit, scale, units)
    _note(
        "T", says.get("TimeIncrement"), says.get("TimeIncrementUnit", "s"), scale, units
    )
    return scale, units


def imagej_info(
    metadata: Mapping[str, Any], pixels_per_unit: tuple[float, float] | None
) -> Steps:
    """Read the step sizes ImageJ wrote.

    Parameters
    ----------
    metadata : mapping
        tifffile's ``imagej_metadata``.
    pixels_per_unit : (x, y) or None
        The page's resolution tags.

    Returns
    -------
    scale, units : dict
        By axis letter.
    """
    scale: dict[str, float] = {}
    units: dict[str, str] = {}
    unit = metadata.get("unit")
    if unit_name(unit):
        if pixels_per_unit is not None:
            per_x, per_y = pixels_per_unit
            _note("X", 1 / per_x if per_x else None, unit, scale, units)
            _note("Y", 1 / per_y if per_y else None, unit, scale, units)
        _note("Z", metadata.get("spacing"), unit, scale, units)
    seconds = metadata.get("tunit", "sec")
    _note("T", metadata.get("finterval"), seconds, scale, units)
    return scale, units


def ngff_axes(multiscale: Mapping[str, Any]) -> str | None:
    """Name the axes of an OME-Zarr image, 0.1 to 0.5; None if not understood."""
    axes = multiscale.get("axes")
    if axes is None:
        return "TCZYX" if multiscale.get("version", "0.1") in ("0.1", "0.2") else None
    letters = []
    for axis in axes:
        says = axis if isinstance(axis, Mapping) else {"name": axis}
        kind = str(says.get("type", ""))
        letter = {"time": "T", "channel": "C"}.get(kind, str(says.get("name", ""))[:1])
        letters.append(letter.upper())
    named = "".join(letters)
    return named if len(named) == len(axes) else None


def ngff_info(multiscale: Mapping[str, Any], axes: str) -> Steps:
    """Read the step sizes of an OME-Zarr image's full resolution.

    Parameters
    ----------
    multiscale : mapping
        One entry of ``multiscales``.
    axes : str
        As `ngff_axes` names them.

    Returns
    -------
    scale, units : dict
        By axis letter.
    """
    factors = [1.0] * len(axes)
    first = (multiscale.get("datasets") or [{}])[0]
    for place in (first, multiscale):
        for change in place.get("coordinateTransformations") or []:
            steps = change.get("scale")
            if isinstance(steps, list) and len(steps) == len(axes):
                factors = [f * float(s) for f, s in zip(factors, steps, strict=True)]
    scale: dict[str, float] = {}
    units: dict[str, str] = {}
    for letter, axis, factor in zip(
        axes, multiscale.get("axes") or [{}] * len(axes), factors, strict=False
    ):
        unit = axis.get("unit") if isinstance(axis, Mapping) else None
        if letter == "C":
            continue
        if math.isfinite(factor) and factor > 0:
            scale[letter] = factor
        if unit_name(unit):
            units[letter] = str(unit_name(unit))
    return scale, units


def _note(
    letter: str,
    step: object,
    unit: object,
    scale: dict[str, float],
    units: dict[str, str],
) -> None:
    """Keep a step that is a positive number with a unit we know."""
    try:
        size = float(step)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return
    name = unit_name(unit)
    if name and math.isfinite(size) and size > 0:
        scale[letter], units[letter] = size, name
