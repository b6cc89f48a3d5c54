"""The engine that really tracks: load_model and Session behind the panel's requests.

torch is imported by the first call, in the worker thread.
"""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_sam2.widgets.deeds import Deeds
from napari_sam2.widgets.engine_parts import (
    catalogue,
    default_loader,
    frame_news,
    frames_key,
    lanes_beside_a_window,
    leave_a_core,
    look_at,
    model_info,
    open_target,
    supposed_rims,
    warm_up,
)
from napari_sam2.widgets.kept_sessions import Recovered
from napari_sam2.widgets.labels_volume import LabelsVolume
from napari_sam2.widgets.prompt_sync import PromptSync
from napari_sam2.widgets.repeats import Repeats
from napari_sam2.widgets.session_edits import (
    Left,
    do_edit,
    leave,
    masks_in,
    masks_of,
    reviews_of,
    standing_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from napari_sam2.model import SAM2
    from napari_sam2.stacks import Stack
    from napari_sam2.tracking import Session
    from napari_sam2.tracking.prompts import MaskPrompt
    from napari_sam2.tracking.results import Seen
    from napari_sam2.tracking.review import ObjectReview
    from napari_sam2.tracking.shelf import Earlier
    from napari_sam2.widgets.engine import (
        Catalogue,
        Direction,
        Edit,
        FrameNews,
        ModelChoice,
        ModelInfo,
        Painted,
        PlaneNews,
        Repeat,
        Request,
        Standing,
    )
    from napari_sam2.widgets.frame_prompts import PromptKey
    from napari_sam2.widgets.target import Target


class TrackingEngine:
    """One model and one session at a time; see `napari_sam2.widgets.engine.Engine`.

    Parameters
    ----------
    loader : callable, optional
        Makes a model of a choice; tests give a small one with random weights.
    shelf : Path, optional
        Folder in which sessions are kept as they are done, to go on with them after
        a crash; None keeps none.
    kept : int
        How many older ones stay there.
    models : Path, optional
        Folder for downloaded models; None: the usual one.
    """

    def __init__(
        self,
        loader: Callable[[ModelChoice], SAM2] | None = None,
        *,
        shelf: Path | None = None,
        kept: int = 10,
        models: Path | None = None,
    ) -> None:
        self._loader = loader or partial(default_loader, folder=models)
        self._shelf, self._kept, self._models = shelf, kept, models
        self.computes = ""
        self._filled: set[tuple[object, ...]] = set()
        self._choice: ModelChoice | None = None
        self._model: SAM2 | None = None
        self._session: Session | None = None
        self._stack: Stack | None = None
        self._opened: tuple[object, ...] = ()
        self._frames: tuple[object, ...] = ()
        self._modest = False
        self._sync, self._deeds = PromptSync(), Deeds()
        self._repeats: Repeats | None = None
        self._left: dict[tuple[object, ...], Left] = {}
        self._volumes: dict[tuple[int, int | None], LabelsVolume] = {}
        self._masks: dict[tuple[object, ...], dict[PromptKey, MaskPrompt]] = {}

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
        with self._deeds.one(session):
            if edit.verb != "remove":
                do_edit(session, edit)
            else:
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

    def forget(self, target: Target) -> None:
        """Let go of an image that has left the viewer."""
        gone = id(target.data)
        if self._opened and self._opened[0] == gone:
            self._close_session()
        self._volumes = {k: v for k, v in self._volumes.items() if k[0] != gone}
        self._masks = {k: v for k, v in self._masks.items() if k[0] != gone}
        self._left = {k: v for k, v in self._left.items() if k[0] != gone}

    def close(self) -> None:
        """Give back memory and files; labels live on with their layer."""
        self._close_session()
        self._model = self._choice = None
        self._volumes.clear()
        self._masks.clear()
        self._left.clear()

    def _ready(self, request: Request, *, tell: bool = True) -> Session:
        """Bring model, session and (`tell`) prompts in line with the request."""
        if self._model is None or request.model != self._choice:
            self._close_session()
            self._model, self._choice = None, None  # before loading: room for the next
            if not self._modest:
                leave_a_core()
                self._modest = True
            self._model = self._loader(request.model)
            self._choice = request.model
            warm_up(self._model)
        if self._session is None or request.target.key != self._opened:
            self._close_session()
            self._open_session(request, self._model)
        session = self._session
        assert session is not None
        if tell:
            masks = self._masks.get(frames_key(request), {})
            self._sync.tell(session, request.prompts, masks, self._deeds)
        return session

    def _open_session(self, request: Request, model: SAM2) -> None:
        from napari_sam2.tracking import Session
        from napari_sam2.tracking.saving import note_image
        from napari_sam2.tracking.shelf import new_session_path

        target = request.target
        self._stack = open_target(target)
        store = self._volume(request).store(target)
        lanes = lanes_beside_a_window(model)
        if self._shelf is None:
            self._session = Session(model, self._stack, labels=store, lanes=lanes)
        else:
            path = new_session_path(self._shelf, target.name, self._kept)
            self._session = Session(model, self._stack, path=path, lanes=lanes)
            note_image(self._session.path or path, dict(target.found_at))
            if target.key[:3] in self._filled:  # another model goes on with them
                self._session.begin_with(store.drawn())
            self._session.store.mirror = store
            self._filled.add(target.key[:3])
        self.computes = self._session.computes
        self._opened, self._frames = target.key, frames_key(request)
        left = self._left.pop(self._frames, None)
        if left is not None and left.scores.object_ids:
            self._session.take_scores(left.scores)
        masks = self._masks.get(self._frames, {})
        for mask in masks.values():
            self._session.add_prompt(mask)
        if left is not None:  # another contrast, another model: all of it holds still
            self._sync.tell(self._session, left.still(request), masks, None)
            left.restore(self._session)

    def _close_session(self) -> None:
        if self._repeats is not None:
            self._repeats.close()
            self._repeats = None
        if self._session is not None:
            self._left[self._frames] = leave(self._session, self._sync.told)
            path, used = self._session.path, self._session.object_ids
            self._session.close()
            if path is not None and not used:
                shutil.rmtree(path, ignore_errors=True)  # there is nothing in it
        if self._stack is not None:
            self._stack.close()
        self._session = self._stack = None
        self._opened = self._frames = ()
        self._sync, self._deeds = PromptSync(), Deeds()

    def _volume(self, request: Request) -> LabelsVolume:
        target = request.target
        key = (id(target.data), target.followed)
        if key not in self._volumes:
            self._volumes[key] = LabelsVolume(target)
        return self._volumes[key]
