"""Sample data for napari's File > Open Sample: drawn on the spot, or fetched once."""

from __future__ import annotations

from typing import Any

from napari_sam2.stacks.public_samples import CELLS3D_SCALE, cells3d
from napari_sam2.stacks.samples import cells_movie, cells_stack
from napari_sam2.widgets.fetching import fetch_in_sight

LayerData = tuple[Any, dict[str, Any], str]


def sample_movie() -> list[LayerData]:
    """Return a movie of crawling and dividing cells, (T, Y, X) uint16."""
    options = {"name": "cells", "axis_labels": ("t", "y", "x")}
    return [(cells_movie().image, options, "image")]


def sample_stack() -> list[LayerData]:
    """Return a volume of cells, (Z, Y, X) uint16, planes farther apart than pixels."""
    options = {
        "name": "volume",
        "axis_labels": ("z", "y", "x"),
        "scale": (2.0, 1.0, 1.0),
    }
    return [(cells_stack().image, options, "image")]


def public_cells() -> list[LayerData]:
    """Return membranes and nuclei of real cells, (Z, Y, X) uint16 each.

    They are fetched the first time, under a window with a bar and a Cancel button.

    Raises
    ------
    DownloadError
        If they are not here yet and cannot be fetched, or the user cancels that.
    """
    volume = fetch_in_sight(cells3d, "real cells in a volume")
    looks = {
        "axis_labels": ("z", "y", "x"),
        "scale": CELLS3D_SCALE,
        "units": "micrometer",
        "blending": "additive",
    }
    return [
        (volume[:, 0], {"name": "membranes", "colormap": "green", **looks}, "image"),
        (volume[:, 1], {"name": "nuclei", "colormap": "gray", **looks}, "image"),
    ]
