"""Losses against values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from napari_sam2.model.mask_decoder import DecoderOutput
from napari_sam2.training.losses import (
    LossWeights,
    balanced_loss,
    coverage_iou,
    dice_loss,
    focal_loss,
    mask_loss,
    prediction_loss,
)

LN2 = math.log(2)
# Two pixels in the object, two outside; probabilities 1/2, 3/4, 1/2, 1/4.
TARGET = torch.tensor([[1.0, 1.0], [0.0, 0.0]])
LOGITS = torch.tensor([[0.0, math.log(3)], [0.0, -math.log(3)]])
NEAR = -math.log(0.75)  # cross-entropy where 3/4 is given to the truth


def test_focal_loss() -> None:
    inside = 0.25 * (0.25 * LN2 + 0.0625 * NEAR)
    outside = 0.75 * (0.25 * LN2 + 0.0625 * NEAR)
    assert focal_loss(LOGITS, TARGET).item() == pytest.approx((inside + outside) / 4)


def test_focal_loss_hardly_minds_what_is_nearly_right() -> None:
    sure, unsure = torch.full((1, 1), 4.0), torch.zeros(1, 1)
    one = torch.ones(1, 1)
    assert focal_loss(sure, one).item() < focal_loss(unsure, one).item() / 1000


def test_dice_loss() -> None:
    # Overlap 1/2 + 3/4; sizes 2 and 2; one pixel of smoothing in both parts.
    assert dice_loss(LOGITS, TARGET).item() == pytest.approx(1 - (2 * 1.25 + 1) / 5)


def test_dice_loss_of_nothing_found_where_nothing_is() -> None:
    empty = torch.full((3, 3), -40.0)
    assert dice_loss(empty, torch.zeros(3, 3)).item() == pytest.approx(0, abs=1e-6)


def test_balanced_loss_weighs_object_and_background_alike() -> None:
    mean = (LN2 + NEAR) / 2
    assert balanced_loss(LOGITS, TARGET).item() == pytest.approx(mean)
    lonely = torch.zeros(8, 8)
    lonely[0, 0] = 1
    missed = torch.full((8, 8), -6.0)
    assert balanced_loss(missed, lonely).item() == pytest.approx(3.0, abs=0.01)


def test_coverage_iou() -> None:
    # Smaller parts 1/2, 3/4, 0, 0; larger parts 1, 1, 1/2, 1/4.
    assert coverage_iou(LOGITS, TARGET).item() == pytest.approx(1.25 / 2.75)
    binary = torch.tensor([[9.0, -9.0], [9.0, -9.0]]) * 5
    assert coverage_iou(binary, TARGET).item() == pytest.approx(1 / 3)


def test_mask_loss_mixes_by_weight() -> None:
    weights = LossWeights(focal=3, dice=2, balanced=0.5)
    expected = (
        3 * focal_loss(LOGITS, TARGET)
        + 2 * dice_loss(LOGITS, TARGET)
        + 0.5 * balanced_loss(LOGITS, TARGET)
    )
    assert mask_loss(LOGITS, TARGET, weights).item() == pytest.approx(expected.item())


def decoded(masks: torch.Tensor, scores: torch.Tensor) -> DecoderOutput:
    return DecoderOutput(
        masks=masks,
        iou_scores=torch.full(masks.shape[:2], 0.5),
        tokens=torch.zeros(*masks.shape[:2], 8),
        object_score_logits=scores,
    )


def test_only_the_best_of_three_masks_learns_from_an_ambiguous_prompt() -> None:
    masks = torch.stack((LOGITS, -LOGITS, LOGITS * 2, -LOGITS))[None]
    masks.requires_grad_()
    loss = prediction_loss(
        decoded(masks, torch.zeros(1, 1)),
        TARGET[None],
        torch.tensor([True]),
        LossWeights(),
        ambiguous=True,
    )
    (gradient,) = torch.autograd.grad(loss, masks)
    learns = gradient[0].abs().sum((1, 2)) > 0
    assert learns.tolist() == [True, False, True, False]


def test_a_clear_prompt_trains_the_single_mask_alone() -> None:
    masks = torch.stack((LOGITS, LOGITS * 3, LOGITS, LOGITS))[None].requires_grad_()
    loss = prediction_loss(
        decoded(masks, torch.zeros(1, 1)),
        TARGET[None],
        torch.tensor([True]),
        LossWeights(),
        ambiguous=False,
    )
    (gradient,) = torch.autograd.grad(loss, masks)
    assert (gradient[0].abs().sum((1, 2)) > 0).tolist() == [True, False, False, False]
    iou = 0.5 - 1.25 / 2.75  # guessed, less what it is
    expected = mask_loss(LOGITS, TARGET, LossWeights()).item() + iou + LN2
    assert loss.item() == pytest.approx(expected)


def test_an_absent_object_teaches_only_that_it_is_absent() -> None:
    masks = torch.zeros(2, 4, 2, 2).requires_grad_()
    loss = prediction_loss(
        decoded(masks, torch.tensor([[0.0], [math.log(3)]])),
        torch.stack((TARGET, torch.zeros(2, 2))),
        torch.tensor([True, False]),
        LossWeights(focal=0, dice=0, iou=0, absent=3),
        ambiguous=True,
    )
    assert loss.item() == pytest.approx((LN2 - 3 * math.log(0.25)) / 2)
    loss = prediction_loss(
        decoded(masks, torch.zeros(2, 1)),
        torch.stack((TARGET, torch.zeros(2, 2))),
        torch.tensor([True, False]),
        LossWeights(),
        ambiguous=False,
    )
    (gradient,) = torch.autograd.grad(loss, masks)
    assert gradient[0].any()
    assert not gradient[1].any()
