"""Checkpoints: strict, safe, and in Meta's own layout."""

from __future__ import annotations

import os
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from napari_sam2.model import (
    SAM2,
    CheckpointError,
    build_model,
    guess_preset,
    load_model,
    preset,
    read_state_dict,
    save_checkpoint,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OFFICIAL = [
    f"{version}-{size}"
    for version in ("sam2", "sam2.1")
    for size in ("tiny", "small", "base-plus", "large")
]


def small(name: str = "nano") -> SAM2:
    torch.manual_seed(0)
    return build_model(preset(name, image_size=64))


def write_meta(path: Path, model: SAM2, **changes: Any) -> Path:
    """Write {"model": state} as Meta does, keys added (None: taken away)."""
    state = model.state_dict() | changes
    kept = {key: value for key, value in state.items() if value is not None}
    torch.save({"model": kept}, path)
    return path


@pytest.mark.parametrize("name", OFFICIAL)
def test_every_key_and_shape_is_metas(name: str, key_shapes: Any) -> None:
    with torch.device("meta"):
        state = SAM2(preset(name)).state_dict()
    assert {key: tuple(value.shape) for key, value in state.items()} == key_shapes(name)


@pytest.mark.parametrize("name", OFFICIAL)
def test_the_preset_is_found_by_its_shapes(name: str, key_shapes: Any) -> None:
    state = {k: torch.empty(s, device="meta") for k, s in key_shapes(name).items()}
    assert guess_preset(state).name == name


def test_metas_layout_loads_through_the_front_door(
    tmp_path: Path, state_of: Callable[[str], dict[str, torch.Tensor]]
) -> None:
    state = state_of("sam2.1-tiny")
    path = tmp_path / "sam2.1_hiera_tiny.pt"
    torch.save({"model": state}, path)
    model = load_model(path, device="cpu")
    assert model.config == preset("sam2.1-tiny")
    assert not model.training
    assert not any(weight.requires_grad for weight in model.parameters())
    for key, value in model.state_dict().items():
        assert torch.equal(value, state[key]), key


def test_half_precision_files_are_computed_in_the_precision_asked_for(
    tmp_path: Path,
) -> None:
    path = tmp_path / "half.safetensors"
    save_checkpoint(small(), path, dtype=torch.float16)
    config = preset("nano", image_size=64)
    assert load_model(path, device="cpu", config=config).dtype == torch.float32
    assert os.path.getsize(path) < 1.1 * 2 * sum(
        p.numel() for p in small().parameters()
    )


def test_safetensors_come_back_equal_with_their_preset(tmp_path: Path) -> None:
    model, path = small(), tmp_path / "nano.safetensors"
    save_checkpoint(model, path, metadata={"trained_on": "nothing"})
    state, metadata = read_state_dict(path)
    assert metadata == {"trained_on": "nothing", "preset": "nano"}
    again = load_model(path, device="cpu")
    assert again.config.name == "nano"
    for key, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[key], value)
        assert torch.equal(state[key], value)
    assert list(tmp_path.iterdir()) == [path]  # nothing half-written is left


def load(path: Path) -> SAM2:
    return load_model(path, device="cpu", config=preset("nano", image_size=64))


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    path = write_meta(tmp_path / "a.pt", small(), no_mem_embed=None)
    with pytest.raises(
        CheckpointError, match=r"a\.pt does not fit nano: missing no_me"
    ):
        load(path)


def test_a_surplus_key_is_named(tmp_path: Path) -> None:
    path = write_meta(tmp_path / "a.pt", small(), extra=torch.zeros(1))
    with pytest.raises(CheckpointError, match="surplus extra"):
        load(path)


def test_a_misshapen_key_is_named_with_both_shapes(tmp_path: Path) -> None:
    path = write_meta(tmp_path / "a.pt", small(), no_obj_ptr=torch.zeros(1, 5))
    with pytest.raises(
        CheckpointError, match=r"misshapen no_obj_ptr \(1, 5\) instead of \(1, 128\)"
    ):
        load(path)


def test_another_network_is_recognised_as_such(tmp_path: Path) -> None:
    path = tmp_path / "other.pt"
    torch.save({"model": {"conv.weight": torch.zeros(3)}}, path)
    with pytest.raises(CheckpointError, match="fit none of the known models"):
        load_model(path, device="cpu")
    with pytest.raises(CheckpointError, match=r"and \d+ more"):
        load(path)


class Evil:
    """What a malicious pickle holds: a call that is made on loading."""

    def __init__(self, target: str) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return os.mkdir, (self.target,)


@pytest.mark.parametrize("through_torch", [True, False])
def test_a_pickle_that_wants_to_run_code_is_refused(
    tmp_path: Path, through_torch: bool
) -> None:
    target, path = tmp_path / "owned", tmp_path / "evil.pt"
    if through_torch:
        torch.save({"model": Evil(str(target))}, path)
    else:
        path.write_bytes(pickle.dumps({"model": Evil(str(target))}, protocol=2))
    with pytest.raises(CheckpointError, match=r"evil\.pt"):
        load(path)
    assert not target.exists()


@pytest.mark.parametrize("name", ["a.pt", "a.safetensors"])
@pytest.mark.parametrize("kept", [0, 100, 0.5])
def test_a_truncated_file_is_said_to_be_damaged(
    tmp_path: Path, name: str, kept: float
) -> None:
    path = tmp_path / name
    if name.endswith(".pt"):
        write_meta(path, small())
    else:
        save_checkpoint(small(), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole)) if kept < 1 else int(kept)])
    with pytest.raises(CheckpointError, match=r"damaged|could run code"):
        load(path)


@pytest.mark.parametrize("content", [[1, 2], {"model": {"a": "text"}}, {"model": 3}])
def test_files_without_tensors_are_refused(tmp_path: Path, content: object) -> None:
    path = tmp_path / "a.pt"
    torch.save(content, path)
    with pytest.raises(CheckpointError, match="no table of tensors"):
        load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no checkpoint at .*gone\.pt"):
        load(tmp_path / "gone.pt")


def test_seeded_weights_are_those_of_the_recipe(state_of: Any) -> None:
    """One number of each kind, so that a changed recipe is not taken for ours."""
    state = state_of("sam2.1-tiny")
    assert np.isclose(state["no_obj_ptr"].std(), 2.0, atol=0.3)
    assert np.isclose(
        state["memory_encoder.fuser.layers.0.gamma"].mean(), 0.5, atol=0.1
    )
    assert state["sam_mask_decoder.pred_obj_score_head.layers.2.bias"].item() > 0
