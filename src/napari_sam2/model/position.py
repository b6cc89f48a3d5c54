"""Position encodings: sine grids, random Fourier features, rotary embedding.

Shapes: B batch, h, w grid rows and columns, N tokens, C channels, D head width.
Coordinates inside SAM 2 are (x, y).
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor, nn


def _frequencies(width: int, device: torch.device | None, temperature: float) -> Tensor:
    index = torch.arange(width, dtype=torch.float32, device=device)
    return temperature ** (2 * torch.div(index, 2, rounding_mode="floor") / width)


@lru_cache(maxsize=64)
def sine_grid(
    h: int, w: int, channels: int, device: torch.device | None = None
) -> Tensor:
    """Return the sine position encoding of a grid, (1, channels, h, w) float32.

    The first half of the channels encodes the row, the second the column, both
    normalised to (0, 2 pi]; sine and cosine alternate.
    """
    half = channels // 2

    def encode(n: int) -> Tensor:
        freq = _frequencies(half, device, 10_000.0)
        steps = torch.arange(1, n + 1, dtype=torch.float32, device=device)
        phase = (steps / (n + 1e-6) * 2 * math.pi)[:, None] / freq  # (n, half)
        pairs = torch.stack((phase[:, 0::2].sin(), phase[:, 1::2].cos()), dim=2)
        return pairs.flatten(1)  # (n, half)

    with torch.inference_mode(mode=False):  # the cache also serves training
        rows = encode(h)[:, None, :].expand(h, w, half)
        cols = encode(w)[None, :, :].expand(h, w, half)
        return torch.cat((rows, cols), dim=2).permute(2, 0, 1)[None].contiguous()


def sine_1d(positions: Tensor, channels: int) -> Tensor:
    """Encode scalar positions (N,) as (N, channels): sines, then cosines."""
    half = channels // 2
    phase = positions[:, None] / _frequencies(half, positions.device, 10_000.0)
    return torch.cat((phase.sin(), phase.cos()), dim=-1)


class FourierPosition(nn.Module):
    """Random Fourier features of (x, y) in [0, 1] (SAM's prompt positions)."""

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer(
            "positional_encoding_gaussian_matrix", torch.randn(2, channels // 2)
        )

    def forward(self, xy: Tensor) -> Tensor:
        """Map (..., 2) coordinates in [0, 1] to (..., channels) of the weights' type.

        Computed in float32: half precision would move points by whole pixels.
        """
        matrix = self.positional_encoding_gaussian_matrix
        phase = (2 * xy.float() - 1) @ matrix.float()
        phase = 2 * math.pi * phase
        return torch.cat((phase.sin(), phase.cos()), dim=-1).to(matrix.dtype)

    def grid(self, h: int, w: int) -> Tensor:
        """Return the encoding of every cell centre, (1, channels, h, w)."""
        matrix = self.positional_encoding_gaussian_matrix
        y = (torch.arange(h, device=matrix.device) + 0.5) / h
        x = (torch.arange(w, device=matrix.device) + 0.5) / w
        xy = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)  # (h, w, 2)
        encoded: Tensor = self(xy)
        return encoded.permute(2, 0, 1)[None]


@lru_cache(maxsize=16)
def rotary_table(
    h: int, w: int, width: int, device: torch.device | None = None
) -> tuple[Tensor, Tensor]:
    """Return cosines and sines for 2-D rotary embedding, each (h * w, width / 2).

    The first half of the pairs turns with the column, the second with the row
    (Heo et al., "Rotary Position Embedding for Vision Transformer", axial form).
    """
    with torch.inference_mode(mode=False):  # the cache also serves training
        steps = torch.arange(0, width, 4, dtype=torch.float32, device=device)
        freq = 1.0 / 10_000.0 ** (steps / width)  # (width / 4,)
        cell = torch.arange(h * w, dtype=torch.float32, device=device)
        col = torch.outer(cell % w, freq)
        row = torch.outer(torch.div(cell, w, rounding_mode="floor"), freq)
        angle = torch.cat((col, row), dim=-1)  # (h * w, width / 2)
        return angle.cos(), angle.sin()


def rotate(x: Tensor, table: tuple[Tensor, Tensor]) -> Tensor:
    """Rotate neighbouring channel pairs of (..., N, D) by `table` (N, D / 2).

    N may be a multiple of the table's length: the table is then repeated.
    """
    cos, sin = table
    # (..., repeats, N', D / 2, 2)
    pairs = x.float().reshape(*x.shape[:-2], -1, *cos.shape, 2)
    if x.device.type == "cpu":  # one pass instead of six
        turns = torch.complex(cos, sin)
        turned = torch.view_as_real(torch.view_as_complex(pairs) * turns)
    else:
        even, odd = pairs.unbind(-1)
        turned = torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1)
    return turned.reshape(x.shape).to(x.dtype)
