"""Resident memory while tracking: 2,000 frames of 1024² against 100.

Frames are drawn when they are read, labels go to disk, the network has random
weights (memory does not depend on them). Exits with 1 if the difference is larger
than allowed::

    python benchmarks/memory_flat.py                      # the full figure
    python benchmarks/memory_flat.py --frames 300 --objects 3
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from napari_sam2 import Session, open_labels_store
from napari_sam2.model import build_model, preset


class DrawnMovie:
    """A (T, Y, X) uint16 movie that lies nowhere: frames are drawn when read."""

    dtype = np.dtype(np.uint16)
    ndim = 3

    def __init__(self, n_frames: int, side: int) -> None:
        self.shape = (n_frames, side, side)
        self._yy, self._xx = np.ogrid[:side, :side]

    def __getitem__(self, key: int | tuple[object, ...]) -> np.ndarray:
        t, *rest = key if isinstance(key, tuple) else (key,)
        side = self.shape[1]
        frame = np.full((side, side), 300, np.uint16)
        for i in range(8):
            y = (side * (i + 1) // 9 + 3 * t) % side
            x = (side * (7 * i % 9 + 1) // 9 + 2 * t) % side
            inside = (self._yy - y) ** 2 + (self._xx - x) ** 2 < (side // 24) ** 2
            frame[inside] += np.uint16(1500 + 200 * i)
        return frame[tuple(rest)] if rest else frame


def resident_mb() -> float:
    """Return the resident set in 10⁶ bytes."""
    gc.collect()
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise OSError("Resident memory is read from /proc, so run this on Linux.")


def run(args: argparse.Namespace) -> dict[str, float]:
    """Track and report the resident set after the early and after the last frame."""
    torch.manual_seed(0)
    model = build_model(preset(args.model)).eval().requires_grad_(requires_grad=False)
    model.sam_mask_decoder.pred_obj_score_head.layers[2].bias.fill_(8.0)
    movie = DrawnMovie(args.frames, args.side)
    marks: dict[int, float] = {}
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        store = open_labels_store(movie.shape, path=Path(folder) / "labels.zarr")
        with Session(
            model, movie, axes="TYX", contrast_limits=(0, 4000), labels=store
        ) as session:
            for i in range(args.objects):
                place = args.side * (i + 1) / (args.objects + 1)
                session.add_points(i + 1, 0, [(place, place)], [1])
            for result in session.propagate():
                done = result.frame_idx + 1
                if done == args.early or done % 200 == 0 or done == args.frames:
                    marks[done] = resident_mb()
                    print(f"{done} frames: {marks[done]:.0f} MB", file=sys.stderr)
    return {
        "frames": args.frames,
        "objects": args.objects,
        "early_mb": round(marks[args.early], 1),
        "late_mb": round(marks[args.frames], 1),
        "growth_mb": round(marks[args.frames] - marks[args.early], 1),
        "frames_per_second": round(args.frames / (time.perf_counter() - start), 2),
    }


def main() -> int:
    """Run, print one line of JSON, say whether memory stayed flat."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--frames", type=int, default=2000)
    parser.add_argument("--early", type=int, default=100)
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--objects", type=int, default=1)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--allowed-mb", type=float, default=50.0)
    found = run(args := parser.parse_args())
    print(json.dumps(found))
    return int(found["growth_mb"] > args.allowed_mb)


if __name__ == "__main__":
    sys.exit(main())
