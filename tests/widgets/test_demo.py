"""The demonstration, the samples, and the plugin as napari opens it."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import tifffile

from napari_sam2.downloading import DownloadError
from napari_sam2.stacks import public_samples
from napari_sam2.widgets.demo import start_demo
from napari_sam2.widgets.samples import public_cells, sample_movie, sample_stack


def test_the_demo_clicks_and_follows_by_itself(viewer, engine, qtbot):
    widget = start_demo(viewer, engine=engine)
    worker = widget.desk.worker
    qtbot.waitUntil(lambda: len(engine.frames_done) == 40, timeout=20000)
    qtbot.waitUntil(lambda: widget.following.run is None)
    labels = np.asarray(widget.place.result.layer.data)
    assert all(labels[t].any() for t in range(40))
    assert "Done" in widget.panel.status.text()
    widget.close_down()
    assert worker.wait(10)


def test_samples_open_in_a_viewer(viewer):
    for sample in (sample_movie, sample_stack):
        for data, options, kind in sample():
            assert kind == "image"
            viewer.add_image(data, **options)
    assert viewer.layers["cells"].axis_labels == ("t", "y", "x")
    assert viewer.layers["volume"].scale[0] == 2.0


def test_a_public_sample_is_fetched_once(viewer, tmp_path, monkeypatch):
    there, cache = tmp_path / "there.tif", tmp_path / "cache"
    volume = np.arange(4 * 2 * 8 * 8, dtype=np.uint16).reshape(4, 2, 8, 8)
    monkeypatch.setattr(public_samples, "CELLS3D_URL", there.as_uri())
    monkeypatch.setattr(public_samples, "samples_folder", lambda: cache)
    with pytest.raises(DownloadError, match="and open the sample again") as said:
        public_cells()  # nothing is there
    assert "\n" not in str(said.value)
    tifffile.imwrite(there, volume)
    with pytest.raises(DownloadError, match="is not the file it should be"):
        public_cells()
    assert list(cache.iterdir()) == []
    sha256 = hashlib.sha256(there.read_bytes()).hexdigest()
    monkeypatch.setattr(public_samples, "CELLS3D_SHA256", sha256)
    for _ in range(2):
        for data, options, _kind in public_cells():
            viewer.add_image(data, **options)
        there.unlink(missing_ok=True)  # it is here now
    np.testing.assert_array_equal(viewer.layers["nuclei"].data, volume[:, 1])
    assert viewer.layers["membranes"].axis_labels == ("z", "y", "x")
    assert str(viewer.layers["nuclei"].units[0]) == "micrometer"


def test_the_public_sample_is_the_published_one():
    """Its address and hash are those of scikit-image's own list."""
    from skimage.data import _registry as published

    assert published.registry["data/cells3d.tif"] == public_samples.CELLS3D_SHA256
    url = published.registry_urls["data/cells3d.tif"]
    assert url.endswith("/cells3d.tif")
