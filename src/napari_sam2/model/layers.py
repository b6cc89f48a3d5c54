"""Small pieces that several parts of the network share.

Shapes: B batch, N tokens, C channels, H, W rows and columns.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Callable

BAND = 2048  # tokens at a time: what is made of them stays in a CPU's cache


class MLP(nn.Module):
    """A stack of linear layers with an activation between them.

    Parameters
    ----------
    dims
        Widths from input to output.
    activation
        Applied after each layer but the last.
    """

    def __init__(
        self, *dims: int, activation: Callable[[Tensor], Tensor] = F.relu
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Linear(a, b) for a, b in itertools.pairwise(dims)
        )
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., dims[0]) to (..., dims[-1])."""
        *hidden, last = self.layers
        for layer in hidden:
            x = self.activation(layer(x))
        out: Tensor = last(x)
        return out


def piecemeal_pays(x: Tensor) -> bool:
    """Say whether small pieces are quicker than the whole at a time.

    So on CPUs, where a whole has to go through main memory; with gradients all of it
    is kept anyway.
    """
    return x.device.type == "cpu" and not torch.is_grad_enabled()


def in_bands(
    step: Callable[[Tensor], Tensor], x: Tensor, *, multiple: int = 1
) -> Tensor:
    """Apply a step to bands of rows, one after the other.

    Where that does not pay, the whole is taken.

    Parameters
    ----------
    step
        Maps (B, h, ...) to (B, h', ...), each band by itself.
    x
        (B, H, W, C) or (B, H, C).
    multiple
        Bands have a multiple of this many rows; the last may have any number.
    """
    if not piecemeal_pays(x):
        return step(x)
    tokens = x[:, 0].numel() // x.shape[-1]  # of a row
    rows = max(BAND // tokens // multiple, 1) * multiple
    if rows >= x.shape[1]:
        return step(x)
    return torch.cat([step(band) for band in torch.split(x, rows, dim=1)], dim=1)


def pointwise(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """Convolve (B, C, H, W) by 1 x 1 as a matrix product over the channels.

    The answer lies in memory channels last, as the trunk's maps do.
    """
    y = F.linear(x.permute(0, 2, 3, 1), conv.weight.flatten(1), conv.bias)
    return y.permute(0, 3, 1, 2)


class LayerNorm2d(nn.Module):
    """Layer normalisation over the channels of a (B, C, H, W) map."""

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each pixel over its channels."""
        y = x.permute(0, 2, 3, 1)  # (B, H, W, C)
        y = F.layer_norm(y, y.shape[-1:], self.weight, self.bias, self.eps)
        return y.permute(0, 3, 1, 2)  # (B, C, H, W)


def resize(
    x: Tensor, size: int | tuple[int, int], *, antialias: bool = False
) -> Tensor:
    """Resample (B, C, H, W) bilinearly to `size`, in float32."""
    size = (size, size) if isinstance(size, int) else size
    if x.shape[-2:] == size:
        return x.float()
    return F.interpolate(
        x.float(), size=size, mode="bilinear", align_corners=False, antialias=antialias
    )
