"""What can be exported: a Labels layer, one axis of it, an image of the same pixels."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image, Labels

from napari_sam2.widgets.target import (
    Target,
    coloured,
    contrast_limits,
    pixel_shape,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari.layers import Layer
    from napari.viewer import Viewer

NO_UNIT = "pixel"


def labels_layers(viewer: Viewer) -> list[Labels]:
    """Return the Labels layers that have pictures, the topmost first."""
    layers = reversed(list(viewer.layers))
    return [layer for layer in layers if isinstance(layer, Labels) and layer.ndim > 1]


def fitting_images(viewer: Viewer, labels: Labels) -> list[Image]:
    """Return the images of the labels' pixels, those in the same place first."""
    shape = pixel_shape(labels)
    found = [
        layer
        for layer in viewer.layers
        if isinstance(layer, Image) and pixel_shape(layer) == shape
    ]
    return sorted(found, key=lambda image: not _same_place(image, labels))


def image_target(image: Image, labels: Target) -> Target:
    """Describe the frames of an image that labels belong to."""
    return replace(
        labels,
        data=image.data[0] if image.multiscale else image.data,
        name=str(image.name),
        axes=labels.axes + ("C" if coloured(image) else ""),
        contrast_limits=contrast_limits(image),
    )


def steps_of(
    layers: Iterable[Layer | None], followed: int | None
) -> tuple[tuple[float, float, float], tuple[str, str, str]]:
    """Return the size of a step along (t, y, x) and its unit.

    Parameters
    ----------
    layers
        The first that knows sizes is asked.
    followed
        Axis of the layers that frames are counted along.
    """
    for layer in layers:
        if layer is None:
            continue
        axes = (followed, layer.ndim - 2, layer.ndim - 1)
        t, y, x = (1.0 if a is None else float(layer.scale[a]) for a in axes)
        in_t, in_y, in_x = (NO_UNIT if a is None else str(layer.units[a]) for a in axes)
        if (t, y, x) != (1, 1, 1) or {in_t, in_y, in_x} != {NO_UNIT}:
            return (t, y, x), (in_t, in_y, in_x)
    return (1.0, 1.0, 1.0), (NO_UNIT, NO_UNIT, NO_UNIT)


def file_of(layer: Layer | None) -> Path | None:
    """Return the file a layer was read from, where there is one."""
    path = None if layer is None else layer.source.path
    return Path(path) if path and is_there(Path(path)) else None


def is_there(path: Path) -> bool:
    """Whether something is at a path, as far as one may look."""
    return os.path.exists(path)  # Path.exists raises where one may not


def _same_place(image: Image, labels: Labels) -> bool:
    return np.allclose(image.scale, labels.scale) and np.allclose(
        image.translate, labels.translate
    )
