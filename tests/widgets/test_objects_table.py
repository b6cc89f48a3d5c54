"""The table of cells and its menu, with the mouse and the keyboard."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QContextMenuEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QLineEdit, QMenu

from napari_sam2.widgets import messages
from napari_sam2.widgets.colours import object_colour
from napari_sam2.widgets.objects_table import NAME


@pytest.fixture
def two(bench):
    """Two cells, followed."""
    bench.click(0, 10, 10)
    bench.widget.new_object()
    bench.click(0, 30, 30)
    bench.widget.follow("forward")
    bench.settle()
    return bench


def texts(bench, row):
    table = bench.widget.panel.objects
    return [table.item(row, column).text() for column in range(table.columnCount())]


def choose(bench, object_id, *path):
    """Choose something in the menu of a cell."""
    menu = bench.widget.cell_menu.menu(object_id)
    for name in path[:-1]:
        menu = next(a.menu() for a in menu.actions() if a.text() == name)
    next(a for a in menu.actions() if a.text() == path[-1]).trigger()
    bench.settle()


def test_the_table_says_what_is_known(two):
    assert texts(two, 0) == ["1", "", "1", "12", "0.90"]
    two.place.cells[1].confidence[7] = 0.25
    two.widget.desk.show_objects()
    assert texts(two, 0)[-1] == "0.25"
    assert "1 doubtful" in two.widget.panel.objects.item(0, 4).toolTip()


def test_a_name_is_typed_and_taken_back(two, qtbot):
    table = two.widget.panel.objects
    two.widget.window().show()
    middle = table.visualItemRect(table.item(0, NAME)).center()
    QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=middle)
    QTest.mouseDClick(table.viewport(), Qt.MouseButton.LeftButton, pos=middle)
    editor = table.viewport().findChild(QLineEdit)
    QTest.keyClicks(editor, "mother")
    QTest.keyClick(editor, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: two.engine.names == {1: "mother"}, timeout=3000)
    two.settle()
    assert texts(two, 0)[NAME] == "mother"
    assert two.widget.panel.console.text() == "session.rename(1, 'mother')"
    two.widget.undo()
    two.settle()
    assert texts(two, 0)[NAME] == ""
    assert not table.item(0, 0).flags() & Qt.ItemFlag.ItemIsEditable


def test_a_right_click_opens_the_menu(two, qtbot):
    table = two.widget.panel.objects
    two.widget.window().show()
    where = table.visualItemRect(table.item(0, 0)).center()
    event = QContextMenuEvent(
        QContextMenuEvent.Reason.Mouse, where, table.viewport().mapToGlobal(where)
    )
    QApplication.sendEvent(table.viewport(), event)
    menu = QApplication.activePopupWidget()
    assert isinstance(menu, QMenu)
    names = [action.text() for action in menu.actions() if action.text()]
    assert names[:3] == ["Go to its first frame", "Go to its last frame", "Hide"]
    QTest.keyClick(menu, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: QApplication.activePopupWidget() is None, timeout=2000)
    two.widget.panel.more.click()
    assert isinstance(QApplication.activePopupWidget(), QMenu)
    QTest.keyClick(QApplication.activePopupWidget(), Qt.Key.Key_Escape)
    qtbot.wait(50)


def test_first_and_last_frame(two):
    choose(two, 1, "Go to its last frame")
    assert two.place.here == 11
    assert two.widget.panel.console.text() == "viewer.dims.set_current_step(0, 11)"
    choose(two, 1, "Go to its first frame")
    assert two.place.here == 0
    two.widget.new_object()
    choose(two, 3, "Go to its last frame")
    assert two.status == messages.NOT_FOUND_ANYWHERE


def test_a_hidden_cell_is_not_seen_and_not_lost(two):
    layer, points = two.place.result.layer, two.place.prompts.points
    choose(two, 1, "Hide")
    assert layer.get_color(1)[3] == 0
    assert np.allclose(layer.get_color(2), object_colour(2), atol=0.01)
    assert points.shown.tolist() == [False, True]
    assert two.labels[0, 10, 10] == 1
    two.widget.new_object()
    two.click(0, 20, 50)  # a new one is seen in its own colour
    assert np.allclose(layer.get_color(3), object_colour(3), atol=0.01)
    assert points.shown.tolist() == [False, True, True]
    choose(two, 1, "Show")
    assert np.allclose(layer.get_color(1), object_colour(1), atol=0.01)
    assert points.shown.all()


def test_all_frames_are_locked_and_freed(two):
    choose(two, 1, "Lock in all frames")
    assert two.engine.locked == {(1, t) for t in range(12)}
    assert two.place.cells[1].locked.all()
    assert two.widget.panel.console.text() == "session.lock(1, range(0, 12))"
    choose(two, 1, "Unlock in all frames")
    assert not two.engine.locked


def test_edits_ask_the_engine_and_say_so(two, viewer):
    viewer.dims.set_point(0, 4)
    choose(two, 1, "Swap from here on with", "cell 2")
    edit = two.engine.edits[-1]
    assert (edit.verb, edit.object_id, edit.other, edit.frames) == ("swap", 1, 2, (4,))
    assert "Cell 1 and cell 2 have traded places from frame 4 on" in two.status
    assert two.widget.panel.console.text() == "session.swap(1, 2, 4)"
    choose(two, 2, "Same cell as", "cell 1")
    assert two.widget.panel.objects.object_ids == [1]
    assert set(np.unique(two.labels)) == {0, 1}
    assert two.place.object_id == 1
    for _ in range(2):
        two.widget.undo()
        two.settle()
    assert two.widget.panel.objects.object_ids == [1, 2]
    assert len(two.place.prompts.points.data) == 2


def test_deleting_is_taken_back(two):
    before = two.labels.copy()
    choose(two, 2, "Delete from all frames")
    assert set(np.unique(two.labels)) == {0, 1}
    assert len(two.place.prompts.points.data) == 1
    two.widget.undo()
    two.settle()
    np.testing.assert_array_equal(two.labels, before)
    assert len(two.place.prompts.points.data) == 2
    assert texts(two, 1) == ["2", "", "1", "12", "0.90"]


def test_a_click_made_while_taking_back_stays(two):
    two.click(3, 40, 50)
    two.engine.gate.clear()
    two.widget.undo()
    two.place.prompts.click((5, 20, 20))
    two.engine.gate.set()
    two.settle()
    rows = sorted(map(tuple, two.place.prompts.points.data))
    assert rows == [(0, 10, 10), (0, 30, 30), (5, 20, 20)]
    assert set(two.engine.prompts) == {(1, 0), (2, 0), (2, 5)}


def test_an_edit_that_fails_says_why(two):
    two.engine.fail = KeyError("There is no object 7.")
    two.widget.editing.edit("rename", 1, name="x")
    two.settle()
    assert two.status == "There is no object 7."
    assert texts(two, 0)[NAME] == ""
    two.engine.fail = None
