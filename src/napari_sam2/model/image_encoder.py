"""Image encoder: Hiera trunk and feature pyramid (SAM 2, section 4).

Shapes: B batch, C channels, S picture side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn import functional as F

from napari_sam2.model.hiera import Hiera
from napari_sam2.model.layers import pointwise

if TYPE_CHECKING:
    from napari_sam2.model.config import ModelConfig


class _Lateral(nn.Module):
    def __init__(self, channels: int, dim: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, dim, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        return pointwise(self.conv, x)


class FpnNeck(nn.Module):
    """Lateral 1 x 1 projections; stride 32 is added, upsampled, into stride 16.

    Strides 4 and 8 are projected only: they serve the decoder as skip features.
    """

    def __init__(self, stage_dims: tuple[int, ...], dim: int) -> None:
        super().__init__()
        # Coarsest first, as the checkpoints count them.
        self.convs = nn.ModuleList(_Lateral(c, dim) for c in reversed(stage_dims))

    def forward(self, maps: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Map the four stages to (B, C, ·, ·) at strides 4, 8 and 16."""
        s32, s16, s8, s4 = (
            conv(x) for conv, x in zip(self.convs, reversed(maps), strict=True)
        )
        above = F.interpolate(s32.float(), size=s16.shape[-2:], mode="nearest")
        s16 = s16 + above.to(s16.dtype)
        return s4, s8, s16


class ImageEncoder(nn.Module):
    """Trunk and neck."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.trunk = Hiera(config.hiera)
        self.neck = FpnNeck(config.hiera.stage_dims, config.dim)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map (B, 3, S, S) to three (B, C, ·, ·) maps at strides 4, 8, 16."""
        maps: tuple[Tensor, Tensor, Tensor] = self.neck(self.trunk(pixels))
        return maps
