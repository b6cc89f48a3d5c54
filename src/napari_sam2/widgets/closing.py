"""Asks about unsaved work before the window or the panel is closed.

napari has no way for a plugin to keep its window open, so this looks at the window's
close event before the window does; and at the close button of the panel's dock.
`viewer.close()` in a script takes all layers away first, and is never asked about.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QEventLoop, QObject, Qt, QTimer
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QDockWidget, QMainWindow, QProgressDialog, QPushButton

from napari_sam2.widgets import messages, session_dialogs

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QWidget

    from napari_sam2.widgets.following import Following
    from napari_sam2.widgets.sessions import Sessions

CLOSE_BUTTON = "QTitleBarCloseButton"  # what napari calls it in its docks


class CloseGuard(QObject):
    """Looks at close events of the window and of the dock.

    Parameters
    ----------
    widget : QWidget
        The panel.
    sessions : Sessions
        Know whether anything is unsaved.
    following : Following
        Is stopped before the work is saved.
    """

    def __init__(
        self, widget: QWidget, sessions: Sessions, following: Following
    ) -> None:
        super().__init__(widget)
        self._widget, self._sessions = widget, sessions
        self._following = following
        # Weak: the window must not live as long as the panel.
        self._window: Callable[[], QMainWindow | None] = _none
        self._dock: Callable[[], QDockWidget | None] = _none
        self._asking = self._settled = self._ended = False
        self._waiting: QEventLoop | None = None

    def watch(self) -> None:
        """Look at the window and the dock in which the panel is now."""
        window, dock = self._widget.window(), self._widget.parent()
        if isinstance(window, QMainWindow) and window is not self._window():
            window.installEventFilter(self)
            self._window = weakref.ref(window)
        if isinstance(dock, QDockWidget) and dock is not self._dock():
            # napari makes the title bar anew when the dock floats.
            dock.topLevelChanged.connect(self._watch_button_soon)
            dock.dockLocationChanged.connect(self._watch_button_soon)
            self._dock = weakref.ref(dock)
        self._watch_button()

    def end(self) -> None:
        """Ask nothing any more; a question that waits for an answer gets none."""
        self._ended = True
        if self._waiting is not None:
            self._waiting.quit()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Keep the window or the dock open if the user says so."""
        if event is None or self._ended or self._settled:
            return False
        if watched is self._window() and event.type() == QEvent.Type.Close:
            if self.may_close():
                return False
            event.ignore()
            return True
        if isinstance(watched, QPushButton) and _pressed(watched, event):
            if not self._sessions.unsaved:
                return False
            watched.setDown(False)
            QTimer.singleShot(0, lambda: self._close_dock(watched))
            return True
        return False

    def may_close(self) -> bool:
        """Ask what becomes of unsaved work, and do it; return whether to close."""
        if not self._sessions.unsaved:
            return True
        if self._asking:
            return False
        self._asking = True
        try:
            text = messages.unsaved(self._sessions.home)
            parent = self._window() or self._widget
            fate = session_dialogs.ask_about_unsaved(parent, text)
            if fate in ("keep", "cancel"):
                return fate == "keep"
            self._following.stop_quietly()
            todo = self._sessions.save if fate == "save" else self._sessions.discard
            return self._done(todo)
        finally:
            self._asking = False

    def _done(self, todo: Callable[[Callable[[bool], None]], None]) -> bool:
        """Wait for something that is done in a thread; return whether it went well."""
        answers: list[bool] = []
        loop = QEventLoop()

        def answered(well: bool) -> None:
            answers.append(well)
            loop.quit()

        todo(answered)
        if not answers and not self._ended:
            dialog = QProgressDialog(messages.SAVING, "Cancel", 0, 0, self._window())
            dialog.setWindowModality(Qt.WindowModality.WindowModal)
            dialog.canceled.connect(loop.quit)
            dialog.show()
            self._waiting = loop
            loop.exec()
            self._waiting = None
            dialog.canceled.disconnect(loop.quit)
            dialog.close()
            dialog.deleteLater()
        return bool(answers and answers[0])

    def _close_dock(self, button: QPushButton) -> None:
        if self.may_close():
            self._settled = True
            try:
                button.click()
            finally:
                self._settled = False

    def _watch_button_soon(self, _event: object = None) -> None:
        QTimer.singleShot(0, self._watch_button)

    def _watch_button(self) -> None:
        dock = self._dock()
        if dock is not None and not self._ended:
            for button in dock.findChildren(QPushButton, CLOSE_BUTTON):
                button.removeEventFilter(self)
                button.installEventFilter(self)


def _none() -> None:
    """Stand for a window that has not been seen yet."""


def _pressed(button: QPushButton, event: QEvent) -> bool:
    """Whether an event is what presses a button: the mouse let go of above it."""
    return (
        isinstance(event, QMouseEvent)
        and event.type() == QEvent.Type.MouseButtonRelease
        and event.button() == Qt.MouseButton.LeftButton
        and button.rect().contains(event.position().toPoint())
    )
