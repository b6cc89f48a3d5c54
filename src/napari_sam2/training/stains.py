"""Colours of synthetic pictures, dyes above all: what they absorb of red, green, blue.

Absorbances of the common dyes are those of Ruifrok and Johnston 2001, Quantification
of histochemical staining by color deconvolution.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sam2.training.scenes import Kind

    Field = NDArray[np.float32]

HAEMATOXYLIN = (0.65, 0.70, 0.29)
EOSIN = (0.07, 0.99, 0.11)
DAB = (0.27, 0.57, 0.78)


def draw_stains(rng: np.random.Generator, kind: Kind) -> Field:
    """Draw four dyes: of the ground, objects, their inner bodies, and some objects.

    Returns
    -------
    numpy.ndarray
        (4, 3) float32 in [0, 1.4], absorbance of red, green and blue.
    """
    of_nuclei = kind == "nuclei"
    way = rng.random()
    if way < 0.45:  # H&E: nuclei blue, all else pink
        cells = HAEMATOXYLIN if of_nuclei else EOSIN
        dyes = np.array([EOSIN, cells, HAEMATOXYLIN, cells])
    elif way < 0.75:  # an antibody in brown, the rest pale blue
        dyes = np.array([HAEMATOXYLIN, HAEMATOXYLIN, HAEMATOXYLIN, DAB])
        dyes[0] *= 0.3
        dyes[1] *= 1 if of_nuclei else 0.4
    else:
        dyes = rng.random((4, 3))
    strength = np.exp(rng.normal(0, 0.25, (4, 1)))
    return np.asarray(
        np.clip(dyes * strength + rng.normal(0, 0.08, (4, 3)), 0, 1.4), np.float32
    )


def draw_colours(rng: np.random.Generator) -> Field:
    """Draw any three colours, often greys, (3, 3) float32 in [0, 1]."""
    colours = rng.random((3, 3))
    if rng.random() < 0.6:
        colours[:] = colours[:, :1]
    return colours.astype(np.float32)
