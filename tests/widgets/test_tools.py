"""The chosen tool stays in hand whatever is opened, unless the user chose otherwise."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_sam2.widgets import messages

PLUGIN = "napari-sam2"


@pytest.fixture
def file(tmp_path, movie):
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, movie, metadata={"axes": "TYX"})
    return path


def press(bench, mouse, position) -> None:
    """Press the mouse once, as a person does."""
    where = mouse.pixel(position)
    QTest.mouseMove(mouse.canvas, where)
    mouse.wait()
    QTest.mouseClick(mouse.canvas, Qt.MouseButton.LeftButton, pos=where)
    mouse.wait()
    bench.settle()


def test_the_first_click_after_opening_prompts(
    viewer, open_bench, mouse_over, file, qtbot
):
    bench = open_bench()
    viewer.open(file, plugin=PLUGIN)
    qtbot.waitUntil(bench.widget.panel.click_tool.isChecked)
    bench.settle()
    viewer.dims.set_point(0, 0)
    mouse = mouse_over(bench)
    before = viewer.scene.camera.center
    press(bench, mouse, (20, 30))
    assert len(bench.place.prompts.points.data) == 1
    assert bench.labels[0, 20, 30] == 1
    assert viewer.scene.camera.center == before


def test_an_image_opened_on_an_untouched_one_is_worked_on(
    viewer, bench, mouse_over, file, qtbot
):
    bench.widget.panel.box_tool.click()
    viewer.open(file, plugin=PLUGIN)
    qtbot.waitUntil(lambda: bench.place.image.name == "cells")
    bench.settle()
    assert bench.widget.panel.box_tool.isChecked()
    mouse = mouse_over(bench)
    viewer.dims.set_point(0, 0)
    mouse.drag([(10, 10), (20, 25), (30, 40)])
    assert bench.place.sent[1, 0].box is not None
    assert bench.labels[0, 20, 25] == 1


def test_the_last_of_several_files_is_worked_on(
    viewer, open_bench, movie, tmp_path, qtbot
):
    paths = [tmp_path / name for name in ("a.tif", "b.tif")]
    for path in paths:
        tifffile.imwrite(path, movie, metadata={"axes": "TYX"})
    bench = open_bench()
    viewer.open(paths, plugin=PLUGIN)
    qtbot.waitUntil(lambda: bench.place.image.name == "b")
    qtbot.waitUntil(bench.widget.panel.click_tool.isChecked)
    bench.settle()
    assert len([y for y in viewer.layers if "clicks" in y.name]) == 1


def test_an_image_opened_beside_work_leaves_it(viewer, bench, file):
    bench.click(0, 20, 30)
    viewer.open(file, plugin=PLUGIN)
    bench.qtbot.waitUntil(lambda: bench.status == messages.ANOTHER_IMAGE)
    assert bench.place.image.name == "movie"
    bench.widget.panel.click_tool.click()
    assert bench.status == messages.GO_ON
    assert bench.place.prompts.tool == "click"


@pytest.mark.parametrize("tool", ["click", "box", "paint"])
def test_labels_that_are_opened_take_no_tool_away(viewer, bench, tmp_path, tool):
    np.save(tmp_path / "start.npy", np.ones((12, 48, 64), np.uint16))
    bench.widget.tools.take(tool)
    layer, mode = viewer.layers.selection.active, viewer.layers.selection.active.mode
    viewer.open(tmp_path / "start.npy", plugin="napari", layer_type="labels")
    bench.qtbot.wait(50)
    assert "start" in viewer.layers
    assert bench.widget.tools.buttons[tool].isChecked()
    assert viewer.layers.selection.active == layer
    assert layer.mode == mode


def test_moving_the_picture_remains_a_choice(viewer, bench, tmp_path):
    np.save(tmp_path / "start.npy", np.ones((12, 48, 64), np.uint16))
    points = bench.place.prompts.points
    points.mode = "pan_zoom"
    viewer.open(tmp_path / "start.npy", plugin="napari", layer_type="labels")
    bench.qtbot.waitUntil(lambda: viewer.layers.selection.active == points)
    assert points.mode == "pan_zoom"
    assert not bench.widget.panel.click_tool.isChecked()


def test_a_layer_that_is_made_to_draw_in_is_left_selected(viewer, bench):
    mine = viewer.add_points(name="mine", ndim=3)
    bench.qtbot.wait(50)
    assert viewer.layers.selection.active == mine
    assert bench.status == messages.ANOTHER_LAYER


def test_another_axis_leaves_the_tool_in_hand(viewer, open_bench):
    volume = np.zeros((3, 4, 20, 20), np.uint8)
    viewer.add_image(volume, name="tz", axis_labels=("t", "z", "y", "x"))
    bench = open_bench()
    bench.widget.panel.scribble_tool.click()
    bench.widget.panel.axis.setCurrentIndex(1)
    bench.settle()
    assert bench.place.axis == 1
    assert bench.place.prompts.tool == "scribble"
    bench.widget.panel.paint_tool.click()
    bench.widget.panel.axis.setCurrentIndex(0)
    bench.settle()
    assert bench.place.prompts.tool == "click"
