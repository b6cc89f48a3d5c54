"""What a run needs, before it begins: memory, disk, time.

Shapes: C channels, m memory channels, S picture side, s = S / 4, e = S / 16,
K memory tokens of an object, (Y, X) frame.

Bytes follow from the shapes. What a step holds for a moment was counted on the
official networks and on ``nano``, see docs/performance.md: 11 planes of the first
stage while a picture is encoded, and in memory attention about 5.2 times the keys
of each object and 1.9 times those of one. CPUs work in smaller pieces and need less.

The resident set was 1.0 to 1.3 times what is said here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch

from napari_sam2.tracking.frames import (
    CACHE_BYTES,
    CACHE_FRAMES,
    READ_AHEAD,
    STORED_FRAMES,
)

if TYPE_CHECKING:
    from napari_sam2.model import ModelConfig
    from napari_sam2.tracking.memory_bank import Retention
    from napari_sam2.tracking.timing import Timing


class Peak(NamedTuple):
    """What the largest steps hold: planes of the first stage, keys of one object."""

    encoder_planes: float
    keys_of_each: float
    keys_once: float


ON_CPU, ON_GPU = Peak(6.6, 4.2, 0.9), Peak(11, 5.2, 1.9)
ALLOCATOR = 1.3  # resident over counted bytes: what allocators keep for later
FLOAT = 4
RGB_BYTES = 3 * FLOAT
DRAWING_BYTES = 20  # a pixel: labels before and after, the best logits, boxes
SPARE = 0.8  # of the free memory; the rest is for what other programs do


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What a run is to do.

    Attributes
    ----------
    frame_shape
        (Y, X).
    frames
        How many frames are walked through.
    objects
        How many objects are tracked in each.
    batch
        Most objects computed together.
    lanes
        Steps that run at the same time.
    windows
        How many parts of a frame are looked at; 1 is the whole frame. At most one
        an object.
    zoom
        Whether frames are kept as they are, to be cut into windows.
    conditioning
        Prompted frames an object is conditioned on at once.
    retention
        "recent", or "all" memories of all frames.
    pixel_bytes
        Of one pixel as stored, all channels.
    label_bytes
        Of one pixel.
    labels_in_memory
        Whether labels are in memory rather than on disk.
    """

    frame_shape: tuple[int, int]
    frames: int
    objects: int
    batch: int = 1
    lanes: int = 1
    windows: int = 1
    zoom: bool = False
    conditioning: int = 1
    retention: Retention = "recent"
    pixel_bytes: int = 2
    label_bytes: int = 2
    labels_in_memory: bool = False

    @property
    def pixels(self) -> int:
        """Pixels of a frame."""
        return self.frame_shape[0] * self.frame_shape[1]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a run needs; as text, a sentence for the user.

    Attributes
    ----------
    frames, objects
        As in the workload.
    device_bytes
        Memory on the device beyond the model's weights; on the CPU with frames
        and labels in memory.
    disk_bytes
        Of the labels, uncompressed, so at most.
    seconds
        Until it is done.
    """

    frames: int
    objects: int
    device_bytes: int
    disk_bytes: int
    seconds: float

    def __str__(self) -> str:
        """Say it: "2,000 frames × 40 objects: 3.1 GB of memory, about 6 min"."""
        parts = [f"{_bytes(self.device_bytes)} of memory"]
        if self.disk_bytes:
            parts.append(f"up to {_bytes(self.disk_bytes)} on disk")
        parts.append(f"about {_duration(self.seconds)}")
        frames = f"{self.frames:,} frame" + "s" * (self.frames != 1)
        objects = f"{self.objects:,} object" + "s" * (self.objects != 1)
        return f"{frames} × {objects}: {', '.join(parts)}"


def estimate(
    config: ModelConfig,
    work: Workload,
    timing: Timing,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Estimate:
    """Say what a run needs.

    Parameters
    ----------
    config, device, dtype
        Of the network.
    work
        What is to be done.
    timing
        From `time_model`, corrected by frames that were measured if there are any.
    """
    labels = work.frames * work.pixels * work.label_bytes
    needed = held_bytes(config, work, dtype)
    needed += moment_bytes(config, work, dtype, device=device)
    if torch.device(device).type == "cpu":
        needed += frame_bytes(config, work)
        needed += labels if work.labels_in_memory else 0
    needed = round(needed * ALLOCATOR)
    return Estimate(
        frames=work.frames,
        objects=work.objects,
        device_bytes=needed,
        disk_bytes=0 if work.labels_in_memory else labels,
        seconds=work.frames * timing.frame(work.objects, work.windows),
    )


def held_bytes(config: ModelConfig, work: Workload, dtype: torch.dtype) -> int:
    """Return what is kept from frame to frame: features and memories, bytes."""
    c, m = config.dim, config.memory_dim
    s, e = config.low_res_size, config.embedding_size
    features = (c * e * e + c // 8 * s * s + c // 4 * (2 * e) ** 2) * dtype.itemsize
    kept = max(CACHE_BYTES // features, CACHE_FRAMES) + 1
    kept = min(kept, work.frames * work.windows)
    spatial = m * e * e * 2 + s * s * FLOAT  # with the answer
    pointer = c * dtype.itemsize
    recent = config.num_memories - 1, config.max_pointers
    full, pointers = (min(n, work.frames) for n in recent)
    if work.retention == "all":
        full = pointers = work.frames
    of_object = (full + work.conditioning) * spatial
    of_object += (pointers + work.conditioning) * pointer
    return kept * features + work.objects * of_object


def moment_bytes(
    config: ModelConfig,
    work: Workload,
    dtype: torch.dtype,
    *,
    device: torch.device | str = "cpu",
) -> int:
    """Return what the largest step holds while it runs, bytes."""
    peak = ON_CPU if torch.device(device).type == "cpu" else ON_GPU
    side, width = config.low_res_size, config.hiera.embed_dim
    encoder = peak.encoder_planes * side * side * width * dtype.itemsize
    keys = peak.keys_of_each * min(work.batch, work.objects) + peak.keys_once
    return work.lanes * round(max(encoder, keys * _keys(config, work, dtype)))


def _keys(config: ModelConfig, work: Workload, dtype: torch.dtype) -> int:
    """Return the bytes of the (K, C) keys of one object's memories."""
    full = min(config.recent_memories, work.frames) + work.conditioning
    pointers = min(config.max_pointers, work.frames)
    tokens = full * config.embedding_size**2
    tokens += pointers * (config.dim // config.memory_dim)
    return tokens * config.dim * dtype.itemsize


def frame_bytes(config: ModelConfig, work: Workload) -> int:
    """Return what frames that were read and their labels take, bytes.

    Frames are on the CPU whatever the device: those read ahead, the one in use, the
    next one, and the one being read.
    """
    read = work.pixels * work.pixel_bytes
    ready = read if work.zoom else config.image_size**2 * RGB_BYTES
    waiting = min(READ_AHEAD + 2, work.frames) * ready
    # With zoom a frame stays as stored, and a part of it is turned into floats.
    floats = work.pixels * (FLOAT if work.zoom else RGB_BYTES)
    stored = STORED_FRAMES * read if work.zoom else read
    return waiting + stored + floats + work.pixels * DRAWING_BYTES


def fitting_batch(
    config: ModelConfig,
    work: Workload,
    free_bytes: int,
    *,
    dtype: torch.dtype = torch.float32,
) -> int:
    """Return how many objects can be computed together in free memory.

    Parameters
    ----------
    config, dtype
        Of the network.
    work
        What is to be done; its `batch` is the most.
    free_bytes
        Memory of the device that is free; a fifth of it is left alone.

    Returns
    -------
    int
        At least 1: whether that fits shows when it runs.
    """
    room = free_bytes * SPARE / ALLOCATOR - held_bytes(config, work, dtype)
    keys = _keys(config, work, dtype)
    most = min(work.batch, work.objects)
    fitting = (room / keys - ON_GPU.keys_once) // ON_GPU.keys_of_each
    return int(min(max(fitting, 1), most))


def free_bytes(device: torch.device | str) -> int | None:
    """Return the free memory of a CUDA device, or None where torch cannot say."""
    device = torch.device(device)
    if device.type != "cuda":
        return None
    return int(torch.cuda.mem_get_info(device)[0])


def _bytes(count: int) -> str:
    """Return a size in MB or GB, two digits."""
    value, unit = (count / 1e9, "GB") if count >= 0.9995e9 else (count / 1e6, "MB")
    return f"{value:.1f} {unit}" if value < 9.95 else f"{value:,.0f} {unit}"


def _duration(seconds: float) -> str:
    """Return a time in the unit that suits it."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    hours = seconds / 3600
    return f"{hours:.1f} h" if hours < 9.95 else f"{hours:.0f} h"
