"""The Export button: a window in which to choose, and a thread that writes.

It has a thread of its own, so that an export does not wait for cells that are being
followed, nor they for it.
"""

from __future__ import annotations

import time
import weakref
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer

from napari_sam2.widgets import export_lines, export_texts, messages
from napari_sam2.widgets.export_choice import ExportChoice
from napari_sam2.widgets.export_dialog import ExportDialog
from napari_sam2.widgets.exporting import ExportTask, Step, Written, write
from napari_sam2.widgets.worker import Job, Worker

if TYPE_CHECKING:
    from napari.viewer import Viewer
    from qtpy.QtWidgets import QWidget

    from napari_sam2.widgets.desk import Desk
    from napari_sam2.widgets.following import Following
    from napari_sam2.widgets.result_layer import ResultLayer
    from napari_sam2.widgets.target import Target
    from napari_sam2.widgets.workplace import Workplace

EXPORT = "export"
LOOK_MILLISECONDS = 500


class Exporting(QObject):
    """What the panel's Export button does.

    Parameters
    ----------
    viewer : Viewer
        Its layers are written.
    desk : Desk
        What the panel's parts share.
    following : Following
        Says whether labels are being filled.

    Attributes
    ----------
    dialog : ExportDialog or None
        The window, once it was opened.
    worker : Worker or None
        The thread, once something was written.
    running : bool
        Whether something is being written.
    """

    def __init__(self, viewer: Viewer, desk: Desk, following: Following) -> None:
        super().__init__()
        self._viewer, self._desk, self._following = viewer, desk, following
        self.dialog: ExportDialog | None = None
        self.worker: Worker | None = None
        self.running = False
        self._choice: ExportChoice | None = None
        self._preferred: weakref.ref[ResultLayer] | None = None
        self._began, self._phase = 0.0, ""
        self._done: list[_Done] = []

    def open(self, parent: QWidget | None = None) -> None:
        """Show the window, with what was chosen in it the last time."""
        if self.dialog is None:
            self.dialog = ExportDialog(parent)
            self._choice = ExportChoice(self._viewer, self.dialog)
            self._connect(self.dialog)
        assert self._choice is not None
        place = self._desk.place
        if not self.running:
            self._choice.refresh()
            result = None if place is None else place.result
            before = None if self._preferred is None else self._preferred()
            if place is not None and result is not None and result is not before:
                self._preferred = weakref.ref(result)
                self._choice.prefer(result.layer, place.axis)
        self.dialog.show()
        self.dialog.raise_()
        self._look_around()

    def close(self) -> None:
        """End what runs, of which nothing is left, and the window."""
        dialog = self.dialog
        self.end_thread()
        if self._choice is not None:
            self._choice.disconnect_all()
        if dialog is not None:
            dialog.close()
            dialog.deleteLater()

    def end_thread(self) -> None:
        """Stop writing. The windows may be gone already, so no Qt in here."""
        self.running, self.dialog = False, None
        if self.worker is not None:
            self.worker.close()

    def script(self, place: Workplace) -> str:
        """Return the lines of all that was written, to go behind a session's."""
        lines = [export_lines.IMPORTS] if self._done else []
        for done in self._done:
            lines += done.short if done.is_of(place) else done.lines
        return "".join(f"{line}\n" for line in lines)

    def _connect(self, dialog: ExportDialog) -> None:
        dialog.write.clicked.connect(self._begin)
        dialog.cancel.clicked.connect(self._cancel)
        dialog.close_button.clicked.connect(dialog.close)
        dialog.looked_at.connect(self._look_again)
        looking = QTimer(dialog)
        looking.timeout.connect(self._look_around)
        looking.start(LOOK_MILLISECONDS)

    def _look_again(self) -> None:
        if self._choice is not None and not self.running:
            self._choice.refresh()

    def _look_around(self) -> None:
        """Say what will not be in it."""
        dialog, choice = self.dialog, self._choice
        if dialog is None or choice is None or not dialog.isVisible():
            return
        run = self._following.run
        result = None if run is None else run.place.result
        filling = result is not None and result.layer == choice.labels
        choice.show_hint(export_texts.FOLLOWING if filling else "")

    def _begin(self) -> None:
        choice, dialog = self._choice, self.dialog
        if choice is None or dialog is None or self.running:
            return
        try:
            task = choice.task()
        except (ValueError, OSError) as error:
            choice.say(messages.sentence(error))
            return
        if task is None:
            return
        if self.worker is None:
            self.worker = Worker()
            goodbye = weakref.finalize(self, self.worker.close)
            goodbye.atexit = False  # the worker has its own way
        self.running, self._phase = True, ""
        dialog.preview.clear()
        dialog.bar.setRange(0, 0)
        dialog.bar.setFormat("")
        choice.say("")
        dialog.show_running(running=True)
        self.worker.submit(
            Job(
                kind=EXPORT,
                work=partial(write, task),
                on_item=partial(self._note, task),
                on_done=self._ended,
                on_error=self._failed,
            )
        )

    def _cancel(self) -> None:
        if self.running and self.worker is not None and self._choice is not None:
            self._choice.say(export_texts.CANCELLING)
            if not self.worker.cancel(EXPORT) and not self.worker.busy:
                self._ended(finished=False)  # it had not begun

    def _note(self, task: ExportTask, answer: Step | Written) -> None:
        dialog = self.dialog
        if dialog is None:
            return
        if isinstance(answer, Written):
            self._show_written(task, answer)
            return
        if answer.phase != self._phase:
            self._phase, self._began = answer.phase, time.monotonic()
        seconds = time.monotonic() - self._began
        dialog.bar.setRange(0, answer.of)
        dialog.bar.setValue(answer.done)
        dialog.bar.setFormat(export_texts.progress(answer, seconds))

    def _show_written(self, task: ExportTask, result: Written) -> None:
        assert self.dialog is not None
        assert self._choice is not None
        done = _Done.of(task, self._desk.place)
        self._done.append(done)
        text = export_texts.written(result)
        self._choice.say(text + export_texts.folder_link(result.path))
        self._choice.ask_again()
        self._desk.say(text)
        self._desk.console((done.short or done.lines)[-1])
        if result.rows:
            self.dialog.preview.show_rows(result.rows)
        elif result.picture is not None:
            self.dialog.preview.show_picture(result.picture)
        self._stop_running()

    def _ended(self, finished: bool) -> None:
        if not finished and self.running and self._choice is not None:
            self._choice.say(export_texts.CANCELLED)
        self._stop_running()

    def _failed(self, error: Exception) -> None:
        text = messages.sentence(error)
        if self._choice is not None:
            self._choice.say(text)
        self._stop_running()
        if self.dialog is None or not self.dialog.isVisible():
            self._desk.complain(error)

    def _stop_running(self) -> None:
        self.running = False
        if self.dialog is not None:
            self.dialog.show_running(running=False)


