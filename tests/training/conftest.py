"""Training within a test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from napari_sam2.training.config import TrainConfig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_sam2.model.config import ModelConfig


@pytest.fixture(autouse=True, scope="package")
def _one_thread() -> Iterator[None]:
    """Networks this small are slower on several threads, and sums could differ."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def small_run(pico: ModelConfig, tmp_path: Path) -> TrainConfig:
    """Six steps: pictures first, then clips among them."""
    return TrainConfig(
        output=str(tmp_path / "whole"),
        preset=pico.name,
        image_size=pico.image_size,
        steps=6,
        batch=2,
        objects=3,
        clip_batch=1,
        clip_frames=3,
        clip_objects=2,
        clips_from=2,
        clip_share=0.5,
        warmup=2,
        balanced_until=4,
        seed=5,
        device="cpu",
        workers=0,
        save_every=4,
        log_every=1,
    )
