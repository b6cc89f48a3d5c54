"""How windows of a frame are best encoded on the CPU, with nano.

Ways to encode K pictures of 256²: one by one as it is done, in one batch, in the
memory format channels_last, and in bfloat16 (the weights too). They take turns; what
is printed is the least of some rounds, and how far the embedding is from the first
way's, relative to its largest value. With one thread the time is the processor's, so
that other programs on the machine do not count; with more it is the wall clock's::

    python benchmarks/encoding.py
    python benchmarks/encoding.py --threads 2
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from typing import TYPE_CHECKING

import torch

from napari_sam2.model import load_model

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from napari_sam2.model import SAM2


def one_by_one(model: SAM2, pixels: Tensor) -> Tensor:
    """Encode each picture by itself."""
    return torch.cat([model.encode_image(x[None]).embedding for x in pixels])


def together(model: SAM2, pixels: Tensor) -> Tensor:
    """Encode all pictures in one batch."""
    return model.encode_image(pixels).embedding


@torch.inference_mode()
def run(args: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Time all ways, in turns."""
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    plain = load_model("nano", device="cpu")
    last = copy.deepcopy(plain).to(memory_format=torch.channels_last)
    half = copy.deepcopy(plain).to(torch.bfloat16)
    pixels = torch.randn(args.windows, 3, 256, 256)
    turned = pixels.to(memory_format=torch.channels_last)
    rough = pixels.to(torch.bfloat16)
    ways: dict[str, Callable[[], Tensor]] = {
        "one by one": lambda: one_by_one(plain, pixels),
        "one batch": lambda: together(plain, pixels),
        "channels_last, one by one": lambda: one_by_one(last, turned),
        "channels_last, one batch": lambda: together(last, turned),
        "bfloat16, one by one": lambda: one_by_one(half, rough),
        "bfloat16, one batch": lambda: together(half, rough),
    }
    clock = time.process_time if args.threads == 1 else time.perf_counter
    reference = ways["one by one"]()
    found = {
        name: {
            "ms_a_window": float("inf"),
            "off": float((way() - reference).abs().max() / reference.abs().max()),
        }
        for name, way in ways.items()
    }
    for _ in range(args.rounds):
        for name, way in ways.items():
            start = clock()
            way()
            took = (clock() - start) / args.windows * 1e3
            found[name]["ms_a_window"] = min(took, found[name]["ms_a_window"])
    return found


def main() -> None:
    """Run, print one line of JSON a way."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--windows", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    for name, row in run(parser.parse_args()).items():
        values = {key: float(f"{value:.3g}") for key, value in row.items()}
        print(json.dumps({"way": name, **values}))


if __name__ == "__main__":
    main()
