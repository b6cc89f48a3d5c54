"""From a name or a file to a model that is ready to use."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeAlias

import torch

from napari_sam2.downloading import file_sha256
from napari_sam2.model.checkpoint import (
    CheckpointError,
    guess_preset,
    load_weights,
    read_state_dict,
)
from napari_sam2.model.config import PRESETS, ModelConfig, preset, resized
from napari_sam2.model.own_models import own_models
from napari_sam2.model.registry import checkpoint_path, find_checkpoint
from napari_sam2.model.sam2 import SAM2, Origin


def choose_device(device: str | torch.device = "auto") -> torch.device:
    """Return the device to compute on.

    Parameters
    ----------
    device
        ``"auto"`` takes CUDA, then Apple's MPS, then the CPU.

    Raises
    ------
    ValueError
        If the device is unknown or not on this machine.
    """
    if str(device) == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        if torch.backends.mps.is_available():
            return torch.device("mps")
        return torch.device("cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        msg = f"{device!r} is no device; use auto, cpu, cuda, cuda:1 or mps."
        raise ValueError(msg) from error
    usable = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if not usable.get(chosen.type, True):
        msg = f"This machine has no usable {chosen.type} device; use auto or cpu."
        raise ValueError(msg)
    return chosen


Precision: TypeAlias = Literal["auto", "full", "half"]


def _as_dtype(given: torch.dtype | str, device: torch.device) -> torch.dtype:
    if isinstance(given, torch.dtype):
        return given
    named = {"full": torch.float32, "half": torch.bfloat16}
    if given not in (*named, "auto"):
        msg = f"{given!r} is no precision; use auto, full, half or a torch.dtype."
        raise ValueError(msg)
    return fastest_dtype(device) if given == "auto" else named[given]


def fastest_dtype(device: torch.device) -> torch.dtype:
    """Return the precision that a device computes fastest in, still exact enough.

    That is bfloat16 on CPUs with instructions for it (AVX-512 BF16, AMX), where matrix
    products take half the time, and on GPUs that have it; float32 elsewhere. Masks in
    bfloat16 agree with those in float32 by a mean IoU of 0.99 (docs/performance.md).
    """
    if device.type == "cpu":
        # torch 2.10 and later.
        found: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
        half = bool(found.get("avx512_bf16") or found.get("amx_bf16"))
    else:
        half = device.type == "cuda" and torch.cuda.is_bf16_supported(
            including_emulation=False
        )
    return torch.bfloat16 if half else torch.float32


def build_model(config: ModelConfig | str) -> SAM2:
    """Build a network with fresh random weights, in training mode."""
    return SAM2(preset(config) if isinstance(config, str) else config)


def load_model(
    name: str | Path = "nano",
    *,
    device: str | torch.device = "auto",
    dtype: torch.dtype | Precision = torch.float32,
    config: ModelConfig | str | None = None,
    image_size: int | None = None,
    recent_memories: int | None = None,
    folder: str | Path | None = None,
) -> SAM2:
    """Load a model, ready for inference.

    Parameters
    ----------
    name
        ``"nano"`` (embedded), an official name such as ``"sam2.1-tiny"``
        (downloaded before by ``napari-sam2 models --download NAME``), one of your own
        (``napari-sam2 finetune``), or a file.
    device
        ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.
    dtype
        Precision of the weights and of computing; "full" is float32, "half" bfloat16,
        "auto" what the device computes fastest in, see `fastest_dtype`.
    config
        The configuration a file was made for; None finds it by itself.
    image_size
        Side that pictures are resized to, px, a multiple of 32; None for the one it
        was trained with (1024 for the official models). A smaller one is much faster
        and coarser: at 512 `sam2.1-tiny` takes a seventh of the time on a CPU
        (docs/performance.md).
    recent_memories
        How many recent frames each frame attends to beside the prompted ones, the
        nearest, 0 to 6; None for all six, as it was trained. Fewer are quicker and
        follow less surely (docs/performance.md).
    folder
        Where models are, downloaded or your own; None: `models_folder`.

    Returns
    -------
    SAM2
        In evaluation mode, without gradients.

    Raises
    ------
    FileNotFoundError
        If the checkpoint is not on this machine; the message says how to get it.
    CheckpointError
        If the file is damaged, changed, unsafe or of another network.
    ValueError
        If the name, the device or the precision is unknown, `image_size` is no
        multiple of 32, or `recent_memories` is out of range.
    """
    chosen = choose_device(device)
    path, wanted = _locate(name, folder)
    if isinstance(config, str):
        config = preset(config)
    checksum = find_checkpoint(wanted.name).sha256 if wanted is not None else None
    found = file_sha256(path) if path.is_file() else ""
    if checksum is not None and found != checksum:
        msg = f"{path} is damaged: its sha256 differs; download it again."
        raise CheckpointError(msg)
    state, metadata = read_state_dict(path)
    named = metadata.get("preset")
    if config is None:
        config = wanted or (preset(named) if named in PRESETS else guess_preset(state))
    config = resized(config, image_size)
    if recent_memories is not None:
        config = replace(config, recent_memories=recent_memories)
    with torch.device("meta"):
        model = SAM2(config)
    model = model.to_empty(device="cpu").to(torch.float32)
    load_weights(model, state, source=path.name)
    model.origin = Origin(name=str(path if wanted is None else name), sha256=found)
    model = model.to(device=chosen, dtype=_as_dtype(dtype, chosen))
    return model.eval().requires_grad_(requires_grad=False)


def _locate(
    name: str | Path, folder: str | Path | None
) -> tuple[Path, ModelConfig | None]:
    """Return the file for `name` and, if it is a preset, its configuration."""
    if isinstance(name, Path) or name.endswith((".pt", ".pth", ".safetensors")):
        return Path(name), None
    own = own_models(folder).get(name)
    if own is not None:
        return own, None
    config = preset(name)
    return checkpoint_path(config.name, folder=folder), config
