"""Attention, by whatever computes it fastest on the device.

Shapes: ``...`` pictures, objects, windows or heads, N queries, K keys, C channels,
m channels of the values.

Torch's fused attention is best on GPUs, and on CPUs in float32. There it gains nothing
from bfloat16, and takes no values narrower than the keys; plain products do both
(docs/performance.md has figures). Where the weights of all queries and keys are too
many for the cache, they are made in tiles, with the softmax of Milakov and Gimelshein
(2018): the maximum and the sum so far are carried along.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_sam2.model.layers import piecemeal_pays

if TYPE_CHECKING:
    from collections.abc import Sequence

QUERIES, KEYS_FLOAT32, KEYS_BFLOAT16 = 1024, 512, 1024  # of a tile
ROWS, LONGEST_ROW = 512, 8192  # queries at a time, with keys that are not cut
SMALL = 2**20  # weights of so few queries and keys are no trouble to anyone
FEW = 16  # queries or keys: not worth a second thought


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attend queries to keys and average their values.

    Parameters
    ----------
    q, k
        (..., N, C) and (..., K, C).
    v
        (..., K, m).

    Returns
    -------
    Tensor
        (..., N, m).
    """
    narrow = v.shape[-1] < q.shape[-1]
    if not narrow and not _products_pay(q, k):
        return F.scaled_dot_product_attention(q, k, v)
    if q.dtype == torch.bfloat16 and q.shape[-2] * k.shape[-2] <= SMALL:
        return _in_rows(q, k.transpose(-1, -2), v)
    # 2-D products: batched ones copy the keys for every tile.
    apart = zip(*(x.flatten(0, -3) for x in (q, k, v)), strict=True)
    out = torch.stack([_one(*each) for each in apart])
    return out.reshape(*q.shape[:-1], v.shape[-1])


def narrow_values_pay(q: Tensor) -> bool:
    """Say whether to project values after the average instead of before it.

    The weights of a query sum to one, so that is the same to rounding.
    """
    return piecemeal_pays(q)


def _products_pay(q: Tensor, k: Tensor) -> bool:
    few = min(q.shape[-2], k.shape[-2]) <= FEW
    return q.dtype == torch.bfloat16 and narrow_values_pay(q) and not few


def _one(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attend (N, C) to (K, C) and (K, m)."""
    half = q.dtype == torch.bfloat16
    if half and len(k) <= LONGEST_ROW:
        return torch.cat([_in_rows(x, k.t(), v) for x in torch.split(q, ROWS)])
    step = KEYS_BFLOAT16 if half else KEYS_FLOAT32
    if len(q) * len(k) <= SMALL:
        step = len(k)
    tiles = [
        (x.t(), y)
        for x, y in zip(torch.split(k, step), torch.split(v, step), strict=True)
    ]
    return torch.cat([_average(x, tiles) for x in torch.split(q, QUERIES)])


def _in_rows(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attend (..., N, C) to (..., C, K) and (..., K, m), all keys at a time."""
    out: Tensor = ((q * q.shape[-1] ** -0.5) @ k).softmax(-1) @ v
    return out


def _average(q: Tensor, tiles: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Attend (N, C) queries to tiles of keys (C, K) and values (K, m)."""
    # Powers of two cost a third of those of e.
    scale = q.shape[-1] ** -0.5 / math.log(2)
    highest = q.new_full((len(q), 1), -torch.inf, dtype=torch.float32)
    total = torch.zeros_like(highest)
    mean = q.new_zeros((len(q), tiles[0][1].shape[1]), dtype=torch.float32)
    for keys, values in tiles:
        weights = torch.mm(q, keys).float()
        now = torch.maximum(highest, weights.amax(1, keepdim=True) * scale)
        torch.add(-now, weights, alpha=scale, out=weights).exp2_()
        shrunk = (highest - now).exp2_()
        total.mul_(shrunk).add_(weights.sum(1, keepdim=True))
        mean.mul_(shrunk).add_(torch.mm(weights.to(values.dtype), values))
        highest = now
    return (mean / total).to(q.dtype)
