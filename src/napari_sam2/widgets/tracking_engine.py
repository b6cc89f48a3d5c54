"""The engine that really tracks: load_model and Session behind the panel's requests.

torch is imported by the first call, in the worker thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_sam2.widgets.engine import (
    Catalogue,
    Direction,
    FrameNews,
    FramePrompts,
    ModelChoice,
    ModelInfo,
    ObjectNews,
    Painted,
    PromptKey,
    Request,
    Undone,
)
from napari_sam2.widgets.labels_volume import LabelsVolume

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from napari_sam2.model import SAM2
    from napari_sam2.stacks import Stack
    from napari_sam2.tracking import FrameResult, ObjectScore, Session
    from napari_sam2.tracking.prompts import MaskPrompt
    from napari_sam2.widgets.target import Target

Prompts = dict[PromptKey, FramePrompts]

WARM_UP_SIDE = 512
MOST_CHANGES = 50


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
    """

    def __init__(self, loader: Callable[[ModelChoice], SAM2] = default_loader) -> None:
        self._loader = loader
        self._choice: ModelChoice | None = None
        self._model: SAM2 | None = None
        self._session: Session | None = None
        self._stack: Stack | None = None
        self._opened: tuple[object, ...] = ()
        self._modest = False
        self._applied: Prompts = {}
        # Prompts before each change, and how many steps the session had before, after.
        self._changes: list[tuple[Prompts, int, int]] = []
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
        known = (_model_info(name) for name in CHECKPOINTS)
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
        return _model_info(name)

    def open(self, request: Request, frame_idx: int) -> Any:
        """Get ready to answer on a frame; return the labels, shaped like the image."""
        session = self._ready(request)
        if not request.prompts and not session.object_ids:
            session.preview(frame_idx)  # encodes the frame: the first click is quick
        return self._volume(request).array

    def preview(self, request: Request, frame_idx: int) -> FrameNews:
        """Segment one frame from its prompts."""
        session = self._ready(request)
        return _news(session.preview(frame_idx))

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
                yield _news(result)
        finally:
            running.close()

    def undo_propagation(self, request: Request) -> Undone | None:
        """Take the last propagation back; None if it is not the last thing done."""
        session = self._ready(request)
        if not session.undoable or "propagation" not in session.undoable[-1]:
            return None
        frames = session.undo_frames()
        session.undo()
        return Undone(frames=tuple(frames), news=())

    def toggle_lock(self, request: Request, object_id: int, frame_idx: int) -> bool:
        """Keep an object as it is in a frame, or no longer; say whether it is kept."""
        session = self._ready(request)
        if frame_idx in session.locked(object_id):
            session.unlock(object_id, frame_idx)
            return False
        session.lock(object_id, frame_idx)
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
        kept = self._masks.setdefault(_place(request), {})
        for mask in found:
            kept[mask.object_id, frame_idx] = mask
            session.add_prompt(mask)
        return tuple(mask.object_id for mask in found)

    def remove_object(self, request: Request, object_id: int) -> None:
        """Forget an object and erase it from the labels of a stack."""
        for masks in self._masks.values():
            for key in [k for k in masks if k[0] == object_id]:
                del masks[key]
        for key in [k for k in self._applied if k[0] == object_id]:
            del self._applied[key]
        if self._session is not None and object_id in self._session.object_ids:
            self._session.remove_object(object_id)
        self._volume(request).erase(object_id, request.target)

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

    def _ready(self, request: Request) -> Session:
        """Bring model, session and prompts in line with the request."""
        if self._model is None or request.model != self._choice:
            self._close_session()
            self._model, self._choice = None, None  # before loading: room for the next
            if not self._modest:
                _leave_a_core()
                self._modest = True
            self._model = self._loader(request.model)
            self._choice = request.model
            _warm_up(self._model)
        if self._session is None or request.target.key != self._opened:
            self._close_session()
            self._open_session(request, self._model)
        session = self._session
        assert session is not None
        self._apply(session, request)
        return session

    def _open_session(self, request: Request, model: SAM2) -> None:
        from napari_sam2.stacks import open_stack
        from napari_sam2.tracking import Session

        target = request.target
        self._stack = open_stack(
            target.data,
            axes=target.axes,
            contrast_limits=target.contrast_limits,
            fixed=target.fixed,
        )
        store = self._volume(request).store(target)
        self._session = Session(model, self._stack, labels=store)
        self._opened = target.key
        self._applied = {}
        for mask in self._masks.get(_place(request), {}).values():
            self._session.add_prompt(mask)

    def _close_session(self) -> None:
        if self._session is not None:
            self._session.close()
        if self._stack is not None:
            self._stack.close()
        self._session = self._stack = None
        self._opened, self._applied = (), {}
        self._changes.clear()

    def _volume(self, request: Request) -> LabelsVolume:
        target = request.target
        key = (id(target.data), target.followed)
        if key not in self._volumes:
            self._volumes[key] = LabelsVolume(target)
        return self._volumes[key]

    def _apply(self, session: Session, request: Request) -> None:
        """Tell the session what the user added, changed and took back.

        Going back to the prompts of before is undone in the session as well, so that
        labels are again what they were.
        """
        if request.prompts == self._applied:
            return
        done = len(session.undoable)
        if self._changes:
            before, depth, after = self._changes.pop()
            if before == request.prompts and after == done:
                while len(session.undoable) > depth:
                    session.undo()
                self._applied = dict(before)
                return
            self._changes.append((before, depth, after))
        was = dict(self._applied)
        self._tell(session, request)
        self._changes.append((was, done, len(session.undoable)))
        del self._changes[:-MOST_CHANGES]

    def _tell(self, session: Session, request: Request) -> None:
        masks = self._masks.get(_place(request), {})
        for key in [k for k in self._applied if k not in request.prompts]:
            self._replace(session, key, FramePrompts(), masks)
            del self._applied[key]
        for key, prompts in request.prompts.items():
            before = self._applied.get(key, FramePrompts())
            if prompts == before:
                continue
            if _continues(prompts, before):
                _click(session, key, prompts, len(before.points))
            else:
                self._replace(session, key, prompts, masks)
            self._applied[key] = prompts

    def _replace(
        self,
        session: Session,
        key: PromptKey,
        prompts: FramePrompts,
        masks: Mapping[PromptKey, MaskPrompt],
    ) -> None:
        """Say everything about an object in a frame again, in the order it was said."""
        object_id, frame_idx = key
        if object_id in session.object_ids:
            session.clear_prompts(object_id, frame_idx)
        if key in masks:
            session.add_prompt(masks[key])
        if prompts.box is not None:
            session.add_box(object_id, frame_idx, prompts.box)
        _click(session, key, prompts, 0)