@dataclass(frozen=True, kw_only=True)
class _Done:
    """What was written, in lines: layers may go, and their pixels with them.

    Attributes
    ----------
    lines : list of str
        Of layers by their names.
    short : list of str
        Of the session of `place`; empty for other labels.
    place : weakref to Workplace, or None
        Where its labels are made.
    stack : tuple
        Which frames of it.
    """

    lines: list[str]
    short: list[str] = field(default_factory=list)
    place: weakref.ref[Workplace] | None = None
    stack: tuple[object, ...] = ()

    @classmethod
    def of(cls, task: ExportTask, place: Workplace | None) -> _Done:
        lines, stack = export_lines.export_lines(task), _stack(task.labels)
        if place is None or place.result is None or place.last_target is None:
            return cls(lines=lines)
        target = place.last_target
        if task.labels.data is not place.result.array or stack != _stack(target):
            return cls(lines=lines)
        image = "stack"
        if task.image is not None and task.image.data is not target.data:
            image = export_lines.opened(task.image)
        short = [export_lines.export_line(task, labels="session.labels", image=image)]
        return cls(lines=lines, short=short, place=weakref.ref(place), stack=stack)

    def is_of(self, place: Workplace) -> bool:
        """Whether a session on `place` has the labels that were written."""
        known = self.place is not None and self.place() is place
        target = place.last_target
        return known and target is not None and self.stack == _stack(target)


def _stack(target: Target) -> tuple[object, ...]:
    return target.followed, tuple(target.fixed.items())
