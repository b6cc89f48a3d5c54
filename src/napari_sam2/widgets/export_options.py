"""What each kind of export can be told besides."""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QLabel,
    QLineEdit,
    QSpinBox,
    QWidget,
)

COLUMNS = (
    ("Area, in pixels", "area"),
    ("Area, in the layer's units", "area_scaled"),
    ("Speed, in the layer's units", "speed_scaled"),
    ("Perimeter, in pixels", "perimeter"),
    ("Length, in pixels", "major_axis"),
    ("Width, in pixels", "minor_axis"),
    ("Elongation (0 round, 1 a rod)", "eccentricity"),
    ("Solidity (1 without dents)", "solidity"),
    ("Row, in pixels", "y"),
    ("Column, in pixels", "x"),
)
BRIGHTNESS = ("Mean brightness", "intensity_mean")
LARGEST_VALUE = 2**31 - 1


class ExportOptions:
    """Rows of a form, of which those of one kind are shown.

    Parameters
    ----------
    form : QFormLayout
        Gets the rows.
    """

    def __init__(self, form: QFormLayout) -> None:
        self.column = QComboBox()
        self.fps = _number(1, 100, 10, "Frames shown in a second")
        self.fps.setSuffix(" frames a second")
        self.tint = _number(0, 100, 30, "How strongly cells are coloured in")
        self.tint.setSuffix(" %")
        self.numbers = _tick("Write each cell's number on it", ticked=True)
        self.side = _number(0, 100_000, 0, "Side of the square that is cut out")
        self.side.setSpecialValueText("fits each cell")
        self.side.setSuffix(" pixels")
        self.blank = _tick("Only the cell; what is around it is black")
        self.value = _number(
            -LARGEST_VALUE, LARGEST_VALUE, 0, "In the image's numbers; 0 is black"
        )
        self.video_id = _name("as the file")
        self.clip = _name("as the folder")
        self.flat = _tick("Two folders only: frames and masks")
        self.movie = _name("01")
        self.truth = _tick("It is the truth, not a result")
        self._kind = ""
        self._rows: dict[str, list[QWidget]] = {}
        for kind, label, widget in (
            ("plot", "Show", self.column),
            ("overlay", "Speed", self.fps),
            ("overlay", "Tint", self.tint),
            ("overlay", "", self.numbers),
            ("cutouts", "Size", self.side),
            ("cutouts", "", self.blank),
            ("background", "Background", self.value),
            ("sav", "Name", self.video_id),
            ("davis", "Name", self.clip),
            ("davis", "", self.flat),
            ("ctc", "Number", self.movie),
            ("ctc", "", self.truth),
        ):
            named = QLabel(label)
            form.addRow(named, widget)
            self._rows.setdefault(kind, []).extend((named, widget))

    def show_kind(self, kind: str, *, brightness: bool) -> None:
        """Show the options of a kind.

        Parameters
        ----------
        kind : str
            A key of `napari_sam2.stacks.EXPORTS`.
        brightness : bool
            Whether there is an image of one channel to measure.
        """
        self._kind = kind
        for other, widgets in self._rows.items():
            for widget in widgets:
                widget.setVisible(other == kind)
        columns = (*COLUMNS, BRIGHTNESS) if brightness else COLUMNS
        if self.column.count() != len(columns):
            before = self.column.currentText()
            self.column.clear()
            for text, column in columns:
                self.column.addItem(text, column)
            self.column.setCurrentIndex(max(0, self.column.findText(before)))

    def values(self) -> dict[str, Any]:
        """Return what the kind shown is told, where it is not the usual."""
        told: dict[str, dict[str, tuple[Any, Any]]] = {
            "plot": {"column": (self.column.currentData(), "area")},
            "overlay": {
                "fps": (self.fps.value(), 10),
                "opacity": (self.tint.value() / 100, 0.3),
                "numbers": (self.numbers.isChecked(), True),
            },
            "cutouts": {
                "size": (self.side.value(), 0),
                "blank": (self.blank.isChecked(), False),
            },
            "background": {"value": (self.value.value(), 0)},
            "sav": {"video_id": (self.video_id.text().strip(), "")},
            "davis": {
                "clip": (self.clip.text().strip(), ""),
                "flat": (self.flat.isChecked(), False),
            },
            "ctc": {
                "movie": (self.movie.text().strip() or "01", "01"),
                "truth": (self.truth.isChecked(), False),
            },
        }
        options = told.get(self._kind, {})
        return {name: now for name, (now, usual) in options.items() if now != usual}


def _number(low: int, high: int, value: int, tip: str) -> QSpinBox:
    box = QSpinBox()
    box.setRange(low, high)
    box.setValue(value)
    box.setToolTip(tip)
    return box


def _tick(text: str, *, ticked: bool = False) -> QCheckBox:
    box = QCheckBox(text)
    box.setChecked(ticked)
    return box


def _name(usual: str) -> QLineEdit:
    line = QLineEdit()
    line.setPlaceholderText(usual)
    return line
