"""The network's steps of a session: answer prompts, track, remember.

Shapes: O objects, C channels, S picture side, s = S / 4, e = S / 16.
Nothing here reads frames or writes labels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from napari_sam2.model import MaskOutput, PromptTensors
from napari_sam2.tracking.coordinates import box_to_input, points_to_input
from napari_sam2.tracking.flow import steadied
from napari_sam2.tracking.memory_bank import FrameMemory, Recall, frame_memories
from napari_sam2.tracking.prompts import BoxPrompt, MaskPrompt, PointPrompt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sam2.model import SAM2, ImageFeatures
    from napari_sam2.model.mask_decoder import DecoderOutput
    from napari_sam2.tracking.flow import Carried
    from napari_sam2.tracking.prompts import Prompt
    from napari_sam2.tracking.windows import Window

LOGIT_LIMIT = 32.0
TOP_LEFT, BOTTOM_RIGHT = 2, 3


class Tracker:
    """Runs the network for the objects of one stack.

    Parameters
    ----------
    model
        In evaluation mode.
    shape
        (T, Y, X) of the stack.
    non_overlapping_memory
        Whether objects found together in one window are remembered without
        overlaps; see `napari_sam2.tracking.lookup.without_overlaps`.
    """

    def __init__(
        self,
        model: SAM2,
        shape: tuple[int, int, int],
        *,
        non_overlapping_memory: bool = False,
    ) -> None:
        self.model = model
        self.non_overlapping_memory = non_overlapping_memory
        self.n_frames = shape[0]
        self.frame_shape = shape[1:]

    @torch.inference_mode()
    def answer(
        self,
        frame_idx: int,
        window: Window,
        features: ImageFeatures,
        prompts: Sequence[Prompt],
        *,
        done: int,
        recall: Recall | None,
        logits: Tensor | None,
        previous: Carried | None = None,
        first_choice: int | None = None,
    ) -> FrameMemory:
        """Answer the prompts on one object in one frame, one after the other.

        Each prompt refines the answer to those before it, as if each had been
        answered when it was given.

        Parameters
        ----------
        frame_idx, window, features
            The frame, and the part of it that the features cover.
        prompts
            All prompts of the object in the frame.
        done
            How many of them are in `logits` already.
        recall
            The object's memories, or None if the frame has no past.
        logits
            (1, 1, s, s) the frame's answer so far, or None.
        previous
            The neighbouring frame's answer, or None; only for networks with
            ``dense_prompts``.
        first_choice
            Which of the four masks answers the first prompt; None leaves it to
            the network.
        """
        embedding = self._embedding(features, [recall] if recall else [])
        output: MaskOutput | None = None
        for end in range(done + 1, len(prompts) + 1):
            last = prompts[end - 1]
            if isinstance(last, MaskPrompt):
                output = self.model.decode_mask_prompt(
                    features, self._input_mask(last.mask[window.place])
                )
            else:
                tensors = self._prompt_tensors(prompts[:end], window, logits, previous)
                if first_choice is not None and end == 1:
                    raw = self.model.decode(embedding, features, tensors)
                    index = torch.tensor([first_choice], device=self.model.device)
                    output = self.model.answer(raw, index, index)
                else:
                    output = self.model.decode_masks(embedding, features, tensors)
            logits = output.low_res_masks
        if output is None:
            msg = "There is no prompt left to answer."
            raise ValueError(msg)
        spatial = self._spatial(features, output, prompted=True)
        return frame_memories(frame_idx, window, output, spatial)[0]

    @torch.inference_mode()
    def decode(
        self,
        features: ImageFeatures,
        recalls: Sequence[Recall],
        previous: Sequence[Carried | None],
    ) -> MaskOutput:
        """Find objects in a frame from their memories; remember nothing yet.

        Parameters
        ----------
        features
            Of the part of the frame to look at.
        recalls
            The memories of O objects, all of the same structure.
        previous
            For each object its answer in the neighbouring frame, or None for all;
            only for networks with ``dense_prompts``.
        """
        embedding = self._embedding(features, recalls)
        empty = PromptTensors.empty(len(recalls), self.model.device)
        known = [carried for carried in previous if carried is not None]
        prompts = PromptTensors(
            points=empty.points,
            labels=empty.labels,
            previous_logits=self._previous(known),
        )
        output = self.model.decode_masks(embedding, features, prompts)
        return steadied(output, known) if known else output

    @torch.inference_mode()
    def remember(
        self,
        frame_idx: int,
        window: Window,
        features: ImageFeatures,
        output: MaskOutput,
        masks: Tensor | None = None,
    ) -> list[FrameMemory]:
        """Make memories of what `decode` found.

        Parameters
        ----------
        frame_idx, window, features
            The frame, and the part of it that the features cover.
        output
            The answer for O objects.
        masks
            (O, 1, s, s) logits to remember where the objects are; by default those
            of the answer.

        Returns
        -------
        list of FrameMemory
            One for each object.
        """
        spatial = self._spatial(features, output, prompted=False, masks=masks)
        return frame_memories(frame_idx, window, output, spatial)

    @torch.inference_mode()
    def propose(
        self, features: ImageFeatures, recall: Recall, previous: Carried | None
    ) -> DecoderOutput:
        """Find one object in a frame from its memories, with all four masks.

        Parameters
        ----------
        features
            The part of the frame that is looked at.
        recall
            What the frame is conditioned on.
        previous
            The answer in the neighbouring frame, or None.
        """
        empty = PromptTensors.empty(1, self.model.device)
        prompts = PromptTensors(
            points=empty.points,
            labels=empty.labels,
            previous_logits=self._previous([previous] if previous else []),
        )
        embedding = self._embedding(features, [recall])
        return self.model.decode(embedding, features, prompts)

    @torch.inference_mode()
    def decide(
        self,
        frame_idx: int,
        window: Window,
        features: ImageFeatures,
        raw: DecoderOutput,
        choice: int,
        previous: Carried | None,
    ) -> FrameMemory:
        """Answer a frame with one of the masks that `propose` found.

        Parameters
        ----------
        frame_idx, window, features
            The frame, and the part of it that the features cover.
        raw
            From `propose`.
        choice
            Which of the four masks.
        previous
            As in `propose`.
        """
        index = torch.tensor([choice], device=self.model.device)
        output = self.model.answer(raw, index, index)
        if previous is not None:
            output = steadied(output, [previous])
        spatial = self._spatial(features, output, prompted=False)
        return frame_memories(frame_idx, window, output, spatial)[0]

    @torch.inference_mode()
    def remake(
        self,
        frame_idx: int,
        window: Window,
        features: ImageFeatures,
        mask: NDArray[np.bool_],
        *,
        prompted: bool = False,
    ) -> FrameMemory:
        """Make the memory of a frame again from its label.

        Parameters
        ----------
        frame_idx, window, features
            The frame, and the part of it that the features cover.
        mask
            (Y, X) where the object is in the frame; empty if it was absent.
        prompted
            Whether prompts made it.
        """
        output = self.model.decode_mask_prompt(
            features, self._input_mask(mask[window.place])
        )
        spatial = self._spatial(features, output, prompted=prompted)
        return frame_memories(frame_idx, window, output, spatial)[0]

    def logits_from_mask(self, mask: NDArray[np.bool_], window: Window) -> Tensor:
        """Return a window of a (Y, X) mask as (1, 1, s, s) logits of ±10."""
        side = self.model.config.low_res_size
        return self._resized(mask[window.place], side) * 20 - 10

    @torch.inference_mode()
    def candidates(
        self, window: Window, features: ImageFeatures, prompts: Sequence[Prompt]
    ) -> tuple[Tensor, Tensor]:
        """Answer clicks with all four masks, (4, s, s) logits and (4,) IoU scores."""
        raw = self.model.decode(
            self.model.without_memory(features),
            features,
            self._prompt_tensors(prompts, window, None, None),
        )
        return raw.masks[0].float(), raw.iou_scores[0].float()

    def _embedding(self, features: ImageFeatures, recalls: Sequence[Recall]) -> Tensor:
        """Condition a frame on the memories of O objects, (O, C, e, e)."""
        if not recalls:
            return self.model.without_memory(features)
        first = recalls[0]
        memories, pointers = [], []
        for i, (_, row) in enumerate(first.memories):
            found = [recall.memories[i][0].spatial for recall in recalls]
            spatial = torch.cat([part for part in found if part is not None])
            memories.append((spatial, row))
        for i, (_, distance) in enumerate(first.pointers):
            pointer = torch.cat([recall.pointers[i][0].pointer for recall in recalls])
            pointers.append((pointer, float(distance)))
        span = min(self.n_frames, self.model.config.max_pointers) - 1
        return self.model.condition_on_memory(
            features, memories, pointers, pointer_span=span
        )

    def _spatial(
        self,
        features: ImageFeatures,
        output: MaskOutput,
        *,
        prompted: bool,
        masks: Tensor | None = None,
    ) -> Tensor:
        return self.model.encode_memory(
            features,
            output.low_res_masks if masks is None else masks,
            output.object_score_logits,
            prompted=prompted,
        )

    def _prompt_tensors(
        self,
        prompts: Sequence[Prompt],
        window: Window,
        logits: Tensor | None,
        previous: Carried | None,
    ) -> PromptTensors:
        """Join the box and the clicks given since the last painted mask."""
        side = self.model.config.image_size
        box: list[tuple[float, float]] = []
        clicks: list[tuple[float, float]] = []
        labels: list[int] = []
        for prompt in prompts:
            if isinstance(prompt, MaskPrompt):
                box, clicks, labels = [], [], []
            elif isinstance(prompt, BoxPrompt):
                box = box_to_input(prompt.box, window, side)
            elif isinstance(prompt, PointPrompt):
                clicks += points_to_input(prompt.points, window, side)
                labels += prompt.labels
        corners = [TOP_LEFT, BOTTOM_RIGHT] if box else []
        device = self.model.device
        return PromptTensors(
            points=torch.tensor([box + clicks], dtype=torch.float32, device=device),
            labels=torch.tensor([corners + labels], device=device),
            mask_logits=None if logits is None else self._clamped(logits),
            previous_logits=self._previous([previous] if previous else []),
        )

    def _previous(self, known: Sequence[Carried]) -> Tensor | None:
        """Return the neighbouring frame's logits of O objects, (O, 1, s, s)."""
        if not known:
            return None
        return self._clamped(torch.cat([carried.logits for carried in known]))

    def _clamped(self, logits: Tensor) -> Tensor:
        limited = logits.clamp(-LOGIT_LIMIT, LOGIT_LIMIT)
        return limited.to(device=self.model.device, dtype=self.model.dtype)

    def _input_mask(self, mask: NDArray[np.bool_]) -> Tensor:
        """Resize a (Y, X) mask to the network's input, (1, 1, S, S) in {0, 1}."""
        x = self._resized(mask, self.model.config.image_size)
        return (x >= 0.5).to(self.model.dtype)

    def _resized(self, mask: NDArray[np.bool_], side: int) -> Tensor:
        x = torch.from_numpy(mask.astype(np.float32))[None, None]
        x = x.to(self.model.device)
        if x.shape[-2:] != (side, side):
            x = F.interpolate(
                x,
                size=(side, side),
                mode="bilinear",
                align_corners=False,
                antialias=True,
            )
        return x
