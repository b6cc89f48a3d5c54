"""Hiera: the hierarchical image trunk (Ryali et al. 2023; SAM 2, section 4).

Shapes: B batch, H, W token rows and columns, C channels, w window side,
n windows in the batch, h heads, D head width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_sam2.model.attention import attend
from napari_sam2.model.layers import MLP, in_bands

if TYPE_CHECKING:
    from napari_sam2.model.config import HieraConfig


def partition(x: Tensor, window: int) -> tuple[Tensor, tuple[int, int]]:
    """Cut (B, H, W, C) into windows (n, w, w, C), padding with zeros.

    Returns the windows and the padded (rows, columns).
    """
    b, h, w, c = x.shape
    pad_h, pad_w = -h % window, -w % window
    if pad_h or pad_w:
        x = F.pad(x, (0, 0, 0, pad_w, 0, pad_h))
    rows, cols = (h + pad_h) // window, (w + pad_w) // window
    x = x.view(b, rows, window, cols, window, c)
    x = x.transpose(2, 3).reshape(-1, window, window, c)  # (n, w, w, C)
    return x, (h + pad_h, w + pad_w)


def unpartition(
    x: Tensor, window: int, padded: tuple[int, int], size: tuple[int, int]
) -> Tensor:
    """Put windows (n, w, w, C) together again as (B, H, W, C)."""
    rows, cols = padded[0] // window, padded[1] // window
    x = x.view(-1, rows, cols, window, window, x.shape[-1])
    x = x.transpose(2, 3).reshape(-1, *padded, x.shape[-1])  # (B, H + pad, W + pad, C)
    return x[:, : size[0], : size[1]]


def pool(x: Tensor) -> Tensor:
    """Halve (B, H, W, C) by the largest of each 2 x 2 tokens."""
    return F.max_pool2d(x.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)


def bicubic(n: int, size: int, like: Tensor) -> Tensor:
    """Return the (size, n) matrix that resamples n values bicubically."""
    eye = torch.eye(n, dtype=like.dtype, device=like.device)
    return F.interpolate(eye[None, None], size=(size, n), mode="bicubic")[0, 0]


class MultiScaleAttention(nn.Module):
    """Self-attention inside a window; queries may be pooled to half the side."""

    def __init__(self, dim: int, dim_out: int, heads: int, *, pooled: bool) -> None:
        super().__init__()
        self.heads = heads
        self.pooled = pooled
        self.qkv = nn.Linear(dim, dim_out * 3)
        self.proj = nn.Linear(dim_out, dim_out)

    def forward(self, x: Tensor) -> Tensor:
        """Attend over (n, H, W, C); return (n, H', W', C')."""
        n, h, w, _ = x.shape
        q, k, v = self.qkv(x).chunk(3, dim=-1)  # (n, H, W, C') each
        if self.pooled:
            q = pool(q)
            h, w = q.shape[1:3]
        q, k, v = (
            t.reshape(n, -1, self.heads, t.shape[-1] // self.heads).transpose(1, 2)
            for t in (q, k, v)
        )  # (n, h, H W, D)
        x = attend(q, k, v)
        out: Tensor = self.proj(x.transpose(1, 2).reshape(n, h, w, -1))
        return out


class MultiScaleBlock(nn.Module):
    """One block: windowed (window > 0) or global attention, then an MLP."""

    def __init__(
        self, dim: int, dim_out: int, heads: int, window: int, *, pooled: bool
    ) -> None:
        super().__init__()
        self.window = window
        self.pooled = pooled
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = MultiScaleAttention(dim, dim_out, heads, pooled=pooled)
        self.norm2 = nn.LayerNorm(dim_out, eps=1e-6)
        self.mlp = MLP(dim_out, dim_out * 4, dim_out, activation=F.gelu)
        if dim != dim_out:
            self.proj = nn.Linear(dim, dim_out)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, C) to (B, H, W, C), or (B, H/2, W/2, C') if pooled."""
        if self.window:  # rows of windows know nothing of each other
            return in_bands(
                lambda band: self._refine(self._attend(band)), x, multiple=self.window
            )
        return in_bands(self._refine, self._attend(x))

    def _attend(self, x: Tensor) -> Tensor:
        shortcut, x = x, self.norm1(x)
        if hasattr(self, "proj"):
            shortcut = self.proj(x)
            if self.pooled:
                shortcut = pool(shortcut)
        if self.window:
            x, padded = partition(x, self.window)
        x = self.attn(x)
        if self.window:
            halve = 2 if self.pooled else 1
            padded = (padded[0] // halve, padded[1] // halve)
            size = (shortcut.shape[1], shortcut.shape[2])
            x = unpartition(x, self.window // halve, padded, size)
        return shortcut + x

    def _refine(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class PatchEmbed(nn.Module):
    """Overlapping 7 x 7 patches with stride 4."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, dim, kernel_size=7, stride=4, padding=3)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, 3, S, S) to (B, S/4, S/4, C)."""
        out: Tensor = self.proj(x)
        return out.permute(0, 2, 3, 1).contiguous()


class Hiera(nn.Module):
    """The trunk; returns one feature map per stage.

    Parameters
    ----------
    config
        Widths, depths and windows.
    """

    def __init__(self, config: HieraConfig) -> None:
        super().__init__()
        ends = [sum(config.stages[: i + 1]) - 1 for i in range(len(config.stages))]
        self.stage_ends = tuple(ends)
        self.patch_embed = PatchEmbed(config.embed_dim)
        dim, heads, window = config.embed_dim, config.num_heads, config.windows[0]
        self.pos_embed = nn.Parameter(torch.zeros(1, dim, *config.background_size))
        self.pos_embed_window = nn.Parameter(torch.zeros(1, dim, window, window))
        self.blocks = nn.ModuleList()
        stage = 0
        for i in range(sum(config.stages)):
            # The first block of a stage still cuts the windows of the one before.
            window = 0 if i in config.global_blocks else config.windows[stage]
            pooled = i - 1 in ends
            dim_out = dim * 2 if pooled else dim
            if pooled:
                stage, heads = stage + 1, heads * 2
            self.blocks.append(
                MultiScaleBlock(dim, dim_out, heads, window, pooled=pooled)
            )
            dim = dim_out

    def position(self, h: int, w: int) -> Tensor:
        """Return the position embedding of an (h, w) grid, (1, h, w, C)."""
        coarse = self.pos_embed[0].float().permute(1, 2, 0)  # (g, g, C)
        rows, cols, _ = coarse.shape
        pos = bicubic(rows, h, coarse) @ coarse.flatten(1)
        pos = bicubic(cols, w, coarse) @ pos.reshape(h, cols, -1)  # (h, w, C)
        tile = self.pos_embed_window
        rows, cols = -(-h // tile.shape[2]), -(-w // tile.shape[3])
        tiled = tile.permute(0, 2, 3, 1).tile(1, rows, cols, 1)[:, :h, :w]
        out: Tensor = pos.to(tile.dtype) + tiled
        return out

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map (B, 3, S, S) to four (B, C_i, S/4/2^i, S/4/2^i) maps."""
        x = self.patch_embed(x)
        x = x + self.position(x.shape[1], x.shape[2])
        out = []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in self.stage_ends:
                out.append(x.permute(0, 3, 1, 2))
        return out
