"""Mask decoder: from conditioned embedding and prompts to masks and scores.

Shapes: O objects, C channels, N tokens, M = 4 masks (one sure, three ambiguous),
e = S / 16, s = S / 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_sam2.model.layers import MLP, LayerNorm2d
from napari_sam2.model.two_way_transformer import TwoWayTransformer

if TYPE_CHECKING:
    from napari_sam2.model.config import ModelConfig

MASKS = 4
STABILITY_DELTA = 0.05
STABILITY_THRESHOLD = 0.98


@dataclass(frozen=True, kw_only=True)
class DecoderOutput:
    """Everything the decoder predicts, nothing chosen yet.

    Attributes
    ----------
    masks
        (O, 4, s, s) mask logits; index 0 is the unambiguous mask.
    iou_scores
        (O, 4) predicted IoU in [0, 1].
    tokens
        (O, 4, C) mask tokens: what object pointers are made from.
    object_score_logits
        (O, 1) logits; positive where the object is in the frame.
    """

    masks: Tensor
    iou_scores: Tensor
    tokens: Tensor
    object_score_logits: Tensor


class MaskDecoder(nn.Module):
    """Tokens ask the picture; hypernetworks turn the answers into masks."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        dim = config.dim
        self.transformer = TwoWayTransformer(
            dim, config.decoder_heads, config.decoder_ff
        )
        self.iou_token = nn.Embedding(1, dim)
        self.mask_tokens = nn.Embedding(MASKS, dim)
        self.obj_score_token = nn.Embedding(1, dim)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(dim, dim // 4, kernel_size=2, stride=2),
            LayerNorm2d(dim // 4),
            nn.GELU(),
            nn.ConvTranspose2d(dim // 4, dim // 8, kernel_size=2, stride=2),
            nn.GELU(),
        )
        self.conv_s0 = nn.Conv2d(dim, dim // 8, kernel_size=1)
        self.conv_s1 = nn.Conv2d(dim, dim // 4, kernel_size=1)
        self.output_hypernetworks_mlps = nn.ModuleList(
            MLP(dim, dim, dim, dim // 8) for _ in range(MASKS)
        )
        self.iou_prediction_head = MLP(dim, dim, dim, MASKS)
        self.pred_obj_score_head = MLP(dim, dim, dim, 1)

    def forward(
        self,
        embedding: Tensor,
        position: Tensor,
        sparse: Tensor,
        dense: Tensor,
        skip4: Tensor,
        skip8: Tensor,
    ) -> DecoderOutput:
        """Decode O objects.

        Parameters
        ----------
        embedding, dense
            (O or 1, C, e, e) conditioned embedding and (O, C, e, e) dense prompt.
        position
            (1, C, e, e) encoding of the grid.
        sparse
            (O, N, C) prompt tokens.
        skip4, skip8
            (O or 1, C/8, 4e, 4e) and (O or 1, C/4, 2e, 2e) skip features.
        """
        own = torch.cat(
            (
                self.obj_score_token.weight,
                self.iou_token.weight,
                self.mask_tokens.weight,
            )
        )
        tokens = torch.cat((own.expand(len(sparse), -1, -1), sparse), dim=1)
        source = embedding + dense  # (O, C, e, e)
        tokens, cells = self.transformer(
            tokens,
            source.flatten(2).transpose(1, 2),  # (O, e e, C)
            position.flatten(2).transpose(1, 2),
        )
        mask_tokens = tokens[:, 2 : 2 + MASKS]
        source = cells.transpose(1, 2).reshape(source.shape)
        fine = self._upscale(source, skip4, skip8)  # (O, C/8, s, s)
        weights = torch.stack(
            [
                mlp(mask_tokens[:, i])
                for i, mlp in enumerate(self.output_hypernetworks_mlps)
            ],
            dim=1,
        )  # (O, M, C/8)
        masks = weights @ fine.flatten(2)  # (O, M, s s)
        masks = masks.reshape(*masks.shape[:2], *fine.shape[-2:])
        return DecoderOutput(
            masks=masks,
            iou_scores=self.iou_prediction_head(tokens[:, 1]).sigmoid(),
            tokens=mask_tokens,
            object_score_logits=self.pred_obj_score_head(tokens[:, 0]),
        )

    def _upscale(self, source: Tensor, skip4: Tensor, skip8: Tensor) -> Tensor:
        up1, norm, _, up2, _ = self.output_upscaling
        x = F.gelu(norm(up1(source) + skip8))
        return F.gelu(up2(x) + skip4)


def choose_masks(output: DecoderOutput, *, multimask: bool) -> tuple[Tensor, Tensor]:
    """Return which mask the decoder answers with, and which token points to it.

    An ambiguous prompt takes the best of the three by predicted IoU. Otherwise
    the single mask is taken, unless it is unstable (its area changes by more
    than 2 % between thresholds ±0.05): then the best of the three again, while
    the pointer stays with the single mask's token.

    Returns
    -------
    mask_index, token_index
        (O,) integers in 0 … 3.
    """
    best = output.iou_scores[:, 1:].argmax(1) + 1
    if multimask:
        return best, best
    single = output.masks[:, 0].flatten(1)
    inner = (single > STABILITY_DELTA).sum(1).float()
    outer = (single > -STABILITY_DELTA).sum(1).float()
    stability = torch.where(outer > 0, inner / outer.clamp(min=1), 1.0)
    sure = torch.zeros_like(best)
    return torch.where(stability >= STABILITY_THRESHOLD, sure, best), sure
