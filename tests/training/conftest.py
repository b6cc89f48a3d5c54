"""A network small enough to be trained within a test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from napari_sam2.model.config import PRESETS, HieraConfig, ModelConfig
from napari_sam2.training.config import TrainConfig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PICO = ModelConfig(
    name="pico",
    image_size=64,
    hiera=HieraConfig(
        embed_dim=16,
        num_heads=1,
        stages=(1, 1, 1, 1),
        global_blocks=(2,),
        windows=(8, 4, 4, 2),
    ),
    dim=32,
    memory_dim=16,
    memory_layers=1,
    memory_ff=64,
    decoder_heads=2,
    decoder_ff=64,
    prompt_mask_channels=16,
    dense_prompts=True,
)


@pytest.fixture(autouse=True, scope="package")
def _one_thread() -> Iterator[None]:
    """Networks this small are slower on several threads, and sums could differ."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def pico_config() -> ModelConfig:
    """Describe the small network."""
    return PICO


@pytest.fixture
def pico(monkeypatch: pytest.MonkeyPatch, pico_config: ModelConfig) -> ModelConfig:
    """Make the small network a preset, for as long as a test runs."""
    monkeypatch.setitem(PRESETS, "pico", pico_config)
    return pico_config


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
