"""Makes the Points and Shapes layers that a user prompts in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2.widgets.target import pixel_shape

if TYPE_CHECKING:
    from napari.layers import Image, Layer, Points, Shapes
    from napari.viewer import Viewer

OBJECT, SIGN, ORDER = "object", "sign", "order"
POSITIVE_SYMBOL, NEGATIVE_SYMBOL = "disc", "x"
# A click is as large as this part of the image, but on the screen at most so many
# pixels. (The lower limit also widens the border, so it is low.)
CLICK_PART, CLICK_PIXELS = 1 / 55, (2, 16)


def placement(image: Layer) -> dict[str, Any]:
    """Return what a new layer needs to lie exactly on `image`."""
    return {
        "scale": image.scale,
        "translate": image.translate,
        "rotate": image.rotate,
        "shear": image.shear,
        "affine": image.affine.affine_matrix,
        "units": image.units,
        "axis_labels": image.axis_labels,
    }


def make_points(viewer: Viewer, image: Image) -> Points:
    """Add a layer for the clicks on an image."""
    layer = viewer.add_points(
        np.empty((0, image.ndim)),
        name=f"{image.name} clicks",
        features={OBJECT: np.empty(0, int), SIGN: [], ORDER: []},
        symbol=POSITIVE_SYMBOL,
        size=max(2.0, CLICK_PART * max(pixel_shape(image)[-2:])),
        border_color="white",
        border_width=0.1,
        opacity=1.0,
        **placement(image),
    )
    layer.canvas_size_limits = CLICK_PIXELS
    return layer


def make_boxes(viewer: Viewer, image: Image) -> Shapes:
    """Add a layer for the boxes on an image."""
    return viewer.add_shapes(
        None,
        ndim=image.ndim,
        name=f"{image.name} boxes",
        features={OBJECT: np.empty(0, int), SIGN: [], ORDER: []},
        face_color="transparent",
        edge_color="white",
        edge_width=1,
        **placement(image),
    )
