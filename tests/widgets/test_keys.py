"""One table of keys: bound, shown, documented, preferred."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QLineEdit

from napari_sam2.widgets import messages
from napari_sam2.widgets.key_overlay import KeyOverlay
from napari_sam2.widgets.keys import KEYS, MOUSE, Keys, shown, table

CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
NONE = Qt.KeyboardModifier.NoModifier
DOCS = Path(__file__).parents[2] / "docs"


def test_the_documentation_has_this_table():
    text = (DOCS / "panel.md").read_text("utf-8")
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", text, re.MULTILINE)
    start = rows.index(("with", "you say"))
    documented = rows[start + 2 - (rows[start + 1] != ("---", "---")) :]
    assert documented[: len(table({}))] == table({})


def test_every_name_and_key_is_there_once():
    assert len({action.name for action in KEYS}) == len(KEYS)
    assert len({action.key for action in KEYS}) == len(KEYS)
    assert shown("Control-Shift-Z") == "Ctrl + Shift + Z"


@pytest.fixture
def shown_bench(bench, qtbot):
    """The panel in a window that has the keyboard."""
    window = bench.widget.window()
    window.show()
    qtbot.waitExposed(window)
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow, timeout=5000)
    return bench


def press(bench, key, modifier=NONE):
    QTest.keyClick(bench.widget.window(), key, modifier)
    bench.settle()


def test_real_keys_do_what_the_table_says(shown_bench, viewer):
    bench = shown_bench
    bench.click(0, 20, 20)
    press(bench, Qt.Key.Key_G)
    assert bench.labels[11].any()
    viewer.dims.set_point(0, 5)
    press(bench, Qt.Key.Key_D)
    assert not bench.labels[5].any()
    assert "not there</b> in frame 5" in bench.status
    assert bench.widget.panel.console.text().startswith("session.add_mask(1, 5,")
    press(bench, Qt.Key.Key_Z, CONTROL)
    assert bench.labels[5].any()
    press(bench, Qt.Key.Key_Z, CONTROL | SHIFT)
    assert not bench.labels[5].any()
    press(bench, Qt.Key.Key_Z, CONTROL)
    press(bench, Qt.Key.Key_Return)
    assert bench.engine.locked == {(1, 5)}
    assert bench.status == messages.NO_DOUBT
    press(bench, Qt.Key.Key_K)
    assert not bench.engine.locked
    press(bench, Qt.Key.Key_M)
    assert bench.place.object_id == 2


def test_escape_stops(shown_bench, engine, qtbot):
    bench = shown_bench
    window = bench.widget.window()
    engine.seconds = 0.05
    bench.click(0, 20, 20)
    QTest.keyClick(window, Qt.Key.Key_G)
    qtbot.waitUntil(lambda: len(engine.frames_done) >= 2, timeout=5000)
    QTest.keyClick(window, Qt.Key.Key_Escape)
    bench.settle()
    assert len(engine.frames_done) < 12
    assert "Stopped" in bench.status


def test_taking_back_goes_before_naparis_own_on_our_labels(shown_bench, viewer):
    bench = shown_bench
    bench.click(0, 20, 20)
    bench.widget.panel.paint_tool.click()
    layer = bench.place.result.layer
    layer.paint((0, 40, 50), 1)
    bench.settle()
    press(bench, Qt.Key.Key_Z, CONTROL)
    assert bench.place.masks == set()
    assert [what for what, _ in bench.engine.undone] == ["mask"]
    bench.widget.close_down()
    key = next(iter(str(k) for k in layer.keymap), None)
    assert key is None  # napari's own again


def test_the_question_mark_lists_the_keys(shown_bench, qtbot):
    bench = shown_bench
    window = bench.widget.window()
    bench.widget.show_keys()
    (overlay,) = window.findChildren(KeyOverlay)
    text = overlay.text.text()
    assert all(words in text for _, words in table({}))
    assert all(with_ in text for with_, _ in MOUSE)
    QTest.keyClick(overlay, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: not window.findChildren(KeyOverlay), timeout=2000)
    QTest.keyClick(window, Qt.Key.Key_Question)
    qtbot.waitUntil(lambda: len(window.findChildren(KeyOverlay)) == 1, timeout=2000)
    (overlay,) = window.findChildren(KeyOverlay)
    QTest.mouseClick(overlay, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not window.findChildren(KeyOverlay), timeout=2000)
    QTest.mouseClick(bench.widget.panel.help_button, Qt.MouseButton.LeftButton)
    assert len(window.findChildren(KeyOverlay)) == 1


def test_a_question_mark_can_be_typed(shown_bench, qtbot):
    bench = shown_bench
    window = bench.widget.window()
    line = QLineEdit(bench.widget)
    line.show()
    line.setFocus()
    qtbot.waitUntil(lambda: line.hasFocus(), timeout=2000)
    QTest.keyClicks(line, "what?")
    assert line.text() == "what?"
    assert not window.findChildren(KeyOverlay)


def test_other_keys_can_be_preferred(viewer, qtbot, caplog):
    line = QLineEdit()
    qtbot.addWidget(line)
    pressed = []
    actions = {a.name: (lambda name=a.name: pressed.append(name)) for a in KEYS}
    wishes = {"follow": "Shift-F", "lock": "N", "absent": "Nonsense-Q", "help": "!"}
    keys = Keys(viewer, line, actions, wishes)
    assert keys.keys["follow"] == "Shift-F"
    assert keys.keys["lock"] == "K"  # N is taken
    assert keys.keys["absent"] == "D"
    assert keys.keys["help"] == "!"
    bound = {str(key): value for key, value in viewer.keymap.items()}
    bound["Shift+F"](viewer)
    assert pressed == ["follow"]
    assert ("Shift + F", "follow forward; again: stop") in table(keys.keys)
    keys.release()
    assert "Shift+F" not in {str(key) for key in viewer.keymap}


def test_the_labels_of_others_keep_naparis_keys(bench, viewer):
    other = viewer.add_labels(np.zeros((12, 48, 64), int))
    viewer.layers.selection.active = other
    assert not other.keymap
