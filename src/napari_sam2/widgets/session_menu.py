"""The Session button of the panel, with its menu, and how the work is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtGui import QAction
from qtpy.QtWidgets import QHBoxLayout, QLabel, QMenu, QPushButton, QWidget

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class SessionMenu(QWidget):
    """A button with a menu, and a few words beside it.

    Attributes
    ----------
    button : QPushButton
        Opens the menu.
    save, save_as, open : QAction
        What is in the menu.
    recent : QMenu
        The list of recent sessions; filled when it is shown.
    """

    def __init__(self) -> None:
        super().__init__()
        self.button = QPushButton("Session")
        self.button.setToolTip("Save the work under a name, and open it again")
        menu = QMenu(self.button)
        menu.setToolTipsVisible(True)
        self.save = QAction("Save", menu)
        self.save_as = QAction("Save as…", menu)
        self.open = QAction("Open…", menu)
        self.recent = QMenu("Recent", menu)
        menu.addActions([self.save, self.save_as])
        menu.addSeparator()
        menu.addAction(self.open)
        menu.addMenu(self.recent)
        self.button.setMenu(menu)
        self.state = QLabel()
        self.state.setStyleSheet("color: #8a909c;")
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.addWidget(self.button)
        line.addWidget(self.state, 1)

    def say(self, text: str) -> None:
        """Show how the work is kept."""
        self.state.setText(text)

    def show_recent(
        self, entries: Sequence[tuple[str, Callable[[], None] | None]]
    ) -> None:
        """Show the recent sessions: what they are, and what opens them."""
        self.recent.clear()
        for text, opens in entries:
            action = QAction(text.replace("&", "&&"), self.recent)
            self.recent.addAction(action)
            if opens is None:
                action.setEnabled(False)
            else:
                action.triggered.connect(lambda _=False, go=opens: go())
        if self.recent.isVisible():  # it has grown: back onto the screen
            self.recent.resize(self.recent.sizeHint())
            screen = self.recent.screen()
            place = self.recent.geometry()
            if screen is not None:
                room = screen.availableGeometry()
                left = min(place.left(), room.right() - place.width())
                top = min(place.top(), room.bottom() - place.height())
                self.recent.move(max(left, room.left()), max(top, room.top()))
