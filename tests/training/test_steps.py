"""A small network learns one clip by heart: clicks, boxes and following."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from napari_sam2.model import build_model, normalise
from napari_sam2.tracking import Session
from napari_sam2.training import steps
from napari_sam2.training.batches import draw_batch
from napari_sam2.training.loop import _initialise
from napari_sam2.training.losses import LossWeights
from napari_sam2.training.steps import clip_loss, picture_loss

if TYPE_CHECKING:
    from napari_sam2.model import SAM2
    from napari_sam2.model.config import ModelConfig
    from napari_sam2.training.batches import Batch

STEPS = 120


class OneClip:
    """Two cells that pass each other, always the same."""

    def __init__(self) -> None:
        yy, xx = np.mgrid[:64, :64]
        self.labels = np.zeros((3, 64, 64), np.int32)
        for t in range(3):
            self.labels[t][(yy - 18) ** 2 + (xx - 18 - 8 * t) ** 2 < 120] = 1
            self.labels[t][np.hypot((yy - 46) / 1.5, xx - 44 + 8 * t) < 9] = 2
        grey = np.float32([0.15, 0.55, 0.9])[self.labels]
        noise = np.random.default_rng(0).normal(0, 0.03, grey.shape)
        grey = (grey + noise).clip(0, 1).astype(np.float32)
        self.frames = np.repeat(grey[..., None], 3, axis=-1)

    def sample_picture(
        self, rng: np.random.Generator, size: int = 64
    ) -> tuple[np.ndarray, np.ndarray]:
        return self.frames[0], self.labels[0]

    def sample_clip(
        self, rng: np.random.Generator, size: int = 64, n_frames: int = 3
    ) -> tuple[np.ndarray, np.ndarray]:
        return self.frames, self.labels


def fit(model: SAM2, batches: tuple[Batch, Batch]) -> tuple[float, float]:
    """Train on a picture and a clip in turns; return first and last mean losses."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)
    losses = []
    weights = LossWeights(balanced=0.3)
    for step in range(STEPS):
        generator = torch.Generator().manual_seed(step)
        if step % 2:
            loss = clip_loss(model, batches[1], weights, generator)
        else:
            loss = picture_loss(model, batches[0], weights, generator, corrections=1)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        losses.append(loss.item())
    return float(np.mean(losses[:10])), float(np.mean(losses[-10:]))


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


@dataclass(frozen=True, kw_only=True)
class Learned:
    """A network after it was fitted to one clip."""

    model: SAM2
    clip: OneClip
    batch: Batch
    losses: tuple[float, float]

    def session(self) -> Session:
        limits = [(0, 1)] * 3
        frames = self.clip.frames
        return Session(self.model, frames, axes="TYXC", contrast_limits=limits)


@pytest.fixture(scope="module")
def learned(pico_config: ModelConfig) -> Learned:
    torch.manual_seed(0)
    model = build_model(pico_config)
    _initialise(model)
    clip = OneClip()
    rng = np.random.default_rng(0)
    pictures = draw_batch(rng, 4, 1, 2, real=clip, real_share=1.0, size=64)
    film = draw_batch(rng, 1, 3, 2, real=clip, real_share=1.0, size=64)
    losses = fit(model, (pictures, film))
    model.eval().requires_grad_(requires_grad=False)
    return Learned(model=model, clip=clip, batch=film, losses=losses)


@pytest.mark.slow
def test_one_clip_is_learned_by_heart(learned: Learned) -> None:
    first, last = learned.losses
    assert last < 0.3 * first
    labels = learned.clip.labels
    with learned.session() as session:
        for k, (y, x) in ((1, (18, 18)), (2, (46, 44))):
            session.add_points(k, 0, [(y, x)])
            found = session.preview(0).labels == k
            session.remove_object(k)
            assert overlap(found, labels[0] == k) > 0.75
        for k in (1, 2):
            session.add_mask(k, 0, labels[0] == k)
        followed = [result.labels for result in session.propagate()]
    for k in (1, 2):
        repeated = overlap(labels[0] == k, labels[1] == k)
        assert overlap(followed[1] == k, labels[1] == k) > repeated + 0.2


def test_sessions_follow_just_as_training_does(
    learned: Learned, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "MASK_PROMPT_SHARE", 1.1)
    monkeypatch.setattr(steps, "DROP_PREVIOUS", 0.0)
    model, batch, past = learned.model, learned.batch, steps._Past()
    features = model.encode_image(normalise(batch.frames[:, 0]))
    generator = torch.Generator().manual_seed(0)
    trained = []
    for t in range(3):
        own = features[t + 0 * batch.owner]
        given = (model, batch, own, past, LossWeights(), generator)
        if t:
            steps._tracked_frame(*given, t, False)
        else:
            steps._prompted_frame(*given)
        logits = past.logits
        assert logits is not None
        # Bilinear, corners not aligned: as a session enlarges masks.
        large = F.interpolate(logits, size=(64, 64), mode="bilinear")
        trained.append(large[:, 0].numpy() > 0)
    for i in range(len(batch.owner)):
        with learned.session() as session:
            session._engine.canvas.tidies = False  # training sees every speck
            session.add_mask(1, 0, batch.first_mask[i, 0].numpy() > 0)
            found = [result.labels == 1 for result in session.propagate()]
        assert overlap(found[1], trained[1][i]) > 0.99
        assert overlap(found[2], trained[2][i]) > 0.99
