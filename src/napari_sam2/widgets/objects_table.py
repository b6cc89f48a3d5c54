"""The list of cells: colour, number, prompts, frames done, lowest confidence."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
)

from napari_sam2.widgets.colours import object_colour

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from napari_sam2.widgets.engine import (
        FramePrompts,
        ObjectNews,
        PromptKey,
    )


@dataclass(kw_only=True)
class ObjectRow:
    """What the table says about one cell.

    Attributes
    ----------
    prompts : int
        Clicks, boxes and painted masks.
    found : dict of int to ObjectNews
        By frame, what was found there.
    """

    prompts: int = 0
    found: dict[int, ObjectNews] = field(default_factory=dict)

    @property
    def doubtful(self) -> int:
        """Number of frames that a person should look at."""
        return sum(news.doubtful for news in self.found.values())


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
        self._rows: dict[int, ObjectRow] = {}
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
        return sorted(self._rows)

    def next_free(self) -> int:
        """Return the number for a new cell."""
        return max(self._rows, default=0) + 1

    def row_of(self, object_id: int) -> ObjectRow:
        """Return what is known of a cell, as a new row if it is new."""
        return self._rows.setdefault(object_id, ObjectRow())

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
            self.row_of(object_id)
        for object_id, row in list(self._rows.items()):
            row.prompts = counts.get(object_id, 0)
            if not row.prompts and not row.found and object_id != current:
                del self._rows[object_id]
        self.draw(current)

    def use(self, rows: dict[int, ObjectRow], current: int) -> None:
        """Show another image's cells."""
        self._rows = rows
        self.row_of(current)
        self.draw(current)

    def draw(self, current: int) -> None:
        """Bring the table up to date, with the current cell selected."""
        self._quiet = True
        try:
            self.setRowCount(len(self._rows))
            for place, object_id in enumerate(self.object_ids):
                row = self._rows[object_id]
                texts = (
                    str(object_id),
                    str(row.prompts or "–"),
                    str(len(row.found) or "–"),
                    str(row.doubtful) if row.found else "–",
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
