"""The SAM 2 network: configuration, layers, checkpoints. torch only."""

from __future__ import annotations

from napari_sam2.model.checkpoint import (
    CheckpointError,
    guess_preset,
    load_weights,
    read_state_dict,
    save_checkpoint,
    weights_sha256,
)
from napari_sam2.model.config import PRESETS, HieraConfig, ModelConfig, preset
from napari_sam2.model.loading import (
    Precision,
    build_model,
    choose_device,
    fastest_dtype,
    load_model,
)
from napari_sam2.model.own_models import Card, own_models, read_card, save_own
from napari_sam2.model.prompt_encoder import PromptTensors
from napari_sam2.model.sam2 import (
    SAM2,
    ImageFeatures,
    MaskOutput,
    Origin,
    normalise,
)

__all__ = [
    "PRESETS",
    "SAM2",
    "Card",
    "CheckpointError",
    "HieraConfig",
    "ImageFeatures",
    "MaskOutput",
    "ModelConfig",
    "Origin",
    "Precision",
    "PromptTensors",
    "build_model",
    "choose_device",
    "fastest_dtype",
    "guess_preset",
    "load_model",
    "load_weights",
    "normalise",
    "own_models",
    "preset",
    "read_card",
    "read_state_dict",
    "save_checkpoint",
    "save_own",
    "weights_sha256",
]
