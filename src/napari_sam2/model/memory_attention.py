"""Memory attention: a frame looks at its past (SAM 2, section 4 and D.1).

Shapes: O objects, N = e * e picture tokens, K memory tokens, C channels,
m memory channels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_sam2.model.attention import attend, narrow_values_pay
from napari_sam2.model.position import rotary_table, rotate

if TYPE_CHECKING:
    from napari_sam2.model.config import ModelConfig


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

    def forward(
        self,
        x: Tensor,
        memory: Tensor,
        memory_pos: Tensor,
        grid: tuple[int, int],
        pointers: int,
    ) -> Tensor:
        """Update (O or 1, N, C) by (O, K, m) memories; return (O, N, C)."""
        y = self.norm1(x)
        x = x + self.self_attn(y, y, y, grid)
        x = x.expand(memory.shape[0], -1, -1)  # the first layer's: one for all objects
        y = self.norm2(x)
        x = x + self.cross_attn_image(y, memory + memory_pos, memory, grid, pointers)
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
        for layer in self.layers:
            x = layer(x, memory, memory_pos, (h, w), pointers)
        out: Tensor = self.norm(x).transpose(1, 2)  # (O, C, N)
        return out.reshape(*out.shape[:2], h, w)
