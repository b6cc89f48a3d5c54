"""The list of all keys, laid over the window until something is pressed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFrame, QLabel, QVBoxLayout, QWidget

from napari_sam2.widgets.confidence_colours import confidence_colours
from napari_sam2.widgets.keys import table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qtpy.QtGui import QKeyEvent, QMouseEvent

STYLE = (
    "#napari_sam2_keys { background: #20242c; border: 2px solid #ffb000;"
    " border-radius: 8px; } #napari_sam2_keys QLabel { color: #f0f1f2;"
    " font-size: 13px; background: transparent; }"
)


class KeyOverlay(QFrame):
    """Shows what mouse and keys do; goes away with the next click or key.

    Parameters
    ----------
    over : QWidget
        In whose middle it is shown.
    keys : mapping of str to str
        The keys as they are bound, by name.
    colours : str
        The colour map of the strip.
    """

    def __init__(self, over: QWidget, keys: Mapping[str, str], colours: str) -> None:
        super().__init__(over)
        self.setObjectName("napari_sam2_keys")
        self.setStyleSheet(STYLE)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.text = QLabel(_words(keys, colours))
        self.text.setTextFormat(Qt.TextFormat.RichText)
        column = QVBoxLayout(self)
        column.setContentsMargins(22, 16, 22, 16)
        column.addWidget(self.text)
        self.adjustSize()
        self.move(over.rect().center() - self.rect().center())
        self.show()
        self.raise_()
        self.setFocus()

    def keyPressEvent(self, _event: QKeyEvent | None) -> None:
        """Go away."""
        self._go()

    def mousePressEvent(self, _event: QMouseEvent | None) -> None:
        """Go away."""
        self._go()

    def _go(self) -> None:
        self.hide()
        self.deleteLater()


def _words(keys: Mapping[str, str], colours: str) -> str:
    rows = "".join(
        f"<tr><td align='right'><b>{with_}</b></td><td>&nbsp;&nbsp; {says}</td></tr>"
        for with_, says in table(keys)
    )
    low, high = (
        "#{:02x}{:02x}{:02x}".format(*confidence_colours(colours)[at]) for at in (0, -1)
    )
    return (
        f"<table cellspacing='3'>{rows}</table><p><b>In the strip</b> &nbsp; "
        f"<span style='color:{low}'>■</span> doubtful &nbsp; "
        f"<span style='color:{high}'>■</span> sure &nbsp; "
        "<span style='color:#6b717c'>■</span> not followed yet &nbsp; "
        "▨ to be done again<br>▼ clicked &nbsp; ▬ locked &nbsp; "
        "▲ jumps, swells, shrinks or vanishes</p>"
    )
