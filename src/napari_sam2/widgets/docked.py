"""Widgets in napari's docks that know when they are closed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QWidget

if TYPE_CHECKING:
    from qtpy.QtGui import QCloseEvent


class DockedWidget(QWidget):
    """A dock widget that ends with its window or with its dock, whichever is first."""

    _docked = False

    def close_down(self) -> None:
        """End threads, listen to nothing. Called at least once, perhaps again."""
        raise NotImplementedError

    def settled(self) -> None:
        """Look at the window and the dock it is in now; may be called again."""

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """End with the window."""
        self.close_down()
        super().closeEvent(event)

    def event(self, event: QEvent | None) -> bool:
        """Notice when napari takes this widget out of its dock, which closes it."""
        if event is not None and event.type() == QEvent.Type.ParentChange:
            if self.parent() is not None:
                self._docked = True
                self.settled()
            elif self._docked:
                self.close_down()
                self.deleteLater()  # nobody can dock it again: its thread has ended
        if event is not None and event.type() == QEvent.Type.Show:
            self.settled()
        return super().event(event)
