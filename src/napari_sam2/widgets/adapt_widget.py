"""The dock widget that adapts a model to cells that were corrected by hand.

This module connects the parts. What takes time is done by `Adapting` in a thread.
"""

from __future__ import annotations

import re
import weakref
from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication, QVBoxLayout

from napari_sam2.widgets import adapt_lines, adapt_messages, messages
from napari_sam2.widgets.adapt_panel import AdaptPanel
from napari_sam2.widgets.adapting import Adapting, Lesson
from napari_sam2.widgets.docked import DockedWidget
from napari_sam2.widgets.learning import Learning, speed_key
from napari_sam2.widgets.model_part import ModelPart
from napari_sam2.widgets.pair_choice import PairChoice
from napari_sam2.widgets.target import TargetError
from napari_sam2.widgets.track_widget import TrackWidget
from napari_sam2.widgets.worker import Job, Worker

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_sam2.widgets.adapting import Count, Pair
    from napari_sam2.widgets.engine import ModelInfo

COUNT, CATALOGUE = "count", "catalogue"
RECOUNT_MILLISECONDS = 1000
TRACK_TITLE = "Segment and track (SAM 2)"


class AdaptWidget(DockedWidget):
    """Adapt a model to an image and its corrected labels, and see what it brings.

    Parameters
    ----------
    napari_viewer : Viewer
        The viewer to work in.
    engine : Adapting, optional
        What learns; SAM 2 unless given.
    """

    def __init__(
        self, napari_viewer: Viewer, *, engine: Adapting | None = None
    ) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.panel = AdaptPanel()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.panel)
        self.engine = Adapting() if engine is None else engine
        self.worker = Worker()
        # However this widget ends, its thread must end too.
        self._goodbye = weakref.finalize(self, _end, self.worker, self.engine)
        self._goodbye.atexit = False  # Qt is gone by then; the worker has its own way
        self.destroyed.connect(self._goodbye)
        # Steps of learning are too small for half precision.
        self.models = ModelPart(self.panel, precision="full")
        self.pairs = PairChoice(napari_viewer, self.panel)
        self.learning = Learning(self.panel, self.worker, self.engine)
        self._counting: Pair | None = None
        self._learned_from: tuple[Layer, ...] = ()
        self._suggested_name = ""
        self._open = True
        self._recount = QTimer(self)
        self._recount.setSingleShot(True)
        self._recount.setInterval(RECOUNT_MILLISECONDS)
        self._connect()
        self._look_around()
        self._pair_changed()

    def start(self) -> None:
        """Adapt the chosen model to the chosen labels."""
        if self.learning.state not in ("choosing", "kept"):
            return
        lesson = self._lesson()
        if lesson is None:
            self._say_what_to_do()
            return
        if not self.panel.name.text().strip():
            self._say(adapt_messages.NO_NAME)
            return
        self.worker.cancel(COUNT)
        self._learned_from = (self.pairs.image, self.pairs.labels)
        self.panel.console.setText(adapt_lines.finetune_line(lesson))
        self.panel.console.setCursorPosition(0)
        self.learning.begin(lesson)

    def count(self) -> None:
        """Count the objects that there are to learn from."""
        if not self._open or self.learning.state == "learning":
            return
        self._recount.stop()
        self.worker.cancel(COUNT)
        lesson = self._lesson()
        self._counting = None if lesson is None else lesson.pair
        if lesson is None:
            self.panel.count.setText("")
            return
        self.worker.submit(
            Job(
                kind=COUNT,
                work=partial(self.engine.count, lesson.pair),
                on_item=partial(self._counted, lesson.pair),
                on_error=partial(self._count_failed, lesson.pair),
            )
        )

    def use(self) -> None:
        """Choose the new model in the panel that tracks; open it if need be."""
        info = self.learning.new_model
        if info is None:
            return
        panels = self._track_widgets()
        if not panels:
            panels = [TrackWidget(self.viewer)]
            self.viewer.window.add_dock_widget(panels[0], name=TRACK_TITLE)
        for panel in panels:
            panel.models.add(info)
            panel.models.choose(info.name)
        self._say(adapt_messages.used(info.name))

    def close_down(self) -> None:
        """End the thread, listen to nothing; layers stay."""
        if not self._open:
            return
        self._open = False
        self._goodbye()
        self.pairs.disconnect_all()

    def _connect(self) -> None:
        panel = self.panel
        self.pairs.changed.connect(self._pair_changed)
        self.pairs.edited.connect(self._recount.start)
        self.pairs.removed.connect(self._layer_removed)
        self._recount.timeout.connect(self.count)
        self.models.changed.connect(self._show_duration)
        self.learning.changed.connect(self._learning_changed)
        self.learning.kept.connect(self._model_kept)
        panel.way.currentIndexChanged.connect(self._show_duration)
        panel.steps.valueChanged.connect(self._show_duration)
        panel.recount.clicked.connect(self.count)
        panel.start.clicked.connect(self.start)
        panel.use.clicked.connect(self.use)
        panel.copy.clicked.connect(self._copy_script)

    def _look_around(self) -> None:
        self.worker.submit(
            Job(
                kind=CATALOGUE,
                work=self.engine.catalogue,
                on_done=self.models.show_catalogue,
                on_error=self._complain,
            )
        )

    def _pair_changed(self) -> None:
        image, name = self.pairs.image, self.panel.name
        if image is not None and name.text() == self._suggested_name:
            self._suggested_name = suggest_name(str(image.name))
            name.setText(self._suggested_name)
        if self.learning.state == "choosing":
            self._say_what_to_do()
        self._learning_changed()

    def _learning_changed(self) -> None:
        ready = self.learning.state in ("choosing", "kept")
        self.panel.start.setEnabled(ready and self._fit)
        self.count()

    @property
    def _fit(self) -> bool:
        """Whether an image and labels of it are chosen."""
        chosen = self.pairs.image is not None and self.pairs.labels is not None
        return chosen and self.pairs.misfit() is None

    def _say_what_to_do(self) -> None:
        ready = adapt_messages.READY if self._fit else adapt_messages.NO_PAIR
        self._say(self.pairs.misfit() or ready)

    def _lesson(self) -> Lesson | None:
        """Return what is chosen; None if it cannot be learned from."""
        if not self._fit:
            return None
        try:
            pair = self.pairs.pair()
        except TargetError as error:
            self._complain(error)
            return None
        if pair is None:
            return None
        return Lesson(
            pair=pair,
            model=self.models.choice,
            part=self.panel.way.currentData(),
            steps=self.panel.steps.value(),
        )

    def _counted(self, pair: Pair, count: Count) -> None:
        words = adapt_messages.counted if count.learned else adapt_messages.counting
        if pair is self._counting:
            self.panel.count.setText(words(count))

    def _count_failed(self, pair: Pair, error: Exception) -> None:
        if pair is self._counting:
            self.panel.count.setText(messages.sentence(error))

    def _show_duration(self) -> None:
        lesson = self._lesson()
        if lesson is not None:
            self.learning.show_duration(speed_key(lesson), lesson.steps)

    def _layer_removed(self, layer: Layer) -> None:
        if layer in self._learned_from:
            self.learning.cancel(adapt_messages.layer_gone(str(layer.name)))

    def _model_kept(self, info: ModelInfo) -> None:
        for panel in self._track_widgets():
            panel.models.add(info)
        self._look_around()

    def _track_widgets(self) -> list[TrackWidget]:
        docked = self.viewer.window.dock_widgets.values()
        return [widget for widget in docked if isinstance(widget, TrackWidget)]

    def _copy_script(self) -> None:
        lesson, clipboard = self._lesson(), QApplication.clipboard()
        if lesson is None or self.pairs.labels is None or clipboard is None:
            self._say_what_to_do()
            return
        labels = str(self.pairs.labels.name)
        name = self.panel.name.text().strip() or self._suggested_name
        clipboard.setText(adapt_lines.script(lesson, labels, name))
        self._say(messages.COPIED)

    def _complain(self, error: Exception) -> None:
        self._say(messages.sentence(error))

    def _say(self, text: str) -> None:
        self.panel.status.setText(text)


def suggest_name(image_name: str) -> str:
    """Return a name for a model of an image's cells."""
    plain = re.sub(r"[^\w-]+", "-", image_name).strip("-_")
    return f"my-{plain}" if plain else "my-cells"


def _end(worker: Worker, engine: Adapting) -> None:
    """End what outlives the widget. It may be gone already, so no Qt in here."""
    worker.close(last=engine.discard)
