"""Adapting a model to a user's own cells: annotate, propagate, correct, adapt, repeat.

That is SAM 2's data engine (section 5) in the lab. Some objects are held aside; what
users do with them, a click, a box, a first mask followed, is measured before and after.
The engine yields and does not know who is watching; closing the generator stops it.
"""

from __future__ import annotations

import copy
import datetime
import importlib.metadata
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sam2.model import Card, save_own
from napari_sam2.training.batches import draw_batch
from napari_sam2.training.descent import (
    Descent,
    arithmetic,
    step_generator,
    warmed_cosine,
)
from napari_sam2.training.held_aside import HeldAside
from napari_sam2.training.losses import LossWeights
from napari_sam2.training.low_rank import PARTS, Part, free, merge
from napari_sam2.training.own_data import OwnPictures, divide, take_census
from napari_sam2.training.steps import Losses

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from napari_sam2.model import SAM2, Origin
    from napari_sam2.training.batches import Batch
    from napari_sam2.training.own_data import Annotated, Census

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig:
    """How to adapt.

    Attributes
    ----------
    part
        What may change; see `napari_sam2.training.low_rank.free`.
    steps
        Steps in all.
    batch, objects
        Crops a step, and most objects in each.
    clip_share, clip_frames
        Share of the steps that follow objects through clips, and their frames.
    clip_batch, clip_objects
        Clips a step, and most objects in each.
    lr, warmup
        Peak learning rate, and steps until it is reached.
    weight_decay, clip_norm, ema, layer_decay
        As `napari_sam2.training.descent.Descent` takes them.
    rank
        Of low-rank changes.
    corrections
        Most corrective clicks after a first prompt.
    held_aside
        Share of the objects that is not learned from.
    measured
        Most objects to measure before and after.
    seed
        Source of all randomness.
    bf16
        Whether to compute in bfloat16 where that is safe and the device has it.
    """

    part: Part = "lora"
    steps: int = 300
    batch: int = 4
    objects: int = 8
    clip_share: float = 0.5
    clip_frames: int = 4
    clip_batch: int = 1
    clip_objects: int = 4
    lr: float = 2e-4
    warmup: int = 20
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    ema: float = 0.99
    layer_decay: float = 0.9
    rank: int = 4
    corrections: int = 1
    held_aside: float = 0.3
    measured: int = 16
    seed: int = 0
    bf16: bool = True

    def __post_init__(self) -> None:
        """Refuse what cannot be done."""
        if self.part not in PARTS:
            raise ValueError(f"part is one of {', '.join(PARTS)}, not {self.part!r}.")
        for name in ("steps", "batch", "objects", "clip_batch", "clip_objects"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1, not {getattr(self, name)}.")
        if self.clip_frames < 2:
            raise ValueError("clip_frames is at least 2: a clip has a past.")
        if not 0 <= self.clip_share <= 1:
            raise ValueError("clip_share is a share, from 0 to 1.")
        if not 0 < self.held_aside < 1:
            raise ValueError("held_aside is a share, above 0 and below 1.")


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What was just done.

    Attributes
    ----------
    phase
        "looking" through labels, measuring "before", "learning", measuring "after".
    done, total
        Frames, objects, steps, objects.
    loss
        Of the step, while learning.
    """

    phase: str
    done: int
    total: int
    loss: float | None = None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What an adaptation brought.

    Attributes
    ----------
    model
        The adapted network, in evaluation mode, on the device of the first.
    before, after
        For each task the scores (IoU) of the objects held aside, in the same order.
    learned, aside
        How many objects were learned from and held aside.
    losses
        Of every step.
    """

    model: SAM2
    before: dict[str, tuple[float, ...]]
    after: dict[str, tuple[float, ...]]
    learned: int
    aside: int
    losses: tuple[float, ...]

    @property
    def gain(self) -> float:
        """Mean over tasks of the rise of the mean IoU."""
        return float(
            np.mean(
                [np.mean(self.after[k]) - np.mean(self.before[k]) for k in self.before]
            )
        )


def finetune(
    model: SAM2, items: Sequence[Annotated], config: FinetuneConfig | None = None
) -> Generator[Progress, None, Outcome]:
    """Adapt a model to annotated movies, volumes and pictures.

    Parameters
    ----------
    model
        Where to start; is not changed.
    items
        What was annotated.
    config
        How to adapt.

    Yields
    ------
    Progress
        After every frame looked through, object measured and step learned.

    Returns
    -------
    Outcome
        The adapted network, the mean of the last steps', and what it brought. Nothing
        was chosen on the objects held aside, so their scores are honest.

    Raises
    ------
    ValueError
        If there are too few objects.
    FrameReadError
        If a frame cannot be read.
    """
    config = config or FinetuneConfig()
    census = yield from _look_through(items)
    learn, aside = divide(census, config.held_aside, config.seed)
    measure = HeldAside(items, census, aside, most=config.measured, seed=config.seed)
    before = yield from _measured(measure, model, "before")
    student = copy.deepcopy(model).float().train()
    free(student, config.part, rank=config.rank, seed=config.seed)
    source = OwnPictures(items, census, learn)
    losses = yield from _learn(student, source, config)
    merge(student)
    adapted = student.to(model.dtype).eval().requires_grad_(requires_grad=False)
    after = yield from _measured(measure, adapted, "after")
    return Outcome(
        model=adapted,
        before=before,
        after=after,
        learned=len(learn),
        aside=len(aside),
        losses=tuple(losses),
    )


def keep(
    outcome: Outcome,
    name: str,
    config: FinetuneConfig,
    *,
    parent: Origin | None,
    data: Sequence[str],
) -> Path:
    """Keep an adapted model among the user's own, with its card.

    Parameters
    ----------
    outcome
        From `finetune`.
    name
        What `load_model` will find it by.
    config
        How it was adapted.
    parent
        The origin of the model that was adapted.
    data
        Names of what was learned from.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError
        If no model may have that name.
    """
    card = Card(
        parent=parent.name if parent else "",
        parent_sha256=parent.sha256 if parent else "",
        made=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        version=importlib.metadata.version("napari-sam2"),
        data=tuple(data),
        learned=outcome.learned,
        aside=outcome.aside,
        part=config.part,
        steps=config.steps,
        scores={
            task: (float(np.mean(scores)), float(np.mean(outcome.after[task])))
            for task, scores in outcome.before.items()
        },
    )
    return save_own(outcome.model, name, card)


def _look_through(items: Sequence[Annotated]) -> Generator[Progress, None, Census]:
    total = sum(item.stack.n_frames for item in items)
    if not total:
        raise ValueError("There is nothing to learn from: give labelled frames.")
    looking = take_census(items)
    while True:
        try:
            done = next(looking)
        except StopIteration as found:
            census: Census = found.value
            return census
        yield Progress(phase="looking", done=done, total=total)


def _measured(
    measure: HeldAside, model: SAM2, phase: str
) -> Generator[Progress, None, dict[str, tuple[float, ...]]]:
    scores: dict[str, list[float]] = {}
    for done, found in enumerate(measure.scores(model), start=1):
        for task, score in found.items():
            scores.setdefault(task, []).append(score)
        yield Progress(phase=phase, done=done, total=measure.total)
    return {task: tuple(values) for task, values in scores.items()}


def _learn(
    student: SAM2, source: OwnPictures, config: FinetuneConfig
) -> Generator[Progress, None, list[float]]:
    """Follow the gradient; leave the averaged weights in the student."""
    size = student.config.image_size
    descent = Descent(
        student,
        weight_decay=config.weight_decay,
        clip_norm=config.clip_norm,
        ema=config.ema,
        layer_decay=config.layer_decay,
    )
    objective = Losses(student, config.corrections)
    losses: list[float] = []
    for step in range(config.steps):
        rng = np.random.default_rng([config.seed, step])
        generator = step_generator(config.seed, step)
        batch = _draw(rng, source, config, size).to(student.device)
        with arithmetic(student.device, bf16=config.bf16):
            loss = objective(
                batch, LossWeights(), generator, clips=len(batch.frames) > 1
            )
        descent.backward(loss)
        rate = config.lr * warmed_cosine(step, config.steps, config.warmup)
        if not descent.step(rate):
            log.warning("step %d: gradient is not finite, skipped", step)
        descent.follow_average(step)
        losses.append(float(loss.detach()))
        yield Progress(
            phase="learning", done=step + 1, total=config.steps, loss=losses[-1]
        )
    student.load_state_dict(descent.average)
    return losses


def _draw(
    rng: np.random.Generator, source: OwnPictures, config: FinetuneConfig, size: int
) -> Batch:
    if rng.random() < config.clip_share:
        shape = (config.clip_batch, config.clip_frames, config.clip_objects)
    else:
        shape = (config.batch, 1, config.objects)
    return draw_batch(rng, *shape, real=source, real_share=1.0, size=size)
