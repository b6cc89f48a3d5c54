"""One colour an object, the same in the labels, the clicks and the panel."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from napari.utils.colormaps import CyclicLabelColormap, DirectLabelColormap

from napari_sam2.stacks.colours import PALETTE

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy as np


@cache
def label_colours() -> CyclicLabelColormap:
    """Return the colormap for Labels layers: 0 transparent, 1… the palette."""
    # The first colour of a cyclic colormap belongs to the background.
    return CyclicLabelColormap(colors=["transparent", *PALETTE], background_value=0)


def colours_without(
    hidden: Collection[int], object_ids: Collection[int]
) -> CyclicLabelColormap | DirectLabelColormap:
    """Return the colormap for Labels layers in which some objects are not seen.

    Parameters
    ----------
    hidden : collection of int
        They are transparent.
    object_ids : collection of int
        All objects; others are white if any is hidden.
    """
    if not hidden:
        return label_colours()
    colours: dict[int | None, object] = {i: object_colour(i) for i in object_ids}
    colours.update(dict.fromkeys((0, *hidden), "transparent"))
    return DirectLabelColormap(color_dict={**colours, None: "white"})


def object_colour(object_id: int) -> np.ndarray:
    """Return an object's colour, (4,) float RGBA in [0, 1]."""
    colour: np.ndarray = label_colours().map(object_id)
    return colour
