"""Ours, Meta's predictor and transformers' Sam2Video: same frames and weights.

    python benchmarks/compare.py                              # tiny at 1024², float32
    python benchmarks/compare.py --objects 1 3 --dtype bfloat16
    python benchmarks/compare.py --memory-frames 240 --only ours meta
    python benchmarks/compare.py --image-size 512 --only ours meta

Weights are random but seeded (speed does not depend on them). Every implementation runs
in a process of its own, one after the other, so that each one's memory is its own; the
round is repeated and medians are taken. Meta's package ``sam2`` and ``transformers``
are left out, and that is said, where they are not installed.

first click: from opening the frames to the first mask, encoding included; next click:
another object on the same frame. A frame: once the memory bank is full. Agreement: mean
IoU of the label planes with ours. Memory: growth of the resident set since then.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from memory_flat import DrawnMovie, resident_mb
from PIL import Image

from napari_sam2 import Session
from napari_sam2.evaluation.peers import translated
from napari_sam2.model import build_model, normalise, preset, save_checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = ("ours", "meta", "transformers")
NEEDS = {"ours": "napari_sam2", "meta": "sam2", "transformers": "transformers"}
META_CONFIGS = {
    "tiny": "configs/sam2.1/sam2.1_hiera_t.yaml",
    "small": "configs/sam2.1/sam2.1_hiera_s.yaml",
    "base-plus": "configs/sam2.1/sam2.1_hiera_b+.yaml",
    "large": "configs/sam2.1/sam2.1_hiera_l.yaml",
}
SURE = 8.0  # added to the object score, so that random weights see their objects
FULL = 8  # frames after which the bank is full
MARKS = (20, 60, 240)


def clicks(count: int, side: int) -> list[tuple[float, float]]:
    """Return (y, x) of clicks on different objects."""
    return [
        (side * (i % 8 + 1) // 9, side * (7 * i % 9 + 1) // 10 + 4 * (i // 8))
        for i in range(count)
    ]


class Peer:
    """One implementation, asked to click and to follow."""

    def __init__(self, args: argparse.Namespace, weights: Path, frames: Path) -> None:
        self.args = args
        self.dtype = getattr(torch, args.dtype)
        self.device = torch.device(args.device)
        self.frames = [
            np.asarray(Image.open(path)) for path in sorted(frames.iterdir())
        ]
        self.weights = weights
        self.load()

    def load(self) -> None:
        """Build the model."""

    def open(self) -> None:
        """Open the frames."""

    def click(self, object_id: int, y: float, x: float) -> None:
        """Click on an object in the first frame and compute its mask."""

    def follow(self) -> Iterator[np.ndarray]:
        """Yield a label plane (Y, X) a frame."""


class Ours(Peer):
    """This project."""

    def load(self) -> None:
        from napari_sam2 import load_model

        self.model = load_model(
            self.weights / "model.safetensors",
            device=self.device,
            dtype=self.dtype,
            config=preset(f"sam2.1-{self.args.preset}"),
            image_size=self.args.image_size,
        )

    def open(self) -> None:
        self.session = Session(
            self.model, np.stack(self.frames), axes="TYXC", contrast_limits=(0, 255)
        )

    def click(self, object_id: int, y: float, x: float) -> None:
        self.session.add_points(object_id, 0, [(y, x)])
        self.session.preview(0)

    def follow(self) -> Iterator[np.ndarray]:
        for result in self.session.propagate("forward"):
            yield result.labels


class Meta(Peer):
    """The package ``sam2``."""

    def load(self) -> None:
        from sam2.build_sam import build_sam2_video_predictor

        self.predictor = build_sam2_video_predictor(
            META_CONFIGS[self.args.preset],
            str(self.weights / "model.pt"),
            device=str(self.device),
            hydra_overrides_extra=[f"++model.image_size={self.args.image_size}"],
        )

    @torch.inference_mode()
    def open(self) -> None:
        with self._precision():
            self.state = self.predictor.init_state(str(self.args.folder))

    def _precision(self) -> Any:
        low = self.dtype == torch.bfloat16
        return torch.autocast(self.device.type, torch.bfloat16, enabled=low)

    @torch.inference_mode()
    def click(self, object_id: int, y: float, x: float) -> None:
        with self._precision():
            self.predictor.add_new_points_or_box(
                self.state,
                frame_idx=0,
                obj_id=object_id,
                points=np.array([[x, y]], np.float32),
                labels=np.array([1], np.int32),
            )

    @torch.inference_mode()
    def follow(self) -> Iterator[np.ndarray]:
        with self._precision():
            for _, ids, masks in self.predictor.propagate_in_video(self.state):
                yield labelled(masks[:, 0], ids)


class Transformers(Peer):
    """transformers' Sam2VideoModel."""

    def load(self) -> None:
        from transformers import Sam2VideoConfig, Sam2VideoModel

        self.model = Sam2VideoModel(Sam2VideoConfig()).eval()
        state = torch.load(self.weights / "model.pt", weights_only=True)["model"]
        self.model.load_state_dict(translated(state))
        self.model.to(self.device, self.dtype)

    def open(self) -> None:
        from transformers.models.sam2_video.modeling_sam2_video import (
            Sam2VideoInferenceSession,
        )

        side = len(self.frames[0])
        pixels = torch.from_numpy(np.stack(self.frames)).permute(0, 3, 1, 2)
        self.session = Sam2VideoInferenceSession(
            video=normalise(pixels.float() / 255).to(self.dtype),
            video_height=side,
            video_width=side,
            inference_device=self.device,
            dtype=self.dtype,
        )

    @torch.inference_mode()
    def click(self, object_id: int, y: float, x: float) -> None:
        index = self.session.obj_id_to_idx(object_id)
        given = {
            "point_coords": torch.tensor([[[[x, y]]]], dtype=torch.float32),
            "point_labels": torch.tensor([[[1]]], dtype=torch.int32),
        }
        self.session.add_point_inputs(index, 0, given)
        self.session.obj_with_new_inputs = [object_id]
        self.model(self.session, frame_idx=0)

    @torch.inference_mode()
    def follow(self) -> Iterator[np.ndarray]:
        side = len(self.frames[0])
        steps = self.model.propagate_in_video_iterator(self.session, start_frame_idx=0)
        for out in steps:
            masks = torch.nn.functional.interpolate(
                out.pred_masks.reshape(-1, 1, *out.pred_masks.shape[-2:]).float(),
                size=(side, side),
                mode="bilinear",
            )
            yield labelled(masks[:, 0], self.session.obj_ids)


