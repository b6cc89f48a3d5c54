"""One training step: forward passes and losses on pictures and on clips.

Shapes: T frames, B clips, N objects in all, s = S / 4. The clip recipe is that of
SAM 2, appendix D.2: a first prompt (mask, click or box), tracking through memory,
corrective clicks on some later frame.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import nn

from napari_sam2.model import PromptTensors, normalise
from napari_sam2.model.mask_decoder import choose_masks
from napari_sam2.tracking.flow import averaged, sampled
from napari_sam2.training.clicks import corrective_click
from napari_sam2.training.losses import prediction_loss

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sam2.model import SAM2, ImageFeatures
    from napari_sam2.model.mask_decoder import DecoderOutput
    from napari_sam2.training.batches import Batch
    from napari_sam2.training.losses import LossWeights

MASK_PROMPT_SHARE, CLICK_SHARE = 0.5, 0.25
DROP_PREVIOUS = 0.15
BOX_LABELS = (2, 3)


@dataclass
class _Past:
    """What the frames so far left behind, for all objects of a batch."""

    prompted: list[tuple[int, Tensor, Tensor]] = field(default_factory=list)
    recent: list[tuple[int, Tensor, Tensor]] = field(default_factory=list)
    logits: Tensor | None = None


class Losses(nn.Module):
    """The loss of a step, on clips or on pictures, as one module.

    A module is what DDP averages gradients of.

    Parameters
    ----------
    model
        The network.
    corrections
        Most corrective clicks after the first prompt.
    """

    def __init__(self, model: SAM2, corrections: int) -> None:
        super().__init__()
        self.model = model
        self.corrections = corrections

    def forward(
        self,
        batch: Batch,
        weights: LossWeights,
        generator: torch.Generator,
        *,
        clips: bool,
    ) -> Tensor:
        """Return the loss of a batch of clips or of pictures."""
        if clips:
            return clip_loss(self.model, batch, weights, generator)
        return picture_loss(
            self.model, batch, weights, generator, corrections=self.corrections
        )


def picture_loss(
    model: SAM2,
    batch: Batch,
    weights: LossWeights,
    generator: torch.Generator,
    *,
    corrections: int,
) -> Tensor:
    """Return the loss of prompts on pictures: click or box, then corrections.

    Half of the objects get a click and half a box; then a random number of
    corrective clicks, at most `corrections`, each with the last logits as mask
    prompt.
    """
    features = model.encode_image(normalise(batch.frames[0]))
    order = torch.randperm(len(batch.owner), generator=generator).to(batch.owner.device)
    half = len(order) // 2
    total = batch.frames.new_zeros(())
    for chosen, kind in ((order[:half], "click"), (order[half:], "box")):
        if not len(chosen):
            continue
        own = features[batch.owner[chosen]]
        embedding = model.without_memory(own)
        target, present = batch.targets[0, chosen], batch.present[0, chosen]
        prompts = _first_prompt(batch, chosen, kind)
        rounds = int(torch.randint(corrections + 1, (1,), generator=generator))
        for left in range(rounds, -1, -1):
            raw = model.decode(embedding, own, prompts)
            loss = prediction_loss(
                raw, target, present, weights, ambiguous=prompts.multimask
            )
            total = total + loss * len(chosen) / len(order)
            if left:
                prompts = _corrected(raw, prompts, target, generator)
    return total


def clip_loss(
    model: SAM2, batch: Batch, weights: LossWeights, generator: torch.Generator
) -> Tensor:
    """Return the loss of tracking through a clip, averaged over its frames."""
    n_frames, n_clips = batch.frames.shape[:2]
    every = model.encode_image(normalise(batch.frames.flatten(0, 1)))
    past = _Past()
    correct_at = _random_frame(n_frames, generator)
    total = batch.frames.new_zeros(())
    for t in range(n_frames):
        features = every[t * n_clips + batch.owner]
        if t == 0:
            total = total + _prompted_frame(
                model, batch, features, past, weights, generator
            )
        else:
            total = total + _tracked_frame(
                model, batch, features, past, weights, generator, t, t == correct_at
            )
    return total / n_frames


def _random_frame(n_frames: int, generator: torch.Generator) -> int:
    """Return a frame to correct, or 0 for none."""
    if torch.rand((), generator=generator) < 0.5:
        return 0
    return int(torch.randint(1, n_frames, (1,), generator=generator))


def _first_prompt(batch: Batch, chosen: Tensor, kind: str) -> PromptTensors:
    points = batch.points[chosen] if kind == "click" else batch.boxes[chosen]
    labels = torch.tensor((1,) if kind == "click" else BOX_LABELS, device=points.device)
    return PromptTensors(points=points, labels=labels.expand(len(points), -1))


def _answer(raw: DecoderOutput, *, multimask: bool) -> tuple[Tensor, Tensor]:
    """Return the chosen logits (N, 1, s, s) and tokens (N, C)."""
    mask_index, token_index = choose_masks(raw, multimask=multimask)
    rows = torch.arange(len(mask_index), device=mask_index.device)
    return raw.masks[rows, mask_index][:, None].float(), raw.tokens[rows, token_index]


def _corrected(
    raw: DecoderOutput,
    prompts: PromptTensors,
    target: Tensor,
    generator: torch.Generator,
) -> PromptTensors:
    """Add one click in the error of the last answer, and the answer itself."""
    logits, _ = _answer(raw, multimask=prompts.multimask)
    logits = logits.detach().clamp(-32, 32)
    # Drawn on the CPU, so that a run depends on the seed and not on the device.
    point, label = corrective_click(logits[:, 0].cpu(), target.cpu(), generator)
    keep = prompts.labels[0] >= 0
    return PromptTensors(
        points=torch.cat((prompts.points[:, keep], point.to(target.device)), dim=1),
        labels=torch.cat((prompts.labels[:, keep], label.to(target.device)), dim=1),
        mask_logits=logits,
        previous_logits=prompts.previous_logits,
    )


def _prompted_frame(
    model: SAM2,
    batch: Batch,
    features: ImageFeatures,
    past: _Past,
    weights: LossWeights,
    generator: torch.Generator,
) -> Tensor:
    """Prompt frame 0 and remember it; return its loss."""
    kind = float(torch.rand((), generator=generator))
    present = batch.present[0]
    if kind < MASK_PROMPT_SHARE:
        output = model.decode_mask_prompt(features, batch.first_mask)
        logits = output.low_res_masks
        pointer, score = output.object_pointer, output.object_score_logits
        loss = logits.new_zeros(())
    else:
        click = kind < MASK_PROMPT_SHARE + CLICK_SHARE
        every = torch.arange(len(batch.owner), device=batch.owner.device)
        prompts = _first_prompt(batch, every, "click" if click else "box")
        raw = model.decode(model.without_memory(features), features, prompts)
        loss = prediction_loss(
            raw, batch.targets[0], present, weights, ambiguous=prompts.multimask
        )
        logits, token = _answer(raw, multimask=prompts.multimask)
        score = raw.object_score_logits
        pointer = model.object_pointer(token, score > 0)
    memory = model.encode_memory(features, logits.detach(), score, prompted=True)
    past.prompted.append((0, memory, pointer))
    past.logits = logits.detach()
    return loss


def _tracked_frame(
    model: SAM2,
    batch: Batch,
    features: ImageFeatures,
    past: _Past,
    weights: LossWeights,
    generator: torch.Generator,
    t: int,
    correct: bool,
) -> Tensor:
    """Track into frame t, perhaps correct it there, remember it."""
    top = model.config.num_memories - 1
    memories = [(memory, top) for _, memory, _ in past.prompted]
    memories += [(memory, t - at - 1) for at, memory, _ in past.recent[-top:]]
    pointers = [
        (pointer, float(t - at)) for at, _, pointer in past.prompted + past.recent
    ]
    embedding = model.condition_on_memory(features, memories, pointers)
    prompts = PromptTensors.empty(len(batch.owner), batch.owner.device)
    previous = None
    if model.config.dense_prompts and past.logits is not None:
        kept = torch.rand(len(batch.owner), generator=generator) >= DROP_PREVIOUS
        moved = sampled(past.logits, batch.places[t - 1, batch.owner])
        previous = moved * kept.to(moved.device)[:, None, None, None]
        prompts = PromptTensors(
            points=prompts.points, labels=prompts.labels, previous_logits=previous
        )
    raw = model.decode(embedding, features, prompts)
    present = batch.present[t]
    loss = prediction_loss(raw, batch.targets[t], present, weights, ambiguous=True)
    multimask = True
    if correct:
        prompts = _corrected(raw, prompts, batch.targets[t], generator)
        raw = model.decode(embedding, features, prompts)
        multimask = prompts.multimask
        again = prediction_loss(
            raw, batch.targets[t], present, weights, ambiguous=multimask
        )
        loss = (loss + again) / 2
    logits, token = _answer(raw, multimask=multimask)
    seen = raw.object_score_logits > 0
    pointer = model.object_pointer(token, seen)
    if (
        previous is not None and not correct
    ):  # what is remembered in use; not supervised
        given = (previous != 0).flatten(1).any(1)[:, None, None, None]
        mean = averaged(logits, previous, batch.trust[t - 1, batch.owner])
        logits = torch.where(given, mean, logits)
    shown = torch.where(seen[..., None, None], logits, -1024.0)
    memory = model.encode_memory(
        features, shown, raw.object_score_logits, prompted=correct
    )
    (past.prompted if correct else past.recent).append((t, memory, pointer))
    # An absent object leaves no dense prompt: zero logits draw nothing.
    past.logits = (logits * seen[..., None, None]).detach()
    return loss
