"""Batches for training: drawn by worker processes, fixed by (seed, step) alone.

Shapes: B pictures, T frames, N objects in the batch, S side, s = S / 4.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from napari_sam2.tracking.flow import motion_between, still
from napari_sam2.training.clicks import first_click, shaky_box
from napari_sam2.training.synthetic import draw_clip, draw_picture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sam2.training.config import TrainConfig


class RealSource(Protocol):
    """Real pictures and clips with labels, as `datasets.RealPictures` gives them."""

    def sample_picture(
        self, rng: np.random.Generator, size: int = 256
    ) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Return (S, S, 3) in [0, 1] and (S, S) labels."""

    def sample_clip(
        self, rng: np.random.Generator, size: int = 256, n_frames: int = 8
    ) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Return (T, S, S, 3) in [0, 1] and (T, S, S) labels."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Clips (pictures have T = 1) and the objects that are supervised in them.

    Attributes
    ----------
    frames
        (T, B, 3, S, S) float in [0, 1].
    owner
        (N,) int64: which of the B clips an object is in.
    targets
        (T, N, s, s) coverage of the stride-4 cells, in [0, 1].
    present
        (T, N) bool.
    first_mask
        (N, 1, S, S) float in {0, 1}: the objects on frame 0.
    points
        (N, 1, 2) float first clicks (x, y) on frame 0.
    boxes
        (N, 2, 2) float corners (x, y) on frame 0.
    places, trust
        (T - 1, B, s, s, 2) and (T - 1, B, 1, s, s): how each clip's picture moves from
        a frame to the next, as `napari_sam2.tracking.flow.Motion` has it.
    """

    frames: Tensor
    owner: Tensor
    targets: Tensor
    present: Tensor
    first_mask: Tensor
    points: Tensor
    boxes: Tensor
    places: Tensor
    trust: Tensor

    def to(self, device: torch.device) -> Batch:
        """Move every tensor."""
        return Batch(
            **{
                item.name: getattr(self, item.name).to(device, non_blocking=True)
                for item in fields(self)
            }
        )


class Batches(Dataset[Batch]):
    """Batch number i of a run; the same for the same seed on any machine.

    Parameters
    ----------
    config
        The run.
    real
        Real material, or None for synthetic microscopy alone.
    rank
        Which of several processes draws; each draws others.
    """

    def __init__(
        self, config: TrainConfig, real: RealSource | None, *, rank: int = 0
    ) -> None:
        self.config = config
        self.real = real
        self.rank = rank

    def __len__(self) -> int:
        """Return the number of steps of the run."""
        return self.config.steps

    def __getitem__(self, step: int) -> Batch:
        """Draw the batch of `step`."""
        config = self.config
        seed = [config.seed, step] + [2, self.rank] * bool(self.rank)
        rng = np.random.default_rng(seed)
        if is_clip_step(config, step):
            shape = (config.clip_batch, config.clip_frames, config.clip_objects)
        else:
            shape = (config.batch, 1, config.objects)
        return draw_batch(
            rng,
            *shape,
            real=self.real,
            real_share=config.real_share,
            size=config.image_size,
        )


def is_clip_step(config: TrainConfig, step: int) -> bool:
    """Say whether `step` trains on clips: deterministic, in the wanted share."""
    if step < config.clips_from or config.clip_share <= 0:
        return False
    return bool(
        np.random.default_rng([config.seed, step, 1]).random() < config.clip_share
    )


def draw_batch(
    rng: np.random.Generator,
    count: int,
    n_frames: int,
    n_objects: int,
    *,
    real: RealSource | None,
    real_share: float,
    size: int,
) -> Batch:
    """Draw `count` clips of `n_frames` with up to `n_objects` each.

    A share of them is real, if there is something real; the rest is synthetic.
    """
    frames: list[NDArray[np.float32]] = []
    owner: list[int] = []
    parts: list[tuple[NDArray[Any], ...]] = []
    while len(frames) < count:
        from_real = real is not None and rng.random() < real_share
        source: Any = real if from_real else None
        if n_frames == 1:
            draw = source.sample_picture if from_real else draw_picture
            picture, plane = draw(rng, size)
            clip, labels = picture[None], plane[None]
        else:
            draw = source.sample_clip if from_real else draw_clip
            clip, labels = draw(rng, size, n_frames)
        chosen = choose_objects(rng, labels, n_objects)
        if not len(chosen):
            continue
        owner += [len(frames)] * len(chosen)
        frames.append(np.moveaxis(clip, -1, 1))  # (T, 3, S, S)
        parts += [_object(rng, labels, int(k)) for k in chosen]
    places, trust = _motions(frames, size // 4)
    targets, masks, points, boxes = (np.stack(p) for p in zip(*parts, strict=True))
    targets = np.moveaxis(targets, 1, 0)  # (T, N, s, s)
    return Batch(
        frames=torch.from_numpy(np.stack(frames, axis=1).astype(np.float32)),
        owner=torch.tensor(owner),
        targets=torch.from_numpy(targets),
        present=torch.from_numpy(targets.sum((2, 3)) > 0.25),
        first_mask=torch.from_numpy(masks.astype(np.float32))[:, None],
        points=torch.from_numpy(points)[:, None],
        boxes=torch.from_numpy(boxes),
        places=places,
        trust=trust,
    )


def _motions(clips: Sequence[NDArray[np.float32]], side: int) -> tuple[Tensor, Tensor]:
    """Find how each (T, 3, S, S) clip's picture moves from frame to frame.

    A network with dense prompts is given its last mask moved along, as in use.
    """
    n_frames = len(clips[0])
    places = torch.empty(n_frames - 1, len(clips), side, side, 2)
    trust = torch.empty(n_frames - 1, len(clips), 1, side, side)
    for b, clip in enumerate(clips):
        pictures = np.moveaxis(clip, 1, -1)
        for t in range(n_frames - 1):
            motion = motion_between(pictures[t], pictures[t + 1], side)
            places[t, b] = still(side) if motion.places is None else motion.places
            trust[t, b] = motion.trust
    return places, trust


def choose_objects(
    rng: np.random.Generator, labels: NDArray[np.int32], count: int, min_area: int = 24
) -> NDArray[np.int64]:
    """Choose up to `count` objects of frame 0 that are large enough to click.

    Parameters
    ----------
    labels
        (T, H, W) ids.
    count
        Most objects.
    min_area
        Smallest area on frame 0, px.

    Returns
    -------
    numpy.ndarray
        (n,) ids; large objects are somewhat likelier than small ones.
    """
    areas = np.bincount(labels[0].ravel()).astype(float)
    areas[0] = 0
    ids = np.nonzero(areas >= min_area)[0]
    if not len(ids):
        return ids
    weight = areas[ids] ** 0.25
    n = min(count, len(ids))
    return rng.choice(ids, size=n, replace=False, p=weight / weight.sum())


def _object(
    rng: np.random.Generator, labels: NDArray[np.int32], k: int
) -> tuple[NDArray[Any], ...]:
    """Return targets (T, s, s), mask (S, S), point (2,) and box (2, 2) of `k`."""
    own = labels == k
    t, h, w = own.shape
    targets = own.reshape(t, h // 4, 4, w // 4, 4).mean((2, 4), dtype=np.float32)
    point = np.array(first_click(rng, own[0]), np.float32)
    box = np.array(shaky_box(rng, own[0]), np.float32).reshape(2, 2)
    return targets, own[0], point, box
