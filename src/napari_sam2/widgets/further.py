"""What is seldom needed of the image part, folded away until it is asked for."""

from __future__ import annotations

from qtpy.QtCore import QMargins
from qtpy.QtGui import QIcon
from qtpy.QtWidgets import QCheckBox, QFormLayout, QWidget
from superqt import QCollapsible

from napari_sam2.widgets.panel_parts import combo_box

TITLE = "Colours, device, what the model sees"
SHUT, OPEN = "▸", "▾"
PLAIN = (
    "QPushButton { text-align: left; border: none; background: transparent;"
    " padding: 3px 0px; }"
    "QPushButton:hover { color: #ffb000; }"
)


class Further(QCollapsible):
    """Colours, the picture that the model sees, the device.

    Attributes
    ----------
    colour : QComboBox
        Whether the layer is alone or one of several colours.
    red, green, blue : QComboBox
        Which layers; hidden where the layer is alone, see `show_colours`.
    seen : QCheckBox
        Show what the model sees.
    device : QComboBox
        Where the network computes.
    """

    def __init__(self) -> None:
        super().__init__(expandedIcon=QIcon(), collapsedIcon=QIcon())
        self.setDuration(0)
        self.colour = combo_box("Let the model see up to three layers in one picture")
        self.red = combo_box("This layer is red; the cells' labels belong to it")
        self.green = combo_box("This layer is green")
        self.blue = combo_box("This layer is blue")
        self.seen = QCheckBox("Show what the model sees")
        self.seen.setToolTip(
            "Lay the very picture that goes into the network over the frame you look "
            "at; with nano the window around the selected cell"
        )
        self.device = combo_box(
            "Where the network computes; auto takes a GPU if it can"
        )
        inside = QWidget()
        self._form = form = QFormLayout(inside)
        form.setContentsMargins(0, 0, 0, 0)
        form.setSpacing(4)
        form.addRow("Colour", self.colour)
        form.addRow("Red", self.red)
        form.addRow("Green", self.green)
        form.addRow("Blue", self.blue)
        form.addRow("Device", self.device)
        form.addRow(self.seen)
        self.show_colours(shown=False)
        self.addWidget(inside)
        for layout in (self.layout(), self.content().layout()):
            assert layout is not None
            layout.setContentsMargins(QMargins(0, 0, 0, 0))
            layout.setSpacing(2)
        self.toggleButton().setStyleSheet(PLAIN)
        self.toggled.connect(self._entitle)
        self.collapse(animate=False)
        self._entitle()

    @property
    def colours_shown(self) -> bool:
        """Whether red, green and blue can be chosen."""
        return bool(self._form.isRowVisible(self.red))

    def show_colours(self, *, shown: bool) -> None:
        """Let red, green and blue be chosen, or not."""
        for combo in (self.red, self.green, self.blue):
            self._form.setRowVisible(combo, shown)

    def _entitle(self) -> None:
        self.setText(f"{OPEN if self.isExpanded() else SHUT}  {TITLE}")
