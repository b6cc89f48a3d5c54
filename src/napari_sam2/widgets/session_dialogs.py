"""Questions about sessions: where to save, what to open, what becomes of the work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QFileDialog, QMessageBox

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

Fate = Literal["save", "keep", "discard", "cancel"]

ENDING = ".sam2.zarr"
NOBODY_THERE = ("offscreen", "minimal")


def ask_where_to_save(parent: QWidget, suggested: Path) -> Path | None:
    """Ask for the name and place of a session."""
    path, _ = QFileDialog.getSaveFileName(
        parent, "Save the session as", str(suggested), f"Sessions (*{ENDING})"
    )
    return Path(path) if path else None


def ask_what_to_open(parent: QWidget, folder: Path) -> Path | None:
    """Ask for the folder of a session."""
    path = QFileDialog.getExistingDirectory(
        parent, f"Open a session: a folder that ends in {ENDING}", str(folder)
    )
    return Path(path) if path else None


def ask_for_image(parent: QWidget, why: str) -> Path | None:
    """Say why the image of a session is asked for, and ask."""
    path, _ = QFileDialog.getOpenFileName(parent, why)
    return Path(path) if path else None


def ask_about_unsaved(parent: QWidget, text: str) -> Fate:
    """Ask what becomes of the work; "keep" where nobody can answer.

    Parameters
    ----------
    parent : QWidget
        What is about to be closed.
    text : str
        What is not saved.
    """
    if QGuiApplication.platformName() in NOBODY_THERE:
        return "keep"
    box = QMessageBox(parent)
    box.setObjectName("napari_sam2_unsaved")
    box.setWindowTitle("Segment and track (SAM 2)")
    box.setIcon(QMessageBox.Icon.Question)
    box.setText(text)
    box.setInformativeText(
        "Kept for later, it is offered again when the same image is opened, and under "
        "Session > Recent."
    )
    roles = QMessageBox.ButtonRole
    save = box.addButton("Save", roles.AcceptRole)
    fates: dict[object, Fate] = {
        save: "save",
        box.addButton("Keep for later", roles.YesRole): "keep",
        box.addButton("Discard", roles.DestructiveRole): "discard",
        (cancel := box.addButton("Cancel", roles.RejectRole)): "cancel",
    }
    box.setDefaultButton(save)
    box.setEscapeButton(cancel)
    box.exec()
    return fates.get(box.clickedButton(), "cancel")
