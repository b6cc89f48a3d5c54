"""The strip in the window: live, clickable, below the picture or in the panel."""

from __future__ import annotations

import threading

import numpy as np
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QDockWidget, QMainWindow

from napari_sam2.widgets import messages
from napari_sam2.widgets.heat_strip import GUTTER, ROW, HeatStrip
from napari_sam2.widgets.reviewing import DOCK_NAME


def strip_of(bench) -> HeatStrip:
    return bench.widget.reviewing.strips[-1]


def press(strip, frame, row=0):
    strip._prepare()
    where = QPoint(GUTTER + int(strip._picture.column_of(frame)), row * ROW + 5)
    QTest.mouseClick(strip.viewport(), Qt.MouseButton.LeftButton, pos=where)


def follow_two_cells(bench):
    bench.click(0, 10, 10)
    bench.widget.new_object()
    bench.click(0, 30, 30)
    bench.widget.follow("forward")
    bench.settle()


def test_a_click_in_the_strip_goes_there(bench, viewer):
    follow_two_cells(bench)
    press(strip_of(bench), 7, row=0)
    assert viewer.dims.current_step[0] == 7
    assert bench.place.object_id == 1
    assert bench.place.result.layer.selected_label == 1
    press(strip_of(bench), 3, row=1)
    assert viewer.dims.current_step[0] == 3
    assert bench.place.object_id == 2


def test_the_strip_knows_scaled_images(viewer, movie, open_bench):
    viewer.add_image(movie, name="movie", scale=(2.5, 0.5, 0.5), translate=(7, 0, 0))
    viewer.dims.set_point(0, 7)
    bench = open_bench()
    bench.click(0, 10, 10)
    press(strip_of(bench), 5)
    assert bench.place.here == 5
    viewer.dims.set_point(0, 7 + 2.5 * 9)
    assert strip_of(bench)._frame == 9


def test_frames_appear_while_following(bench, engine, qtbot):
    engine.seconds = 0.05
    bench.click(0, 10, 10)
    bench.widget.follow("forward")
    qtbot.waitUntil(lambda: len(engine.frames_done) >= 6, timeout=5000)
    qtbot.waitUntil(lambda: len(bench.place.cells[1].found) >= 4, timeout=5000)
    assert bench.widget.following.run is not None
    strip = strip_of(bench)
    qtbot.waitUntil(lambda: "0.90" in words(strip, 2), timeout=2000)
    bench.settle()
    assert "0.90" in words(strip, 11)


def words(strip, frame, row=0):
    strip._prepare()
    x = GUTTER + int(strip._picture.column_of(frame))
    return strip.words_at(QPoint(x, row * ROW + 5))


def test_a_correction_shows_at_once_what_is_to_be_done_again(bench, engine, qtbot):
    follow_two_cells(bench)
    strip, answer = strip_of(bench), threading.Event()
    real = engine.preview

    def preview(request, frame_idx):
        answer.wait(10)
        return real(request, frame_idx)

    engine.preview = preview
    bench.place.object_id = 1
    bench.place.prompts.click((4, 20, 20))
    qtbot.waitUntil(lambda: bench.place.cells[1].outdated.any(), timeout=2000)
    assert not bench.labels[4, 20, 20]  # the mask is not there yet
    assert "to be done again" in words(strip, 9)
    assert "to be done again" not in words(strip, 9, row=1)
    answer.set()
    bench.settle()
    bench.widget.follow("forward")
    bench.settle()
    assert not bench.place.cells[1].outdated.any()
    assert "prompted" in words(strip, 4)


def test_the_strip_can_be_in_the_panel(bench, viewer, qtbot):
    panel, below = bench.widget.panel, strip_of(bench)
    assert below.parent() is not None
    assert not panel.strip.isVisibleTo(panel)
    follow_two_cells(bench)
    panel.strip_below.click()
    assert bench.widget.reviewing.strips == [panel.strip]
    assert panel.strip.isVisibleTo(panel)
    panel.strip.resize(300, 100)
    press(panel.strip, 6, row=0)
    assert viewer.dims.current_step[0] == 6
    panel.strip_below.click()
    assert strip_of(bench) is not panel.strip
    press(strip_of(bench), 2)
    assert viewer.dims.current_step[0] == 2


def dock_of(strip) -> QDockWidget:
    found = strip.parent()
    while not isinstance(found, QDockWidget):
        found = found.parent()
    return found


def test_hiding_the_dock_puts_the_strip_into_the_panel(bench, qtbot):
    bench.widget.window().show()
    panel = bench.widget.panel
    dock = dock_of(strip_of(bench))
    dock.hide()
    qtbot.waitUntil(lambda: not panel.strip_below.isChecked(), timeout=2000)
    assert panel.strip.isVisibleTo(panel)


def test_closing_the_dock_puts_the_strip_into_the_panel(bench, viewer):
    panel = bench.widget.panel
    dock_of(strip_of(bench)).destroyOnClose()  # what napari's x does
    assert not panel.strip_below.isChecked()
    assert bench.widget.reviewing.strips == [panel.strip]


def test_corners_are_given_back(bench, qtbot):
    window = bench.widget.window()
    assert isinstance(window, QMainWindow)
    corner, right = Qt.Corner.BottomRightCorner, Qt.DockWidgetArea.RightDockWidgetArea
    assert window.corner(corner) == right
    bench.widget.close_down()
    assert window.corner(corner) != right

    def names():
        return [dock.windowTitle() for dock in window.findChildren(QDockWidget)]

    qtbot.waitUntil(lambda: DOCK_NAME not in names(), timeout=2000)


def test_right_locks_and_goes_on(bench):
    follow_two_cells(bench)
    bench.place.go_to(0)
    bench.place.object_id = 1
    cells = bench.place.cells
    bench.engine.scores[1, 4] = low = bench.engine.scores[1, 4].__class__(
        confidence=0.2, area=9
    )
    bench.engine.scores[2, 9] = low
    for i, t in ((1, 4), (2, 9)):
        cells[i].confidence[t] = 0.2
    bench.widget.panel.next_doubtful.click()
    assert (bench.place.here, bench.place.object_id) == (4, 1)
    bench.widget.panel.accept.click()
    bench.settle()
    assert bench.engine.locked == {(1, 4)}
    assert (bench.place.here, bench.place.object_id) == (9, 2)
    bench.widget.panel.previous_doubtful.click()
    assert bench.place.here == 4
    bench.place.go_to(11)
    bench.widget.new_object()
    bench.widget.reviewing.accept()
    assert bench.status == messages.NOT_FOUND_HERE


def test_another_image_has_another_strip(bench, viewer):
    follow_two_cells(bench)
    viewer.add_image(np.zeros((5, 32, 32)), name="other")
    bench.widget.panel.image.setCurrentText("other")
    bench.settle()
    assert words(strip_of(bench), 1) == "cell 1, frame 1: not followed yet"
    viewer.layers.clear()
    bench.settle()
    assert strip_of(bench)._cells.n_frames == 1
