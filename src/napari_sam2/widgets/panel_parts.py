"""Building blocks that panels are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QSizePolicy

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget


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
    label.setStyleSheet("font-weight: bold; font-size: 13px; margin-top: 8px;")
    return label


def combo_box(tip: str) -> QComboBox:
    """Return a combo box that long names do not make wide."""
    combo = QComboBox()
    combo.setToolTip(tip)
    combo.setSizeAdjustPolicy(
        QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
    )
    combo.setMinimumContentsLength(8)
    combo.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return combo


def row(*widgets: QWidget) -> QHBoxLayout:
    """Put widgets side by side."""
    line = QHBoxLayout()
    line.setContentsMargins(0, 0, 0, 0)
    line.setSpacing(4)
    for widget in widgets:
        line.addWidget(widget)
    return line
