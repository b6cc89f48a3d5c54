"""``napari-sam2 replay``: do a session again, and say where the labels differ."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from tqdm import tqdm

from napari_sam2.cli import EXIT_INTERRUPTED
from napari_sam2.cli.following import gentle_interrupt
from napari_sam2.cli.track import counted
from napari_sam2.model import load_model
from napari_sam2.tracking.replaying import open_replay

if TYPE_CHECKING:
    import argparse

    from napari_sam2.tracking.replaying import Difference, Replay

EXIT_DIFFERENT = 1
SHOWN = 10


def run(args: argparse.Namespace) -> int:
    """Replay a session and compare."""
    model = load_model(args.model, device=args.device) if args.model else None
    with open_replay(
        args.session,
        stack=args.input,
        model=model,
        device=args.device,
        output=args.output,
    ) as replay:
        if replay.other_model:
            print(
                "The session was made with another edition of its model; differences "
                "are to be expected.",
                file=sys.stderr,
            )
        if not _follow(replay, quiet=args.quiet):
            return EXIT_INTERRUPTED
        differences = list(replay.differences())
        _report(replay, differences, as_json=args.json)
    return EXIT_DIFFERENT if differences else 0


def _follow(replay: Replay, *, quiet: bool) -> bool:
    """Run it with a progress bar; return False if Ctrl-C ended it."""
    with (
        gentle_interrupt() as interruption,
        tqdm(total=replay.n_results, unit=" frames", disable=quiet) as bar,
    ):
        for _ in replay.run():
            bar.update()
            if interruption.seen:
                return False
    return True


def _report(replay: Replay, differences: list[Difference], *, as_json: bool) -> None:
    n_frames = replay.session.stack.n_frames
    if not differences:
        print(f"All {counted(n_frames, 'frame')} came out the same.", file=sys.stderr)
    else:
        print(
            f"{counted(len(differences), 'frame')} of {n_frames} differ:",
            file=sys.stderr,
        )
        for found in differences[:SHOWN]:
            objects = ", ".join(f"{i} (IoU {iou:.3f})" for i, iou in found.ious.items())
            print(
                f"  frame {found.frame_idx}: {counted(found.pixels, 'pixel')}; "
                f"objects {objects}",
                file=sys.stderr,
            )
        if len(differences) > SHOWN:
            print(f"  and {len(differences) - SHOWN} more", file=sys.stderr)
    if as_json:
        rows = [
            {"frame": d.frame_idx, "pixels": d.pixels, "ious": d.ious}
            for d in differences
        ]
        print(json.dumps({"frames": n_frames, "differences": rows}), flush=True)
