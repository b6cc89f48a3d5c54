"""Losses of the paper's recipe (SAM 2, appendix D.2), on low-resolution logits.

Shapes: N objects, M masks an object, s = S / 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from napari_sam2.model.mask_decoder import DecoderOutput


@dataclass(frozen=True, kw_only=True)
class LossWeights:
    """How the parts of the loss are weighed.

    Attributes
    ----------
    focal, dice, iou, object_score
        The paper's 20 : 1 : 1 : 1.
    absent
        How much more an absent object weighs in the object score's cross-entropy:
        only one object in ten is absent, and without it none is ever called so.
    balanced
        Weight of class-balanced cross-entropy; 1 at the start, annealed to 0,
        since focal 20 : 1 from scratch collapses to empty masks.
    """

    absent: float = 4.0
    focal: float = 20.0
    dice: float = 1.0
    iou: float = 1.0
    object_score: float = 1.0
    balanced: float = 0.0


def focal_loss(logits: Tensor, target: Tensor, alpha: float = 0.25) -> Tensor:
    """Return the mean focal loss (Lin et al. 2017, gamma 2) over the pixels.

    Parameters
    ----------
    logits
        (..., s, s) any real.
    target
        Broadcastable to `logits`, in [0, 1]; fractions are coverage.
    alpha
        Weight of the positive class.

    Returns
    -------
    Tensor
        (...,).
    """
    bce = F.binary_cross_entropy_with_logits(
        logits, target.expand_as(logits), reduction="none"
    )
    miss = (logits.sigmoid() - target).abs()
    weight = alpha * target + (1 - alpha) * (1 - target)
    return (weight * miss.square() * bce).mean((-2, -1))


def dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Return 1 - Dice with one pixel of smoothing, shapes as in `focal_loss`."""
    p = logits.sigmoid()
    both = (p * target).sum((-2, -1))
    return 1 - (2 * both + 1) / (p.sum((-2, -1)) + target.sum((-2, -1)) + 1)


def balanced_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Return cross-entropy in which object and background weigh the same."""
    bce = F.binary_cross_entropy_with_logits(
        logits, target.expand_as(logits), reduction="none"
    )
    inside = (bce * target).sum((-2, -1)) / target.sum((-2, -1)).clamp(min=1e-3)
    outside = (bce * (1 - target)).sum((-2, -1))
    return (inside + outside / (1 - target).sum((-2, -1)).clamp(min=1.0)) / 2


def coverage_iou(logits: Tensor, target: Tensor) -> Tensor:
    """Return the IoU of two coverage maps, shapes as in `focal_loss`.

    On binary maps this is the usual IoU; objects of a few pixels at stride 4 keep
    a meaningful value.
    """
    p = logits.sigmoid()
    both = torch.minimum(p, target).sum((-2, -1))
    return both / torch.maximum(p, target).sum((-2, -1)).clamp(min=1e-3)


def mask_loss(logits: Tensor, target: Tensor, weights: LossWeights) -> Tensor:
    """Return the weighted focal, dice and balanced losses, (...,)."""
    loss = weights.focal * focal_loss(logits, target)
    loss = loss + weights.dice * dice_loss(logits, target)
    if weights.balanced:
        loss = loss + weights.balanced * balanced_loss(logits, target)
    return loss


def prediction_loss(
    output: DecoderOutput,
    target: Tensor,
    present: Tensor,
    weights: LossWeights,
    *,
    ambiguous: bool,
) -> Tensor:
    """Return the loss of one decoder call, averaged over the objects.

    Raw logits are supervised: replaced by -1024 where the object score is negative,
    as inference does, they would teach nothing.

    Parameters
    ----------
    output
        Raw predictions for N objects.
    target
        (N, s, s) coverage in [0, 1].
    present
        (N,) bool: whether the object is in the frame. Masks and IoU are supervised
        only where it is.
    weights
        The mixture.
    ambiguous
        Whether the prompt is ambiguous: then only the lowest-loss of the three
        masks is supervised, and the single mask beside it.
    """
    score = F.binary_cross_entropy_with_logits(
        output.object_score_logits[:, 0].float(),
        present.float(),
        weight=torch.where(present, 1.0, weights.absent),
    )
    logits = output.masks.float()
    goal = target[:, None]
    if not ambiguous:
        logits = logits[:, :1]
    masks = mask_loss(logits, goal, weights)  # (N, M)
    quality = coverage_iou(logits.detach(), goal)
    guessed = output.iou_scores[:, : logits.shape[1]].float()
    iou = (guessed - quality).abs().mean(1)
    chosen = masks[:, 0]
    if ambiguous:
        chosen = (chosen + 2 * masks[:, 1:].amin(1)) / 3
    share = present.float() / present.sum().clamp(min=1)
    objects = ((chosen + weights.iou * iou) * share).sum()
    return objects + weights.object_score * score
