"""Single-head attention, by whatever computes it fastest on the device.

Shapes: O objects, N queries, K keys, C channels, m channels of the values.

Torch's fused attention is best on GPUs, and on CPUs in float32. There it gains nothing
from bfloat16, and takes no values narrower than the keys; plain products over chunks of
queries do both (docs/performance.md has the figures).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

CHUNK_FLOAT32, CHUNK_BFLOAT16 = 256, 128  # queries whose weights stay near the core
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
    if v.shape[-1] == q.shape[-1] and not _chunks_pay(q, k):
        return F.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])[:, 0]
    q = q * q.shape[-1] ** -0.5
    chunk = CHUNK_BFLOAT16 if q.dtype == torch.bfloat16 else CHUNK_FLOAT32
    # 2-D products: batched ones copy the keys for every chunk.
    rows = [
        torch.cat([_average(part, keys.t(), values) for part in queries.split(chunk)])
        for queries, keys, values in zip(q, k, v, strict=True)
    ]
    return torch.stack(rows)


def narrow_values_pay(q: Tensor, k: Tensor) -> bool:
    """Say whether to project values after the average instead of before it.

    The weights of a query sum to one, so that is the same to rounding.
    """
    large = q.shape[1] * k.shape[1] > SMALL
    return _on_cpu_for_inference(q) and (large or q.dtype == torch.bfloat16)


def _average(q: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    weights = torch.mm(q, keys).float().softmax(-1)
    return torch.mm(weights.to(values.dtype), values)


def _chunks_pay(q: Tensor, k: Tensor) -> bool:
    return q.dtype == torch.bfloat16 and narrow_values_pay(q, k)


def _on_cpu_for_inference(q: Tensor) -> bool:
    return q.device.type == "cpu" and not torch.is_grad_enabled()
