"""A propagation seen from the window: how far it is, and what to draw of it.

Frames may come faster than a screen is worth drawing; they are noted as they come and
drawn when it is their turn (`turns`), and only if the visible frame has changed.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_warning
from qtpy.QtCore import QObject, Signal

from napari_sam2.widgets import console_lines, messages
from napari_sam2.widgets.engine import FrameNews, PlaneNews, Repeat
from napari_sam2.widgets.sharing import begin_sharing, end_sharing
from napari_sam2.widgets.turns import Turn, Turns
from napari_sam2.widgets.walk import Opened, open_and_propagate, with_answers

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sam2.widgets.desk import Desk
    from napari_sam2.widgets.engine import Direction
    from napari_sam2.widgets.result_layer import ResultLayer
    from napari_sam2.widgets.walk import News, Question
    from napari_sam2.widgets.workplace import Workplace

FOLLOW = "follow"


@dataclass(kw_only=True)
class Run:
    """One propagation.

    Attributes
    ----------
    place : Workplace
        The image whose labels are filled.
    total : int
        Frames to do; 0 until it is known.
    possible : int
        How many there are in all, up to date or not.
    done : int
        Frames done.
    latest : int or None
        The frame done last.
    latest_plane : tuple of int or None
        The plane done last in a repetition.
    unread : int
        Frames that could not be read.
    watched : bool
        Whether the slider goes along.
    written : set of int
        Frames written since the last drawing.
    planes : set of tuple of int
        Planes of a repetition written since the last drawing.
    questions : deque of callable
        What else to ask the engine between two frames; see `Following.ask`.
    turn : Turn
        Lets the engine rest between two frames while one is drawn.
    place_before : tuple of int
        Where the sliders stood.
    began : float
        When the first frame was begun.
    """

    place: Workplace
    total: int = 0
    possible: int = 0
    done: int = 0
    latest: int | None = None
    latest_plane: tuple[int, ...] | None = None
    unread: int = 0
    watched: bool = True
    written: set[int] = field(default_factory=set)
    planes: set[tuple[int, ...]] = field(default_factory=set)
    questions: deque[Question] = field(default_factory=deque)
    turn: Turn = field(default_factory=Turn)
    place_before: tuple[int, ...] = ()
    began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """How long it has been going on."""
        return time.monotonic() - self.began


class Following(QObject):
    """Runs a propagation and shows how it goes.

    Parameters
    ----------
    desk : Desk
        What the panel's parts share.

    Attributes
    ----------
    run : Run or None
        What is going on.
    ended : Signal()
        A run is over, finished or not.
    """

    ended = Signal()

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self.run: Run | None = None
        self._moving = False
        self._turns = Turns(self._take_turn, self._changes, self)

    def begin(self, direction: Direction) -> None:
        """Fill the frames before, after or around the prompts."""
        desk, place, request = self._desk, self._desk.place, self._desk.request()
        if place is None or request is None or self.run is not None:
            return
        if not desk.models.info.here:
            desk.say_what_to_do()
            return
        prompted = {*request.prompts, *place.masks}
        if not prompted:
            desk.say(messages.NOTHING_PROMPTED)
            show_warning(messages.NOTHING_PROMPTED)
            return
        frames = self._wanted()
        some = None if len(frames) == request.target.n_frames else frames
        over = desk.panel.repeat.currentData()
        repeat = None
        if over is not None:
            letter = request.target.axes[over]
            repeat = Repeat(over=letter, direction=direction, frames=some)
        again = desk.panel.again.isChecked()
        given = {t for _, t in prompted} | place.cells.locked_frames
        n_frames = request.target.n_frames
        beyond = messages.nothing_beyond(direction, given, place.here, n_frames)
        if beyond is not None and repeat is None and not again:
            desk.say(beyond)
            return
        line = console_lines.propagate_line(direction, some, repeat, everything=again)
        desk.console(line)
        run = self.run = Run(
            place=place,
            watched=desk.panel.watch.isChecked(),
            place_before=place.index_here,
        )
        begin_sharing()
        self._show_running(running=True)
        desk.say(messages.following(len({object_id for object_id, _ in prompted})))
        walk = partial(
            open_and_propagate,
            desk.engine,
            request,
            direction,
            some,
            repeat,
            everything=again,
        )
        self._turns.begin(run.turn, desk.panel.window() or desk.panel)
        desk.submit(
            FOLLOW,
            lambda: with_answers(
                walk(), run.questions, run.turn, desk.engine.finish_ahead
            ),
            on_item=partial(self._note, run),
            on_done=partial(self._done, run),
            on_error=partial(self._failed, run),
        )

    def stop(self) -> None:
        """Stop after the frame that is being computed."""
        if self.run is None:
            return
        self._desk.say(messages.STOPPING)
        self._desk.console("run.close()  # what is done stays")
        self._desk.panel.stop.setEnabled(False)
        if not self._desk.worker.cancel(FOLLOW):  # it had not begun, or has just ended
            self._done(self.run, False)

    def stop_quietly(self) -> None:
        """Stop because something newer is wanted."""
        if self.run is not None:
            self._desk.worker.cancel(FOLLOW)
            self.run.watched = False  # the user works where the sliders are now
            self._end()

    def close(self) -> None:
        """Show nothing any more: the panel is going."""
        if self.run is not None:
            end_sharing()
        self._turns.end()
        self.run = None

    def ask(self, question: Question) -> bool:
        """Have the engine asked between two frames; return whether anything runs.

        Parameters
        ----------
        question : callable
            Called in the worker's thread; what it returns is called in the event loop.
        """
        if self.run is None:
            return False
        self.run.questions.append(question)
        return True

    def layer_gone(self) -> None:
        """Stop filling a layer that is not there any more."""
        if self.run is not None:
            self.stop_quietly()
            self._desk.say(messages.LAYER_GONE)

    def slider_moved(self, _event: Any = None) -> None:
        """Let the user look around: do not pull the slider back in this run."""
        if not self._moving and self.run is not None:
            self.run.watched = False

    def _wanted(self) -> range:
        ends = self._desk.panel.first.value(), self._desk.panel.last.value()
        return range(min(ends), max(ends) + 1)

    def _note(self, run: Run, answer: News | Callable[[], None]) -> None:
        """Count a frame; drawing waits for the timer."""
        if isinstance(answer, int):  # so many planes are still to do
            run.total = run.done + answer
            run.possible = max(run.possible, run.total)
            return
        if isinstance(answer, PlaneNews):
            run.done += not answer.again
            run.unread += answer.error is not None
            run.latest_plane = answer.place
            run.planes.add(answer.place)
            self._note_plane(run.place, answer)
            return
        if callable(answer):
            answer()
            return
        if isinstance(answer, Opened):
            self._desk.show_result(run.place, answer.array)
            run.total, run.possible = answer.total, answer.possible
            if answer.needs:
                self._desk.say(messages.needed(answer.needs))
            run.began = time.monotonic()
            return
        run.place.cells.note(answer, known=None)
        run.done += 1
        run.latest = answer.frame_idx
        run.unread += answer.error is not None
        run.written.add(answer.frame_idx)

    def _note_plane(self, place: Workplace, plane: PlaneNews) -> None:
        """Remember what was found in a volume; the first one is known better."""
        volume = place.volume_of(plane.place)
        if place.axis is not None and volume != place.cells.home:
            news = FrameNews(frame_idx=plane.place[place.axis], objects=plane.objects)
            place.cells.note(news, known=None, volume=volume)

    def _goes_along(self) -> bool:
        """Whether the slider follows the run."""
        run = self.run
        return run is not None and run.watched and self._desk.panel.watch.isChecked()

    def _changes(self) -> bool:
        """Whether the picture will be another one."""
        run = self.run
        return run is not None and (
            self._goes_along()
            or run.place.here in run.written
            or run.place.index_here in run.planes
        )

    def _take_turn(self) -> None:
        self._desk.worker.deliver()  # the frame that has just ended
        self._draw()

    def _draw(self) -> None:
        """Show how far it is; redraw the picture only if its labels changed."""
        run, panel = self.run, self._desk.panel
        if run is None or not (run.written or run.planes):
            return
        written, run.written = run.written, set()
        place, target = run.place, run.place.last_target
        text = messages.progress(run.done, run.total, run.seconds)
        # A progress bar paints itself at once, and with it all of napari's window; so
        # it is drawn with what else has changed.
        panel.progress.setUpdatesEnabled(False)
        panel.progress.setRange(0, max(run.total, run.done))
        panel.progress.setValue(run.done)
        panel.progress.setFormat(text)
        panel.progress.setUpdatesEnabled(True)
        planes, run.planes = run.planes, set()
        shown = {p[place.axis or 0] for p in planes if place.shows(p)} | written
        if place is self._desk.place and shown:
            panel.objects.draw(place.object_id)
            self._desk.frames_done.emit(min(shown), max(shown))
        if target is None or place.result is None:
            return
        change = self._change(run, place.result, written, planes)
        if change is not None:
            self._turns.hold()
            change()

    def _change(
        self,
        run: Run,
        result: ResultLayer,
        written: set[int],
        planes: set[tuple[int, ...]],
    ) -> Callable[[], None] | None:
        """Say how the picture changes, if at all."""
        place, watched = run.place, self._goes_along()
        if planes:
            if watched and run.latest_plane not in (place.index_here, None):
                return partial(self._move, place.show_plane, run.latest_plane)
            return result.refresh if place.index_here in planes else None
        here = place.here
        if watched and run.latest not in (here, None):
            return partial(self._move, place.go_to, run.latest)  # draws the labels too
        return result.refresh if here in written else None

    def _move(self, move: Callable[[Any], None], where: Any) -> None:
        """Move the sliders; that is not the user looking around."""
        self._moving = True
        move(where)
        self._moving = False

    def _done(self, run: Run, finished: bool) -> None:
        if run is not self.run:
            return
        self._end()
        if finished and not run.total:
            text = messages.UP_TO_DATE if run.possible else messages.NO_FRAMES
            self._desk.say(text)
        elif finished:
            self._desk.say(messages.finished(run.done, run.seconds, run.unread))
        else:
            self._desk.say(messages.stopped(run.latest))

    def _failed(self, run: Run, error: Exception) -> None:
        if run is self.run:
            self._end()
        self._desk.complain(error)

    def _end(self) -> None:
        """Draw a last time and leave the buttons as they were."""
        self._turns.end()
        self._draw()
        run, self.run = self.run, None
        if run is not None:
            end_sharing()
        if run is not None and run.latest_plane is not None and run.watched:
            self._move(run.place.show_plane, run.place_before)
        if run is not None and run.place.result is not None:
            run.place.result.forget_paint_history()
            run.place.result.refresh()
        self._show_running(running=False)
        if run is not None:
            self.ended.emit()

    def _show_running(self, *, running: bool) -> None:
        panel = self._desk.panel
        panel.stop.setEnabled(running)
        for button in (panel.backward, panel.both, panel.forward):
            button.setEnabled(not running and self._desk.place is not None)
        if running:
            panel.progress.setRange(0, 0)  # busy, until the first frame is there
            panel.progress.setFormat("")
        elif panel.progress.maximum() == 0:
            panel.progress.setRange(0, 1)
            panel.progress.reset()
