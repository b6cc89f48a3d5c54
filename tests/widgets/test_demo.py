"""The demonstration, the samples, and the plugin as napari opens it."""

from __future__ import annotations

import numpy as np

from napari_sam2.widgets.demo import start_demo
from napari_sam2.widgets.samples import sample_movie, sample_stack


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
