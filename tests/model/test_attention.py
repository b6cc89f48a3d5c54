"""Attention is the same, however it is computed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from napari_sam2.model import preset
from napari_sam2.model.attention import attend
from napari_sam2.model.memory_attention import (
    MemoryAttention,
    MemoryAttentionLayer,
    RotaryAttention,
)


def drawn(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, generator=generator).to(dtype)


def plain(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    weights = (q.double() @ k.double().transpose(1, 2)) * q.shape[-1] ** -0.5
    return weights.softmax(-1) @ v.double()


@pytest.mark.parametrize("channels", [16, 64])
@pytest.mark.parametrize(
    ("dtype", "atol"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)]
)
@pytest.mark.parametrize("keys", [400, 1300, 9000], ids=["small", "rows", "tiles"])
@torch.inference_mode()
def test_it_is_attention(
    channels: int, dtype: torch.dtype, atol: float, keys: int
) -> None:
    q, k = drawn(2, 1100, 64, dtype=dtype), drawn(2, keys, 64, dtype=dtype)
    v = drawn(2, keys, channels, dtype=dtype)
    found = attend(q, k, v)
    assert found.shape == (2, 1100, channels)
    assert found.dtype == dtype
    torch.testing.assert_close(found.double(), plain(q, k, v), atol=atol, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.inference_mode()
def test_heads_and_windows_stay_apart(dtype: torch.dtype) -> None:
    q, k, v = (drawn(5, 3, n, 32, dtype=dtype) for n in (20, 70, 71))
    v = v[:, :, :70]
    found = attend(q, k, v)
    for i in range(5):
        expected = plain(q[i], k[i], v[i])
        torch.testing.assert_close(found[i].double(), expected, atol=2e-2, rtol=0)


def test_values_are_projected_before_or_after(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    layer = RotaryAttention(64, 16)
    q, memory, pos = drawn(2, 256, 64), drawn(2, 530, 16), drawn(1, 530, 16)
    widths: list[int] = []

    def noted(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        widths.append(v.shape[-1])
        return attend(q, k, v)

    monkeypatch.setattr("napari_sam2.model.memory_attention.attend", noted)
    answers = []
    for training in (True, False):
        with torch.set_grad_enabled(training):
            found = layer(q, memory + pos, memory, (16, 16), plain=18)
        answers.append(found.detach())
    assert widths == [64, 16]
    torch.testing.assert_close(answers[0], answers[1], atol=1e-5, rtol=1e-5)


def test_gradients_flow_in_training() -> None:
    layer = RotaryAttention(64, 16)
    memory = drawn(1, 256, 16).requires_grad_()
    layer(drawn(1, 256, 64), memory, memory, (16, 16)).sum().backward()
    assert layer.v_proj.weight.grad is not None
    assert memory.grad is not None


@pytest.fixture
def small() -> MemoryAttention:
    torch.manual_seed(0)
    return MemoryAttention(
        replace(preset("nano"), dim=32, memory_dim=16, memory_ff=64, memory_layers=2)
    )


@torch.inference_mode()
def test_a_frame_looks_at_itself_once_for_all_objects(
    small: MemoryAttention, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    forward = RotaryAttention.forward

    def counted(self: RotaryAttention, *given: Any) -> torch.Tensor:
        if self is small.layers[0].self_attn:
            asked.append(len(given[0]))
        return forward(self, *given)

    monkeypatch.setattr(RotaryAttention, "forward", counted)
    x, memory = drawn(1, 32, 8, 8), drawn(3, 64, 16)
    once = small(x, x * 0, memory, memory[:1] * 0, 0)
    each = small(x.expand(3, -1, -1, -1), x * 0, memory, memory[:1] * 0, 0)
    assert asked == [1, 3]
    torch.testing.assert_close(once, each, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(F.normalize(once[0]), F.normalize(once[1]))


@pytest.mark.parametrize("pictures", [1, 3])
def test_objects_of_a_large_grid_are_the_same_one_by_one(
    small: MemoryAttention, pictures: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    look_back = MemoryAttentionLayer.look_back

    def noted(self: MemoryAttentionLayer, *given: Any) -> torch.Tensor:
        asked.append(len(given[1]))
        return look_back(self, *given)

    monkeypatch.setattr(MemoryAttentionLayer, "look_back", noted)
    x, position = drawn(pictures, 32, 32, 32), drawn(1, 32, 32, 32)
    memory, place = drawn(3, 2 * 1024 + 6, 16), drawn(1, 2 * 1024 + 6, 16)
    together = small(x, position, memory, place, 6).detach()  # as in training
    with torch.inference_mode():
        apart = small(x, position, memory, place, 6)
    assert asked == [3] * 2 + [1] * 6
    torch.testing.assert_close(apart, together, atol=1e-5, rtol=1e-5)
