"""A download that the user waits for, under a small window with a bar."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Generic, TypeVar

from qtpy.QtCore import QEventLoop, Qt, QTimer
from qtpy.QtWidgets import QApplication, QProgressDialog

from napari_sam2.downloading import DownloadError

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sam2.downloading import Progress

Result = TypeVar("Result")

SHOWN_AFTER_MILLISECONDS, LOOK_MILLISECONDS = 300, 50
PARTS = 1000  # of the bar
CANCELLING = "Cancelling …"


class _CancelledError(Exception):
    """The user does not want to wait."""


def fetch_in_sight(fetch: Callable[[Progress], Result], name: str) -> Result:
    """Fetch something in a thread, under a window with a bar and a Cancel button.

    The event loop runs on meanwhile. Where nobody looks, in another thread than Qt's or
    without Qt, it is just fetched.

    Parameters
    ----------
    fetch : callable
        Does it, and tells its argument how far it is; see `fetch_file`.
    name : str
        What it is, for people.

    Raises
    ------
    DownloadError
        If it was cancelled, or as `fetch` raises it.
    """
    looking = threading.current_thread() is threading.main_thread()
    if not looking or QApplication.instance() is None:
        return fetch(lambda done, total: None)
    return _Waiting(fetch, name).wait()


class _Waiting(Generic[Result]):
    """One download, and the window over it; see `fetch_in_sight`."""

    def __init__(self, fetch: Callable[[Progress], Result], name: str) -> None:
        self._name = name
        self._arrived: tuple[int, int | None] = 0, None
        self._unwanted = threading.Event()
        self._answer: Future[Result] = Future()

        def work() -> None:
            try:
                self._answer.set_result(fetch(self._note))
            except BaseException as error:  # noqa: BLE001  the waiting thread raises it
                self._answer.set_exception(error)

        self._thread = threading.Thread(target=work, name="napari-sam2 fetching")
        self._window = QProgressDialog(f"Fetching {name} …", "Cancel", 0, 0)
        self._window.setWindowTitle("napari-sam2")
        self._window.setWindowModality(Qt.WindowModality.ApplicationModal)
        self._window.setMinimumDuration(SHOWN_AFTER_MILLISECONDS)
        self._window.setAutoClose(False)
        self._window.setAutoReset(False)
        self._window.canceled.connect(self._unwanted.set)

    def wait(self) -> Result:
        """Let the event loop run until it is here; return it."""
        loop, timer = QEventLoop(), QTimer()
        timer.timeout.connect(lambda: self._look(loop))
        self._thread.start()
        timer.start(LOOK_MILLISECONDS)
        loop.exec()
        timer.stop()
        self._unwanted.set()  # the program may be ending
        self._window.close()
        self._window.deleteLater()
        try:
            return self._answer.result()
        except _CancelledError:
            raise DownloadError(
                f"Fetching {self._name} was cancelled; what has arrived is kept, and "
                "opening it again goes on from there."
            ) from None

    def _note(self, done: int, total: int | None) -> None:
        """Take note in the other thread; end it if nobody waits any more."""
        if self._unwanted.is_set():
            raise _CancelledError
        self._arrived = done, total

    def _look(self, loop: QEventLoop) -> None:
        """Show how far it is."""
        window = self._window
        if self._answer.done():
            loop.quit()
        elif self._unwanted.is_set():
            window.setLabelText(CANCELLING)
            window.show()
        else:
            done, total = self._arrived
            whole = f" of {total / 1e6:.1f}" if total else ""
            window.setLabelText(f"Fetching {self._name}: {done / 1e6:.1f}{whole} MB")
            window.setMaximum(PARTS if total else 0)
            window.setValue(PARTS * done // total if total else 0)
