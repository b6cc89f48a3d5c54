"""Prompt encoder: clicks, boxes and masks become tokens and a dense map.

Shapes: O objects, N points, C channels, S picture side, s = S / 4, e = S / 16.
Coordinates are SAM 2's: (x, y) in pixels of the S x S input, corner-based.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from napari_sam2.model.layers import LayerNorm2d
from napari_sam2.model.position import FourierPosition

if TYPE_CHECKING:
    from napari_sam2.model.config import ModelConfig

NEGATIVE, POSITIVE, TOP_LEFT, BOTTOM_RIGHT, PADDING = 0, 1, 2, 3, -1


@dataclass(frozen=True, kw_only=True)
class PromptTensors:
    """The prompts of O objects on one frame, as the network takes them.

    Attributes
    ----------
    points
        (O, N, 2) float (x, y) in input pixels; N may be 0.
    labels
        (O, N) int: 1 positive, 0 negative, 2 and 3 the corners of a box,
        -1 padding.
    mask_logits
        (O, 1, s, s) logits of an earlier answer to refine, or None.
    previous_logits
        (O, 1, s, s) mask logits of the neighbouring frame, or None; used only
        by configurations with ``dense_prompts``.
    """

    points: Tensor
    labels: Tensor
    mask_logits: Tensor | None = None
    previous_logits: Tensor | None = None

    @staticmethod
    def empty(objects: int, device: torch.device | None = None) -> PromptTensors:
        """No prompt at all: `objects` times one padding point."""
        return PromptTensors(
            points=torch.zeros(objects, 1, 2, device=device),
            labels=torch.full((objects, 1), PADDING, dtype=torch.long, device=device),
        )

    @property
    def multimask(self) -> bool:
        """Whether the prompt is ambiguous: at most one point (paper, section 4)."""
        return self.labels.shape[1] <= 1


class PromptEncoder(nn.Module):
    """Embeds points sparsely and masks densely; both are learned offsets of SAM."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        dim, width = config.dim, config.prompt_mask_channels
        self.dim = dim
        self.image_size = config.image_size
        self.dense_prompts = config.dense_prompts
        self.pe_layer = FourierPosition(dim)
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, dim) for _ in range(4))
        self.not_a_point_embed = nn.Embedding(1, dim)
        self.no_mask_embed = nn.Embedding(1, dim)
        maps = 5 if self.dense_prompts else 1
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(maps, width // 4, kernel_size=2, stride=2),
            LayerNorm2d(width // 4),
            nn.GELU(),
            nn.Conv2d(width // 4, width, kernel_size=2, stride=2),
            LayerNorm2d(width),
            nn.GELU(),
            nn.Conv2d(width, dim, kernel_size=1),
        )

    def forward(self, prompts: PromptTensors, grid: int) -> tuple[Tensor, Tensor]:
        """Encode prompts for a `grid` x `grid` embedding.

        Returns
        -------
        sparse, dense
            (O, N + 1, C) tokens, none at all for N = 0, and an (O, C, e, e) map
            (e = `grid`).
        """
        sparse = self._embed_points(prompts.points, prompts.labels)
        if self.dense_prompts:
            maps = self._draw(prompts, grid * 4).to(self.no_mask_embed.weight.dtype)
            dense = self.mask_downscaling(maps)
            dense = dense + self.no_mask_embed.weight[0, :, None, None]
        elif prompts.mask_logits is not None:
            dense = self.mask_downscaling(prompts.mask_logits)
        else:
            dense = self.no_mask_embed.weight.reshape(1, -1, 1, 1)
            dense = dense.expand(len(prompts.labels), -1, grid, grid)
        return sparse, dense

    def _embed_points(self, points: Tensor, labels: Tensor) -> Tensor:
        if not points.shape[1]:  # a mask alone comes without even a padding point
            return self.no_mask_embed.weight.new_zeros(points.shape[0], 0, self.dim)
        pad = points.new_zeros(points.shape[0], 1, 2)
        points = torch.cat((points + 0.5, pad), dim=1)  # (O, N + 1, 2)
        labels = torch.cat(
            (labels, labels.new_full((labels.shape[0], 1), PADDING)), dim=1
        )
        tokens = self.pe_layer(points / self.image_size)  # (O, N + 1, C)
        tokens = torch.where((labels == PADDING)[..., None], 0.0, tokens)
        kinds = (self.not_a_point_embed, *self.point_embeddings)
        table = torch.cat([kind.weight for kind in kinds])  # (5, C)
        return tokens + table[labels + 1]

    def _draw(self, prompts: PromptTensors, side: int) -> Tensor:
        """Draw all prompts as five maps, (O, 5, s, s), each within about ±1."""
        maps = draw_prompts(prompts.points, prompts.labels, side, self.image_size)
        blank = maps.new_zeros(maps.shape[0], 1, side, side)
        dense = [maps]
        for logits in (prompts.mask_logits, prompts.previous_logits):
            dense.append(blank if logits is None else torch.tanh(logits / 4))
        return torch.cat(dense, dim=1)


def draw_prompts(points: Tensor, labels: Tensor, side: int, image_size: int) -> Tensor:
    """Draw clicks as Gaussian spots and boxes as filled rectangles.

    Parameters
    ----------
    points, labels
        (O, N, 2) and (O, N) as in `PromptTensors`; a box is a pair of
        neighbouring points labelled 2 and 3.
    side
        Side of the maps in pixels.
    image_size
        Side of the input in pixels.

    Returns
    -------
    Tensor
        (O, 3, side, side) float in [0, 1]: positive clicks, negative clicks, box.
    """
    scale = side / image_size
    centre = (torch.arange(side, device=points.device) + 0.5).to(points.dtype)
    xy = (points + 0.5) * scale  # (O, N, 2) in pixels of the maps
    # Separable: a spot is the product of two 1-D Gaussians.
    spot = torch.exp(-0.5 * ((xy[..., None] - centre) / 1.5) ** 2)  # (O, N, 2, side)
    spots = spot[:, :, 1, :, None] * spot[:, :, 0, None, :]  # (O, N, side, side)
    drawn = []
    for kind in (POSITIVE, NEGATIVE):
        chosen = spots * (labels == kind)[..., None, None]
        drawn.append(chosen.amax(1) if chosen.shape[1] else chosen.sum(1))
    first, last = (labels == TOP_LEFT), (labels == BOTTOM_RIGHT)
    low = (xy * first[..., None]).sum(1)  # (O, 2)
    high = (xy * last[..., None]).sum(1)
    inside = (centre - low[..., None] + 0.5).clamp(0, 1) * (
        high[..., None] - centre + 0.5
    ).clamp(0, 1)  # (O, 2, side)
    box = inside[:, 1, :, None] * inside[:, 0, None, :]
    drawn.append(box * first.any(1)[:, None, None])
    return torch.stack(drawn, dim=1)
