"""The engine that really tracks: load_model and Session behind the panel's requests.

torch is imported by the first call, in the worker thread.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_sam2.widgets.engine_parts import (
    catalogue,
    frame_news,
    frames_key,
    look_at,
    model_info,
    open_target,
    supposed_rims,
)
from napari_sam2.widgets.kept_sessions import Recovered
from napari_sam2.widgets.opening_engine import OpeningEngine
from napari_sam2.widgets.repeats import Repeats
from napari_sam2.widgets.session_edits import (
    do_edit,
    masks_in,
    masks_of,
    reviews_of,
    standing_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from napari_sam2.tracking.results import Seen
    from napari_sam2.tracking.review import ObjectReview
    from napari_sam2.tracking.shelf import Earlier
    from napari_sam2.widgets.engine import (
        Catalogue,
        Direction,
        Edit,
        FrameNews,
        ModelInfo,
        Painted,
        PlaneNews,
        Repeat,
        Request,
        Standing,
    )


class TrackingEngine(OpeningEngine):
    """Answers what the panel asks; see `napari_sam2.widgets.engine.Engine`."""

    def catalogue(self) -> Catalogue:
        """Find out which models and devices are here."""
        return catalogue(self._models)

    def download(
        self, name: str, report: Callable[[int, int | None], None]
    ) -> ModelInfo:
        """Fetch the model called `name`, reporting bytes done and in all."""
        from napari_sam2.model.registry import download

        download(name, progress=report, folder=self._models)
        return model_info(name, self._models)

    def open(self, request: Request, frame_idx: int) -> Any:
        """Get ready to answer on a frame; return the labels, shaped like the image."""
        session = self._ready(request)
        if not request.prompts and not session.object_ids:
            session.encode(frame_idx)  # the first click is quick
        return self._volume(request).array

    def preview(self, request: Request, frame_idx: int) -> FrameNews:
        """Segment one frame from its prompts."""
        session = self._ready(request)
        result = session.preview(frame_idx)
        return frame_news(session, frame_idx, only=result.scores)

    def suppose(
        self,
        request: Request,
        object_id: int,
        frame_idx: int,
        point: tuple[float, float],
        label: int,
        *,
        afresh: bool,
    ) -> list[NDArray[np.float64]] | None:
        """Say what a click would give, as lines around it; remember nothing.

        None where that would take more than a moment: nothing is opened or told for it.
        """
        session = self._session
        up_to_date = (
            request.model == self._choice
            and request.target.key == self._opened
            and request.prompts == self._sync.told
        )
        if session is None or not up_to_date:
            return None
        if not afresh and not session.is_encoded(frame_idx):
            return None
        return supposed_rims(session, object_id, frame_idx, point, label)

    def frames_to_do(
        self,
        request: Request,
        direction: Direction,
        frames: range | None,
        *,
        everything: bool,
    ) -> int:
        """Return how many frames `propagate` would go through."""
        session = self._ready(request)
        return session.frames_to_do(direction, frames=frames, everything=everything)

    def estimate(
        self,
        request: Request,
        direction: Direction,
        frames: range | None,
        *,
        everything: bool,
    ) -> str:
        """Say what `propagate` needs: memory, disk, time."""
        session = self._ready(request)
        return str(session.estimate(direction, frames=frames, everything=everything))

    def propagate(
        self,
        request: Request,
        direction: Direction,
        frames: range | None,
        *,
        everything: bool,
    ) -> Generator[FrameNews, None, None]:
        """Follow all objects, frame by frame, where they are not up to date."""
        session = self._ready(request)
        running = session.propagate(direction, frames=frames, everything=everything)
        with self._deeds.one(session), contextlib.closing(running):
            for result in running:
                news = frame_news(session, result.frame_idx, only=result.scores)
                yield replace(news, error=result.error)

    def finish_ahead(self) -> None:
        """Wait until nothing is computed beside."""
        if self._session is not None:
            self._session.finish_ahead()

    def planes_to_repeat(
        self, request: Request, repeat: Repeat, *, everything: bool
    ) -> int:
        """Return how many planes `repeat` would go through."""
        return self._repeats_of(request).frames_to_do(repeat, everything=everything)

    def repeat(
        self, request: Request, repeat: Repeat, *, everything: bool
    ) -> Generator[PlaneNews, None, None]:
        """Do what was done in a stack at all positions of a further axis."""
        repeats = self._repeats_of(request)
        self._filled |= repeats.volumes(repeat.over)
        yield from repeats.run(repeat, self._deeds, everything=everything)

    def repeated(
        self, request: Request, index: tuple[int, ...]
    ) -> Mapping[int, ObjectReview] | None:
        """Say what a repetition knows of the volume at an index of the image."""
        if self._repeats is None or request.target.key != self._opened:
            return None
        return self._repeats.reviews(index)

    def _repeats_of(self, request: Request) -> Repeats:
        session = self._ready(request)
        if self._repeats is None:
            self._repeats = Repeats(session, request.target, self._volume(request))
        return self._repeats

    def review(
        self, request: Request, object_ids: Collection[int]
    ) -> Mapping[int, ObjectReview]:
        """Say what is known of some objects, those that there are, in all frames."""
        return reviews_of(self._ready(request), object_ids)

    def turn(self, request: Request, *, undo: bool) -> Standing | None:
        """Take back what was done last, or do it again; None if there is nothing."""
        session = self._ready(request)
        what = self._deeds.turn(session, undo=undo)
        return None if what is None else self._after(request, what)

    def edit(self, request: Request, edit: Edit) -> Standing:
        """Do something to an object; errors say why it cannot be done."""
        # Prompts in a locked frame are refused, so the lock goes first.
        session = self._ready(request, tell=edit.verb != "unlock")
        with self._deeds.one(session) as outside:
            if edit.verb != "remove":
                do_edit(session, edit)
            else:
                if self._repeats is not None:
                    outside += self._repeats.remove(edit.object_id)
                with contextlib.suppress(KeyError):  # an earlier session has left it
                    do_edit(session, edit)
                self._volume(request).erase(edit.object_id, request.target)
        if edit.verb == "unlock":
            self._ready(request)
        return self._after(request, edit.verb)

    def _after(self, request: Request, what: str) -> Standing:
        """Take what the session says now for what was prompted."""
        session = self._session
        assert session is not None
        standing = standing_of(session, what)
        self._sync.told = dict(standing.prompts)
        self._masks[frames_key(request)] = masks_of(session)
        return standing

    def take_masks(
        self,
        request: Request,
        frame_idx: int,
        plane: Callable[[], Any],
        painted: Painted | None = None,
    ) -> tuple[int, ...]:
        """Take objects of a label plane (Y, X) as prompts; return their ids.

        `plane` is called here, because it may read a file. Those objects are taken that
        differ from what was `painted` on; None: all of them.
        """
        session = self._ready(request)
        found = masks_in(frame_idx, plane(), painted)
        kept = self._masks.setdefault(frames_key(request), {})
        with self._deeds.one(session):
            for mask in found:
                kept[mask.object_id, frame_idx] = mask
                session.add_prompt(mask)
                self._sync.painted_over((mask.object_id, frame_idx))
        return tuple(mask.object_id for mask in found)

    def earlier(self, request: Request) -> Earlier | None:
        """Find the newest session that was made on this image before."""
        if self._shelf is None:
            return None
        from napari_sam2.tracking.shelf import earlier_sessions

        with open_target(request.target) as stack:
            found = earlier_sessions(self._shelf, stack)
        return found[0] if found else None

    def recover(self, request: Request, earlier: Earlier) -> Recovered:
        """Go on with an earlier session; the request is without prompts."""
        from napari_sam2.tracking import Session

        self._ready(request)
        model, target = self._model, request.target
        assert model is not None
        self._close_session()
        self._stack = open_target(target)
        self._session = session = Session.open(
            earlier.path, model=model, stack=self._stack
        )
        self._opened, self._frames = target.key, frames_key(request)
        store = self._volume(request).store(target)
        session.store.copy_to(store)
        session.store.mirror = store
        self._filled.add(target.key[:3])
        for kept in sorted(earlier.path.glob("over_?")):
            repeats, over = self._repeats_of(request), kept.name[-1]
            repeats.bring_back(over)
            self._filled |= repeats.volumes(over)
        return Recovered(
            array=self._volume(request).array, standing=self._after(request, "")
        )

    def seen(self, request: Request, frame_idx: int, object_id: int) -> Seen:
        """Return what goes into the network for an object in a frame.

        Another stack than the one being worked on is looked at as a whole, and leaves
        the session as it is.
        """
        elsewhere = self._session is not None and request.target.key != self._opened
        if elsewhere and self._model is not None and request.model == self._choice:
            return look_at(request.target, self._model, frame_idx)
        return self._ready(request, tell=False).seen(frame_idx, object_id)
