"""``napari-sam2 train``: hand a configuration to the training loop."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def run(args: argparse.Namespace) -> int:
    """Train as the configuration says."""
    path = Path(args.config)
    if not path.is_file():
        raise FileNotFoundError(f"There is no configuration file {path}.")
    from napari_sam2.training.loop import train

    train(path, device=args.device)
    return 0
