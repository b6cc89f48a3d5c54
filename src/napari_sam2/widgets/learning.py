"""From Learn to Keep: one adaptation, its progress, and what becomes of it."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Literal

from napari.utils.notifications import show_error
from qtpy.QtCore import QObject, Signal

from napari_sam2.widgets import adapt_messages, messages
from napari_sam2.widgets.adapting import Lesson, NameTakenError, Result
from napari_sam2.widgets.worker import Job

if TYPE_CHECKING:
    from napari_sam2.training.finetuning import Progress
    from napari_sam2.widgets.adapt_panel import AdaptPanel
    from napari_sam2.widgets.adapting import Adapting
    from napari_sam2.widgets.engine import ModelInfo
    from napari_sam2.widgets.worker import Worker

ADAPT, KEEP, DISCARD = "adapt", "keep", "discard"
FIRST_STEPS = 3  # tell how long all take
State = Literal["choosing", "learning", "deciding", "kept"]


class Learning(QObject):
    """The lower half of the panel.

    Parameters
    ----------
    panel : AdaptPanel
        Where it is shown.
    worker : Worker
        Where it is done.
    engine : Adapting
        Who does it.

    Attributes
    ----------
    changed : Signal()
        It began, ended, or was decided on.
    kept : Signal(object)
        A model was kept, with its `ModelInfo`.
    """

    changed = Signal()
    kept = Signal(object)

    def __init__(self, panel: AdaptPanel, worker: Worker, engine: Adapting) -> None:
        super().__init__()
        self._panel, self._worker, self._engine = panel, worker, engine
        self.state: State = "choosing"
        self.result: Result | None = None
        self.new_model: ModelInfo | None = None
        self._lesson: Lesson | None = None
        self._replacing: str | None = None
        self._why_stopped = ""
        self._clock = _Clock()
        self._speeds: dict[tuple[object, ...], float] = {}
        panel.cancel.clicked.connect(lambda: self.cancel())
        panel.keep.clicked.connect(self.keep)
        panel.discard.clicked.connect(self.discard)
        panel.name.textChanged.connect(self._forget_question)
        self._show()

    def begin(self, lesson: Lesson) -> None:
        """Adapt a model."""
        self._panel.plot.begin(lesson.steps)
        self.result = self.new_model = None
        self._lesson, self._why_stopped = lesson, ""
        self._clock = _Clock()
        self._turn("learning", adapt_messages.STARTING)
        self._panel.progress.setRange(0, 0)  # busy
        job = Job(
            kind=ADAPT,
            work=partial(self._engine.adapt, lesson),
            on_item=partial(self._news, lesson),
            on_done=partial(self._ended, lesson),
            on_error=partial(self._failed, lesson),
        )
        self._worker.submit(job)

    def cancel(self, why: str = "") -> None:
        """Stop after this step; nothing is kept.

        Parameters
        ----------
        why : str
            What to say at the end, if not that the user stopped it.
        """
        if self.state != "learning":
            return
        self._why_stopped = why or adapt_messages.STOPPED
        self._say(adapt_messages.STOPPING)
        self._panel.cancel.setEnabled(False)
        if not self._worker.cancel(ADAPT) and self._lesson is not None:
            self._ended(self._lesson, False)  # not begun, or ended but not yet told

    def keep(self) -> None:
        """Keep the adapted model, if its name is free or is to be replaced."""
        name = self._panel.name.text().strip()
        if self.state != "deciding":
            return
        if not name:
            self._say(adapt_messages.NO_NAME)
            return
        replace = name == self._replacing
        for button in (self._panel.keep, self._panel.discard):
            button.setEnabled(False)
        job = Job(
            kind=KEEP,
            work=partial(self._engine.keep, name, replace=replace),
            on_done=self._was_kept,
            on_error=partial(self._not_kept, name),
        )
        self._worker.submit(job)

    def discard(self) -> None:
        """Let the adapted model go."""
        if self.state != "deciding":
            return
        self._worker.submit(Job(kind=DISCARD, work=self._engine.discard))
        self.result = None
        self._turn("choosing", adapt_messages.DISCARDED)

    def show_duration(self, key: tuple[object, ...], steps: int) -> None:
        """Say how long learning would take, as far as is known.

        Parameters
        ----------
        key : tuple
            What the speed of a step depends on; see `speed_key`.
        steps : int
            How many.
        """
        speed = self._speeds.get(key)
        self._panel.duration.setText(
            adapt_messages.TIME_UNKNOWN
            if speed is None
            else adapt_messages.about(speed * steps)
        )

    def _news(self, lesson: Lesson, news: Progress | Result) -> None:
        if lesson is not self._lesson:
            return
        if isinstance(news, Result):
            self.result = news
            return
        self._clock.tick(news)
        if news.loss is not None:
            self._panel.plot.add(news.loss)
            if news.done >= FIRST_STEPS:
                self._speeds[speed_key(lesson)] = self._clock.seconds_each
                self.show_duration(speed_key(lesson), lesson.steps)
        bar = self._panel.progress
        bar.setRange(0, news.total)
        bar.setValue(news.done)
        text = adapt_messages.progress(
            news.phase, news.done, news.total, self._clock.left(news)
        )
        bar.setFormat(text)
        if self._panel.cancel.isEnabled():
            self._say(adapt_messages.LEARNING)

    def _ended(self, lesson: Lesson, to_the_end: bool) -> None:
        if lesson is not self._lesson:
            return
        self._lesson = None
        if self.result is not None and to_the_end and not self._why_stopped:
            self._turn("deciding", adapt_messages.brought(self.result))
            return
        self.result = None
        self._worker.submit(Job(kind=DISCARD, work=self._engine.discard))
        self._turn("choosing", self._why_stopped)

    def _failed(self, lesson: Lesson, error: Exception) -> None:
        if lesson is not self._lesson:
            return
        self._lesson = self.result = None
        self._turn("choosing", "")
        self._complain(error)

    def _was_kept(self, info: ModelInfo) -> None:
        self.new_model = info
        self._turn("kept", adapt_messages.kept(info.name))
        self.kept.emit(info)

    def _not_kept(self, name: str, error: Exception) -> None:
        self._show()
        if isinstance(error, NameTakenError):
            self._replacing = name
            self._panel.keep.setText("Replace")
            self._say(adapt_messages.ask_to_replace(name))
        else:
            self._complain(error)

    def _forget_question(self) -> None:
        self._replacing = None
        self._panel.keep.setText("Keep")

    def _turn(self, state: State, text: str) -> None:
        self.state = state
        self._forget_question()
        self._show()
        self._say(text)
        self.changed.emit()

    def _show(self) -> None:
        panel, state = self._panel, self.state
        panel.lock_settings(locked=state in ("learning", "deciding"))
        panel.cancel.setEnabled(state == "learning")
        for button in (panel.keep, panel.discard):
            button.setEnabled(state == "deciding")
            button.setVisible(state != "kept")
        panel.use.setVisible(state == "kept")
        if state != "learning":
            panel.progress.setRange(0, 1)
            panel.progress.setValue(0)
            panel.progress.setFormat("")
        panel.show_result(self.result)

    def _say(self, text: str) -> None:
        self._panel.status.setText(text)

    def _complain(self, error: Exception) -> None:
        text = messages.sentence(error)
        self._say(text)
        show_error(text)


class _Clock:
    """How long a phase has lasted, and will last."""

    def __init__(self) -> None:
        self._phase = ""
        self._began = self._now = time.monotonic()
        self._done = self._first = 0
        self._measuring = 0.0

    @property
    def seconds_each(self) -> float:
        """Seconds for one step of this phase."""
        return (self._now - self._began) / max(self._done - self._first, 1)

    def tick(self, news: Progress) -> None:
        """Note that something was done."""
        now = time.monotonic()
        if news.phase != self._phase:
            if self._phase == "before":
                self._measuring = self._now - self._began
            # The first of a phase is slow, and began before anybody told.
            self._phase, self._began, self._first = news.phase, now, news.done
        self._now, self._done = now, news.done

    def left(self, news: Progress) -> float | None:
        """Return how many seconds are left in all; None while nobody knows."""
        if news.phase not in ("learning", "after"):
            return None
        if self._done - self._first < min(FIRST_STEPS - 1, news.total - 1):
            return None
        rest = (news.total - news.done) * self.seconds_each
        return rest + (self._measuring if news.phase == "learning" else 0.0)


def speed_key(lesson: Lesson) -> tuple[object, ...]:
    """Return what the speed of a step depends on."""
    return lesson.model.name, lesson.model.device, lesson.part
