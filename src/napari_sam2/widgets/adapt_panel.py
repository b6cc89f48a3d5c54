"""What the panel that adapts models looks like: plain Qt widgets, no behaviour.

Every part is an attribute that `AdaptWidget` and its parts connect to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import (
    QFormLayout,
    QFrame,
    QGridLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSpinBox,
    QTableWidget,
    QTableWidgetItem,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_sam2.widgets.adapt_messages import SMALL, TIME_UNKNOWN, WAYS, task
from napari_sam2.widgets.loss_plot import LINE, LossPlot
from napari_sam2.widgets.panel_parts import (
    PRIMARY,
    combo_box,
    console_row,
    heading,
    row,
    status_line,
)

if TYPE_CHECKING:
    from napari_sam2.widgets.adapting import Result

USUAL_WAY, USUAL_STEPS, MOST_STEPS = "lora", 300, 20_000
COLUMNS = ("before", "after", "objects")


class AdaptPanel(QScrollArea):
    """The parts of the dock widget, from the labels to the console line."""

    def __init__(self) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(8, 6, 8, 6)
        column.setSpacing(4)
        self.status = status_line()
        column.addWidget(self.status)
        for title, build in (
            ("1   What you corrected", self._data_part),
            ("2   How to learn", self._way_part),
            ("3   Learn", self._learn_part),
            ("4   What it brought", self._result_part),
            ("Console", self._console_part),
        ):
            column.addWidget(heading(title))
            column.addLayout(build())
        column.addStretch(1)
        self.setWidget(inside)
        self.setMinimumWidth(inside.minimumSizeHint().width() + 12)

    def sizeHint(self) -> QSize:
        """Ask for the room that shows everything without scrolling."""
        return QSize(340, 830)

    def lock_settings(self, *, locked: bool) -> None:
        """Let settings be changed, or not while a model learns from them."""
        for widget in (
            self.image,
            self.labels,
            self.recount,
            self.model,
            self.model_file,
            self.device,
            self.way,
            self.steps,
        ):
            widget.setEnabled(not locked)
        self.axis.setEnabled(not locked and self.axis.count() > 1)

    def show_result(self, result: Result | None) -> None:
        """Fill the table, or empty it."""
        self.table.setRowCount(0)
        for at, found in enumerate(result.tasks if result is not None else ()):
            self.table.insertRow(at)
            texts = (f"{found.before:.2f}", f"{found.after:.2f}", str(found.objects))
            head = QTableWidgetItem(task(found.task))
            self.table.setVerticalHeaderItem(at, head)
            for column, text in enumerate(texts):
                cell = QTableWidgetItem(text)
                cell.setTextAlignment(Qt.AlignmentFlag.AlignCenter)
                self.table.setItem(at, column, cell)
            if found.after >= found.before + SMALL:
                changed = self.table.item(at, COLUMNS.index("after"))
                assert changed is not None
                changed.setForeground(LINE)
        self.table.setVisible(result is not None)
        self.no_result.setVisible(result is None)

    def _data_part(self) -> QVBoxLayout:
        self.image = combo_box("The Image layer")
        self.axis = combo_box("Frames are counted along this axis; others stay")
        self.labels = combo_box(
            "The Labels layer with its corrected cells; frames without any are left out"
        )
        self.count = QLabel()
        self.count.setWordWrap(True)
        self.recount = QToolButton()
        self.recount.setText("↻")
        self.recount.setToolTip("Count the objects again")
        form = _form()
        form.addRow("Image", self.image)
        form.addRow("Follow", self.axis)
        form.addRow("Labels", self.labels)
        part = QVBoxLayout()
        part.setSpacing(4)
        part.addLayout(form)
        line = row(self.count, self.recount)
        line.setStretch(0, 1)
        part.addLayout(line)
        return part

    def _way_part(self) -> QFormLayout:
        self.model = combo_box("The model to start from; it stays as it is")
        self.model_file = QToolButton()
        self.model_file.setText("…")
        self.model_file.setToolTip("Start from a checkpoint file (.pt, .safetensors)")
        self.download = QPushButton("Download")
        self.download.hide()
        self.device = combo_box("Where it learns; auto takes a GPU if it can")
        self.way = combo_box("How much of the model may change")
        for at, (part, (words, tip)) in enumerate(WAYS.items()):
            self.way.addItem(words, part)
            self.way.setItemData(at, tip, Qt.ItemDataRole.ToolTipRole)
        self.way.setCurrentIndex(self.way.findData(USUAL_WAY))
        self.steps = QSpinBox()
        self.steps.setRange(1, MOST_STEPS)
        self.steps.setSingleStep(100)
        self.steps.setValue(USUAL_STEPS)
        self.steps.setFixedWidth(92)
        self.steps.setToolTip("Steps: more learn more, up to a point, and take longer")
        self.duration = QLabel(TIME_UNKNOWN)
        self.name = QLineEdit()
        self.name.setToolTip("What the new model will be called in the list of models")
        form = _form()
        form.addRow("Start from", row(self.model, self.model_file))
        form.addRow("", self.download)
        form.addRow("Device", self.device)
        form.addRow("Change", self.way)
        steps = row(self.steps, self.duration)
        steps.setStretch(1, 1)
        form.addRow("Steps", steps)
        form.addRow("Name it", self.name)
        return form

    def _learn_part(self) -> QVBoxLayout:
        self.start = QPushButton("Learn")
        self.start.setStyleSheet(PRIMARY)
        self.start.setToolTip("Adapt the model; nothing is kept before you say so")
        self.cancel = QPushButton("Cancel")
        self.cancel.setToolTip("Stop after this step; nothing is kept")
        self.cancel.setEnabled(False)
        self.progress = QProgressBar()
        self.progress.setTextVisible(True)
        self.progress.setFormat("")
        self.plot = LossPlot()
        part = QVBoxLayout()
        part.setSpacing(4)
        buttons = row(self.start, self.cancel)
        buttons.setStretch(0, 1)
        part.addLayout(buttons)
        part.addWidget(self.progress)
        part.addWidget(self.plot)
        return part

    def _result_part(self) -> QVBoxLayout:
        self.no_result = QLabel("Overlap with your labels (IoU), before and after.")
        self.no_result.setWordWrap(True)
        self.table = _table()
        self.keep = QPushButton("Keep")
        self.discard = QPushButton("Discard")
        self.discard.setToolTip("Let the adapted model go")
        self.use = QPushButton("Use it now")
        self.use.setStyleSheet(PRIMARY)
        self.use.setToolTip("Choose it in the panel for segmenting and tracking")
        self.use.hide()
        part = QVBoxLayout()
        part.setSpacing(4)
        part.addWidget(self.no_result)
        part.addWidget(self.table)
        part.addLayout(row(self.keep, self.discard))
        part.addWidget(self.use)
        return part

    def _console_part(self) -> QGridLayout:
        self.console, self.copy, part = console_row(
            "the same, as Python",
            "The line that does the same",
            "Copy a script that does the same, for napari's console",
        )
        return part


def _form() -> QFormLayout:
    form = QFormLayout()
    form.setContentsMargins(0, 0, 0, 0)
    form.setSpacing(4)
    return form


def _table() -> QTableWidget:
    table = QTableWidget(0, len(COLUMNS))
    table.setHorizontalHeaderLabels(list(COLUMNS))
    table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
    table.setSelectionMode(QTableWidget.SelectionMode.NoSelection)
    table.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    table.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    table.setToolTip("Overlap with your labels (IoU) of objects it did not learn from")
    for header in (table.horizontalHeader(), table.verticalHeader()):
        assert header is not None
        header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
    table.setFixedHeight(100)
    table.hide()
    return table
