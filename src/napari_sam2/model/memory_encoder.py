"""Memory encoder: a frame and its mask become a spatial memory.

Shapes: O objects, C channels, m memory channels, S picture side, e = S / 16.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_sam2.model.layers import LayerNorm2d, in_bands

if TYPE_CHECKING:
    from napari_sam2.model.config import ModelConfig


class MaskDownsampler(nn.Module):
    """Four strided convolutions from S to S / 16, then a projection."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 1
        for _ in range(4):
            layers += [
                nn.Conv2d(channels, channels * 4, kernel_size=3, stride=2, padding=1),
                LayerNorm2d(channels * 4),
                nn.GELU(),
            ]
            channels *= 4
        self.encoder = nn.Sequential(*layers, nn.Conv2d(channels, dim, kernel_size=1))

    def forward(self, mask: Tensor) -> Tensor:
        """Map (O, 1, S, S) to (O, C, e, e)."""
        out: Tensor = self.encoder(mask)
        return out


class ConvNeXtBlock(nn.Module):
    """Depthwise 7 x 7, norm, two pointwise layers, layer scale (Liu et al. 2022)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(dim, dim, kernel_size=7, padding=3, groups=dim)
        self.norm = LayerNorm2d(dim)
        self.pwconv1 = nn.Linear(dim, dim * 4)
        self.pwconv2 = nn.Linear(dim * 4, dim)
        self.gamma = nn.Parameter(torch.full((dim,), 1e-6))

    def forward(self, x: Tensor) -> Tensor:
        """Refine (O, C, e, e)."""
        y: Tensor = self.norm(self.dwconv(x)).permute(0, 2, 3, 1)  # (O, e, e, C)
        out: Tensor = x + in_bands(self._mix, y).permute(0, 3, 1, 2)
        return out

    def _mix(self, x: Tensor) -> Tensor:
        out: Tensor = self.gamma * self.pwconv2(F.gelu(self.pwconv1(x)))
        return out


class Fuser(nn.Module):
    """Two ConvNeXt blocks."""

    def __init__(self, dim: int, depth: int = 2) -> None:
        super().__init__()
        self.layers = nn.ModuleList(ConvNeXtBlock(dim) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        """Refine (O, C, e, e)."""
        for layer in self.layers:
            x = layer(x)
        return x


class MemoryEncoder(nn.Module):
    """Adds the downsampled mask to the projected embedding and fuses them."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.mask_downsampler = MaskDownsampler(config.dim)
        self.pix_feat_proj = nn.Conv2d(config.dim, config.dim, kernel_size=1)
        self.fuser = Fuser(config.dim)
        self.out_proj = nn.Conv2d(config.dim, config.memory_dim, kernel_size=1)

    def forward(self, embedding: Tensor, mask: Tensor) -> Tensor:
        """Map (O or 1, C, e, e) and a scaled (O, 1, S, S) mask to (O, m, e, e)."""
        x = self.pix_feat_proj(embedding) + self.mask_downsampler(mask)
        out: Tensor = self.out_proj(self.fuser(x))
        return out
