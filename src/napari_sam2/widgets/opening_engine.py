"""The model and the session that a request is about: opened, and closed for the next.

torch is imported by the first call, in the worker thread.
"""

from __future__ import annotations

import shutil
from functools import partial
from typing import TYPE_CHECKING

from napari_sam2.widgets.deeds import Deeds
from napari_sam2.widgets.engine_parts import (
    default_loader,
    frames_key,
    lanes_beside_a_window,
    leave_a_core,
    open_target,
    warm_up,
)
from napari_sam2.widgets.labels_volume import LabelsVolume
from napari_sam2.widgets.prompt_sync import PromptSync
from napari_sam2.widgets.session_edits import Left, leave

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_sam2.model import SAM2
    from napari_sam2.stacks import Stack
    from napari_sam2.tracking import Session
    from napari_sam2.tracking.prompts import MaskPrompt
    from napari_sam2.widgets.engine import ModelChoice, Request
    from napari_sam2.widgets.frame_prompts import PromptKey
    from napari_sam2.widgets.repeats import Repeats
    from napari_sam2.widgets.target import Target


class OpeningEngine:
    """Has one model and one session open at a time, as requests ask for them.

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
