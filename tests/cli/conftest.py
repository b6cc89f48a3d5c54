"""A short movie with its prompts, on disk."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import tifffile

from napari_sam2.stacks.samples import cells_movie

HEADER = "object_id,frame,kind,y,x,y2,x2,label"


@pytest.fixture(scope="session")
def movie(tmp_path_factory):
    """Return the paths of a five-frame movie, of prompts and of a label image."""
    folder = tmp_path_factory.mktemp("movie")
    sample = cells_movie(n_frames=5, size=128)
    tifffile.imwrite(folder / "movie.tif", sample.image, metadata={"axes": "TYX"})
    rows, cols = np.nonzero(sample.labels[0] == 2)
    _, y, x = sample.click
    (folder / "prompts.csv").write_text(
        f"{HEADER}\n7,0,point,{y},{x},,,1\n"
        f"300,0,box,{rows.min()},{cols.min()},{rows.max() + 1},{cols.max() + 1},\n"
    )
    first = np.where(sample.labels[0] <= 3, sample.labels[0] * 10, 0)
    tifffile.imwrite(folder / "first.tif", first.astype(np.uint16))
    return SimpleNamespace(
        folder=folder,
        sample=sample,
        path=str(folder / "movie.tif"),
        prompts=str(folder / "prompts.csv"),
        first=str(folder / "first.tif"),
    )
