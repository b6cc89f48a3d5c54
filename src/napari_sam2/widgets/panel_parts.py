"""Building blocks that panels are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSizePolicy,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Layer
    from qtpy.QtWidgets import QWidget

    from napari_sam2.widgets.picture import Picture

Item = TypeVar("Item")
NONE = "none"

PRIMARY = (
    "QPushButton { background: #ffb000; color: #201a08; font-weight: bold; }"
    "QPushButton:hover { background: #ffc23d; }"
    "QPushButton:disabled { background: #6b5a2a; color: #a59a78; }"
)


def status_line() -> QLabel:
    """Return the line that says what to do next."""
    label = QLabel()
    label.setObjectName("napari_sam2_status")
    label.setWordWrap(True)
    label.setMinimumHeight(54)
    label.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    label.setStyleSheet(
        "#napari_sam2_status { background: rgba(255, 176, 0, 45); border-left: 3px"
        " solid #ffb000; border-radius: 3px; padding: 6px; font-size: 13px; }"
    )
    return label


def heading(text: str) -> QLabel:
    """Return the title of a part."""
    label = QLabel(text)
    label.setStyleSheet("font-weight: bold; font-size: 13px; margin-top: 6px;")
    return label


def combo_box(tip: str, *, letters: int = 8) -> QComboBox:
    """Return a combo box that long names do not make wide, with room for `letters`."""
    combo = QComboBox()
    combo.setToolTip(tip)
    combo.setSizeAdjustPolicy(
        QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
    )
    combo.setMinimumContentsLength(letters)
    combo.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return combo


def row(*widgets: QWidget, spacing: int = 4) -> QHBoxLayout:
    """Put widgets side by side, `spacing` pixels apart."""
    line = QHBoxLayout()
    line.setContentsMargins(0, 0, 0, 0)
    line.setSpacing(spacing)
    for widget in widgets:
        line.addWidget(widget)
    return line


def chosen(combo: QComboBox, items: Sequence[Item]) -> Item | None:
    """Return the one of the items that a combo box lists and shows; None for none."""
    at = combo.currentIndex()
    return items[at] if 0 <= at < len(items) else None


def show_layers(
    combo: QComboBox, layers: Sequence[Layer | Picture | None], wanted: object
) -> None:
    """List layers by their names, quietly, with one chosen if it is there.

    Otherwise the first is. A combo box that lists None calls it "none".
    """
    combo.blockSignals(True)
    combo.clear()
    combo.addItems([NONE if one is None else str(one.name) for one in layers])
    if wanted in layers:
        combo.setCurrentIndex(list(layers).index(wanted))
    combo.blockSignals(False)


def console_row(
    words: str, line_tip: str, copy_tip: str
) -> tuple[QLineEdit, QPushButton, QGridLayout]:
    """Return a line for Python, a button that copies a script, and both in a row.

    Parameters
    ----------
    words
        Shown in the line while there is none.
    line_tip, copy_tip
        What the line and the button are for.
    """
    console = QLineEdit()
    console.setReadOnly(True)
    console.setPlaceholderText(words)
    console.setToolTip(line_tip)
    copy = QPushButton("Copy script")
    copy.setToolTip(copy_tip)
    part = QGridLayout()
    part.setContentsMargins(0, 0, 0, 0)
    part.addWidget(console, 0, 0)
    part.addWidget(copy, 0, 1)
    return console, copy, part
