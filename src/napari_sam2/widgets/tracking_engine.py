"""The engine that really tracks: load_model and Session behind the panel's requests.

torch is imported by the first call, in the worker thread.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_sam2.widgets.engine import (
    Catalogue,
    Direction,
    FrameNews,
    ModelChoice,
    ModelInfo,
    Painted,
    PromptKey,
    Recovered,
    Request,
    Undone,
)
from napari_sam2.widgets.engine_parts import (
    frame_news,
    frames_key,
    leave_a_core,
    model_info,
    open_target,
    warm_up,
)
from napari_sam2.widgets.labels_volume import LabelsVolume
from napari_sam2.widgets.prompt_sync import PromptSync

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from napari_sam2.model import SAM2
    from napari_sam2.stacks import Stack
    from napari_sam2.tracking import Session
    from napari_sam2.tracking.prompts import MaskPrompt
    from napari_sam2.tracking.shelf import Earlier
    from napari_sam2.widgets.target import Target


def default_loader(choice: ModelChoice) -> SAM2:
    """Load the chosen model, ready for inference."""
    from napari_sam2.model import load_model

    return load_model(choice.name, device=choice.device)


class TrackingEngine:
    """One model and one session at a time; see `napari_sam2.widgets.engine.Engine`.

    Parameters
    ----------
    loader : callable
        Makes a model of a choice; tests give a small one with random weights.
    shelf : Path, optional
        Folder in which sessions are kept as they are done, to go on with them after
        a crash; None keeps none.
    """

    def __init__(
        self,
        loader: Callable[[ModelChoice], SAM2] = default_loader,
        *,
        shelf: Path | None = None,
    ) -> None:
        self._loader, self._shelf = loader, shelf
        self._filled: set[tuple[object, ...]] = set()
        self._choice: ModelChoice | None = None
        self._model: SAM2 | None = None
        self._session: Session | None = None
        self._stack: Stack | None = None
        self._opened: tuple[object, ...] = ()
        self._modest = False
        self._sync = PromptSync()
        self._volumes: dict[tuple[int, int | None], LabelsVolume] = {}
        self._masks: dict[tuple[object, ...], dict[PromptKey, MaskPrompt]] = {}

    def catalogue(self) -> Catalogue:
        """Find out which models and devices are here."""
        import torch

        from napari_sam2.model.registry import CHECKPOINTS

        devices = ["auto", "cpu"]
        if torch.cuda.is_available():
            devices += [f"cuda:{i}" for i in range(torch.cuda.device_count())]
        if torch.backends.mps.is_available():
            devices.append("mps")
        known = (model_info(name) for name in CHECKPOINTS)
        return Catalogue(
            # SAM 2.0 is for reproducing old results: offered where its file is.
            models=tuple(m for m in known if m.here or not m.name.startswith("sam2-")),
            devices=tuple(devices),
        )

    def download(
        self, name: str, report: Callable[[int, int | None], None]
    ) -> ModelInfo:
        """Fetch the model called `name`, reporting bytes done and in all."""
        from napari_sam2.model.registry import download

        download(name, progress=report)
        return model_info(name)

    def open(self, request: Request, frame_idx: int) -> Any:
        """Get ready to answer on a frame; return the labels, shaped like the image."""
        session = self._ready(request)
        if not request.prompts and not session.object_ids:
            session.preview(frame_idx)  # encodes the frame: the first click is quick
        return self._volume(request).array

    def preview(self, request: Request, frame_idx: int) -> FrameNews:
        """Segment one frame from its prompts."""
        session = self._ready(request)
        result = session.preview(frame_idx)
        return frame_news(session, frame_idx, only=result.scores)

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
        try:
            for result in running:
                news = frame_news(session, result.frame_idx, only=result.scores)
                yield replace(news, error=result.error)
        finally:
            running.close()

    def undo_propagation(self, request: Request) -> Undone | None:
        """Take the last propagation back; None if it is not the last thing done."""
        session = self._ready(request)
        if not session.undoable or "propagation" not in session.undoable[-1]:
            return None
        frames = session.undo_frames()
        session.undo()
        return Undone(
            frames=tuple(frames), news=tuple(frame_news(session, t) for t in frames)
        )

    def toggle_lock(self, request: Request, object_id: int, frame_idx: int) -> bool:
        """Keep an object as it is in a frame, or no longer; say whether it is kept."""
        session = self._ready(request, tell=False)  # a lock refuses prompts
        if object_id in session.object_ids and frame_idx in session.locked(object_id):
            session.unlock(object_id, frame_idx)
            return False
        self._ready(request).lock(object_id, frame_idx)
        return True

    def take_masks(
        self,
        request: Request,
        frame_idx: int,
        plane: Callable[[], Any],
        painted: Painted | None = None,
    ) -> tuple[int, ...]:
        """Take objects of a label plane (Y, X) as prompts; return their ids.

        Parameters
        ----------
        request
            The stack they are for.
        frame_idx
            Their frame.
        plane
            Gives (Y, X) integers; called here, because it may read a file.
        painted
            The objects that differ from this are taken; None: all of them.
        """
        import numpy as np

        from napari_sam2.tracking.prompts import MaskPrompt, masks_from_labels

        session = self._ready(request)
        pixels = np.asarray(plane())
        if painted is None:
            found = masks_from_labels(frame_idx, pixels)
        else:
            found = [
                MaskPrompt.from_array(object_id, frame_idx, pixels == object_id)
                for object_id in sorted({painted.selected, *painted.areas})
                if object_id == painted.selected
                or np.count_nonzero(pixels == object_id) != painted.areas[object_id]
            ]
        kept = self._masks.setdefault(frames_key(request), {})
        for mask in found:
            kept[mask.object_id, frame_idx] = mask
            session.add_prompt(mask)
        return tuple(mask.object_id for mask in found)

    def remove_object(self, request: Request, object_id: int) -> None:
        """Forget an object and erase it from the labels of a stack."""
        for masks in self._masks.values():
            for key in [k for k in masks if k[0] == object_id]:
                del masks[key]
        self._sync.forget(object_id)
        if self._session is not None and object_id in self._session.object_ids:
            self._session.remove_object(object_id)
        self._volume(request).erase(object_id, request.target)

    def earlier(self, request: Request) -> Earlier | None:
        """Find the newest session that was made on this image before."""
        if self._shelf is None:
            return None
        from napari_sam2.tracking.shelf import earlier_sessions

        with open_target(request.target) as stack:
            found = earlier_sessions(self._shelf, stack)
        return found[0] if found else None

    def recover(self, request: Request, earlier: Earlier) -> Recovered:
        """Go on with an earlier session; the next request's prompts are taken for its.

        Parameters
        ----------
        request
            For the same image, without prompts.
        earlier
            What `earlier` found.
        """
        from napari_sam2.tracking import Session
        from napari_sam2.tracking.prompts import MaskPrompt

        self._ready(request)
        model, target = self._model, request.target
        assert model is not None
        self._close_session()
        self._stack = open_target(target)
        self._session = session = Session.open(
            earlier.path, model=model, stack=self._stack
        )
        self._opened = target.key
        self._sync.adopt()
        store = self._volume(request).store(target)
        session.store.copy_to(store)
        session.store.mirror = store
        self._filled.add(target.key[:3])
        kept = self._masks[frames_key(request)] = {
            (prompt.object_id, prompt.frame_idx): prompt
            for prompt in session.prompts
            if isinstance(prompt, MaskPrompt)
        }
        done = [t for t in range(len(store)) if session.scores.frame(t)]
        return Recovered(
            array=self._volume(request).array,
            prompts=tuple(session.prompts),
            masks=tuple(kept),
            news=tuple(frame_news(session, t) for t in done),
        )

    def forget(self, target: Target) -> None:
        """Let go of an image that has left the viewer."""
        gone = id(target.data)
        if self._opened and self._opened[0] == gone:
            self._close_session()
        self._volumes = {k: v for k, v in self._volumes.items() if k[0] != gone}
        self._masks = {k: v for k, v in self._masks.items() if k[0] != gone}

    def close(self) -> None:
        """Give back memory and files; labels live on with their layer."""
        self._close_session()
        self._model = self._choice = None
        self._volumes.clear()
        self._masks.clear()

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
            self._sync.tell(
                session, request.prompts, self._masks.get(frames_key(request), {})
            )
        return session

    def _open_session(self, request: Request, model: SAM2) -> None:
        from napari_sam2.tracking import Session
        from napari_sam2.tracking.shelf import new_session_path

        target = request.target
        self._stack = open_target(target)
        store = self._volume(request).store(target)
        if self._shelf is None:
            self._session = Session(model, self._stack, labels=store)
        else:
            path = new_session_path(self._shelf, target.name)
            self._session = Session(model, self._stack, path=path)
            if target.key[:3] in self._filled:  # another model goes on with them
                store.copy_to(self._session.store)
            self._session.store.mirror = store
            self._filled.add(target.key[:3])
        self._opened = target.key
        for mask in self._masks.get(frames_key(request), {}).values():
            self._session.add_prompt(mask)

    def _close_session(self) -> None:
        if self._session is not None:
            path, used = self._session.path, self._session.object_ids
            self._session.close()
            if path is not None and not used:
                shutil.rmtree(path, ignore_errors=True)  # there is nothing in it
        if self._stack is not None:
            self._stack.close()
        self._session = self._stack = None
        self._opened = ()
        self._sync = PromptSync()

    def _volume(self, request: Request) -> LabelsVolume:
        target = request.target
        key = (id(target.data), target.followed)
        if key not in self._volumes:
            self._volumes[key] = LabelsVolume(target)
        return self._volumes[key]
