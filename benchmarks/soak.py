"""A long session, killed again and again: is anything lost, does memory grow?

A child process tracks three objects with the shipped ``nano`` through a drawn movie
into a session on disk. It is killed (``SIGKILL``) at random moments and opened again,
each time in a new process, until the movie is through. Every frame that was reported
before a kill has to be in the labels afterwards, and each process's resident set has to
stay flat::

    python benchmarks/soak.py                          # 10,000 frames of 512²
    python benchmarks/soak.py --frames 500 --kills 4

Exits with 1 if a reported frame was lost, one was left out, or memory grew.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

import numpy as np
import torch
import zarr
from memory_flat import DrawnMovie, resident_mb

from napari_sam2 import Session, load_model

OBJECTS = 3


def child(args: argparse.Namespace) -> int:
    """Go on with the session, or begin it; report each frame once it is on disk."""
    torch.set_num_threads(args.threads)
    movie = DrawnMovie(args.frames, args.side)
    model = load_model("nano", device="cpu")
    folder = Path(args.child)
    if folder.exists():
        session = Session.open(folder, model=model, stack=movie)
    else:
        session = Session(
            model, movie, axes="TYX", contrast_limits=(0, 4000), path=folder
        )
        for i in range(OBJECTS):
            y = args.side * (i + 1) // 9
            x = args.side * (7 * i % 9 + 1) // 9
            session.add_points(i + 1, 0, [(y, x)], [1])
    with session:
        for result in session.propagate():
            memory = resident_mb() if result.frame_idx % 25 == 0 else None
            checksum = zlib.crc32(np.ascontiguousarray(result.labels).tobytes())
            print(json.dumps([result.frame_idx, checksum, memory]), flush=True)
    return 0


def one_life(
    args: argparse.Namespace, folder: Path, lifetime: float | None
) -> tuple[dict[int, int], list[tuple[int, float]], bool]:
    """Run the child for a while: reported checksums, memory marks, whether it ended."""
    command = [sys.executable, __file__, "--child", str(folder)]
    for name in ("frames", "side", "threads"):
        command += [f"--{name}", str(getattr(args, name))]
    reported: dict[int, int] = {}
    marks: list[tuple[int, float]] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        deadline = None
        for line in process.stdout or ():
            if not line.endswith("\n"):
                break  # cut off by the kill
            frame_idx, checksum, memory = json.loads(line)
            reported[frame_idx] = checksum
            if memory is not None:
                marks.append((len(reported), memory))
            if deadline is None and lifetime is not None:
                deadline = time.monotonic() + lifetime
            if deadline is not None and time.monotonic() > deadline:
                process.kill()
        return reported, marks, process.wait() == 0


def main() -> int:
    """Run, print one line of JSON, say whether all is well."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--longest-life", type=float, default=60.0, help="seconds")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--allowed-mb", type=float, default=50.0)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        return child(args)
    rng = random.Random(args.seed)
    lost = again = 0
    growth = 0.0
    kills = 0
    everything: dict[int, int] = {}
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "soak.sam2.zarr"
        ended = False
        while not ended:
            lifetime = (
                rng.uniform(0.2, args.longest_life) if kills < args.kills else None
            )
            reported, marks, ended = one_life(args, folder, lifetime)
            again += len(reported.keys() & everything.keys())
            everything |= reported
            labels = zarr.open_array(str(folder / "labels"), mode="r")
            lost += sum(
                zlib.crc32(np.ascontiguousarray(labels[t]).tobytes()) != checksum
                for t, checksum in reported.items()
            )
            settled = [memory for count, memory in marks if count >= 100]
            if len(settled) > 1:
                growth = max(growth, settled[-1] - settled[0])
            if not ended:
                kills += 1
                print(
                    f"killed after {len(reported)} frames; {len(everything)} of "
                    f"{args.frames} done, {lost} lost",
                    file=sys.stderr,
                )
    found = {
        "frames": args.frames,
        "kills": kills,
        "lost": lost,
        "reported_twice": again,
        "left_out": args.frames - len(everything),
        "growth_mb": round(growth, 1),
        "frames_per_second": round(args.frames / (time.monotonic() - start), 2),
    }
    print(json.dumps(found))
    bad = lost or found["left_out"] or growth > args.allowed_mb
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
