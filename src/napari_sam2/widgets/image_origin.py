"""What finds an Image layer again another day: its file, its sample, its looks.

Kept beside a session as plain JSON, so that the session opens with its image.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import npe2
from napari.layers import Image
from napari.layers.utils.stack_utils import split_channels

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from napari.layers import Labels, Layer

PLUGIN = "napari-sam2"
LOOKS = ("name", "scale", "translate", "axis_labels", "units", "contrast_limits")


class ImageMissingError(ValueError):
    """The image of a session is not where it was; the user knows where it is."""


def describe(
    layer: Image | Labels, followed: int | None, held: Sequence[int]
) -> dict[str, Any]:
    """Describe a layer and what of it is worked on.

    Parameters
    ----------
    layer : Image or Labels
        What is worked on.
    followed : int or None
        The axis that frames are counted along.
    held : sequence of int
        Where the sliders stand, an index into the layer's data.

    Returns
    -------
    dict
        "path", "reader" and "sample" where known, "shape", "followed", "held", and the
        `LOOKS`.
    """
    source, origin = layer.source, layer.metadata.get(PLUGIN, {})
    first = layer.data[0] if layer.multiscale else layer.data
    looks: dict[str, Any] = {
        "name": str(layer.name),
        "scale": [float(step) for step in layer.scale],
        "translate": [float(at) for at in layer.translate],
        "axis_labels": [str(label) for label in layer.axis_labels],
        "units": [str(unit) for unit in layer.units],
    }
    if isinstance(layer, Image) and not layer.rgb:
        looks["contrast_limits"] = [float(limit) for limit in layer.contrast_limits]
    return {
        "path": origin.get("path") or source.path,
        "reader": origin.get("reader") or source.reader_plugin,
        "sample": origin.get("sample") or source.sample,
        "shape": [int(n) for n in first.shape],
        "followed": followed,
        "held": [int(at) for at in held],
        **looks,
    }


def find_open(layers: Iterable[Layer], found_at: Mapping[str, Any]) -> Image | None:
    """Return the Image layer in a viewer that is likeliest the one described."""
    likely = [
        layer
        for layer in layers
        if isinstance(layer, Image)
        and describe(layer, None, ())["shape"] == found_at.get("shape")
    ]

    def likeness(layer: Image) -> tuple[bool, bool]:
        here = describe(layer, None, ())
        places = [(here[k], found_at.get(k)) for k in ("path", "sample")]
        same = any(a is not None and _plain(a) == _plain(b) for a, b in places)
        return same, here["name"] == found_at.get("name")

    best = max(likely, key=likeness, default=None)
    return best if best is not None and any(likeness(best)) else None


def read_again(found_at: Mapping[str, Any], path: Path | None = None) -> Image:
    """Read an image from its file or sample; runs in any thread.

    Parameters
    ----------
    found_at : mapping
        What `describe` gave.
    path : Path, optional
        Where the file is now, if it has moved.

    Returns
    -------
    Image
        Of the described shape, looking as it did, in no viewer yet.

    Raises
    ------
    ImageMissingError
        If it is not there, cannot be read or has another shape; one sentence.
    """
    name = found_at.get("name", "the image")
    sample, known = found_at.get("sample"), found_at.get("path")
    if path is None and known is None and sample is None:
        raise ImageMissingError(
            f"This session was made on {name!r}, which came from no file; say where it "
            "is, or put it into the viewer first."
        )
    place = path or (None if known is None else Path(known))
    if place is not None and not place.exists():
        raise ImageMissingError(
            f"The image {place.name} is not in {place.parent} any more; say where it "
            "is now."
        )
    origin = {"path": str(place)} if place else {"sample": list(sample or ())}
    reader = found_at.get("reader")
    try:
        data = _read_file(place, reader) if place else _read_sample(*origin["sample"])
    except Exception as error:  # any reader plugin may be behind it
        text = str(error).strip().split("\n")[0].rstrip(".")
        raise ImageMissingError(
            f"{place.name if place else name} cannot be read ({text}); choose the "
            "image that this session was made on."
        ) from error
    images = [layer for found in data for layer in _images(found)]
    fitting = [i for i in images if describe(i, None, ())["shape"] == found_at["shape"]]
    if not fitting:
        found = " and ".join(str(describe(i, None, ())["shape"]) for i in images)
        raise ImageMissingError(
            f"{place.name if place else name} does not fit this session: it has shape "
            f"{found or 'none'}, and {found_at['shape']} is needed; choose another "
            "image."
        )
    image = next((layer for layer in fitting if layer.name == name), fitting[0])
    image.metadata = {**image.metadata, PLUGIN: {**origin, "reader": reader}}
    look_like(image, found_at)
    return image


def look_like(layer: Image, found_at: Mapping[str, Any]) -> None:
    """Give a layer the name, place and contrast it had."""
    for name in LOOKS:
        wanted = found_at.get(name)
        if wanted is not None and (name != "contrast_limits" or not layer.rgb):
            setattr(layer, name, wanted if name == "name" else tuple(wanted))


def _read_file(place: Path, reader: str | None) -> list[Any]:
    paths = [str(place)]
    if reader is not None:
        try:
            return npe2.read(paths, stack=False, plugin_name=reader)
        except ValueError:  # it has been uninstalled
            pass
    return npe2.read(paths, stack=False)


def _read_sample(plugin: str, key: str) -> list[Any]:
    for name, samples in npe2.PluginManager.instance().iter_sample_data():
        for sample in samples:
            if (name, sample.key) == (plugin, key):
                return sample.open()
    raise ValueError(f"there is no sample {key} of {plugin}")


def _images(found: tuple[Any, ...]) -> list[Image]:
    """Make Image layers of what a reader gives: data, perhaps options and a kind."""
    kind = str(found[2]).lower() if len(found) > 2 else "image"
    if kind != "image":
        return []
    data = found[0]
    options = dict(found[1] or {}) if len(found) > 1 else {}
    axis = options.pop("channel_axis", None)
    parts = [(data, options)]
    if axis is not None:
        parts = [part[:2] for part in split_channels(data, axis, **options)]
    return [Image(pixels, **given) for pixels, given in parts]


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple | list) else value
