"""Seeded weights, a seeded clip, and the numbers Meta's SAM 2 makes of them."""

from __future__ import annotations

import json
import lzma
import zlib
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from napari_sam2.model import SAM2, load_weights, preset

if TYPE_CHECKING:
    from collections.abc import Callable

DATA = Path(__file__).parents[1] / "data" / "parity"
SIDE = 256
OBJECT_BIAS = 0.5
PLAIN = (
    "point_embeddings",
    "not_a_point_embed",
    "no_mask_embed",
    "iou_token",
    "mask_tokens",
    "obj_score_token",
)
HALF = {
    "pos_embed",
    "pos_embed_window",
    "maskmem_tpos_enc",
    "no_mem_embed",
    "no_mem_pos_enc",
    "no_obj_embed_spatial",
}
# Attention is made peaked and scores lively, or random networks would average
# everything and hide mistakes. The first match counts.
GAINS = (
    ("pred_obj_score_head", 2.5),
    ("iou_prediction_head", 1.5),
    ("memory_encoder.out_proj", 0.35),
    ("obj_ptr_proj.layers.2", 5.0),
    ("obj_ptr_tpos_proj", 2.0),
    ("cross_attn_image.q_proj.weight", 1.5),
    ("cross_attn_image.k_proj.weight", 1.5),
    ("sam_mask_decoder.transformer", 1.2),
    ("attn.qkv.weight", 1.2),
)


def seeded_tensor(key: str, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Return weights that depend on key, shape and seed alone."""
    rng = np.random.Generator(np.random.PCG64([seed, zlib.crc32(key.encode())]))
    z = rng.standard_normal(shape, dtype=np.float32)
    leaf = key.rsplit(".", 1)[-1]
    if leaf == "positional_encoding_gaussian_matrix":
        return z
    if leaf == "gamma":
        return (0.5 + 0.1 * z).astype(np.float32)
    if leaf == "no_obj_ptr":
        return (2.0 * z).astype(np.float32)
    if leaf in HALF:
        return (0.5 * z).astype(np.float32)
    if any(name in key for name in PLAIN):
        return z
    if leaf == "bias":
        shift = OBJECT_BIAS if "pred_obj_score_head.layers.2" in key else 0.0
        return (0.1 * z + shift).astype(np.float32)
    if len(shape) == 1:
        return (1.0 + 0.1 * z).astype(np.float32)
    transposed = "output_upscaling" in key
    fan_in = shape[0] if transposed else int(np.prod(shape[1:]))
    gain = next((value for name, value in GAINS if name in key), 1.0)
    return (z * (gain / np.sqrt(fan_in))).astype(np.float32)


def synth_clip(n: int = 9, h: int = SIDE, w: int = SIDE, seed: int = 0) -> np.ndarray:
    """Draw (n, h, w, 3) uint8 in integers: texture, a pan, two moving discs."""
    rng = np.random.Generator(np.random.PCG64(seed))
    coarse = rng.integers(0, 160, size=(40, 40, 3), dtype=np.int64)
    yy, xx = np.mgrid[0:h, 0:w].astype(np.int64)
    discs = (
        (330, 300, 22, 30, 150, (235, 60, 40)),
        (700, 720, -18, -34, 120, (40, 90, 230)),
    )
    out = np.empty((n, h, w, 3), np.uint8)
    for t in range(n):
        by, bx = (yy * 1024 // h + 9 * t) // 32, (xx * 1024 // w + 5 * t) // 32
        image = coarse[by % 40, bx % 40] + ((xx * 7 + yy * 13) % 16)[..., None]
        for cy, cx, vy, vx, r, colour in discs:
            d2 = (yy * 1024 // h - cy - vy * t) ** 2
            d2 = d2 + (xx * 1024 // w - cx - vx * t) ** 2
            m = d2 < r * r
            shade = (d2[m] * 60 // (r * r))[:, None]
            image[m] = np.array(colour) - shade + ((xx[m] * 3 + yy[m]) % 9)[:, None]
        out[t] = np.clip(image, 0, 255)
    return out


def shapes_of(name: str) -> dict[str, tuple[int, ...]]:
    """Return keys and shapes of one of Meta's checkpoints."""
    table = json.loads(lzma.decompress((DATA / "keys.json.xz").read_bytes()))
    return {key: tuple(shape) for key, shape in table[name].items()}


def seeded_state(name: str) -> dict[str, torch.Tensor]:
    """Return seeded weights in the layout of one of Meta's checkpoints."""
    return {
        key: torch.from_numpy(np.asarray(seeded_tensor(key, shape)))
        for key, shape in shapes_of(name).items()
    }


class Reference:
    """One model with seeded weights, and Meta's numbers for it."""

    def __init__(self, name: str) -> None:
        self.name = name
        with np.load(DATA / f"{name}.npz") as stored:
            self.arrays = {key: stored[key] for key in stored.files}
        self.meta: dict[str, Any] = json.loads(bytes(self.arrays.pop("meta")))

    @cached_property
    def model(self) -> SAM2:
        config = preset(self.name, image_size=SIDE)
        with torch.device("meta"):
            model = SAM2(config)
        model = model.to_empty(device="cpu").to(torch.float32)
        load_weights(model, seeded_state(self.name), source=self.name)
        return model.eval().requires_grad_(requires_grad=False)

    def __getitem__(self, key: str) -> np.ndarray:
        return self.arrays[key]

    def difference(self, key: str, ours: torch.Tensor | np.ndarray) -> float:
        """Return the largest difference from one of Meta's arrays."""
        theirs = self.arrays[key].astype(np.float32)
        values = np.asarray(ours, dtype=np.float32)
        assert values.shape == theirs.shape, (key, values.shape, theirs.shape)
        return float(np.abs(values - theirs).max())

    def tolerance(self, key: str) -> float:
        """Return what float32 arithmetic in another order may change."""
        if self.arrays[key].dtype == np.float16:
            return 2e-2
        return 1e-4 if "iou" in key else 1e-3


@pytest.fixture(scope="session")
def reference() -> Callable[[str], Reference]:
    """Give the reference of a tiny model, built once."""
    return lru_cache(Reference)


@pytest.fixture(
    scope="session",
    params=["sam2.1-tiny", "sam2.1-small", "sam2.1-base-plus", "sam2.1-large"],
)
def sized(
    request: pytest.FixtureRequest, reference: Callable[[str], Reference]
) -> Reference:
    """Give the reference of each size in turn; one large model at a time."""
    name: str = request.param
    return reference(name) if name.endswith("tiny") else Reference(name)


@pytest.fixture(scope="session")
def clip() -> Callable[..., np.ndarray]:
    """Give the function that draws the seeded clip."""
    return synth_clip


@pytest.fixture(scope="session")
def state_of() -> Callable[[str], dict[str, torch.Tensor]]:
    """Give the function that makes seeded weights in Meta's layout."""
    return seeded_state


@pytest.fixture(scope="session")
def key_shapes() -> Callable[[str], dict[str, tuple[int, ...]]]:
    """Give the function that lists keys and shapes of Meta's checkpoints."""
    return shapes_of
