"""What can be exported: a Labels layer, one axis of it, an image of the same pixels."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image, Labels

from napari_sam2.widgets.picture import Picture
from napari_sam2.widgets.result_layer import LEVEL
from napari_sam2.widgets.target import (
    Target,
    contrast_limits,
    make_target,
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


def fitting_images(viewer: Viewer, labels: Labels) -> list[Picture]:
    """Return the images of the labels' pixels, those in the same place first.

    Of several resolutions that one which the labels belong to.
    """
    images = [layer for layer in viewer.layers if isinstance(layer, Image)]
    fitting = [fitting_level(image, labels) for image in images]
    found = [picture for picture in fitting if picture is not None]
    return sorted(found, key=lambda picture: not _same_place(picture, labels))


def fitting_level(image: Image, labels: Labels) -> Picture | None:
    """Return an image at the resolution that labels belong to; None if at none.

    Our own labels say which it is; of others it is the one with as many pixels.
    """
    shape, known = pixel_shape(labels), labels.metadata.get(LEVEL)
    levels = range(len(image.data) if image.multiscale else 1)
    fitting = [
        picture
        for picture in (Picture(image, level) for level in levels)
        if pixel_shape(picture) == shape
    ]
    told = (picture for picture in fitting if picture.known_level == known)
    return next(told, next(iter(fitting), None))


def image_target(image: Picture, labels: Target) -> Target:
    """Describe the frames of an image that labels belong to."""
    return replace(
        labels,
        data=image.data,
        name=image.name,
        axes=labels.axes + ("C" if image.rgb else ""),
        contrast_limits=contrast_limits(image),
        level=image.known_level,
    )


def labels_target(labels: Labels, viewer: Viewer, followed: int | None) -> Target:
    """Describe the frames of a Labels layer, of several resolutions the finest.

    Raises
    ------
    TargetError
        If the sliders stand outside the layer on an axis that is held.
    """
    target = make_target(labels, viewer, followed)
    return replace(target, level=0 if labels.multiscale else None)


def steps_of(
    layers: Iterable[Labels | Picture | None], followed: int | None
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


def _same_place(image: Picture, labels: Labels) -> bool:
    first = image.placement()["translate"]
    return np.allclose(image.scale, labels.scale) and np.allclose(
        first, labels.translate
    )
