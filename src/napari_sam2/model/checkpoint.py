"""Checkpoints: strict, safe loading; the one place that knows file layouts.

Meta's files are ``{"model": state_dict}`` pickles; ours are safetensors whose
metadata names the preset. Module names equal Meta's keys, so nothing is renamed.
"""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from napari_sam2.model.config import PRESETS, preset
from napari_sam2.model.sam2 import SAM2

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from napari_sam2.model.config import ModelConfig

_SHOWN = 4


class CheckpointError(ValueError):
    """A checkpoint file is unsafe, damaged or of another network."""


def read_state_dict(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read the tensors of a checkpoint without running any code in it.

    Parameters
    ----------
    path
        A ``.safetensors`` file, or a torch file holding ``{"model": tensors}``
        or the tensors themselves.

    Returns
    -------
    state, metadata
        Tensors by key, and the safetensors metadata (empty for torch files).

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    CheckpointError
        If the file is damaged or wants to run code.
    """
    path = Path(path)
    if not path.is_file():
        msg = f"There is no checkpoint at {path}."
        raise FileNotFoundError(msg)
    if path.suffix == ".safetensors":
        try:
            with safe_open(path, framework="pt") as file:
                state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
                return state, dict(file.metadata() or {})
        except SafetensorError as error:
            msg = f"{path.name} is damaged or no safetensors file ({error})."
            raise CheckpointError(msg) from error
    return _read_torch(path), {}


def _read_torch(path: Path) -> dict[str, Tensor]:
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        msg = (
            f"{path.name} holds something other than tensors and was not opened, "
            "because it could run code; use an official checkpoint or safetensors."
        )
        raise CheckpointError(msg) from error
    except (RuntimeError, EOFError, OSError, ValueError) as error:
        msg = f"{path.name} is damaged or no torch checkpoint: download it again."
        raise CheckpointError(msg) from error
    state = loaded.get("model", loaded) if isinstance(loaded, dict) else loaded
    if not isinstance(state, dict) or not all(
        isinstance(key, str) and isinstance(value, torch.Tensor)
        for key, value in state.items()
    ):
        msg = f"{path.name} holds no table of tensors under the key 'model'."
        raise CheckpointError(msg)
    return state


def load_weights(model: SAM2, state: Mapping[str, Tensor], *, source: str) -> None:
    """Copy tensors into a model; every key and every shape must agree.

    Parameters
    ----------
    model
        The network to fill.
    state
        Tensors by key, any floating precision.
    source
        What to call the file in an error.

    Raises
    ------
    CheckpointError
        Naming the missing, surplus and misshapen keys.
    """
    own = model.state_dict()
    problems = [
        *_listed("missing", own.keys() - state.keys()),
        *_listed("surplus", state.keys() - own.keys()),
        *_listed(
            "misshapen",
            {
                f"{key} {tuple(state[key].shape)} instead of {tuple(own[key].shape)}"
                for key in own.keys() & state.keys()
                if state[key].shape != own[key].shape
            },
        ),
    ]
    if problems:
        msg = f"{source} does not fit {model.config.name}: {'; '.join(problems)}."
        raise CheckpointError(msg)
    model.load_state_dict(state, strict=True)


def _listed(word: str, keys: set[str]) -> list[str]:
    if not keys:
        return []
    shown = sorted(keys)
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return [f"{word} {', '.join(shown[:_SHOWN])}{more}"]


def guess_preset(state: Mapping[str, Tensor]) -> ModelConfig:
    """Find which preset the tensors belong to, by their shapes.

    Raises
    ------
    CheckpointError
        If they fit none.
    """
    for name, config in PRESETS.items():
        with torch.device("meta"):
            own = SAM2(config).state_dict()
        if own.keys() == state.keys() and all(
            own[key].shape == state[key].shape for key in own
        ):
            return preset(name)
    msg = "The tensors fit none of the known models; name the model it was made for."
    raise CheckpointError(msg)


def save_checkpoint(
    model: SAM2,
    path: str | Path,
    *,
    metadata: Mapping[str, str] | None = None,
    dtype: torch.dtype | None = None,
) -> None:
    """Write a model as safetensors: beside the target first, then renamed.

    Parameters
    ----------
    model
        What to write.
    path
        Target file, ``.safetensors``.
    metadata
        Text to keep with the weights; the preset's name is added.
    dtype
        Precision of the file, e.g. ``torch.float16``; None keeps the model's.
    """
    path = Path(path)
    tensors = {
        key: value.detach().cpu().to(dtype or value.dtype).contiguous()
        for key, value in model.state_dict().items()
    }
    part = path.with_name(f"{path.name}.part")
    save_file(tensors, part, {**(metadata or {}), "preset": model.config.name})
    part.replace(path)


def weights_sha256(model: nn.Module) -> str:
    """Return a hash of a model's weights, for models that come from no file."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
