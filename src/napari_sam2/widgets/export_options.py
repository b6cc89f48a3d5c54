"""What each kind of export can be told besides: a page of widgets a kind."""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QLineEdit,
    QSpinBox,
    QStackedWidget,
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


class ExportOptions(QStackedWidget):
    """One page for each kind that has options, and an empty one for the others."""

    def __init__(self) -> None:
        super().__init__()
        self._kind = ""
        self.column = QComboBox()
        self.fps = _number(1, 100, 10, "Frames shown in a second")
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
        self._pages = {
            "": self._page(),
            "plot": self._page(("Show", self.column)),
            "overlay": self._page(
                ("Frames a second", self.fps),
                ("Tint", self.tint),
                ("", self.numbers),
            ),
            "cutouts": self._page(("Size", self.side), ("", self.blank)),
            "background": self._page(("Background", self.value)),
            "sav": self._page(("Name", self.video_id)),
            "davis": self._page(("Name", self.clip), ("", self.flat)),
            "ctc": self._page(("Number", self.movie), ("", self.truth)),
        }
        self.show_kind("", brightness=False)

    def show_kind(self, kind: str, *, brightness: bool) -> None:
        """Show the options of a kind.

        Parameters
        ----------
        kind : str
            A key of `napari_sam2.stacks.EXPORTS`.
        brightness : bool
            Whether there is an image of one channel to measure.
        """
        self._kind = kind if kind in self._pages else ""
        self.setCurrentWidget(self._pages[self._kind])
        columns = (*COLUMNS, BRIGHTNESS) if brightness else COLUMNS
        if self.column.count() != len(columns):
            before = self.column.currentText()
            self.column.clear()
            for text, column in columns:
                self.column.addItem(text, column)
            self.column.setCurrentIndex(max(0, self.column.findText(before)))

    def values(self) -> dict[str, Any]:
        """Return what the kind shown is told, where it is not the usual."""
        told: dict[str, tuple[Any, Any]] = {
            "column": (self.column.currentData(), "area"),
            "fps": (self.fps.value(), 10),
            "opacity": (self.tint.value() / 100, 0.3),
            "numbers": (self.numbers.isChecked(), True),
            "size": (self.side.value(), 0),
            "blank": (self.blank.isChecked(), False),
            "value": (self.value.value(), 0),
            "video_id": (self.video_id.text().strip(), ""),
            "clip": (self.clip.text().strip(), ""),
            "flat": (self.flat.isChecked(), False),
            "movie": (self.movie.text().strip() or "01", "01"),
            "truth": (self.truth.isChecked(), False),
        }
        names = {
            "plot": ("column",),
            "overlay": ("fps", "opacity", "numbers"),
            "cutouts": ("size", "blank"),
            "background": ("value",),
            "sav": ("video_id",),
            "davis": ("clip", "flat"),
            "ctc": ("movie", "truth"),
        }
        return {
            name: told[name][0]
            for name in names.get(self._kind, ())
            if told[name][0] != told[name][1]
        }

    def _page(self, *rows: tuple[str, QWidget]) -> QWidget:
        page = QWidget()
        form = QFormLayout(page)
        form.setContentsMargins(0, 0, 0, 0)
        for label, widget in rows:
            form.addRow(label, widget)
        self.addWidget(page)
        return page


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