def _warm_up(model: SAM2) -> None:
    """Follow a click on nothing: a network's first answers take many times as long.

    Not for large networks, whose own work outweighs that.
    """
    import numpy as np

    from napari_sam2.tracking import Session

    side = model.config.image_size
    if side <= WARM_UP_SIDE:
        with Session(model, np.zeros((3, side, side), np.uint8), axes="TYX") as session:
            session.add_points(1, 0, [(side / 2, side / 2)], [1])
            for _ in session.propagate():
                pass


def _leave_a_core() -> None:
    """Leave a core to the window: on few cores that is faster for both.

    See docs/performance.md. Holds for the calling thread and those begun later.
    """
    import torch

    torch.set_num_threads(max(1, torch.get_num_threads() - 1))


def _click(session: Session, key: PromptKey, prompts: FramePrompts, begin: int) -> None:
    """Give the clicks from `begin` on, one by one: each refines the last answer.

    So the answer depends on the clicks alone, not on how fast they were made.
    """
    object_id, frame_idx = key
    for point, label in zip(
        prompts.points[begin:], prompts.labels[begin:], strict=True
    ):
        session.add_points(object_id, frame_idx, [point], [label])


def _continues(prompts: FramePrompts, before: FramePrompts) -> bool:
    """Whether nothing but clicks was added."""
    count = len(before.points)
    return (
        prompts.box == before.box
        and prompts.points[:count] == before.points
        and prompts.labels[:count] == before.labels
    )


def _place(request: Request) -> tuple[object, ...]:
    """Where masks belong: the frames, however bright they are shown."""
    target = request.target
    return id(target.data), target.followed, tuple(target.fixed.items())


def _news(result: FrameResult) -> FrameNews:
    return FrameNews(
        frame_idx=result.frame_idx,
        error=result.error,
        objects={
            object_id: ObjectNews(confidence=_confidence(score), area=score.area)
            for object_id, score in result.scores.items()
        },
    )


def _confidence(score: ObjectScore) -> float:
    """Return how sure the network is of its mask, or that the object is not there."""
    return score.iou * score.object_score if score.area else 1 - score.object_score


def _model_info(name: str) -> ModelInfo:
    from napari_sam2.model.registry import (
        MissingCheckpointError,
        checkpoint_path,
        find_checkpoint,
    )

    known = find_checkpoint(name)
    try:
        checkpoint_path(name)
    except MissingCheckpointError:
        here = known.packaged  # then loading says what is wrong with the installation
    else:
        here = True
    size = "" if known.n_bytes is None else f"{known.n_bytes / 2**20:.0f} MB"
    note = "built in" if known.packaged else size
    return ModelInfo(name=name, here=here, note=note)
