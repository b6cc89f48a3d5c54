"""What a run takes against what was said before it: memory and time, one process.

Squares in noise are followed, drawn when a frame is read; labels go to disk. Networks
other than ``nano`` have random weights. Memory is the peak of the resident set, less
what is there once the model is loaded and the libraries have been used by a smaller
one. Exits with 1 if the memory is more than a factor off::

    python benchmarks/estimate.py                                  # nano
    python benchmarks/estimate.py --model sam2.1-tiny --frames 9 --objects 3
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
from napari_sam2.model import SAM2, build_model, load_model, preset
from napari_sam2.tracking.estimate import Workload, estimate
from napari_sam2.tracking.timing import time_model


class DrawnMovie:
    """A (T, Y, X) uint16 movie of squares in noise that lies nowhere."""

    dtype = np.dtype(np.uint16)
    ndim = 3

    def __init__(self, n_frames: int, side: int, objects: int) -> None:
        self.shape = (n_frames, side, side)
        per_row = int(np.ceil(np.sqrt(objects)))
        pitch = side // per_row
        self.places = []
        for i in range(objects):
            y, x = (pitch * k + pitch // 3 for k in divmod(i, per_row))
            self.places.append((slice(y, y + pitch // 3), slice(x, x + pitch // 3)))

    def __getitem__(self, key: int | tuple[object, ...]) -> np.ndarray:
        t, *rest = key if isinstance(key, tuple) else (key,)
        rng = np.random.default_rng(t)
        frame = rng.integers(200, 900, self.shape[1:], np.uint16)
        for place in self.places:
            frame[place] += np.uint16(2000)
        return frame[tuple(rest)] if rest else frame


def status(name: str) -> int:
    """Return a size of this process, bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise OSError("Memory is read from /proc, so run this on Linux.")


def network(name: str, image_size: int | None = None) -> SAM2:
    """Return ``nano``, or a network with random weights that sees all objects."""
    if name == "nano" and image_size is None:
        return load_model("nano", device="cpu")
    torch.manual_seed(0)
    model = build_model(preset(name, image_size=image_size)).eval()
    model.requires_grad_(requires_grad=False)
    model.sam_mask_decoder.pred_obj_score_head.layers[2].bias.fill_(8.0)
    return model


def track(
    model: SAM2, args: argparse.Namespace, frames: int, side: int
) -> tuple[float, int]:
    """Follow square objects; the seconds, and the windows of the last frame."""
    movie = DrawnMovie(frames, side, args.objects)
    with tempfile.TemporaryDirectory() as folder:
        store = open_labels_store(movie.shape, path=Path(folder) / "labels.zarr")
        with Session(
            model,
            movie,
            axes="TYX",
            contrast_limits=(0, 4000),
            labels=store,
            zoom=args.zoom,
        ) as session:
            for i, place in enumerate(movie.places, start=1):
                mask = np.zeros(movie.shape[1:], bool)
                mask[place] = True
                session.add_mask(i, 0, mask)
            session._engine.batch = args.batch
            start = time.perf_counter()
            for _ in session.propagate():
                pass
            seconds = time.perf_counter() - start
            last = [session.bank(i).at(frames - 1) for i in session.object_ids]
            return seconds, len({memory.window for memory in last})


def run(args: argparse.Namespace) -> dict[str, float | str]:
    """Say, do, compare."""
    torch.set_num_threads(args.threads)
    track(network(args.model, 64), args, 2, 128)
    model = network(args.model)
    timing = time_model(model)
    gc.collect()
    before = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    seconds, windows = track(model, args, args.frames, args.side)
    took = status("VmHWM") - before
    work = Workload(
        frame_shape=(args.side, args.side),
        frames=args.frames,
        objects=args.objects,
        batch=args.batch,
        windows=windows,
        zoom=args.zoom,
    )
    said = estimate(model.config, work, timing)
    return {
        "model": args.model,
        "said": str(said),
        "said_mb": round(said.device_bytes / 1e6, 1),
        "took_mb": round(took / 1e6, 1),
        "memory_ratio": round(said.device_bytes / took, 2),
        "said_s": round(said.seconds, 1),
        "took_s": round(seconds, 1),
    }


def main() -> int:
    """Run, print one line of JSON, say whether the memory was foreseen."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="nano")
    parser.add_argument("--frames", type=int, default=30)
    parser.add_argument("--objects", type=int, default=10)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--zoom", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--allowed", type=float, default=1.5)
    found = run(args := parser.parse_args())
    print(json.dumps(found, ensure_ascii=False))
    return int(not 1 / args.allowed < float(found["memory_ratio"]) < args.allowed)


if __name__ == "__main__":
    sys.exit(main())
