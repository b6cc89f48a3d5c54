"""What a click would give: appears, follows the mouse, vanishes, changes nothing."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from qtpy.QtCore import QEvent, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


@pytest.fixture
def hovering(bench, mouse):
    """A panel with the preview switched on, and the mouse outside the picture."""
    bench.widget.panel.hover.setChecked(True)
    return bench.widget.hovering


def preview(bench):
    """Return the middle (y, x) of the lines that are shown, or None."""
    layer = next((x for x in bench.viewer.layers if x.name == "movie preview"), None)
    if layer is None or not layer.visible:
        return None
    return layer.data[0][:-1, -2:].mean(0)


def shown_at(bench, position, tolerance=1.5):
    found = preview(bench)
    return found is not None and np.abs(found - position).max() < tolerance


def rest_at(bench, mouse, position):
    """Hold the mouse as still as a hand does until it is shown there."""
    image = bench.place.image
    for _ in range(20):
        for off in (0, 0.4):
            nd = (bench.place.here, position[0], position[1] + off)
            mouse.move(image.data_to_world(nd)[1:])
            with contextlib.suppress(bench.qtbot.TimeoutError):
                bench.qtbot.waitUntil(lambda: shown_at(bench, position), timeout=500)
                return
    raise AssertionError(f"nothing is shown at {position}")


def gone(bench):
    bench.qtbot.waitUntil(lambda: preview(bench) is None, timeout=5000)
    bench.qtbot.wait(100)  # nor does a late answer bring it back
    assert preview(bench) is None


def test_it_appears_follows_and_leaves_with_the_mouse(bench, mouse, hovering):
    rest_at(bench, mouse, (20, 30))
    layer = bench.viewer.layers["movie preview"]
    assert bench.viewer.layers.selection.active == bench.place.prompts.points
    rest_at(bench, mouse, (30, 40))
    assert layer in bench.viewer.layers  # the same one
    mouse.move((20, 70))  # beside the image
    gone(bench)
    rest_at(bench, mouse, (20, 30))
    QApplication.sendEvent(mouse.canvas.parent(), QEvent(QEvent.Type.Leave))
    bench.viewer.mouse_over_canvas = False
    gone(bench)
    rest_at(bench, mouse, (22, 32))
    bench.widget.panel.hover.setChecked(False)
    assert "movie preview" not in bench.viewer.layers
    mouse.move((25, 35))
    bench.qtbot.wait(100)
    assert "movie preview" not in bench.viewer.layers


def test_it_changes_nothing(bench, mouse, hovering, engine):
    bench.click(0, 10, 10)
    labels, sent = bench.labels.copy(), dict(bench.place.sent)
    requests, done = len(engine.requests), len(engine.done)
    status, target = bench.status, bench.place.last_target
    for x in range(20, 50, 5):
        mouse.move((20, x))
    rest_at(bench, mouse, (20, 45))
    np.testing.assert_array_equal(bench.labels, labels)
    assert bench.place.sent == sent
    assert (len(engine.requests), len(engine.done)) == (requests, done)
    assert bench.status == status
    assert bench.place.last_target is target
    assert bench.place.object_id == 1


def test_a_click_takes_it_away(bench, mouse, hovering):
    rest_at(bench, mouse, (20, 30))
    QTest.mouseClick(mouse.canvas, LEFT, NONE, mouse.pixel((20, 30)))
    gone(bench)
    bench.settle()
    assert bench.labels[0, 20, 30] == 1


def test_it_says_what_the_modifiers_say(bench, mouse, hovering, engine):
    bench.click(0, 10, 10)
    rest_at(bench, mouse, (20, 30))
    assert (engine.supposed[-1][0], engine.supposed[-1][3]) == (1, 1)
    bench.widget.panel.sign.setChecked(True)
    rest_at(bench, mouse, (30, 30))
    assert engine.supposed[-1][3] == 0
    layer = bench.viewer.layers["movie preview"]
    assert layer.edge_color[0].tolist() == [1, 1, 1, 1]


def test_one_question_at_a_time_and_the_latest_place(bench, mouse, hovering, engine):
    rest_at(bench, mouse, (20, 10))
    asked = len(engine.supposed)
    engine.gate.clear()
    for x in range(20, 60, 4):
        mouse.move((20, x))
    engine.gate.set()
    rest_at(bench, mouse, (20, 56))
    assert len(engine.supposed) - asked <= 4
    assert engine.supposed[-1][2] == pytest.approx((20, 56), abs=0.6)


def test_nothing_while_frames_are_filled(bench, mouse, hovering, engine):
    bench.click(0, 20, 20)
    rest_at(bench, mouse, (20, 30))
    engine.seconds = 0.05
    asked = len(engine.supposed)
    bench.widget.follow_or_stop()
    for x in range(20, 50, 5):
        mouse.move((30, x))
    assert bench.widget.following.run is not None
    assert preview(bench) is None
    assert len(engine.supposed) == asked
    bench.settle()
    rest_at(bench, mouse, (20, 40))


def test_another_frame_another_tool_and_three_dimensions(bench, mouse, hovering):
    rest_at(bench, mouse, (20, 30))
    bench.viewer.dims.set_point(0, 4)
    gone(bench)
    rest_at(bench, mouse, (21, 30))
    assert bench.engine.supposed[-1][1] == 4
    bench.widget.panel.box_tool.click()
    gone(bench)
    mouse.move((25, 30))
    gone(bench)
    bench.widget.panel.click_tool.click()
    bench.viewer.dims.ndisplay = 3
    mouse.move((20, 30))
    gone(bench)


def test_a_frame_is_looked_at_when_the_mouse_rests(bench, mouse, hovering, engine):
    engine.encoded = {0}
    bench.viewer.dims.set_point(0, 3)
    mouse.move((20, 30))
    bench.qtbot.wait(100)
    assert preview(bench) is None
    rest_at(bench, mouse, (20, 30))
    assert engine.encoded == {0, 3}


def test_an_error_there_is_not_one_yet(bench, mouse, hovering, engine, caplog):
    engine.fail = ValueError("Frame 0 cannot be read.")
    status = bench.status
    mouse.move((20, 30))
    bench.qtbot.wait(150)
    bench.settle()
    assert preview(bench) is None
    assert bench.status == status
    engine.fail = None
    rest_at(bench, mouse, (20, 32))


def test_the_viewer_is_closed_with_a_question_in_flight(bench, mouse, hovering, engine):
    engine.gate.clear()
    mouse.move((20, 30))
    bench.qtbot.waitUntil(lambda: bench.widget.desk.worker.busy, timeout=5000)
    bench.widget.close_down()
    engine.gate.set()
    assert bench.widget.desk.worker.wait(10)
    assert not bench.viewer.mouse_move_callbacks
    mouse.move((25, 35))
    bench.qtbot.wait(100)
    assert "movie preview" not in bench.viewer.layers


def test_on_a_scaled_movie(viewer, movie, open_bench, mouse_over):
    image = viewer.add_image(
        movie, name="movie", scale=(2, 0.5, 0.25), translate=(10, -3, 7)
    )
    bench = open_bench()
    viewer.dims.set_point(0, image.data_to_world((5, 0, 0))[0])
    mouse = mouse_over(bench)
    bench.widget.panel.hover.setChecked(True)
    rest_at(bench, mouse, (20, 30))
    assert bench.engine.supposed[-1][1] == 5


def test_it_is_preferred_and_has_a_key(viewer, movie, open_bench, monkeypatch):
    from napari_sam2.widgets import track_widget
    from napari_sam2.widgets.preferences import Preferences

    monkeypatch.setattr(
        track_widget, "read_preferences", lambda: Preferences(hover=True)
    )
    viewer.add_image(movie, name="movie")
    bench = open_bench()
    assert bench.widget.hovering.on
    bound = {str(key): value for key, value in viewer.keymap.items()}
    bound["W"](viewer)
    assert not bench.widget.panel.hover.isChecked()
    assert not bench.widget.hovering.on
