"""The Points and Shapes layers that a user prompts in: made, read, filled, coloured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Shapes

from napari_sam2.widgets.colours import object_colour
from napari_sam2.widgets.prompt_geometry import SHAPE_TYPES, Drawn, between
from napari_sam2.widgets.target import pixel_shape

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from napari.layers import Layer, Points
    from napari.viewer import Viewer

    from napari_sam2.widgets.picture import Picture

OBJECT, SIGN, ORDER = "object", "sign", "order"
POSITIVE_SYMBOL, NEGATIVE_SYMBOL = "disc", "x"
# A click is as large as this part of the image, but on the screen at most so many
# pixels. (The lower limit also widens the border, so it is low.)
CLICK_PART, CLICK_PIXELS = 1 / 55, (2, 16)
LINE_PART = 1 / 256
NEGATIVE_LINE = np.ones(4)
"""White: no object has it."""

TOOLS = {
    "add": "click",
    "add_rectangle": "box",
    "add_path": "scribble",
    "add_line": "scribble",
    "add_polyline": "scribble",
    "add_polygon_lasso": "outline",
    "add_polygon": "outline",
    "add_ellipse": "outline",
}
"""Which tool of the panel a mode of a layer is; the first of each is its mode."""

UNFINISHED_IN = ("add_path", "add_polyline", "add_polygon", "add_polygon_lasso")
"""The modes in which napari has not finished with a shape when it tells of it."""


def make_points(viewer: Viewer, image: Picture) -> Points:
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
        **image.placement(),
    )
    layer.canvas_size_limits = CLICK_PIXELS
    return layer


def make_shapes(viewer: Viewer, image: Picture) -> Shapes:
    """Add a layer for what is drawn on an image."""
    return viewer.add_shapes(
        None,
        ndim=image.ndim,
        name=f"{image.name} drawings",
        features={OBJECT: np.empty(0, int), SIGN: [], ORDER: []},
        face_color="transparent",
        edge_color="white",
        edge_width=line_width(image),
        opacity=1.0,
        **image.placement(),
    )


def read_prompts(layer: Layer, image: Picture) -> list[Drawn]:
    """Return what is in a layer, in the image's data."""
    if not len(layer.data):
        return []
    carry, rows = between(layer, image), layer.features
    return [
        Drawn(
            SHAPE_TYPES[layer.shape_type[i]] if isinstance(layer, Shapes) else "click",
            int(rows[OBJECT].iloc[i]),
            int(rows[SIGN].iloc[i]),
            carry(np.atleast_2d(vertices)),
        )
        for i, vertices in enumerate(layer.data)
    ]


def put_prompts(
    layer: Layer, image: Picture, rows: Sequence[tuple[Drawn, int]]
) -> None:
    """Fill a layer with prompts, each with its place in the order of giving."""
    carry = between(image, layer)
    data = [carry(drawn.vertices) for drawn, _ in rows]
    if isinstance(layer, Shapes):
        mode = layer.mode
        layer.mode = "pan_zoom"  # ends what is being drawn
        layer.selected_data = set(range(len(layer.data)))
        layer.remove_selected()
        if data:
            types = {kind: name for name, kind in reversed(SHAPE_TYPES.items())}
            layer.add(data, shape_type=[types[drawn.kind] for drawn, _ in rows])
        layer.mode = mode
    else:
        layer.data = np.concatenate([np.empty((0, image.ndim)), *data])
    layer.features = {
        OBJECT: np.array([drawn.object_id for drawn, _ in rows], int),
        SIGN: [drawn.sign for drawn, _ in rows],
        ORDER: [order for _, order in rows],
    }


def line_width(image: Picture) -> float:
    """Return how wide lines on an image are drawn, px."""
    return max(1.0, LINE_PART * max(pixel_shape(image)[-2:]))


def paint_prompts(layer: Layer, hidden: Collection[int]) -> None:
    """Colour prompts by object; negative clicks are crosses, such lines white."""
    colours = np.array([object_colour(int(i)) for i in layer.features[OBJECT]])
    if not len(colours):
        return
    signs = np.array([bool(sign) for sign in layer.features[SIGN]])
    if isinstance(layer, Shapes):
        colours[~signs] = NEGATIVE_LINE
        colours[[int(i) in hidden for i in layer.features[OBJECT]], 3] = 0
        layer.edge_color = colours
        return
    layer.face_color = colours
    layer.shown = [int(i) not in hidden for i in layer.features[OBJECT]]
    layer.symbol = [POSITIVE_SYMBOL if s else NEGATIVE_SYMBOL for s in signs]
