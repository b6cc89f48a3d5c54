"""One colour an object, the same in the labels, the clicks and the panel."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from napari.utils.colormaps import CyclicLabelColormap

if TYPE_CHECKING:
    import numpy as np

# Bright on dark pictures, neighbours far apart in hue, no two that the commonest
# colour blindness confuses next to each other.
PALETTE = (
    "#ffb000",
    "#38b6ff",
    "#ff5fa2",
    "#5ad45a",
    "#b78cff",
    "#ff7043",
    "#2ee6d6",
    "#f4f06c",
    "#7d9bff",
    "#d0a37a",
    "#9be65a",
    "#ff8bd0",
)


@cache
def label_colours() -> CyclicLabelColormap:
    """Return the colormap for Labels layers: 0 transparent, 1… the palette."""
    # The first colour of a cyclic colormap belongs to the background.
    return CyclicLabelColormap(colors=["transparent", *PALETTE], background_value=0)


def object_colour(object_id: int) -> np.ndarray:
    """Return an object's colour, (4,) float RGBA in [0, 1]."""
    colour: np.ndarray = label_colours().map(object_id)
    return colour
