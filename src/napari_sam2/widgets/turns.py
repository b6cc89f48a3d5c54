"""Taking turns: while napari draws a frame of a run, the thread that computes rests.

With both at work on few cores, a redraw of 30 ms takes 90 by the clock, and so long the
window is deaf. So a drawing that is due waits for the end of a frame, the thread then
waits for the drawing. Drawings are due at most eight times a second, less often where
they are slow (docs/performance.md has what they cost).
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer

if TYPE_CHECKING:
    from collections.abc import Callable

DRAW_MILLISECONDS, SLOWEST_DRAW_MILLISECONDS = 125, 1000
DRAWING_SHARE = 16  # one part drawing, so many parts of everything else
SOON_MILLISECONDS, LATER_MILLISECONDS = 2, 20
SOON_LOOKS = 50  # then the frame is a long one
MOST_REST_SECONDS = 0.25  # should the window not come to draw


class Turn:
    """What the thread that computes and the window tell each other."""

    def __init__(self) -> None:
        self._wanted = threading.Event()
        self._resting = threading.Event()
        self._over = threading.Event()

    @property
    def resting(self) -> bool:
        """Whether the thread rests."""
        return self._resting.is_set()

    def want(self) -> None:
        """Ask the thread to rest at the end of its frame. For the window."""
        self._over.clear()
        self._wanted.set()

    def end(self) -> None:
        """Let the thread go on, or not even stop. For the window."""
        self._wanted.clear()
        self._over.set()

    def offer(self) -> None:
        """Rest if the window wants to draw, until it has. For the thread."""
        if self._wanted.is_set():
            self._resting.set()
            self._over.wait(MOST_REST_SECONDS)
            self._resting.clear()


class Turns(QObject):
    """When a run is drawn.

    Parameters
    ----------
    draw : callable
        Draws what is new.
    parent : QObject
        Whose drawings they are.
    """

    def __init__(self, draw: Callable[[], None], parent: QObject) -> None:
        super().__init__(parent)
        self._draw = draw
        self._turn: Turn | None = None
        self._looks = 0
        self._pause = self._timer(self._want)
        self._pause.setSingleShot(True)
        self._look = self._timer(self._look_for_rest)

    def begin(self, turn: Turn) -> None:
        """Draw from now on, with a thread that offers this turn."""
        self._turn = turn
        self._pause.start(DRAW_MILLISECONDS)

    def end(self) -> None:
        """Draw no more."""
        self._pause.stop()
        self._look.stop()
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.end()

    def _timer(self, what: Callable[[], None]) -> QTimer:
        timer = QTimer(self)
        timer.timeout.connect(what)
        return timer

    def _want(self) -> None:
        if self._turn is not None:
            self._turn.want()
            self._looks = 0
            self._look.start(SOON_MILLISECONDS)

    def _look_for_rest(self) -> None:
        turn = self._turn
        if turn is None:
            return
        self._looks += 1
        if self._looks == SOON_LOOKS:
            self._look.setInterval(LATER_MILLISECONDS)
        if not turn.resting:
            return
        self._look.stop()
        began = time.perf_counter()
        self._draw()

        def painted() -> None:
            turn.end()
            took = 1000 * (time.perf_counter() - began)
            wish = max(DRAW_MILLISECONDS, DRAWING_SHARE * took)
            if turn is self._turn:
                self._pause.start(int(min(wish, SLOWEST_DRAW_MILLISECONDS)))

        # Paint events come before a timer of no time, what they in turn ask for
        # before the second one.
        QTimer.singleShot(0, lambda: QTimer.singleShot(0, painted))
