"""What the export window looks like: plain Qt widgets, no behaviour.

Every part is an attribute that `Exporting` connects to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QSize, Qt, Signal
from qtpy.QtGui import QColor, QPalette
from qtpy.QtWidgets import (
    QAbstractItemView,
    QButtonGroup,
    QDialog,
    QFormLayout,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QProgressBar,
    QPushButton,
    QRadioButton,
    QSizePolicy,
    QSpinBox,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from napari_sam2.stacks import EXPORTS
from napari_sam2.widgets.export_options import ExportOptions
from napari_sam2.widgets.export_preview import ExportPreview
from napari_sam2.widgets.panel_parts import PRIMARY, combo_box, row

if TYPE_CHECKING:
    from qtpy.QtCore import QModelIndex
    from qtpy.QtGui import QPainter

USEFUL_FIRST = (
    "csv",
    "plot",
    "tif",
    "overlay",
    "mask",
    "cutouts",
    "background",
    "zarr",
    "sav",
    "davis",
    "ctc",
)
LIST_WIDTH, ROW_HEIGHT = 310, 54
TITLE_HEIGHT, MARGIN, SMALLER = 20, 8, 0.85
KIND, ABOUT = Qt.ItemDataRole.UserRole, Qt.ItemDataRole.UserRole + 1


class ExportDialog(QDialog):
    """Choose what to write, of which cells and frames, and where.

    Attributes
    ----------
    looked_at : Signal()
        The window came to the front: layers may have changed meanwhile.
    """

    looked_at = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Export cells")
        self.kinds = _kinds_list()
        self.preview = ExportPreview()
        self.form = QWidget()
        right = QVBoxLayout()
        right.setSpacing(6)
        self._build_form()
        right.addWidget(self.form)
        right.addWidget(self.preview, 1)
        upper = QHBoxLayout()
        upper.addWidget(self.kinds)
        upper.addLayout(right, 1)
        column = QVBoxLayout(self)
        column.addLayout(upper, 1)
        column.addLayout(self._build_foot())
        self.show_running(running=False)
        self.resize(self.sizeHint())

    def sizeHint(self) -> QSize:
        """Ask for the room that shows all kinds and a preview."""
        return QSize(860, ROW_HEIGHT * len(USEFUL_FIRST) + 84)

    def changeEvent(self, event: QEvent | None) -> None:
        """Tell when the window comes to the front."""
        super().changeEvent(event)
        activated = QEvent.Type.ActivationChange
        if event is not None and event.type() == activated and self.isActiveWindow():
            self.looked_at.emit()

    @property
    def kind(self) -> str:
        """The kind that is chosen, a key of `EXPORTS`."""
        item = self.kinds.currentItem()
        return USEFUL_FIRST[0] if item is None else str(item.data(KIND))

    def choose(self, kind: str) -> None:
        """Choose a kind as a click on it does."""
        self.kinds.setCurrentRow(USEFUL_FIRST.index(kind))

    def show_running(self, *, running: bool) -> None:
        """Offer Cancel and progress while it runs, everything else while not."""
        for part in (self.kinds, self.form, self.write):
            part.setEnabled(not running)
        self.bar.setVisible(running)
        self.cancel.setVisible(running)
        self.write.setVisible(not running)

    def _build_form(self) -> None:
        self.labels = combo_box("The Labels layer that is written", letters=12)
        self.axis = combo_box("Frames are counted along this axis", letters=12)
        self.image = combo_box(
            "The Image layer that is measured, cut out, drawn on", letters=12
        )
        self.all_cells, self.some_cells = QRadioButton("All"), QRadioButton("Only")
        self.cells = QLineEdit()
        self.cells.setToolTip("Numbers of cells, such as 3 or 1, 4-6")
        self.all_frames, self.some_frames = QRadioButton("All"), QRadioButton("From")
        self.first, self.last = QSpinBox(), QSpinBox()
        self._groups = [
            _either(self.all_cells, self.some_cells),
            _either(self.all_frames, self.some_frames),
        ]
        self.path = QLineEdit()
        self.path.setToolTip("Where it is written")
        self.browse = QPushButton("Browse…")
        self.held = QLabel()
        self.axis_label = QLabel("Along")
        form = QFormLayout(self.form)
        form.setContentsMargins(0, 0, 0, 0)
        form.setSpacing(6)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow("Labels", self.labels)
        form.addRow(self.axis_label, self.axis)
        form.addRow("", self.held)
        form.addRow("Image", self.image)
        form.addRow(
            "Cells", row(self.all_cells, self.some_cells, self.cells, spacing=6)
        )
        frames = row(
            self.all_frames,
            self.some_frames,
            self.first,
            QLabel("to"),
            self.last,
            spacing=6,
        )
        frames.addStretch(1)
        form.addRow("Frames", frames)
        self.options = ExportOptions(form)
        form.addRow("Save as", row(self.path, self.browse, spacing=6))

    def _build_foot(self) -> QGridLayout:
        self.status = QLabel()
        self.status.setWordWrap(True)
        self.status.setOpenExternalLinks(True)
        self.status.setMinimumHeight(36)
        self.status.setSizePolicy(
            QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed
        )
        self.bar = QProgressBar()
        self.bar.setTextVisible(True)
        self.write = QPushButton("Export")
        self.write.setStyleSheet(PRIMARY)
        self.write.setDefault(True)
        self.cancel = QPushButton("Cancel")
        self.cancel.setToolTip("Stop; nothing is left of it")
        self.close_button = QPushButton("Close")
        for button in (self.browse, self.cancel, self.close_button):
            button.setAutoDefault(False)
        foot = QGridLayout()
        foot.addWidget(self.status, 0, 0)
        foot.addWidget(self.bar, 1, 0)
        buttons = row(self.write, self.cancel, self.close_button, spacing=6)
        foot.addLayout(buttons, 0, 1, 2, 1, Qt.AlignmentFlag.AlignBottom)
        foot.setColumnStretch(0, 1)
        return foot


class _TwoLines(QStyledItemDelegate):
    """Draws a kind's name, and under it what it is."""

    def paint(
        self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex
    ) -> None:
        """Draw both lines, the second smaller."""
        super().paint(painter, option, index)
        if painter is None:
            return
        painter.save()
        inside = option.rect.adjusted(MARGIN, 3, -MARGIN, 0)
        flags = Qt.AlignmentFlag.AlignTop | Qt.TextFlag.TextWordWrap
        colour = QColor(option.palette.color(QPalette.ColorRole.Text))
        font = painter.font()
        font.setBold(True)
        painter.setFont(font)
        painter.setPen(colour)
        painter.drawText(inside, int(flags), str(index.data()))
        font.setBold(False)
        font.setPointSizeF(SMALLER * font.pointSizeF())
        painter.setFont(font)
        colour.setAlphaF(0.7)
        painter.setPen(colour)
        below = inside.adjusted(0, TITLE_HEIGHT, 0, 0)
        painter.drawText(below, int(flags), str(index.data(ABOUT)))
        painter.restore()

    def initStyleOption(
        self, option: QStyleOptionViewItem | None, index: QModelIndex
    ) -> None:
        """Leave the name to `paint`."""
        super().initStyleOption(option, index)
        if option is not None:
            option.text = ""


def _kinds_list() -> QListWidget:
    kinds = QListWidget()
    kinds.setFixedWidth(LIST_WIDTH)
    kinds.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
    kinds.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    kinds.setItemDelegate(_TwoLines(kinds))
    for name in USEFUL_FIRST:
        item = QListWidgetItem(EXPORTS[name].title)
        item.setData(KIND, name)
        item.setData(ABOUT, EXPORTS[name].about)
        item.setToolTip(EXPORTS[name].about)
        item.setSizeHint(QSize(0, ROW_HEIGHT))
        kinds.addItem(item)
    kinds.setCurrentRow(0)
    return kinds


def _either(first: QRadioButton, second: QRadioButton) -> QButtonGroup:
    """Let one of two be chosen, for now the first."""
    group = QButtonGroup(first)
    group.addButton(first)
    group.addButton(second)
    first.setChecked(True)
    return group
