"""Taking turns: the thread that computes rests while napari shows a new frame.

With both at work on few cores, 30 ms of work take 90 by the clock, and so long the
window is deaf. So a new frame is shown when the next one is done, and the thread then
waits until it is painted. Layers are sliced and painted in two goes, so that a key or
the mouse is heard in between. Drawings are due at most eight times a second, less often
where they are slow (docs/performance.md has what they cost).
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from qtpy.compat import isalive
from qtpy.QtCore import QObject, QTimer
from qtpy.QtOpenGLWidgets import QOpenGLWidget
from qtpy.QtWidgets import QMainWindow

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QWidget

DRAW_MILLISECONDS, SLOWEST_DRAW_MILLISECONDS = 125, 1000
DRAWING_SHARE = 16  # one part drawing, so many parts of everything else
SOON_MILLISECONDS, LATER_MILLISECONDS = 2, 20
SOON_LOOKS = 50  # then the frame is a long one
MOST_REST_SECONDS = 0.25  # should the window not come to draw
BREATH_MILLISECONDS = 5  # between slicing and painting


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

    def offer(self, finish_ahead: Callable[[], None]) -> None:
        """Rest if the window wants to draw, until it has. For the thread.

        Parameters
        ----------
        finish_ahead : callable
            Called before: waits for what other threads compute.
        """
        if self._wanted.is_set():
            finish_ahead()
            self._resting.set()
            self._over.wait(MOST_REST_SECONDS)
            self._resting.clear()


class Turns(QObject):
    """When a run is drawn.

    Parameters
    ----------
    draw : callable
        Draws what is new.
    dear : callable
        Says whether that will take long: the picture changes. Otherwise it is done
        beside the computing, which would lose more by resting.
    parent : QObject
        Whose drawings they are.
    """

    def __init__(
        self, draw: Callable[[], None], dear: Callable[[], bool], parent: QObject
    ) -> None:
        super().__init__(parent)
        self._draw, self._dear = draw, dear
        self._turn: Turn | None = None
        self._canvases: list[QOpenGLWidget] = []
        self._looks = 0
        self._began = 0.0
        self._look = self._timer(self._look_for_rest)
        self._pause = self._once(self._want)
        self._breath = self._once(self._paint)

    def begin(self, turn: Turn, window: QWidget) -> None:
        """Draw from now on.

        Parameters
        ----------
        turn : Turn
            What the thread offers.
        window : QWidget
            Whose canvases are painted.
        """
        self._turn = turn
        # All of napari's window would be hundreds of widgets to look through.
        middle = window.centralWidget() if isinstance(window, QMainWindow) else window
        self._canvases = [] if middle is None else middle.findChildren(QOpenGLWidget)
        self._pause.start(DRAW_MILLISECONDS)

    def hold(self) -> None:
        """Have the canvases painted later: what they show is about to change.

        For `draw`, in its turn; otherwise they are painted as ever.
        """
        if self._breath.isActive():
            self._let_paint(allowed=False)

    def end(self) -> None:
        """Draw no more."""
        for timer in (self._pause, self._look, self._breath):
            timer.stop()
        self._let_paint(allowed=True)
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.end()

    def _timer(self, what: Callable[[], None]) -> QTimer:
        timer = QTimer(self)
        timer.timeout.connect(what)
        return timer

    def _once(self, what: Callable[[], None]) -> QTimer:
        timer = self._timer(what)
        timer.setSingleShot(True)
        return timer

    def _want(self) -> None:
        if self._turn is None:
            return
        if not self._dear():
            self._draw_now()
            return
        self._turn.want()
        self._looks = 0
        self._look.start(SOON_MILLISECONDS)

    def _look_for_rest(self) -> None:
        self._looks += 1
        if self._looks == SOON_LOOKS:
            self._look.setInterval(LATER_MILLISECONDS)
        if self._turn is None or not self._turn.resting:
            return
        self._look.stop()
        self._draw_now()

    def _draw_now(self) -> None:
        self._began = time.perf_counter()
        self._breath.start(BREATH_MILLISECONDS)  # also if drawing fails
        self._draw()
        self._breath.start(BREATH_MILLISECONDS)

    def _paint(self) -> None:
        self._let_paint(allowed=True)
        # Paint events come before a timer of no time, what they in turn ask for
        # before the second one.
        turn = self._turn
        QTimer.singleShot(0, lambda: QTimer.singleShot(0, lambda: self._painted(turn)))

    def _painted(self, turn: Turn | None) -> None:
        """Let the thread go on; draw less often where the machine is slow at it."""
        if turn is None or turn is not self._turn:
            return
        turn.end()
        took = 1000 * (time.perf_counter() - self._began) - BREATH_MILLISECONDS
        wish = max(DRAW_MILLISECONDS, DRAWING_SHARE * took)
        self._pause.start(int(min(wish, SLOWEST_DRAW_MILLISECONDS)))

    def _let_paint(self, *, allowed: bool) -> None:
        for canvas in self._canvases:
            here = isalive(canvas)  # type: ignore[no-untyped-call]
            if here and canvas.updatesEnabled() != allowed:
                canvas.setUpdatesEnabled(allowed)
