"""What the parts of the panel share: the image worked on, the worker, the status line.

Questions to the engine are put to the worker here, so that in one place it is plain
what runs in its thread (`work`) and what in the event loop (everything else).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_error
from qtpy.QtCore import QObject, Signal

from napari_sam2.widgets import messages
from napari_sam2.widgets.target import TargetError
from napari_sam2.widgets.worker import Job, Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sam2.widgets.engine import Engine, Request
    from napari_sam2.widgets.model_part import ModelPart
    from napari_sam2.widgets.panel import Panel
    from napari_sam2.widgets.workplace import Workplace


def _nothing(_: Any) -> None:
    """Do nothing with an answer."""


class Desk(QObject):
    """The panel's common ground.

    Parameters
    ----------
    panel : Panel
        Where answers are shown.
    models : ModelPart
        Which model is asked.
    engine : Engine
        Who answers, in the worker's thread.

    Attributes
    ----------
    place : Workplace or None
        The image being worked on.
    ready : bool
        Whether the model is loaded and the image open.
    result_shown : Signal(object)
        A Labels layer was put into the viewer.
    opened : Signal()
        The model is loaded and the image is open.
    cells_changed : Signal()
        What is known of cells has changed, in any frame.
    frames_done : Signal(int, int)
        More is known of the frames from one to another.
    """

    result_shown = Signal(object)
    opened = Signal()
    cells_changed = Signal()
    frames_done = Signal(int, int)

    def __init__(self, panel: Panel, models: ModelPart, engine: Engine) -> None:
        super().__init__()
        self.panel, self.models, self.engine = panel, models, engine
        self.worker = Worker()
        self.place: Workplace | None = None
        self.ready = False

    def say(self, text: str) -> None:
        """Tell the user what to do next."""
        self.panel.status.setText(text)

    def say_what_to_do(self, *, tool_in_hand: bool = True) -> None:
        """Tell the user what to do, unless what was said last still holds."""
        place, info = self.place, self.models.info
        if place is None:
            self.say(messages.NO_IMAGE)
        elif (obstacle := place.why_not_clickable()) is not None:
            self.say(obstacle)
        elif not info.here:
            self.say(messages.missing_model(info.name, info.note))
        elif not tool_in_hand:
            self.say(messages.ANOTHER_LAYER)
        elif place.untouched:
            self.say(messages.CLICK if self.ready else messages.LOADING)
        elif self.panel.status.text() in messages.OBSTACLES:
            self.say(messages.GO_ON)

    def say_how(self, tool: str) -> None:
        """Tell the user what to do with a tool, where that is not plain."""
        how = {"scribble": messages.SCRIBBLE, "outline": messages.OUTLINE}.get(tool)
        place = self.place
        if how is not None and place is not None and not place.why_not_clickable():
            self.say(how)

    def console(self, line: str) -> None:
        """Show what was just done as a line of Python."""
        self.panel.console.setText(line)
        self.panel.console.setCursorPosition(0)

    def complain(self, error: Exception) -> None:
        """Say what went wrong, in the panel and as a notification."""
        text = messages.sentence(error)
        self.say(text)
        show_error(text)

    def submit(
        self,
        kind: str,
        work: Callable[[], Any],
        *,
        on_item: Callable[[Any], None] = _nothing,
        on_done: Callable[[Any], None] = _nothing,
        on_error: Callable[[Exception], None] | None = None,
    ) -> Job:
        """Ask the engine something; see `Job`. Errors become one sentence."""
        job = Job(
            kind=kind,
            work=work,
            on_item=on_item,
            on_done=on_done,
            on_error=self.complain if on_error is None else on_error,
        )
        self.worker.submit(job)
        return job

    def request(self, *, last: bool = False) -> Request | None:
        """Describe the work as it stands; None, and say why, where it cannot be.

        With `last` it is the stack that was worked on last, see `Workplace.request`.
        """
        if self.place is None:
            self.say(messages.NO_IMAGE)
            return None
        try:
            return self.place.request(self.models.choice, last=last)
        except TargetError as error:
            self.complain(error)
            return None

    def show_objects(self) -> None:
        """Bring the list of cells up to date."""
        if self.place is not None:
            place = self.place
            self.panel.objects.show_prompts(place.sent, place.masks, place.object_id)
            place.show_hidden()
            self.cells_changed.emit()

    def show_result(self, place: Workplace, array: Any) -> None:
        """Put the labels into the viewer if they are not there, and draw them."""
        result = place.show_result(array)
        self.result_shown.emit(result.layer)
        self.panel.paint_tool.setEnabled(True)
        result.refresh()
