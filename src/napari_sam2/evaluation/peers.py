"""Our weights in the words of other implementations of SAM 2, to compare with them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

# Meta's keys and what transformers calls them; applied one after the other.
RENAMED = (
    (r"^maskmem_tpos_enc", "memory_temporal_positional_encoding"),
    (r"^no_mem_embed", "no_memory_embedding"),
    (r"^no_mem_pos_enc", "no_memory_positional_encoding"),
    (r"^no_obj_ptr", "no_object_pointer"),
    (r"^no_obj_embed_spatial", "occlusion_spatial_embedding_parameter"),
    (r"^obj_ptr_proj", "object_pointer_proj"),
    (r"^obj_ptr_tpos_proj", "temporal_positional_encoding_projection_layer"),
    (r"^image_encoder\.trunk\.patch_embed\.proj\.", "trunk.patch_embed.projection."),
    (r"^(?:image_encoder\.)?trunk\.", "vision_encoder.backbone."),
    (r"(blocks\.\d+\.mlp)\.layers\.0", r"\1.proj_in"),
    (r"(blocks\.\d+\.mlp)\.layers\.1", r"\1.proj_out"),
    (r"^image_encoder\.neck\.convs\.(\d)\.conv", r"vision_encoder.neck.convs.\1"),
    (r"^sam_mask_decoder\.", "mask_decoder."),
    (r"(transformer\.layers\.\d\.mlp)\.layers\.0", r"\1.proj_in"),
    (r"(transformer\.layers\.\d\.mlp)\.layers\.1", r"\1.proj_out"),
    (r"(hypernetworks_mlps\.\d|_head|pointer_proj)\.layers\.0", r"\1.proj_in"),
    (r"(hypernetworks_mlps\.\d|_head|pointer_proj)\.layers\.1", r"\1.layers.0"),
    (r"(hypernetworks_mlps\.\d|_head|pointer_proj)\.layers\.2", r"\1.proj_out"),
    (r"output_upscaling\.0", "upscale_conv1"),
    (r"output_upscaling\.1", "upscale_layer_norm"),
    (r"output_upscaling\.3", "upscale_conv2"),
    (r"\.out_proj\.", ".o_proj."),
    (r"^memory_encoder\.o_proj", "memory_encoder.projection"),
    (r"pix_feat_proj", "feature_projection"),
    (r"\.fuser\.", ".memory_fuser."),
    (r"gamma$", "scale"),
    (r"dwconv", "depthwise_conv"),
    (r"pwconv", "pointwise_conv"),
    (r"^sam_prompt_encoder\.pe_layer\.positional_encoding_gaussian_matrix",
     "prompt_encoder.shared_embedding.positional_embedding"),
    (r"^sam_prompt_encoder\.mask_downscaling\.0", "prompt_encoder.mask_embed.conv1"),
    (r"^sam_prompt_encoder\.mask_downscaling\.1",
     "prompt_encoder.mask_embed.layer_norm1"),
    (r"^sam_prompt_encoder\.mask_downscaling\.3", "prompt_encoder.mask_embed.conv2"),
    (r"^sam_prompt_encoder\.mask_downscaling\.4",
     "prompt_encoder.mask_embed.layer_norm2"),
    (r"^sam_prompt_encoder\.mask_downscaling\.6", "prompt_encoder.mask_embed.conv3"),
    (r"^sam_prompt_encoder\.", "prompt_encoder."),
    (r"\.norm_final_attn", ".layer_norm_final_attn"),
    (r"^memory_attention\.norm\.", "memory_attention.layer_norm."),
    (r"\.norm(\d?)\.", r".layer_norm\1."),
)  # fmt: skip


def translated(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename Meta's keys, which are ours, to those of transformers.

    Parameters
    ----------
    state
        A whole state dict of `napari_sam2.model.SAM2`.

    Returns
    -------
    dict
        For ``Sam2VideoModel.load_state_dict``; ``Sam2Model`` takes a part of it.
    """
    out = {}
    for key, value in state.items():
        name = key
        for pattern, replacement in RENAMED:
            name = re.sub(pattern, replacement, name)
        found = re.fullmatch(
            r"memory_encoder\.mask_downsampler\.encoder\.(\d+)(.*)", name
        )
        if found:
            step, kind = divmod(int(found[1]), 3)
            part = ("conv", "layer_norm")[kind] if step < 4 else ""
            place = f"layers.{step}.{part}" if step < 4 else "final_conv"
            name = f"memory_encoder.mask_downsampler.{place}{found[2]}"
        out[name] = value
    points = "prompt_encoder.point_embeddings"
    out["prompt_encoder.point_embed.weight"] = torch.cat(
        [out.pop(f"{points}.{i}.weight") for i in range(4)]
    )
    shared = out["prompt_encoder.shared_embedding.positional_embedding"]
    return out | {"shared_image_embedding.positional_embedding": shared}
