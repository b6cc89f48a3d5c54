"""``napari-sam2 train``: hand a configuration to the training loop, show the loss."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from napari_sam2.cli import EXIT_INTERRUPTED
from napari_sam2.cli.following import gentle_interrupt
from napari_sam2.training.config import read_config
from napari_sam2.training.loop import train

if TYPE_CHECKING:
    import argparse


def run(args: argparse.Namespace) -> int:
    """Train as the configuration says; Ctrl-C saves the run after the step in work."""
    path = Path(args.config)
    if not path.is_file():
        raise FileNotFoundError(f"There is no configuration file {path}.")
    given = {"device": args.device, "output": args.output, "data_dir": args.data_dir}
    overrides = {key: value for key, value in given.items() if value is not None}
    config = dataclasses.replace(read_config(path), **overrides)
    with (
        gentle_interrupt() as interruption,
        tqdm(total=config.steps, unit="step", mininterval=1.0) as bar,
        contextlib.closing(train(config)) as reports,
    ):
        for report in reports:
            bar.update(report.step + 1 - bar.n)
            bar.set_postfix_str(f"{report.kind} loss {report.loss:.3f}", refresh=False)
            if interruption.seen:
                break
    if interruption.seen:
        print(
            f"Stopped; the same command goes on from here ({config.output}).",
            file=sys.stderr,
        )
        return EXIT_INTERRUPTED
    return 0
