"""The thread that computes and the window that draws do so one after the other."""

from __future__ import annotations

import itertools
import threading
import time

import pytest
from qtpy.QtCore import QObject

from napari_sam2.widgets import turns
from napari_sam2.widgets.turns import Turn, Turns


class Frames(threading.Thread):
    """Offers a turn after each frame of 10 ms, as the worker does."""

    def __init__(self, turn: Turn, frames: int) -> None:
        super().__init__()
        self.turn, self.frames = turn, frames
        self.computing = False
        self.done = 0

    def run(self) -> None:
        for _ in range(self.frames):
            self.computing = True
            time.sleep(0.01)
            self.done += 1
            self.computing = False
            self.turn.offer()


@pytest.fixture
def parent(qtbot):
    """Whose drawings they are."""
    return QObject()


def test_nothing_is_computed_while_something_is_drawn(parent, qtbot):
    turn = Turn()
    thread = Frames(turn, 60)
    computing: list[bool] = []

    def draw() -> None:
        done = thread.done
        time.sleep(0.015)
        computing.append(thread.computing or thread.done > done)

    drawing = Turns(draw, parent)
    drawing.begin(turn)
    thread.start()
    qtbot.waitUntil(lambda: not thread.is_alive(), timeout=20000)
    drawing.end()
    assert len(computing) >= 2
    assert not any(computing)


def test_slow_drawings_have_their_share_and_no_more(parent, qtbot):
    turn = Turn()
    thread = Frames(turn, 100)
    began: list[float] = []

    def draw() -> None:
        began.append(time.perf_counter())
        time.sleep(0.03)

    drawing = Turns(draw, parent)
    drawing.begin(turn)
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
    drawing = Turns(lambda: None, parent)
    drawing.begin(turn)
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
    drawing = Turns(lambda: drawn.append(time.perf_counter()), parent)
    drawing.begin(turn)
    qtbot.wait(turns.DRAW_MILLISECONDS + 4 * turns.SOON_LOOKS * turns.SOON_MILLISECONDS)
    assert not drawn
    ended = time.perf_counter()
    thread = Frames(turn, 1)
    thread.start()
    qtbot.waitUntil(lambda: bool(drawn), timeout=5000)
    drawing.end()
    thread.join(5)
    assert drawn[0] > ended
