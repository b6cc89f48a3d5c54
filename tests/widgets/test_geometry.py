"""Clicks hit the pixel under the mouse, whatever the layer's place in the world."""

from __future__ import annotations

import numpy as np
import zarr

from napari_sam2.widgets import labels_volume
from napari_sam2.widgets.target import make_target, stack_axes

SCALE, TRANSLATE = (2.0, 0.5, 0.25), (10.0, -3.0, 7.0)


def add_scaled(viewer, movie):
    return viewer.add_image(
        movie,
        name="movie",
        scale=SCALE,
        translate=TRANSLATE,
        units=("second", "micrometer", "micrometer"),
        axis_labels=("t", "y", "x"),
    )


def test_labels_lie_on_a_scaled_image(viewer, movie, open_bench):
    image = add_scaled(viewer, movie)
    bench = open_bench()
    for layer in (bench.place.result.layer, bench.place.prompts.points):
        assert np.allclose(layer.scale, SCALE)
        assert np.allclose(layer.translate, TRANSLATE)
        assert layer.units == image.units
        assert layer.axis_labels == ("t", "y", "x")


def test_a_click_in_the_world_hits_its_pixel(viewer, movie, open_bench):
    add_scaled(viewer, movie)
    bench = open_bench()
    points = bench.place.prompts.points
    world = np.multiply((3, 20, 30), SCALE) + TRANSLATE
    points.add(points.world_to_data(world))
    bench.settle()
    assert bench.labels[3, 20, 30] == 1
    ((object_id, frame), prompts), *rest = bench.place.sent.items()
    assert (object_id, frame, rest) == (1, 3, [])
    assert np.allclose(prompts.points, [(20, 30)])


def test_clicks_count_in_the_image_even_if_their_layer_was_moved(
    viewer, movie, open_bench
):
    add_scaled(viewer, movie)
    bench = open_bench()
    points = bench.place.prompts.points
    points.translate = (0, 0, 0)
    points.scale = (1, 1, 1)
    points.add(np.multiply((3, 20, 30), SCALE) + TRANSLATE)
    bench.settle()
    assert bench.labels[3, 20, 30] == 1


def test_the_frame_is_the_one_looked_at_on_a_scaled_axis(viewer, movie, open_bench):
    add_scaled(viewer, movie)
    bench = open_bench()
    viewer.dims.set_point(0, 5 * SCALE[0] + TRANSLATE[0])
    place = bench.place
    assert place.here == 5
    place.go_to(8)
    assert place.here == 8


def test_time_is_followed_with_depth_held(viewer, open_bench):
    data = np.random.default_rng(0).random((6, 4, 32, 40)).astype(np.float32)
    viewer.add_image(data, name="tz", axis_labels=("t", "z", "y", "x"))
    viewer.dims.set_point(0, 0)
    viewer.dims.set_point(1, 3)
    bench = open_bench()
    assert bench.widget.panel.axis.currentText() == "time axis, 6 steps"
    target = bench.place.target()
    assert (target.axes, target.fixed) == ("TZYX", {"Z": 3})
    bench.click(0, 3, 10, 12)
    bench.widget.follow("forward")
    bench.settle()
    assert bench.labels.shape == data.shape
    assert [t for t in range(6) if bench.labels[t, 3].any()] == list(range(6))
    assert not bench.labels[:, :3].any()
    viewer.dims.set_point(1, 1)  # another depth fills another part
    bench.click(0, 1, 10, 12)
    assert bench.labels[0, 1, 10, 12] == 1
    assert bench.labels[5, 3].any()


def test_depth_can_be_followed_with_time_held(viewer, open_bench):
    data = np.zeros((6, 4, 32, 40), np.uint8)
    viewer.add_image(data, name="tz", axis_labels=("t", "z", "y", "x"))
    viewer.dims.set_point(0, 2)
    viewer.dims.set_point(1, 0)
    bench = open_bench()
    bench.widget.panel.axis.setCurrentIndex(1)
    bench.settle()
    target = bench.place.target()
    assert (target.axes, target.fixed, target.n_frames) == ("TZYX", {"T": 2}, 4)
    bench.click(2, 0, 10, 12)
    bench.widget.follow("forward")
    bench.settle()
    assert [z for z in range(4) if bench.labels[2, z].any()] == [0, 1, 2, 3]
    assert not bench.labels[3].any()


def test_a_single_picture_has_nothing_to_follow(viewer, open_bench):
    viewer.add_image(np.zeros((32, 40)), name="still")
    bench = open_bench()
    assert bench.widget.panel.axis.currentText() == "a single picture"
    bench.click(10, 12)
    assert bench.labels[10, 12] == 1
    assert bench.labels.shape == (32, 40)
    assert "Shift + click" in bench.status


def test_colour_pictures(viewer, open_bench):
    viewer.add_image(np.zeros((5, 32, 40, 3), np.uint8), name="rgb", rgb=True)
    viewer.dims.set_point(0, 0)
    bench = open_bench()
    target = bench.place.target()
    assert (target.axes, target.contrast_limits) == ("TYXC", None)
    bench.click(0, 10, 12)
    assert bench.labels.shape == (5, 32, 40)


def test_several_resolutions_use_the_finest(viewer, open_bench):
    fine = np.random.default_rng(0).random((3, 64, 64)).astype(np.float32)
    viewer.add_image([fine, fine[:, ::2, ::2]], multiscale=True, name="pyramid")
    viewer.dims.set_point(0, 0)
    bench = open_bench()
    bench.click(0, 40, 50)
    assert bench.labels.shape == fine.shape
    assert bench.labels[0, 40, 50] == 1


def test_unnamed_axes_are_described(viewer):
    layer = viewer.add_image(np.zeros((5, 7, 8, 8)))
    assert stack_axes(layer) == [
        (0, "first axis, 5 steps"),
        (1, "second axis, 7 steps"),
    ]
    target = make_target(layer, viewer, 1)
    assert target.axes == "ATYX"


def test_large_labels_are_kept_in_files(viewer, movie, open_bench, monkeypatch):
    monkeypatch.setattr(labels_volume, "IN_MEMORY_BYTES", 1000)
    viewer.add_image(movie, name="movie")
    viewer.dims.set_point(0, 0)
    bench = open_bench()
    layer = bench.place.result.layer
    assert isinstance(layer.data, zarr.Array)
    assert layer.data.chunks == (1, 48, 64)
    bench.click(0, 20, 30)
    bench.widget.follow("forward")
    bench.settle()
    assert bench.labels[11, 20, 41] == 1
    bench.widget.panel.paint_tool.click()
    layer.paint((0, 40, 50), 1)
    assert bench.labels[0, 40, 50] == 1
