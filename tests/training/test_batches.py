"""Batches: fixed by seed and step, and consistent in themselves."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_sam2.training.batches import (
    Batch,
    Batches,
    choose_objects,
    draw_batch,
    is_clip_step,
)

if TYPE_CHECKING:
    from napari_sam2.training.config import TrainConfig


def same(a: Batch, b: Batch) -> bool:
    return all(
        torch.equal(getattr(a, item.name), getattr(b, item.name))
        for item in fields(Batch)
    )


def test_a_batch_is_fixed_by_seed_and_step(small_run: TrainConfig) -> None:
    first, again = Batches(small_run, None), Batches(small_run, None)
    again[0]  # what was drawn before does not matter
    assert same(first[3], again[3])
    assert not same(first[3], first[4])
    other = Batches(replace(small_run, seed=6), None)
    assert first[3].frames.shape != other[3].frames.shape or not same(
        first[3], other[3]
    )


def test_clips_come_from_their_step_on_and_in_their_share(
    small_run: TrainConfig,
) -> None:
    config = replace(small_run, clips_from=100, clip_share=0.3)
    kinds = [is_clip_step(config, step) for step in range(1100)]
    assert not any(kinds[:100])
    assert 0.25 < np.mean(kinds[100:]) < 0.35
    assert not is_clip_step(replace(config, clip_share=0.0), 500)


def test_shapes_and_prompts_agree_with_the_masks() -> None:
    batch = draw_batch(
        np.random.default_rng(2),
        2,
        3,
        4,
        real=None,
        real_share=0.0,
        size=64,
    )
    n = len(batch.owner)
    assert batch.frames.shape == (3, 2, 3, 64, 64)
    assert batch.targets.shape == (3, n, 16, 16)
    assert batch.first_mask.shape == (n, 1, 64, 64)
    assert batch.points.shape == (n, 1, 2)
    assert batch.boxes.shape == (n, 2, 2)
    assert batch.present[0].all()
    assert batch.frames.min() >= 0
    assert batch.frames.max() <= 1
    pooled = torch.nn.functional.avg_pool2d(batch.first_mask, 4)[:, 0]
    assert torch.allclose(pooled, batch.targets[0])
    x, y = batch.points[:, 0].long().T
    assert batch.first_mask[torch.arange(n), 0, y, x].all()


class _Blank:
    """Material whose first picture shows nothing."""

    def __init__(self) -> None:
        self.asked = 0

    def sample_picture(
        self, rng: np.random.Generator, size: int = 256
    ) -> tuple[np.ndarray, np.ndarray]:
        self.asked += 1
        labels = np.zeros((size, size), np.int32)
        if self.asked > 1:
            labels[8:24, 8:24] = 7
        return rng.random((size, size, 3), np.float32), labels

    def sample_clip(
        self, rng: np.random.Generator, size: int = 256, n_frames: int = 8
    ) -> tuple[np.ndarray, np.ndarray]:
        raise NotImplementedError


def test_real_material_is_used_and_pictures_without_objects_are_drawn_again() -> None:
    source = _Blank()
    batch = draw_batch(
        np.random.default_rng(0),
        2,
        1,
        3,
        real=source,
        real_share=1.0,
        size=64,
    )
    assert source.asked == 3
    assert batch.owner.tolist() == [0, 1]
    assert batch.targets.sum((2, 3)).tolist() == [[16.0, 16.0]]


def test_objects_too_small_to_click_are_not_chosen() -> None:
    labels = np.zeros((1, 40, 40), np.int32)
    labels[0, :5, :5], labels[0, 10:12, 10:12], labels[0, 20:30, 20:30] = 3, 4, 9
    chosen = choose_objects(np.random.default_rng(0), labels, 5)
    assert sorted(chosen.tolist()) == [3, 9]
    assert not len(choose_objects(np.random.default_rng(0), labels * 0, 5))
