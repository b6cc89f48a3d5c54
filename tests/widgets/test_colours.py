"""Exports show objects in the colours that the viewer has shown them in."""

import numpy as np

from napari_sam2.stacks.colours import object_colours
from napari_sam2.widgets.colours import object_colour


def test_exports_and_viewer_agree():
    ids = np.array([*range(1, 40), 255, 256, 1000, 65_535])
    viewer = np.array([object_colour(int(i))[:3] for i in ids])
    assert np.allclose(object_colours(ids) / 255, viewer, atol=1e-6)
