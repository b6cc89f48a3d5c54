"""Threads that run a small network side by side on the cores of a CPU.

One small picture does not keep several cores busy: most of its steps are too short to
be shared out. Different objects, and the next frame's picture, can be computed at the
same time instead, each on a core of its own (docs/performance.md has figures).
"""

from __future__ import annotations

import itertools
import math
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sam2.model import SAM2

LARGEST_SIDE = 512  # of the network's input; larger ones share out their steps well
MOST_TOGETHER = 5  # objects; with more, what they need leaves the cache


def choose_lanes(model: SAM2, threads: int | None = None) -> int:
    """Return how many lanes suit a network on this machine; 1 is none at all.

    Parameters
    ----------
    model
        The network.
    threads
        How many threads may compute; None for torch's number.
    """
    small = model.config.image_size <= LARGEST_SIDE
    if not small or model.device.type != "cpu":
        return 1
    return torch.get_num_threads() if threads is None else threads


def fair_share(objects: int, lanes: int) -> int:
    """Return how many objects a lane should compute together.

    Several share the small steps' overhead, but no lane should wait for another; one
    lane's worth is left for the next frame's picture.

    Parameters
    ----------
    objects
        How many are looked for in a frame.
    lanes
        How many threads there are.
    """
    return max(1, min(MOST_TOGETHER, math.ceil(objects / (lanes + 1))))


def evenly(members: Sequence[int], most: int) -> list[tuple[int, ...]]:
    """Split a list into as few parts as have at most so many, all about as long."""
    parts = math.ceil(len(members) / most)
    ends = [round(len(members) * k / parts) for k in range(parts + 1)]
    return [tuple(members[a:b]) for a, b in itertools.pairwise(ends)]


def computes(model: SAM2, lanes: int) -> str:
    """Say where and how a network computes, in a few words."""
    place = "the CPU" if model.device.type == "cpu" else str(model.device)
    precision = str(model.dtype).removeprefix("torch.")
    beside = f", {lanes} things at a time" if lanes > 1 else ""
    return f"on {place} in {precision}{beside}"


def open_lanes(count: int) -> ThreadPoolExecutor:
    """Return threads that take work in the order it is handed in.

    Work may wait for work that was handed in before it. The caller's own number of
    torch threads stays as it is.
    """
    before = torch.get_num_threads()
    lanes = ThreadPoolExecutor(
        count,
        thread_name_prefix="napari-sam2-lane",
        initializer=torch.set_num_threads,
        initargs=(1,),
    )
    # A pool starts no thread as long as one is idle: here none is until all are there.
    all_there = threading.Barrier(count)
    for started in [lanes.submit(all_there.wait) for _ in range(count)]:
        started.result()
    torch.set_num_threads(before)  # what threads that start later inherit
    return lanes