PEERS = {"ours": Ours, "meta": Meta, "transformers": Transformers}


def labelled(logits: torch.Tensor, ids: list[int]) -> np.ndarray:
    """Return a label plane; where masks overlap the highest logit wins."""
    best, which = logits.float().max(0)
    numbers = torch.tensor(ids)[which.cpu()]
    return torch.where(best.cpu() > 0, numbers, 0).numpy().astype(np.uint16)


def child(args: argparse.Namespace) -> int:
    """Click, follow, and print what was found as one line of JSON."""
    if args.threads:
        torch.set_num_threads(args.threads)
    weights, count = args.folder.parent, args.objects[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs
        peer = PEERS[args.child](args, weights, args.folder)
        waits = []
        began = time.perf_counter()
        peer.open()
        for k, (y, x) in enumerate(clicks(count, args.side), start=1):
            peer.click(k, y, x)
            waits.append(time.perf_counter() - began)
            began = time.perf_counter()
        start = resident_mb()
        times, planes, memory = [], [], {}
        began = time.perf_counter()
        for t, plane in enumerate(peer.follow()):
            times.append(time.perf_counter() - began)
            planes.append(plane[::4, ::4].copy())  # a view would hold all of it
            if t + 1 in MARKS:
                memory[t + 1] = round(resident_mb() - start)
            began = time.perf_counter()
    np.savez_compressed(args.masks, planes=np.stack(planes))
    found = {
        "first": waits[0],
        "next": statistics.median(waits[1:]) if count > 1 else None,
        "frame": statistics.median(times[FULL:] or times[1:]),
        "memory": memory,
    }
    print(json.dumps(found))
    return 0


def prepare(args: argparse.Namespace, root: Path) -> Path:
    """Write weights for all implementations, and the frames; return their folder."""
    torch.manual_seed(0)
    model = build_model(preset(f"sam2.1-{args.preset}"))
    model = model.eval().requires_grad_(requires_grad=False)
    model.sam_mask_decoder.pred_obj_score_head.layers[2].bias.fill_(SURE)
    save_checkpoint(model, root / "model.safetensors")
    torch.save({"model": model.state_dict()}, root / "model.pt")
    frames = root / "frames"
    frames.mkdir()
    movie = DrawnMovie(max(args.frames, args.memory_frames), args.side)
    for t in range(movie.shape[0]):
        grey = np.clip(movie[t] / 16, 0, 255).astype(np.uint8)
        picture = Image.fromarray(np.repeat(grey[..., None], 3, axis=-1))
        picture.save(frames / f"{t:05d}.jpg", quality=95)
    return frames


def measure(
    args: argparse.Namespace, name: str, objects: int, frames: Path, masks: Path
) -> dict[str, Any] | None:
    """Run one implementation in a process of its own; None if it fails."""
    command = [sys.executable, __file__, "--child", name, "--folder", str(frames)]
    command += ["--masks", str(masks), "--objects", str(objects)]
    for option in ("preset", "side", "image_size", "dtype", "device", "threads"):
        command += [f"--{option.replace('_', '-')}", str(getattr(args, option))]
    given = dict(os.environ)
    if name == "meta" and args.meta_path:
        given["PYTHONPATH"] = os.pathsep.join(
            [args.meta_path, *filter(None, [given.get("PYTHONPATH")])]
        )
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env=given
    )
    if done.returncode:
        print(f"{name} failed: {done.stderr.strip()[-600:]}", file=sys.stderr)
        return None
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def agreement(ours: Path, theirs: Path) -> float:
    """Return the mean IoU over objects and frames."""
    a, b = (np.load(path)["planes"] for path in (ours, theirs))
    scores = []
    for k in np.unique(a[a > 0]):
        for one, other in zip(a == k, b == k, strict=False):
            union = np.count_nonzero(one | other)
            if union:
                scores.append(np.count_nonzero(one & other) / union)
    return float(np.mean(scores)) if scores else float("nan")


