"""Which weights an adaptation may change, and low-rank changes of the rest.

LoRA (Hu et al. 2021): a frozen matrix W is used as W + B A with a small rank; at the
end the product is added to W, so an adapted checkpoint is like any other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_sam2.model import SAM2

Part = Literal["decoder", "memory", "lora", "all"]
PARTS: tuple[Part, ...] = get_args(Part)


class LowRank(nn.Module):
    """A change of rank r to an (out, in) matrix; none at first.

    Parameters
    ----------
    weight
        (out, in), what is changed.
    rank
        r.
    generator
        Source of randomness, on the CPU.
    """

    def __init__(
        self, weight: Tensor, rank: int, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        rows, columns = weight.shape
        start = torch.randn(rank, columns, generator=generator) * columns**-0.5
        self.a = nn.Parameter(start)  # (r, in)
        self.b = nn.Parameter(torch.zeros(rows, rank))  # (out, r)

    def forward(self, weight: Tensor) -> Tensor:
        """Return the changed matrix, (out, in)."""
        return weight + self.b @ self.a


def free(model: SAM2, part: Part, *, rank: int, seed: int = 0) -> None:
    """Let a part of the network learn and keep the rest.

    Parameters
    ----------
    model
        Is changed in place.
    part
        "decoder": the mask decoder. "memory": everything behind the image encoder.
        "lora": that, the neck, and low-rank changes of the trunk. "all": every weight.
    rank
        Of the low-rank changes.
    seed
        Of their random start.

    Raises
    ------
    ValueError
        If there is no such part, or the rank is not positive.
    """
    if part not in PARTS:
        message = f"There is no part {part!r} to adapt; choose {', '.join(PARTS)}."
        raise ValueError(message)
    if rank < 1:
        message = f"The rank of a low-rank change is at least 1, not {rank}."
        raise ValueError(message)
    model.requires_grad_(part != "decoder")
    if part == "decoder":
        model.sam_mask_decoder.requires_grad_()
    elif part == "memory":
        model.image_encoder.requires_grad_(requires_grad=False)
    elif part == "lora":
        model.image_encoder.trunk.requires_grad_(requires_grad=False)
        generator = torch.Generator().manual_seed(seed)
        for layer in list(_matrices(model)):
            change = LowRank(layer.weight, rank, generator).to(layer.weight)
            parametrize.register_parametrization(layer, "weight", change)


def merge(model: SAM2) -> None:
    """Add low-rank changes to the matrices; the network is a plain one again."""
    for layer in list(_matrices(model)):
        if parametrize.is_parametrized(layer, "weight"):
            parametrize.remove_parametrizations(layer, "weight")


def _matrices(model: SAM2) -> Iterator[nn.Linear]:
    for module in model.image_encoder.trunk.modules():
        if isinstance(module, nn.Linear):
            yield module
