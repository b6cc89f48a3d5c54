"""Image prompts of all kinds give Meta's logits, for all four sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_sam2.model import ImageFeatures, PromptTensors
from napari_sam2.model.mask_decoder import choose_masks
from napari_sam2.tracking.coordinates import box_to_input, points_to_input
from napari_sam2.tracking.frames import to_pixels
from napari_sam2.tracking.masks import patch_from_logits
from napari_sam2.tracking.windows import whole

if TYPE_CHECKING:
    from collections.abc import Callable

SIDE = 256
CASES = [
    "pt1_multi",
    "pt1_single",
    "pt3_single",
    "box_single",
    "box_multi",
    "box_neg_single",
    "pt1_mask_single",
    "mask_only_single",
]


def encode(reference: Any, image: np.ndarray) -> ImageFeatures:
    pixels = to_pixels(image.astype(np.float32) / 255, SIDE)
    with torch.inference_mode():
        return reference.model.encode_image(pixels)


def to_ours(x: float, y: float, shape: tuple[int, int]) -> tuple[float, float]:
    """Turn Meta's (x, y), scaled without a half pixel, to our (y, x) centres."""
    half_y, half_x = 0.5 * shape[0] / SIDE, 0.5 * shape[1] / SIDE
    return y + half_y - 0.5, x + half_x - 0.5


def prompt_tensors(
    case: dict[str, Any], mask: np.ndarray | None, shape: tuple[int, int]
) -> PromptTensors:
    points, labels = [], []
    if "box" in case:
        x, y, x2, y2 = case["box"]
        top, left = to_ours(x, y, shape)
        bottom, right = to_ours(x2, y2, shape)
        edges = (top + 0.5, left + 0.5, bottom + 0.5, right + 0.5)
        points += box_to_input(edges, whole(shape), SIDE)
        labels += [2, 3]
    clicks = [to_ours(x, y, shape) for x, y in case.get("point_coords", [])]
    points += points_to_input(clicks, whole(shape), SIDE)
    labels += case.get("point_labels", [])
    return PromptTensors(
        points=torch.tensor(points, dtype=torch.float32).reshape(1, -1, 2),
        labels=torch.tensor(labels, dtype=torch.long).reshape(1, -1),
        mask_logits=None if mask is None else torch.from_numpy(mask)[None, None],
    )


def answer(
    reference: Any, features: ImageFeatures, group: str, name: str, shape: Any
) -> tuple[torch.Tensor, torch.Tensor]:
    case = reference.meta[f"{group}/{name}"]
    mask = None
    if "mask_input" in case:
        channel = 0 if "channel 0" in case["mask_input"] else 1
        mask = reference[f"{group}/pt1_multi/low_res"][channel].astype(np.float32)
    with torch.inference_mode():
        raw = reference.model.decode(
            reference.model.without_memory(features),
            features,
            prompt_tensors(case, mask, shape),
        )
    if case["multimask_output"]:
        return raw.masks[0, 1:].clamp(-32, 32), raw.iou_scores[0, 1:]
    chosen = int(choose_masks(raw, multimask=False)[0])
    keep = slice(chosen, chosen + 1)
    return raw.masks[0, keep].clamp(-32, 32), raw.iou_scores[0, keep]


def check_cases(
    reference: Any, group: str, features: ImageFeatures, shape: Any
) -> None:
    for name in CASES:
        low_res, iou = answer(reference, features, group, name, shape)
        for kind, ours in (("low_res", low_res), ("iou", iou)):
            key = f"{group}/{name}/{kind}"
            assert reference.difference(key, ours) < reference.tolerance(key), key
        packed = f"{group}/{name}/mask_bits"
        if packed in reference.arrays:
            masks = [patch_mask(m.numpy(), shape) for m in low_res]
            bits = np.unpackbits(
                reference[packed], count=len(masks) * shape[0] * shape[1]
            )
            theirs = bits.reshape(len(masks), *shape).astype(bool)
            # A logit of ±0.00001 may change sides.
            assert np.count_nonzero(np.stack(masks) != theirs) <= 3 * len(masks), key


def patch_mask(low_res: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    patch = patch_from_logits(low_res, shape)
    out = np.zeros(shape, bool)
    out[patch.place] = patch.logits > 0
    return out


def test_image_prompts_agree_with_meta(
    sized: Any, clip: Callable[..., np.ndarray]
) -> None:
    ref = sized
    features = encode(ref, clip(1)[0])
    embedding = ref.model.without_memory(features)
    assert ref.difference("img/image_embed", embedding[:, ::8]) < 2e-2
    skips = {
        "img/high_res_0": features.skip4[:, ::4, ::2, ::2],
        "img/high_res_1": features.skip8[:, ::4, ::2, ::2],
    }
    for key, ours in skips.items():
        assert ref.difference(key, ours) < 2e-2, key
    check_cases(ref, "img", features, (SIDE, SIDE))


def test_other_shapes_agree_with_meta(
    reference: Callable[[str], Any], clip: Callable[..., np.ndarray]
) -> None:
    """Our float, antialiased, bilinear resize is that of Meta's image predictor."""
    ref = reference("sam2.1-tiny")
    shape = (180, 320)
    check_cases(ref, "img180x320", encode(ref, clip(1, *shape)[0]), shape)
