"""Training on several GPUs, or in several processes: one process a device.

``torchrun --nproc-per-node 4 -m napari_sam2 train CONFIG`` starts them. Every process
draws batches of its own; gradients are averaged by torch's DistributedDataParallel, so
that all weights stay the same; the first process writes the files.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

if TYPE_CHECKING:
    from torch import nn

    from napari_sam2.training.steps import Losses


@dataclass(frozen=True, kw_only=True)
class Processes:
    """Which of how many processes this one is.

    Attributes
    ----------
    rank
        From 0; the first writes the files.
    count
        How many there are.
    local
        Number of the GPU on this machine.
    """

    rank: int = 0
    count: int = 1
    local: int = 0

    @property
    def first(self) -> bool:
        """Whether this one writes the files."""
        return self.rank == 0


def join(device: torch.device) -> tuple[Processes, torch.device]:
    """Join the other processes, if ``torchrun`` started several.

    Parameters
    ----------
    device
        Where to compute; with several processes each takes a GPU of its own.

    Returns
    -------
    Processes, torch.device
        Who this is, and its device.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        return Processes(), device
    found = Processes(
        rank=int(os.environ["RANK"]),
        count=count,
        local=int(os.environ.get("LOCAL_RANK", "0")),
    )
    if device.type == "cuda":
        device = torch.device("cuda", found.local)
        torch.cuda.set_device(device)
    if not distributed.is_initialized():
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return found, device


def shared(losses: Losses, processes: Processes, device: torch.device) -> nn.Module:
    """Average the gradients of all processes; alone, return the module as it is."""
    if processes.count == 1:
        return losses
    devices = [device.index] if device.type == "cuda" else None
    return DistributedDataParallel(
        losses, device_ids=devices, find_unused_parameters=True
    )
