"""SAM 2, assembled: pure steps, tensors in, tensors out (paper, section 4).

Shapes: B pictures, O objects, C channels, m memory channels, S picture side,
e = S / 16, s = S / 4, K memory tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from napari_sam2.model.image_encoder import ImageEncoder
from napari_sam2.model.layers import MLP, pointwise, resize
from napari_sam2.model.mask_decoder import DecoderOutput, MaskDecoder, choose_masks
from napari_sam2.model.memory_attention import MemoryAttention
from napari_sam2.model.memory_encoder import MemoryEncoder
from napari_sam2.model.position import sine_1d, sine_grid
from napari_sam2.model.prompt_encoder import PromptEncoder, PromptTensors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sam2.model.config import ModelConfig

ABSENT_LOGIT = -1024.0
MASK_SCALE, MASK_BIAS = 20.0, -10.0
PIXEL_MEAN = (0.485, 0.456, 0.406)
PIXEL_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, kw_only=True)
class ImageFeatures:
    """What the image encoder says about B pictures.

    Attributes
    ----------
    embedding
        (B, C, e, e), without any memory added.
    skip4, skip8
        (B, C/8, s, s) and (B, C/4, 2e, 2e) skip features for the decoder.
    """

    embedding: Tensor
    skip4: Tensor
    skip8: Tensor

    def __getitem__(self, index: int | slice | Tensor) -> ImageFeatures:
        """Select pictures; an integer keeps the batch axis."""
        if isinstance(index, int):
            index = slice(index, index + 1)
        return ImageFeatures(
            embedding=self.embedding[index],
            skip4=self.skip4[index],
            skip8=self.skip8[index],
        )

    @property
    def nbytes(self) -> int:
        """Bytes held by the tensors."""
        return sum(t.nbytes for t in (self.embedding, self.skip4, self.skip8))


@dataclass(frozen=True, kw_only=True)
class MaskOutput:
    """The answer for O objects on one frame.

    Attributes
    ----------
    low_res_masks
        (O, 1, s, s) mask logits; -1024 everywhere for an absent object.
    iou_scores
        (O,) predicted IoU in [0, 1].
    object_score_logits
        (O, 1) logits; positive where the object is in the frame.
    object_pointer
        (O, C) what later frames remember of the object.
    """

    low_res_masks: Tensor
    iou_scores: Tensor
    object_score_logits: Tensor
    object_pointer: Tensor


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a model's weights come from.

    Attributes
    ----------
    name
        What `load_model` was asked for: a name or a file.
    sha256
        Of the checkpoint file.
    """

    name: str
    sha256: str


