"""A layer with a channel axis, taken apart into one layer a channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
from napari.layers import Image

if TYPE_CHECKING:
    from napari.viewer import Viewer

MOST_SPLIT = 8
COLOURS = ("red", "green", "blue")


def splittable(layer: Image) -> list[int]:
    """Return the axes of a layer that may be its channels, the likeliest first."""
    if layer.rgb:
        return []
    data = layer.data[0] if layer.multiscale else layer.data
    axes = [a for a in range(layer.ndim - 2) if 1 < data.shape[a] <= MOST_SPLIT]
    return sorted(axes, key=lambda axis: str(layer.axis_labels[axis])[:1] != "c")


def split_channels(viewer: Viewer, layer: Image, axis: int) -> list[Image]:
    """Add a layer for each position along an axis; the layer itself is hidden.

    Parameters
    ----------
    viewer : Viewer
        Gets the new layers, above the old one.
    layer : Image
        Is taken apart; pixels are not copied.
    axis : int
        Of its data.

    Returns
    -------
    list of Image
        The first three are shown, in red, green and blue.
    """
    levels = list(layer.data) if layer.multiscale else [layer.data]
    levels = [_sliceable(level) for level in levels]
    made = []
    for number in range(levels[0].shape[axis]):
        at = (*(slice(None),) * axis, number)
        parts = [level[at] for level in levels]
        made.append(
            Image(
                parts if layer.multiscale else parts[0],
                multiscale=layer.multiscale,
                rgb=False,
                name=f"{layer.name} [{number}]",
                colormap=COLOURS[number] if number < len(COLOURS) else "gray",
                blending="additive",
                visible=number < len(COLOURS),
                **_placement_without(layer, axis),
            )
        )
    index = viewer.layers.index(layer)
    for number, new in enumerate(made):
        viewer.layers.insert(index + 1 + number, new)
    layer.visible = False
    return made


def _sliceable(data: Any) -> Any:
    """Let data be sliced without being read; zarr arrays would be."""
    lazy = isinstance(data, np.ndarray | da.Array)
    if lazy:
        return data
    return da.from_array(data, name=False)  # type: ignore[no-untyped-call]


def _placement_without(layer: Image, axis: int) -> dict[str, Any]:
    """Return where a part of a layer lies in the world without one of its axes."""
    origin = np.asarray(layer.data_to_world(np.zeros(layer.ndim)))
    tips = [layer.data_to_world(tip) for tip in np.eye(layer.ndim)]
    steps = np.transpose(tips) - origin[:, np.newaxis]  # world by data
    scale = np.delete(layer.scale, axis)
    linear = np.delete(np.delete(steps, axis, 0), axis, 1) / scale
    begin = np.delete(origin, axis)
    where: dict[str, Any] = {"translate": begin}
    if not np.allclose(linear, np.eye(len(scale))):  # turned or sheared
        affine = np.eye(len(scale) + 1)
        affine[:-1, :-1], affine[:-1, -1] = linear, begin
        where = {"affine": affine}
    others = [a for a in range(layer.ndim) if a != axis]
    labels = [str(layer.axis_labels[a]) for a in others]
    if not all(label.startswith("axis ") for label in labels):  # napari's own count
        where["axis_labels"] = labels
    return {"scale": scale, **where, "units": [layer.units[a] for a in others]}
