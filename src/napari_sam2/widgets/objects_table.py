"""The list of cells: colour, number, name, prompts, frames, lowest confidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QPoint, QSize, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPainter, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
)

from napari_sam2.widgets.cells import Cells
from napari_sam2.widgets.colours import object_colour

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from napari_sam2.widgets.cells import Cell
    from napari_sam2.widgets.frame_prompts import FramePrompts, PromptKey


COLUMNS = {
    "Cell": "Its number in the labels",
    "Name": "Double-click to give it one",
    "Clicks": "Clicks, drawings and painted masks",
    "Frames": "Frames in which it was followed",
    "Lowest": "How sure its least sure frame is, 0 to 1: press N to go there",
}
NAME = 1
MARGIN = 16  # pixels beside a column's title


class ObjectsTable(QTableWidget):
    """One row a cell; selecting a row makes it the current cell.

    Attributes
    ----------
    chosen : Signal(int)
        The user selected this object.
    renamed : Signal(int, str)
        The user gave it a name.
    menu_wanted : Signal(int, QPoint)
        The user asked what can be done to it, at a place on the screen.
    """

    chosen = Signal(int)
    renamed = Signal(int, str)
    menu_wanted = Signal(int, QPoint)

    def __init__(self) -> None:
        super().__init__(0, len(COLUMNS))
        self._cells = Cells(1)
        self._quiet = False
        self.setHorizontalHeaderLabels(list(COLUMNS))
        if (header := self.horizontalHeader()) is not None:
            # Not as wide as their contents: that would be worked out at each change.
            header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
            header.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Stretch)
            header.setMinimumSectionSize(20)
        for column, (title, tip) in enumerate(COLUMNS.items()):
            width = self.fontMetrics().horizontalAdvance(title) + MARGIN
            self.setColumnWidth(column, width)
            if (item := self.horizontalHeaderItem(column)) is not None:
                item.setToolTip(tip)
        if (numbers := self.verticalHeader()) is not None:
            numbers.hide()
        self.setShowGrid(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(
            QAbstractItemView.EditTrigger.DoubleClicked
            | QAbstractItemView.EditTrigger.EditKeyPressed
        )
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.customContextMenuRequested.connect(self._on_menu)
        self.itemChanged.connect(self._on_edited)
        self.setIconSize(QSize(14, 14))
        self.setFixedHeight(120)
        self.itemSelectionChanged.connect(self._on_selection)

    @property
    def object_ids(self) -> list[int]:
        """The cells, in order."""
        return self._cells.ids

    def show_prompts(
        self,
        prompts: Mapping[PromptKey, FramePrompts],
        masks: Iterable[PromptKey],
        current: int,
    ) -> None:
        """Count prompts; cells that never had one and are not current disappear."""
        counts: dict[int, int] = dict.fromkeys((object_id for object_id, _ in masks), 1)
        for (object_id, _), given in prompts.items():
            counts[object_id] = counts.get(object_id, 0) + given.count
        self._cells.count_prompts(counts, current)
        self.draw(current)

    def use(self, cells: Cells, current: int) -> None:
        """Show another image's cells."""
        self._cells = cells
        cells.have(current)
        self.draw(current)

    def draw(self, current: int) -> None:
        """Bring the table up to date, with the current cell selected."""
        self._quiet = True
        try:
            self.setRowCount(len(self._cells))
            for place, object_id in enumerate(self.object_ids):
                cell = self._cells[object_id]
                known, lowest = np.count_nonzero(cell.known), cell.lowest
                texts = (
                    str(object_id),
                    cell.name,
                    str(cell.prompts or "–"),
                    str(known or "–"),
                    f"{lowest:.2f}" if known else "–",
                )
                for column, text in enumerate(texts):
                    self._write(place, column, text)
                self._show_cell(place, object_id, cell)
                if object_id == current:
                    self.selectRow(place)
        finally:
            self._quiet = False

    def _write(self, place: int, column: int, text: str) -> None:
        item = self.item(place, column)
        if item is None:
            item = QTableWidgetItem()
            item.setTextAlignment(Qt.AlignmentFlag.AlignCenter)
            if column != NAME:
                item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsEditable)
            self.setItem(place, column, item)
        if item.text() != text:
            item.setText(text)

    def _show_cell(self, place: int, object_id: int, cell: Cell) -> None:
        """Show the colour of a cell, whether it is hidden, and what is doubtful."""
        first, last = self.item(place, 0), self.item(place, len(COLUMNS) - 1)
        look = object_id, cell.hidden
        if first is not None and first.data(Qt.ItemDataRole.UserRole) != look:
            first.setData(Qt.ItemDataRole.UserRole, look)
            first.setIcon(_swatch(object_id, hidden=cell.hidden))
        tip = f"{np.count_nonzero(cell.doubtful)} doubtful frames: press N"
        if last is not None and last.toolTip() != tip:
            last.setToolTip(tip)

    def _on_edited(self, item: QTableWidgetItem) -> None:
        if not self._quiet and item.column() == NAME:
            self.renamed.emit(self.object_ids[item.row()], item.text())

    def _on_menu(self, where: QPoint) -> None:
        row, port = self.rowAt(where.y()), self.viewport()
        if row >= 0 and port is not None:
            self.menu_wanted.emit(self.object_ids[row], port.mapToGlobal(where))

    def _on_selection(self) -> None:
        rows = sorted({item.row() for item in self.selectedItems()})
        if not self._quiet and rows:
            self.chosen.emit(self.object_ids[rows[0]])


def _swatch(object_id: int, *, hidden: bool) -> QIcon:
    colour = QColor.fromRgbF(*(float(v) for v in object_colour(object_id)))
    pixmap = QPixmap(14, 14)
    pixmap.fill(colour)
    if hidden:
        painter = QPainter(pixmap)
        painter.fillRect(2, 2, 10, 10, QColor(30, 32, 38))
        painter.end()
    return QIcon(pixmap)