class SAM2(nn.Module):
    """The network. Module names are Meta's, so that checkpoints load as they are.

    Parameters
    ----------
    config
        See `napari_sam2.model.config.preset`.

    Attributes
    ----------
    config
        As given.
    origin
        Where the weights come from; None for random ones.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.origin: Origin | None = None
        dim, memory_dim = config.dim, config.memory_dim
        self.image_encoder = ImageEncoder(config)
        self.mask_downsample = nn.Conv2d(1, 1, kernel_size=4, stride=4)
        self.memory_attention = MemoryAttention(config)
        self.memory_encoder = MemoryEncoder(config)
        self.sam_prompt_encoder = PromptEncoder(config)
        self.sam_mask_decoder = MaskDecoder(config)
        self.obj_ptr_proj = MLP(dim, dim, dim, dim)
        self.maskmem_tpos_enc = _embedding(config.num_memories, 1, 1, memory_dim)
        self.no_mem_embed = _embedding(1, 1, dim)
        self.no_mem_pos_enc = _embedding(1, 1, dim)  # in the files; never used
        self.no_obj_ptr = _embedding(1, dim)
        if config.occlusion_embedding:
            self.no_obj_embed_spatial = _embedding(1, memory_dim)
        if config.pointer_time_encoding:
            self.obj_ptr_tpos_proj = nn.Linear(dim, memory_dim)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.no_mem_embed.device

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the weights."""
        return self.no_mem_embed.dtype

    def encode_image(self, pixels: Tensor) -> ImageFeatures:
        """Encode (B, 3, S, S) pictures, normalised by `normalise`."""
        s4, s8, s16 = self.image_encoder(pixels)
        decoder = self.sam_mask_decoder
        return ImageFeatures(
            embedding=s16,
            skip4=pointwise(decoder.conv_s0, s4),
            skip8=pointwise(decoder.conv_s1, s8),
        )

    def without_memory(self, features: ImageFeatures) -> Tensor:
        """Return the embedding (B, C, e, e) of a frame that has no past."""
        return features.embedding + self.no_mem_embed.reshape(1, -1, 1, 1)

    def condition_on_memory(
        self,
        features: ImageFeatures,
        memories: Sequence[tuple[Tensor, int]],
        pointers: Sequence[tuple[Tensor, float]] = (),
        *,
        pointer_span: int = 15,
    ) -> Tensor:
        """Let a frame look at its memories (paper, section 4, memory attention).

        Parameters
        ----------
        features
            One picture (B = 1 or O).
        memories
            Pairs of an (O, m, e, e) spatial memory and its row in the temporal
            encoding: ``num_memories - 1`` for a prompted frame, ``t - 1`` for a
            recent frame t steps away.
        pointers
            Pairs of an (O, C) object pointer and its signed distance in frames,
            positive in the past.
        pointer_span
            Distance that is encoded as 1: ``min(frames, max_pointers) - 1``.

        Returns
        -------
        Tensor
            Conditioned embedding, (O, C, e, e).
        """
        if not memories:
            return self.without_memory(features)
        h, w = features.embedding.shape[-2:]
        dtype = features.embedding.dtype
        place = sine_grid(h, w, self.config.memory_dim, self.device)
        place = place.flatten(2).transpose(1, 2).to(dtype)  # (1, e e, m)
        tokens = [mem.to(dtype).flatten(2).transpose(1, 2) for mem, _ in memories]
        positions = [place + self.maskmem_tpos_enc[row, 0] for _, row in memories]
        count = 0
        if pointers:
            values, times = self._pointer_tokens(pointers, pointer_span)
            count = values.shape[1]
            tokens.append(values.to(dtype))
            positions.append(times.to(dtype))
        grid = sine_grid(h, w, self.config.dim, self.device).to(dtype)
        out: Tensor = self.memory_attention(
            features.embedding,
            grid,
            torch.cat(tokens, dim=1),  # (O, K, m)
            torch.cat(positions, dim=1),  # (1, K, m)
            count,
        )
        return out

    def _pointer_tokens(
        self, pointers: Sequence[tuple[Tensor, float]], span: int
    ) -> tuple[Tensor, Tensor]:
        """Split P pointers (O, C) into (O, P C/m, m) tokens and their positions."""
        split = self.config.dim // self.config.memory_dim
        values = torch.stack([pointer for pointer, _ in pointers], dim=1)  # (O, P, C)
        values = values.reshape(values.shape[0], -1, self.config.memory_dim)
        if not self.config.pointer_time_encoding:
            return values, values.new_zeros(1, *values.shape[1:])
        times = [distance / max(span, 1) for _, distance in pointers]
        encoded = sine_1d(
            torch.tensor(times, dtype=torch.float32, device=values.device),
            self.config.dim,
        )  # (P, C)
        encoded = self.obj_ptr_tpos_proj(encoded.to(self.dtype))  # (P, m)
        return values, encoded.repeat_interleave(split, dim=0)[None]

    def decode(
        self, embedding: Tensor, features: ImageFeatures, prompts: PromptTensors
    ) -> DecoderOutput:
        """Run prompt encoder and mask decoder; choose and suppress nothing.

        Parameters
        ----------
        embedding
            (O or 1, C, e, e) from `without_memory` or `condition_on_memory`.
        features
            The same frame's features, for the skips.
        prompts
            The prompts of O objects.
        """
        grid = embedding.shape[-1]
        sparse, dense = self.sam_prompt_encoder(prompts, grid)
        position = self.sam_prompt_encoder.pe_layer.grid(*embedding.shape[-2:])
        out: DecoderOutput = self.sam_mask_decoder(
            embedding, position, sparse, dense, features.skip4, features.skip8
        )
        return out

    def decode_masks(
        self,
        embedding: Tensor,
        features: ImageFeatures,
        prompts: PromptTensors,
        *,
        multimask: bool | None = None,
    ) -> MaskOutput:
        """Answer prompts with one mask an object, as in a video.

        Parameters
        ----------
        embedding, features, prompts
            As in `decode`.
        multimask
            Whether to choose among the three ambiguous masks; by default when
            there is at most one point.
        """
        raw = self.decode(embedding, features, prompts)
        chosen, token = choose_masks(
            raw, multimask=prompts.multimask if multimask is None else multimask
        )
        return self.answer(raw, chosen, token)

    def answer(self, raw: DecoderOutput, chosen: Tensor, token: Tensor) -> MaskOutput:
        """Make an answer of raw predictions, given which masks to take.

        Parameters
        ----------
        raw
            From `decode`, for O objects.
        chosen, token
            (O,) which of the four masks to answer with, and which of the four
            tokens points to the object.
        """
        objects = torch.arange(len(chosen), device=chosen.device)
        masks = raw.masks[objects, chosen][:, None].float()
        seen = raw.object_score_logits > 0  # (O, 1)
        return MaskOutput(
            low_res_masks=torch.where(seen[..., None, None], masks, ABSENT_LOGIT),
            iou_scores=raw.iou_scores[objects, chosen],
            object_score_logits=raw.object_score_logits,
            object_pointer=self.object_pointer(raw.tokens[objects, token], seen),
        )

    def object_pointer(self, token: Tensor, seen: Tensor) -> Tensor:
        """Project mask tokens (O, C) to pointers; absent objects get their own.

        Parameters
        ----------
        token
            (O, C) mask tokens.
        seen
            (O, 1) bool: whether the object is in the frame.
        """
        return torch.where(seen, self.obj_ptr_proj(token), self.no_obj_ptr)

    def decode_mask_prompt(self, features: ImageFeatures, masks: Tensor) -> MaskOutput:
        """Take given masks as the answer; the decoder only makes the pointers.

        Parameters
        ----------
        features
            One frame (B = 1 or O).
        masks
            (O, 1, S, S) in {0, 1}.
        """
        masks = masks.to(self.dtype)
        seen = masks.flatten(1).any(1, keepdim=True)  # (O, 1)
        logits = masks * MASK_SCALE + MASK_BIAS
        prompts = PromptTensors.empty(len(masks), masks.device)
        prompts = PromptTensors(
            points=prompts.points.to(masks.dtype),
            labels=prompts.labels,
            mask_logits=self.mask_downsample(masks),
        )
        raw = self.decode(features.embedding, features, prompts)
        scored = raw.object_score_logits > 0
        pointer = self.object_pointer(raw.tokens[:, 0], scored)
        return MaskOutput(
            low_res_masks=resize(logits, self.config.low_res_size, antialias=True),
            iou_scores=masks.new_ones(len(masks)),
            object_score_logits=seen.to(masks.dtype) * MASK_SCALE + MASK_BIAS,
            object_pointer=torch.where(seen, pointer, self.no_obj_ptr),
        )

    def encode_memory(
        self,
        features: ImageFeatures,
        mask_logits: Tensor,
        object_score_logits: Tensor,
        *,
        prompted: bool,
    ) -> Tensor:
        """Make the spatial memory of a frame (paper, section 4, memory encoder).

        Parameters
        ----------
        features
            The frame (B = 1 or O).
        mask_logits
            (O, 1, s, s) logits; resized to S x S first.
        object_score_logits
            (O, 1); not positive means absent.
        prompted
            Whether the user prompted the frame: its mask is then binarised.

        Returns
        -------
        Tensor
            (O, m, e, e).
        """
        mask = resize(mask_logits, self.config.image_size)
        mask = (mask > 0).to(mask.dtype) if prompted else mask.sigmoid()
        mask = (mask * MASK_SCALE + MASK_BIAS).to(features.embedding.dtype)
        memory: Tensor = self.memory_encoder(features.embedding, mask)
        if self.config.occlusion_embedding:
            absent = (object_score_logits <= 0).to(memory.dtype)[..., None, None]
            memory = memory + absent * self.no_obj_embed_spatial[..., None, None]
        return memory


def _embedding(*shape: int) -> nn.Parameter:
    return nn.Parameter(nn.init.trunc_normal_(torch.empty(shape), std=0.02))


def normalise(pixels: Tensor) -> Tensor:
    """Normalise (B, 3, H, W) RGB in [0, 1] as the trunk expects it."""
    mean = pixels.new_tensor(PIXEL_MEAN).reshape(1, 3, 1, 1)
    std = pixels.new_tensor(PIXEL_STD).reshape(1, 3, 1, 1)
    return (pixels - mean) / std
