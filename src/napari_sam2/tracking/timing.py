"""How long a run takes: from the frames so far, or from one step on nothing.

Shapes: O objects, C channels, m memory channels, S picture side, s = S / 4,
e = S / 16.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from napari_sam2.model import MaskOutput, PromptTensors

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_sam2.model import SAM2, ImageFeatures

SHORT = 1.0


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Seconds of the parts of a frame.

    Attributes
    ----------
    encode
        For each window of a frame that is encoded (the whole frame is one).
    track
        For each object.
    """

    encode: float
    track: float

    def frame(self, objects: int, windows: int = 1) -> float:
        """Return the seconds of a frame with that many objects and windows."""
        return self.encode * windows + self.track * objects

    def corrected(self, frames: Iterable[tuple[int, int, float]]) -> Timing:
        """Scale the timing so that it agrees with frames that were measured.

        Reading, drawing and writing, and other programs on the machine, are in it
        then. An object's first frames have few memories and are quicker, so leave
        them out where later ones are at hand.

        Parameters
        ----------
        frames
            (objects, windows, seconds) of each; none leaves the timing as it is.
        """
        measured = expected = 0.0
        for objects, windows, seconds in frames:
            measured += seconds
            expected += self.frame(objects, windows)
        if not expected or not measured:
            return self
        scale = measured / expected
        return replace(self, encode=self.encode * scale, track=self.track * scale)


def time_model(model: SAM2, *, objects: int = 1) -> Timing:
    """Encode a blank picture and track objects in it, with all memories there can be.

    A network of which one step takes less than a second runs twice, and the second
    time counts.

    Parameters
    ----------
    model
        From `napari_sam2.load_model`.
    objects
        O, how many to track together; the time is divided by them.
    """
    found = _timed(model, objects)
    if found.frame(objects) < SHORT:
        found = _timed(model, objects)
    return found


@torch.inference_mode()
def _timed(model: SAM2, objects: int) -> Timing:
    side = model.config.image_size
    pixels = torch.zeros(1, 3, side, side, dtype=model.dtype, device=model.device)
    start = _now(model.device)
    features = model.encode_image(pixels)
    encoded = _now(model.device)
    _track(model, features, objects)
    tracked = _now(model.device)
    return Timing(encode=encoded - start, track=(tracked - encoded) / objects)


def _track(model: SAM2, features: ImageFeatures, objects: int) -> None:
    """Decode from a full memory bank and make a memory of the answer."""
    config, device = model.config, model.device
    recent = range(config.recent_memories)
    cells = config.embedding_size
    spatial = torch.zeros(objects, config.memory_dim, cells, cells, device=device)
    spatial = spatial.to(torch.bfloat16)
    pointer = torch.zeros(objects, config.dim, dtype=model.dtype, device=device)
    embedding = model.condition_on_memory(
        features,
        [(spatial, row) for row in (config.num_memories - 1, *recent)],
        [(pointer, float(distance)) for distance in range(config.max_pointers)],
    )
    prompts = PromptTensors.empty(objects, device)
    if config.dense_prompts:
        low_res = torch.zeros(
            objects,
            1,
            config.low_res_size,
            config.low_res_size,
            dtype=model.dtype,
            device=device,
        )
        prompts = replace(prompts, previous_logits=low_res)
    output: MaskOutput = model.decode_masks(embedding, features, prompts)
    model.encode_memory(
        features, output.low_res_masks, output.object_score_logits, prompted=False
    )


def _now(device: torch.device) -> float:
    """Return the time at which the device has done what it was asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
    return time.perf_counter()
