"""The list of cells: colour, number, prompts, frames done, lowest confidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
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

    from napari_sam2.widgets.engine import (
        FramePrompts,
        PromptKey,
    )


class ObjectsTable(QTableWidget):
    """One row a cell; selecting a row makes it the current cell.

    Attributes
    ----------
    chosen : Signal(int)
        The user selected this object.
    """

    chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__(0, 4)
        self._cells = Cells(1)
        self._quiet = False
        self.setHorizontalHeaderLabels(["Cell", "Clicks", "Frames", "Doubt"])
        if (header := self.horizontalHeader()) is not None:
            header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        if (doubt := self.horizontalHeaderItem(3)) is not None:
            doubt.setToolTip(
                "Frames that are less than half sure, or where the cell jumps, swells, "
                "shrinks or vanishes: press N to go from one to the next"
            )
        if (numbers := self.verticalHeader()) is not None:
            numbers.hide()
        self.setShowGrid(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
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
            count = len(given.points) + (given.box is not None)
            counts[object_id] = counts.get(object_id, 0) + count
        for object_id in {*counts, current}:
            self._cells[object_id].prompts = 0
        for object_id, cell in list(self._cells.items()):
            cell.prompts = counts.get(object_id, 0)
            if not (cell.prompts or cell.known.any() or object_id == current):
                del self._cells[object_id]
        self.draw(current)

    def use(self, cells: Cells, current: int) -> None:
        """Show another image's cells."""
        self._cells = cells
        cells[current].prompts = cells[current].prompts
        self.draw(current)

    def draw(self, current: int) -> None:
        """Bring the table up to date, with the current cell selected."""
        self._quiet = True
        try:
            self.setRowCount(len(self._cells))
            for place, object_id in enumerate(self.object_ids):
                cell = self._cells[object_id]
                known = int(cell.known.sum())
                texts = (
                    str(object_id),
                    str(cell.prompts or "–"),
                    str(known or "–"),
                    str(cell.doubtful.sum()) if known else "–",
                )
                for column, text in enumerate(texts):
                    self._write(place, column, text, object_id)
                if object_id == current:
                    self.selectRow(place)
        finally:
            self._quiet = False

    def _write(self, place: int, column: int, text: str, object_id: int) -> None:
        item = self.item(place, column)
        if item is None:
            item = QTableWidgetItem()
            item.setTextAlignment(Qt.AlignmentFlag.AlignCenter)
            self.setItem(place, column, item)
        if item.text() != text:
            item.setText(text)
            if column == 0:
                item.setIcon(_swatch(object_id))

    def _on_selection(self) -> None:
        rows = sorted({item.row() for item in self.selectedItems()})
        if not self._quiet and rows:
            self.chosen.emit(self.object_ids[rows[0]])


def _swatch(object_id: int) -> QIcon:
    pixmap = QPixmap(14, 14)
    pixmap.fill(QColor.fromRgbF(*(float(v) for v in object_colour(object_id))))
    return QIcon(pixmap)
