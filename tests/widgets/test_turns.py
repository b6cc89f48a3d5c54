"""The thread that computes and the window that draws do so one after the other."""

from __future__ import annotations

import itertools
import threading
import time

import pytest
from qtpy.compat import isalive
from qtpy.QtCore import QEvent, QObject, QTimer
from qtpy.QtOpenGLWidgets import QOpenGLWidget
from qtpy.QtWidgets import QApplication, QWidget

from napari_sam2.widgets import turns
from napari_sam2.widgets.turns import Turn, Turns


class Frames(threading.Thread):
    """Offers a turn after each frame of 10 ms, as the worker does."""

    def __init__(self, turn: Turn, frames: int) -> None:
        super().__init__()
        self.turn, self.frames = turn, frames
        self.computing = False
        self.done = self.finished = 0

    def finish_ahead(self) -> None:
        self.finished += 1

    def run(self) -> None:
        for _ in range(self.frames):
            self.computing = True
            time.sleep(0.01)
            self.done += 1
            self.computing = False
            self.turn.offer(self.finish_ahead)


def always() -> bool:
    """Every drawing shows a new frame."""
    return True


@pytest.fixture
def parent(qtbot):
    """Whose drawings they are."""
    widget = QWidget()
    qtbot.addWidget(widget)
    return widget


def test_nothing_is_computed_while_something_is_drawn(parent, qtbot):
    turn = Turn()
    thread = Frames(turn, 60)
    computing: list[bool] = []

    def draw() -> None:
        done = thread.done
        time.sleep(0.015)
        computing.append(thread.computing or thread.done > done)

    drawing = Turns(draw, always, parent)
    drawing.begin(turn, parent)
    thread.start()
    qtbot.waitUntil(lambda: not thread.is_alive(), timeout=20000)
    drawing.end()
    assert len(computing) >= 2
    assert not any(computing)
    assert thread.finished >= len(computing)


def test_what_is_quickly_drawn_lets_the_thread_go_on(parent, qtbot):
    turn = Turn()
    thread = Frames(turn, 60)
    drawn: list[int] = []
    drawing = Turns(lambda: drawn.append(1), lambda: False, parent)
    drawing.begin(turn, parent)
    thread.start()
    qtbot.waitUntil(lambda: not thread.is_alive(), timeout=20000)
    drawing.end()
    assert drawn
    assert not thread.finished


def test_slow_drawings_have_their_share_and_no_more(parent, qtbot):
    turn = Turn()
    thread = Frames(turn, 100)
    began: list[float] = []

    def draw() -> None:
        began.append(time.perf_counter())
        time.sleep(0.03)

    drawing = Turns(draw, always, parent)
    drawing.begin(turn, parent)
    thread.start()
    qtbot.waitUntil(lambda: not thread.is_alive(), timeout=20000)
    drawing.end()
    pauses = [b - a for a, b in itertools.pairwise(began)]
    assert pauses
    assert min(pauses) >= turns.DRAWING_SHARE * 0.03


def test_the_thread_goes_on_where_the_window_does_not_come():
    turn = Turn()
    turn.want()
    thread = Frames(turn, 2)
    thread.start()
    thread.join(5)
    assert not thread.is_alive()
    assert thread.done == 2


def test_a_thread_that_rests_goes_on_at_once_at_the_end(parent, qtbot, monkeypatch):
    monkeypatch.setattr(turns, "MOST_REST_SECONDS", 60.0)
    turn = Turn()
    drawing = Turns(lambda: None, always, parent)
    drawing.begin(turn, parent)
    turn.want()
    thread = Frames(turn, 1)
    thread.start()
    deadline = time.monotonic() + 5
    while not turn.resting and time.monotonic() < deadline:  # no event loop runs
        time.sleep(0.001)
    assert turn.resting
    drawing.end()
    thread.join(5)
    assert not thread.is_alive()


def test_frames_that_take_long_are_drawn_when_they_end(parent, qtbot):
    turn = Turn()
    drawn: list[float] = []
    drawing = Turns(lambda: drawn.append(time.perf_counter()), always, parent)
    drawing.begin(turn, parent)
    qtbot.wait(turns.DRAW_MILLISECONDS + 4 * turns.SOON_LOOKS * turns.SOON_MILLISECONDS)
    assert not drawn
    ended = time.perf_counter()
    thread = Frames(turn, 1)
    thread.start()
    qtbot.waitUntil(lambda: bool(drawn), timeout=5000)
    drawing.end()
    thread.join(5)
    assert drawn[0] > ended


def test_keys_are_heard_between_slicing_and_painting(parent, qtbot):
    """The canvas is let to paint only after the event loop came round."""
    canvas = QOpenGLWidget(parent)
    parent.show()
    turn = Turn()
    thread = Frames(turn, 60)
    slept: list[bool] = []
    heard: list[bool] = []

    def draw() -> None:
        drawing.hold()
        slept.append(canvas.updatesEnabled())
        QTimer.singleShot(0, lambda: heard.append(canvas.updatesEnabled()))

    drawing = Turns(draw, always, parent)
    drawing.begin(turn, parent)
    thread.start()
    qtbot.waitUntil(lambda: not thread.is_alive(), timeout=20000)
    drawing.end()
    assert slept
    assert not any(slept)
    assert not any(heard[: len(slept) - 1])
    assert canvas.updatesEnabled()


def test_a_canvas_that_does_not_change_is_not_painted(parent, qtbot):
    class Canvas(QOpenGLWidget):
        painted = 0

        def paintEvent(self, event):
            Canvas.painted += 1

    canvas = Canvas(parent)
    parent.show()
    qtbot.wait(50)
    before = Canvas.painted
    turn = Turn()
    thread = Frames(turn, 40)
    drawn: list[int] = []
    drawing = Turns(lambda: drawn.append(1), always, parent)
    drawing.begin(turn, parent)
    thread.start()
    qtbot.waitUntil(lambda: not thread.is_alive(), timeout=20000)
    drawing.hold()  # nobody's turn: as ever
    assert canvas.updatesEnabled()
    drawing.end()
    assert drawn
    assert Canvas.painted == before


def test_a_window_that_is_gone_is_not_painted(qtbot):
    window = QWidget()
    canvas = QOpenGLWidget(window)
    owner = QObject()
    drawing = Turns(lambda: None, always, owner)
    drawing.begin(Turn(), window)
    canvas.deleteLater()
    window.deleteLater()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    drawing.end()
    assert not isalive(canvas)
