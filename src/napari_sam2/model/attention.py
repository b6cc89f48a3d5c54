"""Single-head attention, by whatever computes it fastest on the device.

Shapes: O objects, N queries, K keys, C channels, m channels of the values.

Torch's fused attention is best on GPUs, and on CPUs in float32. There it gains nothing
from bfloat16, and takes no values narrower than the keys; products over tiles of
queries and keys do both (docs/performance.md has figures). The softmax over tiles is
that of Milakov and Gimelshein (2018): the maximum and the sum so far are carried along.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Sequence

QUERIES = 1024  # of a tile, whose weights stay in the cache
KEYS_FLOAT32, KEYS_BFLOAT16 = 512, 1024
SMALL = 2**20  # weights of so few queries and keys are no trouble to anyone


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attend queries to keys and average their values.

    Parameters
    ----------
    q, k
        (O, N, C) and (O, K, C).
    v
        (O, K, m).

    Returns
    -------
    Tensor
        (O, N, m).
    """
    if v.shape[-1] == q.shape[-1] and not _tiles_pay(q, k):
        return F.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])[:, 0]
    q = q * q.shape[-1] ** -0.5
    step = KEYS_BFLOAT16 if q.dtype == torch.bfloat16 else KEYS_FLOAT32
    # 2-D products: batched ones copy the keys for every tile.
    rows = []
    for queries, keys, values in zip(q, k, v, strict=True):
        tiles = [
            (part.t(), own)
            for part, own in zip(keys.split(step), values.split(step), strict=True)
        ]
        rows.append(torch.cat([_average(x, tiles) for x in queries.split(QUERIES)]))
    return torch.stack(rows)


def narrow_values_pay(q: Tensor, k: Tensor) -> bool:
    """Say whether to project values after the average instead of before it.

    The weights of a query sum to one, so that is the same to rounding.
    """
    large = q.shape[1] * k.shape[1] > SMALL
    return _on_cpu_for_inference(q) and (large or q.dtype == torch.bfloat16)


def _average(q: Tensor, tiles: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Attend (N, C) scaled queries to tiles of keys (C, K) and values (K, m)."""
    highest = q.new_full((len(q), 1), -torch.inf, dtype=torch.float32)
    total = torch.zeros_like(highest)
    mean = q.new_zeros((len(q), tiles[0][1].shape[1]), dtype=torch.float32)
    for keys, values in tiles:
        weights = torch.mm(q, keys).float()
        now = torch.maximum(highest, weights.amax(1, keepdim=True))
        weights.sub_(now).exp_()
        shrunk = (highest - now).exp_()
        total.mul_(shrunk).add_(weights.sum(1, keepdim=True))
        mean.mul_(shrunk).add_(torch.mm(weights.to(values.dtype), values))
        highest = now
    return (mean / total).to(q.dtype)


def _tiles_pay(q: Tensor, k: Tensor) -> bool:
    return q.dtype == torch.bfloat16 and narrow_values_pay(q, k)


def _on_cpu_for_inference(q: Tensor) -> bool:
    return q.device.type == "cpu" and not torch.is_grad_enabled()
