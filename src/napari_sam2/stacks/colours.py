"""One colour an object, the same in the labels, the clicks, the panel and exports."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["PALETTE", "object_colours"]

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


def object_colours(object_ids: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Return the colours of objects.

    Parameters
    ----------
    object_ids : ndarray of int
        (N,), 1 or higher; the palette is repeated.

    Returns
    -------
    ndarray of uint8
        (N, 3), red, green and blue.
    """
    palette = np.array([list(bytes.fromhex(c[1:])) for c in PALETTE], np.uint8)
    colours: NDArray[np.uint8] = palette[(np.asarray(object_ids) - 1) % len(PALETTE)]
    return colours
