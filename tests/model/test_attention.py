"""Attention is the same, however it is computed."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from napari_sam2.model.attention import attend
from napari_sam2.model.memory_attention import MemoryAttentionLayer, RotaryAttention


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


@torch.inference_mode()
def test_a_frame_looks_at_itself_once_for_all_objects(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(0)
    layer = MemoryAttentionLayer(32, 16, 64)
    x, memory = drawn(1, 64, 32), drawn(3, 64, 16)
    asked: list[int] = []
    forward = layer.self_attn.forward

    def counted(*given: object) -> torch.Tensor:
        asked.append(given[0].shape[0])  # type: ignore[attr-defined]
        return forward(*given)

    monkeypatch.setattr(layer.self_attn, "forward", counted)
    once = layer(x, memory, memory * 0, (8, 8), 0)
    each = layer(x.expand(3, -1, -1), memory, memory * 0, (8, 8), 0)
    assert asked == [1, 3]
    torch.testing.assert_close(once, each, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(F.normalize(once[0]), F.normalize(once[1]))
