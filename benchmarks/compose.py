"""Drawing many objects into a frame's labels: ours against every object at full size.

Round cells at random places, as low-resolution mask logits. Ours enlarges each only
inside its box (with and without `tidy`) and draws it there. The other way is that of
Meta's video predictor: every object is interpolated to the whole frame, where objects
overlap only the highest logit keeps its value (the others are clamped to at most -10),
and the label is the object with the highest logit where that is positive. Both ways
take turns; medians are printed, and how many pixels they label differently::

    python benchmarks/compose.py                  # 200 objects, 2048², two threads
    python benchmarks/compose.py --objects 40 --side 1024

Every object at full size takes about 17 MB an object and step at 2048², so the default
needs 12 GB of memory and some minutes; exits with 1 if ours takes longer than allowed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

from napari_sam2.tracking.masks import compose, patch_from_logits, tidy

if TYPE_CHECKING:
    from collections.abc import Callable

OVERLAPPED = -10.0


def cells(count: int, cells_side: int, diameter: float, side: int) -> np.ndarray:
    """Return (count, s, s) logits of round cells, noisy at their rim, no specks."""
    rng = np.random.default_rng(0)
    yy, xx = np.mgrid[:cells_side, :cells_side].astype(np.float32)
    scale = side / cells_side
    logits = np.empty((count, cells_side, cells_side), np.float32)
    for plane in logits:
        y, x = rng.uniform(0, cells_side, 2)
        radius = diameter * rng.uniform(0.7, 1.3) / 2
        depth = radius - scale * np.hypot(yy - y, xx - x)
        plane[:] = np.clip(depth / 4 + rng.normal(0, 0.3, depth.shape), -20, 20)
    return logits


def boxed(
    logits: np.ndarray, before: np.ndarray, *, tidies: bool
) -> tuple[np.ndarray, float]:
    """Draw inside boxes; the plane, and the mean size of a box in px."""
    patches = {
        i: patch_from_logits(low_res, before.shape)
        for i, low_res in enumerate(logits, start=1)
    }
    if tidies:
        patches = {i: tidy(patch) for i, patch in patches.items()}
    plane, _ = compose(patches, before=before)
    return plane, float(np.mean([patch.logits.size for patch in patches.values()]))


@torch.inference_mode()
def full_size(logits: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Draw as Meta's predictor does, every object over the whole frame."""
    low_res = torch.from_numpy(logits)[:, None]
    large = F.interpolate(low_res, before.shape, mode="bilinear", align_corners=False)
    order = torch.arange(len(large))[:, None, None, None]
    keep = large.argmax(0, keepdim=True) == order
    large = torch.where(keep, large, large.clamp(max=OVERLAPPED))
    value, index = large[:, 0].max(0)
    return torch.where(value > 0, index + 1, 0).numpy().astype(before.dtype)


def timed(draw: Callable[[], object], times: list[float]) -> object:
    """Run once and note the seconds."""
    start = time.perf_counter()
    found = draw()
    times.append(time.perf_counter() - start)
    return found


def run(args: argparse.Namespace) -> dict[str, float]:
    """Draw in all ways, in turns."""
    torch.set_num_threads(args.threads)
    logits = cells(args.objects, args.low_res, args.diameter, args.side)
    before, size = boxed(
        logits, np.zeros((args.side, args.side), np.uint16), tidies=False
    )
    reference = full_size(logits, before)  # also a warm-up
    ours: list[float] = []
    tidied: list[float] = []
    theirs: list[float] = []
    for _ in range(args.repeats):
        timed(lambda: boxed(logits, before, tidies=False), ours)
        timed(lambda: boxed(logits, before, tidies=True), tidied)
        timed(lambda: full_size(logits, before), theirs)
    return {
        "objects": args.objects,
        "side": args.side,
        "box_px": round(size),
        "ours_s": round(median(ours), 4),
        "ours_tidied_s": round(median(tidied), 4),
        "full_size_s": round(median(theirs), 3),
        "ratio": round(median(theirs) / median(ours), 1),
        "ratio_tidied": round(median(theirs) / median(tidied), 1),
        "differing_px": int(np.count_nonzero(before != reference)),
        "labelled_px": int(np.count_nonzero(reference)),
    }


def main() -> int:
    """Run, print one line of JSON, say whether ours was fast enough."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--objects", type=int, default=200)
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--low-res", type=int, default=256)
    parser.add_argument("--diameter", type=float, default=100.0, help="px, mean")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--allowed-s", type=float, default=1.0)
    found = run(args := parser.parse_args())
    print(json.dumps(found))
    return int(max(found["ours_s"], found["ours_tidied_s"]) > args.allowed_s)


if __name__ == "__main__":
    sys.exit(main())
