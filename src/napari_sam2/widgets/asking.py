"""Clicks, drawings and masks: asked of the engine, answered on the visible frame."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_info, show_warning
from qtpy.QtCore import QTimer

from napari_sam2.widgets import console_lines, messages
from napari_sam2.widgets.cells import Cells
from napari_sam2.widgets.engine import Painted
from napari_sam2.widgets.frame_prompts import FramePrompts
from napari_sam2.widgets.prompt_geometry import without

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Mapping

    from napari.layers import Labels
    from qtpy.QtWidgets import QProgressBar

    from napari_sam2.tracking.review import ObjectReview
    from napari_sam2.widgets.desk import Desk
    from napari_sam2.widgets.engine import FrameNews, ModelInfo, Request
    from napari_sam2.widgets.following import Following
    from napari_sam2.widgets.workplace import Workplace

ASK, OPEN, DOWNLOAD = "ask", "open", "download"


class Asking:
    """From a prompt to the mask on the visible frame.

    Parameters
    ----------
    desk : Desk
        What the panel's parts share.
    following : Following
        Is stopped by every prompt: what it does is out of date then.
    """

    def __init__(self, desk: Desk, following: Following) -> None:
        self._desk, self._following = desk, following
        self._to_review: set[int] = set()

    def look_around(self) -> None:
        """Find out which models and devices there are."""
        desk = self._desk
        desk.submit(
            "catalogue", desk.engine.catalogue, on_done=desk.models.show_catalogue
        )

    def work_on(self, place: Workplace | None) -> None:
        """Turn to an image, or to none."""
        desk, panel = self._desk, self._desk.panel
        desk.place = place
        for widget in (
            panel.forward,
            panel.backward,
            panel.both,
            panel.click_tool,
            panel.box_tool,
            panel.scribble_tool,
            panel.outline_tool,
            panel.new_object,
            panel.undo,
            panel.redo,
            panel.lock,
            panel.delete_object,
            panel.more,
            panel.use_labels,
            panel.previous_doubtful,
            panel.next_doubtful,
            panel.accept,
        ):
            widget.setEnabled(place is not None)
        shown = place is not None and place.result is not None
        panel.paint_tool.setEnabled(shown)
        if place is None:
            panel.objects.use(Cells(1), 1)
            desk.cells_changed.emit()
            desk.say(messages.NO_IMAGE)
            return
        panel.objects.use(place.cells, place.object_id)
        desk.cells_changed.emit()
        last = place.n_frames - 1
        for box, value in ((panel.first, 0), (panel.last, last)):
            box.setRange(0, last)
            box.setValue(value)
        self.prepare()

    def prepare(self) -> None:
        """Load the model and encode the visible frame before the first click."""
        desk, place = self._desk, self._desk.place
        desk.ready = False
        self._following.stop_quietly()
        if place is None or not desk.models.info.here:
            desk.say_what_to_do()
            return
        request = desk.request()
        if request is None:
            return
        desk.say_what_to_do()
        frame, engine = place.here, desk.engine
        known = () if place.untouched else tuple(place.cells.ids)

        def work() -> tuple[Any, Mapping[int, ObjectReview]]:
            array = engine.open(request, frame)
            return array, engine.review(request, known) if known else {}

        desk.submit(OPEN, work, on_done=partial(self._opened, place))
        desk.console(console_lines.session_lines(request)[-2])

    def prompted(self) -> None:
        """Answer the prompts that were just added, moved or removed."""
        desk, place, request = self._desk, self._desk.place, self._desk.request()
        if place is None or request is None:
            return
        refused = place.prompts.drop_unusable(request.target)
        if refused is not None:
            desk.say(refused)
            show_warning(refused)
            request = desk.request() or request
        self._cut(place, request)
        before = place.sent
        changed = place.changed_frames(request.prompts)
        if not changed:
            return
        self._following.stop_quietly()
        desk.show_objects()
        frames = [frame for frame, _ in changed]
        here = place.here
        frame = here if here in frames else frames[0]
        object_id = changed[frames.index(frame)][1]
        self._to_review.update(object_id for _, object_id in changed)
        self._ask(place, request, frame, object_id)
        key = object_id, frame
        line = console_lines.new_prompt_line(
            key,
            request.prompts.get(key, FramePrompts()),
            before.get(key, FramePrompts()),
        )
        if line is not None:
            desk.console(line)

    def painted(self) -> None:
        """Take what the user painted as the cell's mask in this frame."""
        desk, place, request = self._desk, self._desk.place, self._desk.request()
        if place is None or request is None or place.result is None:
            return
        frame = place.here
        take = partial(
            desk.engine.take_masks,
            request,
            frame,
            place.plane(request.target, frame),
            place.painted(frame),
        )
        self._take(place, request, frame, take)

    def _cut(self, place: Workplace, request: Request) -> None:
        """Take outlined pixels away from a mask that no outline gave: as if erased."""
        taken = place.prompts.take_cuts(request.target)
        for (object_id, frame), outlines in taken.items():
            known = place.sent.get((object_id, frame))
            if known is not None and known.outlines:
                continue  # the outline that they took away from was removed
            cell = place.cells.get(object_id)
            if cell is None or not cell.area[frame]:
                self._desk.say(messages.NOTHING_TO_CUT)
                show_warning(messages.NOTHING_TO_CUT)
                continue
            take = partial(
                self._desk.engine.take_masks,
                request,
                frame,
                without(place.plane(request.target, frame), object_id, outlines),
                Painted(selected=object_id, areas={}),
            )
            self._take(place, request, frame, take, said=messages.CUT)

    def take_labels(self, labels: Labels) -> None:
        """Start from every object of a Labels layer in the visible frame."""
        desk, place, request = self._desk, self._desk.place, self._desk.request()
        if place is None or request is None:
            return
        frame = place.here
        take = partial(desk.engine.take_masks, request, frame, place.plane_of(labels))
        self._take(place, request, frame, take, name=str(labels.name))

    def forget(self, place: Workplace) -> None:
        """Let go of an image that has left the viewer."""
        desk, target = self._desk, place.last_target
        self.abandon()
        if target is not None:
            kind = f"forget {id(target.data)}"
            desk.submit(kind, partial(desk.engine.forget, target))
        if desk.place is place:
            desk.place = None

    def abandon(self) -> None:
        """Stop everything, for another image."""
        self._following.stop_quietly()
        self._desk.worker.cancel(ASK, OPEN)

    def download(self) -> None:
        """Fetch the chosen model."""
        desk = self._desk
        info, panel = desk.models.info, desk.panel
        panel.download.setEnabled(False)
        panel.progress.setRange(0, 100)
        desk.say(f"Fetching {info.name} … it is kept for later.")
        desk.console(console_lines.download_line(info.name))

        def report(done: int, total: int | None) -> None:
            # In the worker's thread: plain numbers only, read by the timer below.
            arrived[:] = [done, total or 0]

        def ended(found: ModelInfo | Exception) -> None:
            timer.stop()
            panel.download.setEnabled(True)
            panel.progress.reset()
            panel.progress.setFormat("")
            if isinstance(found, Exception):
                desk.complain(found)
            else:
                desk.models.update_model(found)

        arrived = [0, 0]
        timer = _progress_timer(panel.progress, arrived)
        desk.submit(
            DOWNLOAD,
            partial(desk.engine.download, info.name, report),
            on_done=ended,
            on_error=ended,
        )

    def _ask(
        self, place: Workplace, request: Request, frame: int, object_id: int
    ) -> None:
        desk = self._desk
        if not desk.models.info.here:
            desk.say_what_to_do()
            return
        engine, object_ids = desk.engine, frozenset(self._to_review)

        def work() -> Generator[Callable[[], None], None, None]:
            """Answer with what is to be done about it in the event loop."""
            array = engine.open(request, frame)
            reviews = engine.review(request, object_ids)
            yield partial(self._reviewed, place, object_ids, reviews)
            news = engine.preview(request, frame)
            yield partial(self._answered, place, request, object_id, (array, news))

        desk.submit(ASK, work, on_item=_do)

    def _reviewed(
        self,
        place: Workplace,
        object_ids: Collection[int],
        reviews: Mapping[int, ObjectReview],
    ) -> None:
        """Show at once what a prompt has made out of date."""
        self._to_review.difference_update(object_ids)
        place.cells.take_some(reviews, object_ids)
        self._desk.show_objects()

    def _take(
        self,
        place: Workplace,
        request: Request,
        frame: int,
        take: Callable[[], tuple[int, ...]],
        *,
        name: str | None = None,
        said: str = messages.PAINTED,
    ) -> None:
        """Take masks, of a layer of that name or drawn, then show the frame."""
        desk = self._desk
        self._following.stop_quietly()
        engine = desk.engine

        def work() -> tuple[Any, Mapping[int, ObjectReview]]:
            ids = take()
            array = engine.open(request, frame)
            engine.preview(request, frame)
            return array, engine.review(request, ids)

        def done(answer: tuple[Any, Mapping[int, ObjectReview]]) -> None:
            array, reviews = answer
            ids = tuple(reviews)
            place.masks_taken(ids, frame)
            place.cells.take_some(reviews, ids)
            desk.show_result(place, array)
            desk.show_objects()
            then = messages.to_go_on(frame, place.n_frames)
            if name is not None:
                desk.console(console_lines.taken_line(frame, name))
                desk.say(f"{messages.taken(len(ids), name, frame)} {then}")
                show_info(f"{len(ids)} cells taken from {name!r}.")
            else:
                layer, at = f"{place.image.name} objects", request.target.index(frame)
                index = ", ".join(map(str, at))
                if ids:
                    line = console_lines.painted_line(ids[0], frame, layer, index)
                    desk.console(line)
                desk.say(f"{said} {then}")

        desk.submit(f"masks {frame}", work, on_done=done)

    def _opened(
        self, place: Workplace, answer: tuple[Any, Mapping[int, ObjectReview]]
    ) -> None:
        desk, (array, reviews) = self._desk, answer
        desk.ready = True
        place.cells.take_some(reviews, tuple(reviews))
        if place is desk.place:
            desk.panel.device.setToolTip(messages.computing(desk.engine.computes))
            desk.show_result(place, array)
            desk.show_objects()
            desk.say_what_to_do()
            desk.opened.emit()

    def _answered(
        self,
        place: Workplace,
        request: Request,
        object_id: int,
        answer: tuple[Any, FrameNews],
    ) -> None:
        array, news = answer
        desk = self._desk
        desk.ready = True
        place.cells.note(news, known={*request.prompts, *place.masks})
        desk.show_result(place, array)
        desk.show_objects()
        desk.panel.recover.hide()
        if self._following.run is None:
            desk.say(messages.found(news, object_id, n_frames=place.n_frames))


def _do(what: Callable[[], None]) -> None:
    what()


def _progress_timer(bar: QProgressBar, arrived: list[int]) -> QTimer:
    """Show how much has arrived, five times a second, until stopped."""

    def show() -> None:
        done, total = arrived
        bar.setValue(100 * done // total if total else 0)
        whole = f" of {total / 2**20:.0f}" if total else ""
        bar.setFormat(f"{done / 2**20:.0f}{whole} MB")

    timer = QTimer(bar)
    timer.timeout.connect(show)
    timer.start(200)
    return timer
