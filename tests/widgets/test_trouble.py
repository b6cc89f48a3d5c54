"""What users do that nobody planned: closing, removing, renaming, clicking beside."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image
from napari.utils.notifications import notification_manager

from napari_sam2.widgets import messages
from napari_sam2.widgets.target import TargetError, make_target


@pytest.fixture
def notes():
    """Return what was notified since the test began."""
    notification_manager.records.clear()
    return notification_manager.records


def follow_some_frames(bench, engine, qtbot, count=2):
    engine.seconds = 0.05
    bench.click(0, 20, 20)
    bench.widget.follow("forward")
    qtbot.waitUntil(lambda: len(engine.frames_done) >= count, timeout=5000)


def test_without_an_image_it_says_so(viewer, open_bench, notes):
    bench = open_bench()
    assert bench.status == messages.NO_IMAGE
    assert not bench.widget.panel.forward.isEnabled()
    bench.widget.follow("forward")
    bench.widget.new_object()
    bench.widget.undo()
    viewer.add_image(np.zeros((4, 32, 32)), name="late")
    bench.settle()
    assert bench.widget.panel.image.currentText() == "late"
    assert "Click on a cell" in bench.status
    bench.click(0, 16, 16)
    assert bench.labels[0, 16, 16] == 1


def test_following_nothing_says_what_to_do(bench, notes):
    bench.widget.follow("forward")
    assert bench.status == messages.NOTHING_PROMPTED
    assert notes[-1].message == messages.NOTHING_PROMPTED
    assert bench.widget.following.run is None


def test_a_range_without_frames_says_so(bench):
    bench.click(8, 20, 20)
    bench.widget.panel.last.setValue(3)
    bench.widget.follow("forward")
    bench.settle()
    assert bench.status == messages.NO_FRAMES


@pytest.mark.parametrize("position", [(0, -3, 20), (0, 20, 64), (12, 5, 5)])
def test_a_click_beside_the_image_is_refused(bench, notes, position):
    bench.click(*position)
    assert len(bench.place.prompts.points.data) == 0
    assert notes[-1].message == messages.OUTSIDE
    assert not bench.labels.any()


@pytest.mark.parametrize("edge", [100.0, 20.5])
def test_a_box_around_nothing_is_refused(bench, notes, edge):
    bench.widget.panel.box_tool.click()
    y, x, far = 20.0, edge - 0.5, edge + 0.5
    corners = [[0, y, x], [0, y, far], [0, y + 9, far], [0, y + 9, x]]
    bench.place.prompts.shapes.add(np.array(corners), shape_type="rectangle")
    bench.settle()
    assert len(bench.place.prompts.shapes.data) == 0
    assert notes[-1].message == messages.BAD_BOX
    assert not bench.labels.any()


def test_a_box_that_sticks_out_is_cut(bench):
    bench.widget.panel.box_tool.click()
    corners = [[0, -9, -9], [0, -9, 9], [0, 9, 9], [0, 9, -9]]
    bench.place.prompts.shapes.add(np.array(corners), shape_type="rectangle")
    bench.settle()
    assert bench.place.sent[1, 0].box == (0, 0, 9.5, 9.5)
    assert bench.labels[0, 0, 0] == 1


def test_an_error_is_one_sentence(bench, engine, notes):
    engine.fail = ValueError("Frame 3 cannot be read.\nTraceback")
    bench.click(0, 20, 20)
    assert bench.status == "Frame 3 cannot be read."
    assert notes[-1].message == bench.status
    engine.fail = None
    bench.click(0, 22, 22)
    assert bench.labels[0, 20, 20] == 1  # nothing was lost


def test_an_error_while_following_ends_the_run(bench, engine, notes):
    bench.click(0, 20, 20)
    engine.fail = MemoryError()
    bench.widget.follow("forward")
    bench.settle()
    assert "not enough memory" in bench.status
    assert bench.widget.panel.forward.isEnabled()
    assert not bench.widget.panel.stop.isEnabled()


def test_the_labels_are_removed_while_following(bench, engine, viewer, qtbot):
    follow_some_frames(bench, engine, qtbot)
    viewer.layers.remove(bench.place.result.layer)
    bench.settle()
    assert bench.status == messages.LAYER_GONE
    assert len(engine.frames_done) < 12
    bench.click(0, 30, 40)  # brings them back
    assert bench.place.result.layer in viewer.layers
    assert bench.labels[0, 30, 40] == 1
    assert bench.labels[0, 20, 20] == 1


def test_the_clicks_are_removed_and_come_back(bench, viewer):
    bench.click(0, 20, 20)
    viewer.layers.remove(bench.place.prompts.points)
    bench.widget.follow("forward")
    bench.settle()
    assert bench.labels[11, 20, 31] == 1  # what was said still holds
    bench.widget.panel.click_tool.click()
    assert bench.place.prompts.points in viewer.layers
    assert len(bench.place.prompts.points.data) == 1


def test_the_image_is_removed_while_following(bench, engine, viewer, qtbot):
    follow_some_frames(bench, engine, qtbot)
    viewer.layers.remove("movie")
    bench.settle()
    assert bench.status == messages.NO_IMAGE
    assert len(engine.frames_done) < 12
    assert not engine.volumes  # the engine let go of it
    assert viewer.layers["movie objects"].data[0, 20, 20] == 1  # the work stays


def test_layers_are_renamed_while_following(bench, engine, viewer, qtbot):
    follow_some_frames(bench, engine, qtbot)
    for layer in viewer.layers:
        layer.name = f"{layer.name} (old)"
    bench.settle()
    assert bench.widget.panel.image.currentText() == "movie (old)"
    assert "Done" in bench.status
    assert bench.labels[11].any()


def test_the_viewer_is_closed_while_following(bench, engine, viewer, qtbot):
    follow_some_frames(bench, engine, qtbot)
    worker = bench.widget.desk.worker
    viewer.close()
    qtbot.waitUntil(lambda: not worker.alive, timeout=5000)
    assert engine.closed
    assert len(engine.frames_done) < 12


def test_the_dock_is_closed_while_following(bench, engine, viewer, qtbot):
    follow_some_frames(bench, engine, qtbot)
    worker = bench.widget.desk.worker
    viewer.window.remove_dock_widget(bench.widget)
    qtbot.waitUntil(lambda: not worker.alive, timeout=5000)
    assert engine.closed
    done = len(engine.frames_done)
    assert done < 12
    viewer.layers["movie clicks"].add([[0, 5, 5]])  # an ordinary layer now
    assert len(engine.frames_done) == done


def test_keys_are_given_back(viewer, movie, open_bench):
    def mine(_viewer):
        pass

    viewer.bind_key("T", mine)
    viewer.add_image(movie)
    bench = open_bench()
    keys = {str(key) for key in viewer.keymap}
    assert {"M", "T", "G", "Ctrl+Z"} <= keys
    bench.widget.close_down()
    after = {str(key): value for key, value in viewer.keymap.items()}
    assert after["T"] is mine
    assert "G" not in after


def test_keys_do_what_they_say(bench, viewer):
    bound = {str(key): value for key, value in viewer.keymap.items()}
    bench.click(0, 20, 20)
    bound["M"](viewer)
    assert bench.place.object_id == 2
    bound["T"](viewer)
    assert not bench.place.prompts.positive
    assert bench.widget.panel.sign.text() == messages.BELONGS_NOT
    bound["T"](viewer)
    bound["G"](viewer)
    bench.settle()
    assert bench.labels[11].any()
    bound["K"](viewer)  # the new cell has nothing to lock
    assert bench.status == messages.NOT_FOUND_HERE
    bench.place.object_id = 1
    bound["K"](viewer)
    bench.settle()
    assert bench.engine.locked == {(1, 11)}  # the slider went along
    for key, locked, followed, clicks in (
        ("Ctrl+Z", False, True, 1),
        ("Ctrl+Z", False, False, 1),
        ("Ctrl+Z", False, False, 0),
        ("Ctrl+Shift+Z", False, False, 1),
        ("Ctrl+Shift+Z", False, True, 1),
        ("Ctrl+Shift+Z", True, True, 1),
    ):
        bound[key](viewer)
        bench.settle()
        assert bool(bench.engine.locked) == locked
        assert bench.labels[11].any() == followed
        assert len(bench.place.prompts.points.data) == clicks
    bound["Ctrl+Shift+Z"](viewer)
    bench.settle()
    assert bench.status == messages.NO_REDO


def test_two_panels_do_not_disturb_each_other(viewer, movie, open_bench):
    viewer.add_image(movie, name="movie")
    one, two = open_bench(), open_bench()
    one.click(0, 20, 20)
    two.click(0, 30, 30)
    one.widget.close_down()
    two.click(0, 40, 40)
    assert two.place.prompts.points != one.widget.viewer.layers["movie clicks"]


def test_three_dimensional_view_asks_for_the_flat_one(bench, viewer):
    viewer.dims.ndisplay = 3
    assert bench.status == messages.FLAT_ONLY
    viewer.dims.ndisplay = 2
    assert bench.status != messages.FLAT_ONLY


def test_a_held_slider_beside_the_image_is_named(viewer):
    layer = Image(np.zeros((4, 3, 8, 8)), axis_labels=("t", "z", "y", "x"), name="m")
    viewer.add_layer(layer)
    viewer.add_image(np.zeros((4, 30, 8, 8)))
    viewer.dims.set_point(1, 20)
    with pytest.raises(TargetError, match=r"depth \(z\) axis.*'m' has no picture"):
        make_target(layer, viewer, 0)