def show(
    objects: int, found: dict[str, list[dict[str, Any]]], iou: dict[str, float]
) -> None:
    """Print a table, ratios to ours in brackets: above 1, ours is better."""
    print(f"\n{objects} object{'s' * (objects > 1)}")
    head = f"{'':14}{'first click':>18}{'next click':>18}{'a frame':>18}"
    print(head + f"{'agreement':>11}  growth after (frames: MB)")
    middle = {
        name: {
            key: statistics.median(r[key] for r in runs) if runs[0][key] else None
            for key in ("first", "next", "frame")
        }
        for name, runs in found.items()
    }
    for name, values in middle.items():
        cells = []
        for key in ("first", "next", "frame"):
            value, mine = values[key], middle["ours"][key]
            text = "–" if value is None else f"{value:.2f} s"
            if value is not None and name != "ours":
                text += f" ({value / mine:.2f})"
            cells.append(f"{text:>18}")
        same = f"{iou[name]:.3f}" if name in iou else "–"
        growth = ", ".join(f"{n}: {mb}" for n, mb in found[name][-1]["memory"].items())
        print(f"{name:14}{''.join(cells)}{same:>11}  {growth or '–'}", flush=True)


def main() -> int:
    """Measure all and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", default="tiny", choices=list(META_CONFIGS))
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--image-size", type=int, default=1024, help="of the network")
    parser.add_argument("--objects", type=int, nargs="+", default=[1, 3])
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--memory-frames", type=int, default=0, help="20, 60 or 240")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=0, help="of torch; 0: its own")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", nargs="+", default=list(NAMES), choices=NAMES)
    parser.add_argument(
        "--meta-path", help="folder that holds sam2 and what it needs, if not installed"
    )
    parser.add_argument("--child", choices=NAMES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--masks", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        return child(args)
    names = []
    for name in ("ours", *(n for n in args.only if n != "ours")):
        elsewhere = name == "meta" and args.meta_path
        if not elsewhere and importlib.util.find_spec(NEEDS[name]) is None:
            print(
                f"{name} is left out: {NEEDS[name]} is not installed", file=sys.stderr
            )
        elif name == "transformers" and args.preset != "tiny":
            print("transformers is left out: its default is tiny", file=sys.stderr)
        elif name == "transformers" and args.image_size != 1024:
            print("transformers is left out: it works at 1024", file=sys.stderr)
        else:
            names.append(name)
    with tempfile.TemporaryDirectory() as root:
        frames = prepare(args, Path(root))
        for objects in args.objects:
            found: dict[str, list[dict[str, Any]]] = {}
            masks = {name: Path(root) / f"{name}{objects}.npz" for name in names}
            for _ in range(args.rounds):
                for name in names:
                    one = measure(args, name, objects, frames, masks[name])
                    if one is not None:
                        found.setdefault(name, []).append(one)
            iou = {
                name: agreement(masks["ours"], masks[name])
                for name in found
                if name != "ours"
            }
            show(objects, found, iou)
    return 0


if __name__ == "__main__":
    sys.exit(main())
