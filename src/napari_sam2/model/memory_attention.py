"""Memory attention: a frame looks at its past (SAM 2, section 4 and D.1).

Shapes: O objects, N = e * e picture tokens, K memory tokens, C channels,
m memory channels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_sam2.model.attention import attend, narrow_values_pay
from napari_sam2.model.layers import in_bands, piecemeal_pays
from napari_sam2.model.position import rotary_table, rotate

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_sam2.model.config import ModelConfig

LARGE = 1024  # tokens of a frame: what several objects need would leave the cache


class RotaryAttention(nn.Module):
    """Single-head attention with 2-D rotary positions on queries and keys."""

    def __init__(self, dim: int, key_dim: int) -> None:
        super().__init__()
        self.q_proj = nn.Linear(dim, dim)
        self.k_proj = nn.Linear(key_dim, dim)
        self.v_proj = nn.Linear(key_dim, dim)
        self.out_proj = nn.Linear(dim, dim)

    def forward(
        self, q: Tensor, k: Tensor, v: Tensor, grid: tuple[int, int], plain: int = 0
    ) -> Tensor:
        """Attend (O, N, C) to (O, K, m); the last `plain` keys have no place."""
        q, k = self.q_proj(q), self.k_proj(k)
        table = rotary_table(*grid, q.shape[-1], q.device)
        q = rotate(q, table)
        placed = k.shape[1] - plain
        k = torch.cat((rotate(k[:, :placed], table), k[:, placed:]), dim=1)
        if v.shape[-1] < q.shape[-1] and narrow_values_pay(q):
            x = self.v_proj(attend(q[:, None], k[:, None], v[:, None]))
        else:
            x = attend(q[:, None], k[:, None], self.v_proj(v)[:, None])
        out: Tensor = self.out_proj(x[:, 0])
        return out


class MemoryAttentionLayer(nn.Module):
    """Self-attention, cross-attention to the memories, feed-forward."""

    def __init__(self, dim: int, memory_dim: int, ff: int) -> None:
        super().__init__()
        self.self_attn = RotaryAttention(dim, dim)
        self.cross_attn_image = RotaryAttention(dim, memory_dim)
        self.linear1 = nn.Linear(dim, ff)
        self.linear2 = nn.Linear(ff, dim)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.norm3 = nn.LayerNorm(dim)

    def look_at_itself(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        """Attend each of (O or 1, N, C) to itself."""
        y = self.norm1(x)
        out: Tensor = x + self.self_attn(y, y, y, grid)
        return out

    def look_back(
        self,
        x: Tensor,
        memory: Tensor,
        memory_pos: Tensor,
        grid: tuple[int, int],
        pointers: int,
    ) -> Tensor:
        """Update (O, N, C) by (O, K, m) memories, then by itself token by token."""
        y = self.norm2(x)
        x = x + self.cross_attn_image(y, memory + memory_pos, memory, grid, pointers)
        return in_bands(self._feed_forward, x)

    def _feed_forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.linear2(F.relu(self.linear1(self.norm3(x))))
        return out


class MemoryAttention(nn.Module):
    """The stack of layers and a last norm."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            MemoryAttentionLayer(config.dim, config.memory_dim, config.memory_ff)
            for _ in range(config.memory_layers)
        )
        self.norm = nn.LayerNorm(config.dim)

    def forward(
        self,
        embedding: Tensor,
        position: Tensor,
        memory: Tensor,
        memory_pos: Tensor,
        pointers: int,
    ) -> Tensor:
        """Condition an embedding on memories.

        Parameters
        ----------
        embedding
            (O or 1, C, h, w) image embedding.
        position
            (1, C, h, w) sine encoding.
        memory, memory_pos
            (O, K, m) tokens, spatial memories first, object pointers last, and
            their position encoding (O or 1, K, m).
        pointers
            How many of the K tokens are object pointers.

        Returns
        -------
        Tensor
            (O, C, h, w).
        """
        h, w = embedding.shape[-2:]
        x = (embedding + 0.1 * position).flatten(2).transpose(1, 2)  # (1|O, N, C)
        first, *others = cast("Iterable[MemoryAttentionLayer]", self.layers)
        x = first.look_at_itself(x, (h, w))  # once for all objects

        def look_back(x: Tensor, memory: Tensor, memory_pos: Tensor) -> Tensor:
            x = first.look_back(x, memory, memory_pos, (h, w), pointers)
            for layer in others:
                x = layer.look_at_itself(x, (h, w))
                x = layer.look_back(x, memory, memory_pos, (h, w), pointers)
            out: Tensor = self.norm(x)
            return out

        n_objects = len(memory)
        each = 1 if h * w >= LARGE and piecemeal_pays(x) else n_objects
        parts = (
            torch.split(t.expand(n_objects, *t.shape[1:]), each)
            for t in (x, memory, memory_pos)
        )
        out = torch.cat([look_back(*part) for part in zip(*parts, strict=True)])
        return out.transpose(1, 2).reshape(n_objects, -1, h, w)
