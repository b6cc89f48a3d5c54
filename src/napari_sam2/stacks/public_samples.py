"""A real volume that anybody may use, fetched once.

Nuclei and membranes of human cells in culture, from the Allen Institute for Cell
Science, as scikit-image publishes it (`skimage.data.cells3d`), with its hash.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs
import tifffile

from napari_sam2.downloading import DownloadError, fetch_file

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from napari_sam2.downloading import Progress

CELLS3D_URL = (
    "https://gitlab.com/scikit-image/data/-/raw/"
    "2cdc5ce89b334d28f06a58c9f0ca21aa6992a5ba/cells3d.tif"
)
CELLS3D_SHA256 = "afc7c7d80d38bfde09788b4064ac1e64ec14e88454ab785ebdc8dbba5ca3b222"
CELLS3D_SCALE = 0.29, 0.26, 0.26  # micrometres along z, y, x


def samples_folder() -> Path:
    """Return the folder that downloaded samples are kept in: the user's cache."""
    cache = platformdirs.user_cache_dir("napari-sam2", appauthor=False)
    return Path(cache) / "samples"


def cells3d(progress: Progress | None = None) -> NDArray[Any]:
    """Return membranes and nuclei of real cells, fetched if they are not here.

    Parameters
    ----------
    progress : callable, optional
        See `napari_sam2.downloading.fetch_file`.

    Returns
    -------
    ndarray
        (Z, C, Y, X) = (60, 2, 256, 256) uint16; channel 0 membranes, 1 nuclei.

    Raises
    ------
    DownloadError
        If it is not here and cannot be fetched; what has arrived is kept.
    """
    try:
        path = fetch_file(
            CELLS3D_URL,
            samples_folder() / "cells3d.tif",
            sha256=CELLS3D_SHA256,
            progress=progress,
            advice="and open the sample again",
        )
    except DownloadError as error:
        msg = f"This sample is not here yet and cannot be fetched: {error}"
        raise DownloadError(msg) from error
    image: NDArray[Any] = tifffile.imread(path)
    return image
