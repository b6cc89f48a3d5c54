"""What the panel that adapts models does in the worker thread; nothing of Qt.

torch is imported by the first call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_sam2.widgets.engine import Catalogue, ModelInfo
from napari_sam2.widgets.engine_parts import (
    default_loader,
    leave_a_core,
    open_target,
    own_model_info,
)
from napari_sam2.widgets.tracking_engine import TrackingEngine

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from napari_sam2.model import SAM2, Origin
    from napari_sam2.stacks import Stack
    from napari_sam2.training.finetuning import FinetuneConfig, Outcome, Progress
    from napari_sam2.training.low_rank import Part
    from napari_sam2.training.own_data import Annotated
    from napari_sam2.widgets.engine import ModelChoice
    from napari_sam2.widgets.target import Target


class NameTakenError(ValueError):
    """A model of the user's own has that name; it may be replaced."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Pair:
    """An image and labels of it.

    Attributes
    ----------
    target
        The image, and which of its frames.
    labels
        Array-like of the same shape; of several resolutions the finest.
    """

    target: Target
    labels: Any


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What to learn from, where to start, and how.

    Attributes
    ----------
    pair
        An image and its labels.
    model
        Where to start.
    part
        What may change; see `napari_sam2.training.low_rank.free`.
    steps
        For how long.
    """

    pair: Pair
    model: ModelChoice
    part: Part
    steps: int


@dataclass(frozen=True, kw_only=True)
class Count:
    """How far labels were looked through, and what was found.

    Attributes
    ----------
    done, total
        Frames.
    learned, aside
        Objects to learn from and to hold aside, known at the end.
    """

    done: int
    total: int
    learned: int = 0
    aside: int = 0


@dataclass(frozen=True, kw_only=True)
class TaskResult:
    """Mean IoU of the objects held aside, before and after."""

    task: str
    before: float
    after: float
    objects: int


@dataclass(frozen=True, kw_only=True)
class Result:
    """What learning brought.

    Attributes
    ----------
    tasks
        One row each.
    gain
        Mean over the tasks of the rise of the mean IoU.
    learned
        How many objects were learned from.
    """

    tasks: tuple[TaskResult, ...]
    gain: float
    learned: int


class Adapting:
    """Counts objects, adapts one model at a time, and keeps it.

    Parameters
    ----------
    loader
        Makes a model of a choice; tests give a small one.
    """

    def __init__(self, loader: Callable[[ModelChoice], SAM2] = default_loader) -> None:
        self._loader = loader
        self._done: tuple[Outcome, FinetuneConfig, Origin | None, str] | None = None

    def catalogue(self) -> Catalogue:
        """Find out which models are here to start from, and which devices."""
        found = TrackingEngine().catalogue()
        return Catalogue(
            models=tuple(info for info in found.models if info.here),
            devices=found.devices,
        )

    def count(self, pair: Pair) -> Generator[Count, None, None]:
        """Look through labels, and say what there is to learn from.

        Raises
        ------
        ValueError
            If that is too little.
        """
        from napari_sam2.training.finetuning import FinetuneConfig
        from napari_sam2.training.own_data import divide, take_census

        config = FinetuneConfig()
        total = pair.target.n_frames
        with open_target(pair.target) as stack:
            looking = take_census([_annotated(pair, stack)])
            while True:
                try:
                    done = next(looking)
                except StopIteration as end:
                    learn, aside = divide(end.value, config.held_aside, config.seed)
                    break
                yield Count(done=done, total=total)
        yield Count(done=total, total=total, learned=len(learn), aside=len(aside))

    def adapt(self, lesson: Lesson) -> Generator[Progress | Result, None, None]:
        """Adapt a model; the last answer says what that brought.

        The adapted model waits for `keep` or `discard`.

        Raises
        ------
        ValueError
            If there is too little to learn from.
        """
        from napari_sam2.training.finetuning import FinetuneConfig, finetune

        self.discard()
        leave_a_core()
        model = self._loader(lesson.model)
        config = FinetuneConfig(part=lesson.part, steps=lesson.steps)
        with open_target(lesson.pair.target) as stack:
            items = [_annotated(lesson.pair, stack)]
            outcome = yield from finetune(model, items, config)
        self._done = outcome, config, model.origin, items[0].name
        yield _result(outcome)

    def keep(self, name: str, *, replace: bool = False) -> ModelInfo:
        """Keep the adapted model under a name.

        Raises
        ------
        NameTakenError
            If there is one of that name which is not to be replaced.
        ValueError
            If no model may have that name.
        """
        from napari_sam2.model import own_models
        from napari_sam2.model.own_models import check_name
        from napari_sam2.training.finetuning import keep

        assert self._done is not None
        if check_name(name) in own_models() and not replace:
            raise NameTakenError(f"There is a model {name!r} of your own already.")
        outcome, config, parent, data = self._done
        path = keep(outcome, name, config, parent=parent, data=[data])
        self.discard()
        return own_model_info(name, path)

    def discard(self) -> None:
        """Let go of an adapted model."""
        self._done = None


def _annotated(pair: Pair, stack: Stack) -> Annotated:
    from napari_sam2.training.label_planes import LabelPlanes
    from napari_sam2.training.own_data import Annotated

    labels = LabelPlanes(pair.labels, stack.shape, pair.target.index)
    return Annotated(name=pair.target.name, stack=stack, labels=labels)


def _result(outcome: Outcome) -> Result:
    return Result(
        tasks=tuple(
            TaskResult(
                task=task,
                before=sum(scores) / len(scores),
                after=sum(outcome.after[task]) / len(scores),
                objects=len(scores),
            )
            for task, scores in outcome.before.items()
        ),
        gain=outcome.gain,
        learned=outcome.learned,
    )
