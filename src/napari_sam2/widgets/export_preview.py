"""A look at what was written: the first rows of a table, or a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import (
    QLabel,
    QSizePolicy,
    QStackedWidget,
    QTableWidget,
    QTableWidgetItem,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from qtpy.QtGui import QResizeEvent


class ExportPreview(QStackedWidget):
    """Nothing, a table or a picture."""

    def __init__(self) -> None:
        super().__init__()
        self.nothing = QLabel()
        self.table = QTableWidget()
        self.table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.picture = _Picture()
        for part in (self.nothing, self.table, self.picture):
            self.addWidget(part)

    def clear(self) -> None:
        """Show nothing."""
        self.setCurrentWidget(self.nothing)

    def show_rows(self, rows: list[list[str]]) -> None:
        """Show a table, its names first."""
        names, *values = rows
        self.table.clear()
        self.table.setColumnCount(len(names))
        self.table.setRowCount(len(values))
        self.table.setHorizontalHeaderLabels(names)
        for y, row in enumerate(values):
            for x, text in enumerate(row):
                item = QTableWidgetItem(text)
                item.setTextAlignment(
                    Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                )
                self.table.setItem(y, x, item)
        self.table.resizeColumnsToContents()
        if (numbers := self.table.verticalHeader()) is not None:
            numbers.hide()
        self.setCurrentWidget(self.table)

    def show_picture(self, pixels: NDArray[np.uint8]) -> None:
        """Show a picture, (Y, X, 3)."""
        height, width, _ = pixels.shape
        data = pixels.tobytes()
        image = QImage(data, width, height, 3 * width, QImage.Format.Format_RGB888)
        self.picture.show_pixmap(QPixmap.fromImage(image.copy()))
        self.setCurrentWidget(self.picture)


class _Picture(QLabel):
    """A picture as large as there is room."""

    def __init__(self) -> None:
        super().__init__()
        self._whole = QPixmap()
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setMinimumSize(QSize(120, 90))
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Ignored)

    def show_pixmap(self, pixmap: QPixmap) -> None:
        self._whole = pixmap
        self._fit()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        if not self._whole.isNull():
            self.setPixmap(
                self._whole.scaled(
                    self.size(),
                    Qt.AspectRatioMode.KeepAspectRatio,
                    Qt.TransformationMode.SmoothTransformation,
                )
            )
