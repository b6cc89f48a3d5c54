"""Choosing the model and the device; offering to fetch what is not here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from qtpy.QtCore import QObject, Qt, Signal
from qtpy.QtWidgets import QFileDialog

from napari_sam2.widgets.engine import SIDES, ModelChoice, ModelInfo

if TYPE_CHECKING:
    from qtpy.QtWidgets import QComboBox, QPushButton, QToolButton

    from napari_sam2.widgets.engine import Catalogue

LARGE_BYTES = 50 * 2**20  # the official models' files are larger, nano's smaller
NANO = ModelInfo(name="nano", here=True, note="built in")


class ModelControls(Protocol):
    """The parts of a panel that name a model and a device."""

    model: QComboBox
    model_file: QToolButton
    download: QPushButton
    device: QComboBox


class ModelPart(QObject):
    """The combo boxes for model and device.

    Parameters
    ----------
    panel : Panel
        Has them.
    detail : QComboBox, optional
        Offers the sides of the picture; hidden where there is only one.
    device, precision : str
        What the user prefers, see `ModelChoice`.

    Attributes
    ----------
    changed : Signal()
        Another model, side or device is chosen.
    """

    changed = Signal()

    def __init__(
        self,
        panel: ModelControls,
        *,
        detail: QComboBox | None = None,
        device: str = "auto",
        precision: str = "auto",
    ) -> None:
        super().__init__()
        self._panel, self._detail, self._precision = panel, detail, precision
        self._recent_memories: int | None = None
        self._models: list[ModelInfo] = []
        self._fill((NANO,))
        panel.device.addItems(["auto", *([device] if device != "auto" else [])])
        panel.device.setCurrentText(device)
        panel.model.currentIndexChanged.connect(self._another)
        panel.device.currentIndexChanged.connect(self._chosen)
        if detail is not None:
            detail.currentIndexChanged.connect(self.changed)
        panel.model_file.clicked.connect(self._ask_for_file)

    @property
    def info(self) -> ModelInfo:
        """The chosen model."""
        return self._models[max(self._panel.model.currentIndex(), 0)]

    @property
    def choice(self) -> ModelChoice:
        """What to ask the engine for."""
        return ModelChoice(
            name=self.info.name,
            device=self._panel.device.currentText(),
            precision=self._precision,
            version=self.info.version,
            image_size=self._image_size,
            recent_memories=self._recent_memories,
        )

    @property
    def _image_size(self) -> int | None:
        """The chosen side, px; None for what the model was trained with."""
        at = 0 if self._detail is None else self._detail.currentIndex()
        return self.info.sizes[at] if at > 0 else None

    def show_catalogue(self, catalogue: Catalogue) -> None:
        """Offer what this machine has; the choice stays."""
        files = tuple(m for m in self._models if m.note == "file")
        self._fill((*catalogue.models, *files))
        combo, device = self._panel.device, self._panel.device.currentText()
        combo.blockSignals(True)
        combo.clear()
        combo.addItems(catalogue.devices)
        # "cuda" stands for the first of "cuda:0", "cuda:1" …
        if any(found.startswith(f"{device}:") for found in catalogue.devices):
            combo.addItem(device)
        combo.setCurrentText(device)
        combo.blockSignals(False)
        if combo.currentText() != device:  # it is preferred, but not here
            self.changed.emit()

    def update_model(self, info: ModelInfo) -> None:
        """Note that a model has arrived."""
        self._fill([info if m.name == info.name else m for m in self._models])
        self._chosen()

    def add_file(self, path: Path) -> None:
        """Offer a checkpoint file, and choose it."""
        large = path.is_file() and path.stat().st_size > LARGE_BYTES
        sizes = SIDES if large else ()
        self.add(ModelInfo(name=str(path), here=True, note="file", sizes=sizes))
        self.choose(str(path))

    def add(self, info: ModelInfo) -> None:
        """Offer a model that was just made, in place of one of its name."""
        self._fill((*[m for m in self._models if m.name != info.name], info))

    def choose(self, name: str) -> None:
        """Take a model that is offered."""
        names = [info.name for info in self._models]
        self._panel.model.setCurrentIndex(names.index(name))

    def prefer(
        self,
        name: str,
        image_size: int | None = None,
        recent_memories: int | None = None,
    ) -> None:
        """Take what a session was made with if it is here; else the present goes on."""
        if any(info.name == name and info.here for info in self._models):
            self.choose(name)
            if self._detail is not None and image_size in self.info.sizes:
                self._detail.setCurrentIndex(self.info.sizes.index(image_size))
            if recent_memories != self._recent_memories:
                self._recent_memories = recent_memories
                self.changed.emit()

    def _fill(self, models: list[ModelInfo] | tuple[ModelInfo, ...]) -> None:
        combo = self._panel.model
        before = self.info.name if self._models else "nano"
        self._models = list(models)
        combo.blockSignals(True)
        combo.clear()
        combo.addItems([_title(info) for info in self._models])
        for at, info in enumerate(self._models):
            combo.setItemData(at, info.tip, Qt.ItemDataRole.ToolTipRole)
        names = [info.name for info in self._models]
        combo.setCurrentIndex(names.index(before) if before in names else 0)
        combo.blockSignals(False)
        self._show_detail()

    def _show_detail(self) -> None:
        """Offer the model's sides; the one that is chosen stays if it can."""
        combo, sizes = self._detail, self.info.sizes
        if combo is None:
            return
        before = combo.currentText()
        combo.blockSignals(True)
        combo.clear()
        combo.addItems([f"{side} px" for side in sizes])
        combo.setCurrentIndex(max(combo.findText(before), 0 if sizes else -1))
        combo.blockSignals(False)
        combo.setVisible(bool(sizes))

    def _another(self) -> None:
        self._recent_memories = None  # a session's own, and not for other models
        self._chosen()

    def _chosen(self) -> None:
        self._panel.download.setVisible(not self.info.here)
        self._show_detail()
        self.changed.emit()

    def _ask_for_file(self) -> None:
        kinds = "Checkpoints (*.safetensors *.pt)"
        path, _ = QFileDialog.getOpenFileName(
            self._panel.model, "Choose a checkpoint", "", kinds
        )
        if path:
            self.add_file(Path(path))


def _title(info: ModelInfo) -> str:
    if info.note == "file":
        return Path(info.name).name
    if info.here:
        return f"{info.name}  ({info.note})" if info.note else info.name
    size = f"{info.note}, " if info.note else ""
    return f"{info.name}  ({size}not here yet)"
