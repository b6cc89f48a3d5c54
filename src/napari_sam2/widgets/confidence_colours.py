"""From confidence to colour: maps that the colour-blind tell apart as well."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from napari.utils.colormaps import ensure_colormap

if TYPE_CHECKING:
    from numpy.typing import NDArray

STEPS = 256
# Doubt is what is looked for, so it is bright; trust is dark. Blue and orange differ
# for every common colour blindness, and in brightness as well.
_STOPS = {
    "orange-blue": ("#ffc14d", "#e8863a", "#8d6f86", "#3f6ea6", "#1f4f86"),
    "grey": ("#f4f4f4", "#4a4a4a"),
}
COLOUR_MAPS = ("orange-blue", "viridis", "magma", "grey")


@cache
def confidence_colours(name: str) -> NDArray[np.uint8]:
    """Return the colours of confidence 0 to 1, (256, 3) RGB.

    Parameters
    ----------
    name : str
        One of `COLOUR_MAPS`.

    Raises
    ------
    ValueError
        If there is no such map.
    """
    if name not in COLOUR_MAPS:
        known = ", ".join(COLOUR_MAPS)
        raise ValueError(f"There is no colour map {name!r}; choose one of {known}.")
    at = np.linspace(0, 1, STEPS)
    if name not in _STOPS:  # napari's begin dark: low is bright here
        mapped = ensure_colormap(name).map(0.1 + 0.85 * (1 - at))
        found: NDArray[np.uint8] = (255 * mapped[:, :3]).round().astype(np.uint8)
        return found
    stops = np.array([_rgb(text) for text in _STOPS[name]])
    places = np.linspace(0, 1, len(stops))
    channels = [np.interp(at, places, stops[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def _rgb(text: str) -> tuple[int, ...]:
    return tuple(int(text[place : place + 2], 16) for place in (1, 3, 5))
