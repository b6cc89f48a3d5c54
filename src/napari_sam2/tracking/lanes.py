"""Threads that run a small network side by side on the cores of a CPU.

One small picture does not keep several cores busy: most of its steps are too short to
be shared out. Different objects, and the next frame's picture, can be computed at the
same time instead, each on a core of its own (docs/performance.md has figures).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from napari_sam2.model import SAM2

LARGEST_SIDE = 512  # of the network's input; larger ones share out their steps well


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
    for started in [lanes.submit(torch.get_num_threads) for _ in range(count)]:
        started.result()
    torch.set_num_threads(before)  # what threads that start later inherit
    return lanes
