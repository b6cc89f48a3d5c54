"""Which small network is worth its milliseconds? Variants of `nano`, trained alike.

    python benchmarks/design.py DATA_DIR --output runs/design [--only base wide ...]
    python benchmarks/design.py DATA_DIR --output runs/design --table

Every variant sees the same pictures and clips from random weights, as many steps as
`--steps` says; a run that was stopped goes on. Then pictures and a volume that training
holds aside are asked for through `Session`, and the time of a frame is taken: the
processor's, one thread, one object on the sample movie, variants taking turns and the
least of some rounds. So few steps favour what learns quickly; the order of close
neighbours says nothing.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from accuracy import PLANT_STARTS, pictures, volumes

from napari_sam2 import Session
from napari_sam2.evaluation.movies import evaluate_movie
from napari_sam2.evaluation.pictures import evaluate_pictures
from napari_sam2.evaluation.scores import picture_scores
from napari_sam2.model import build_model, load_model
from napari_sam2.model.config import PRESETS
from napari_sam2.stacks.samples import cells_movie
from napari_sam2.training.config import TrainConfig
from napari_sam2.training.loop import train

if TYPE_CHECKING:
    from napari_sam2.model import SAM2, ModelConfig

log = logging.getLogger("design")
CLIP_SHARE = 0.3  # of the steps, at the end


def variants() -> dict[str, tuple[str, ModelConfig]]:
    """Return what is tried: what differs from `nano`, and the network."""
    nano = PRESETS["nano"]
    trunk = nano.hiera
    return {
        "base": ("nano as it is", nano),
        "narrow": ("trunk of 32 channels", _trunk(embed_dim=32)),
        "wide": ("trunk of 64 channels", _trunk(embed_dim=64)),
        "shallow": (
            "blocks 1, 2, 3, 1",
            _trunk(stages=(1, 2, 3, 1), global_blocks=(4, 5)),
        ),
        "deep": (
            "blocks 2, 3, 7, 2",
            _trunk(stages=(2, 3, 7, 2), global_blocks=(6, 9, 11)),
        ),
        "one-layer": ("one layer of memory attention", replace(nano, memory_layers=1)),
        "fine": (
            "pictures of 384²",
            replace(nano, image_size=384, hiera=replace(trunk, background_size=(7, 7))),
        ),
        "thin": ("embedding of 96 channels", replace(nano, dim=96, memory_dim=24)),
        "memories-16": ("memories of 16 channels", replace(nano, memory_dim=16)),
        "memories-64": ("memories of 64 channels", replace(nano, memory_dim=64)),
        "forgetful": (
            "three memories instead of seven",
            replace(nano, num_memories=3, recent_memories=2),
        ),
    }


def _trunk(**changes: object) -> ModelConfig:
    nano = PRESETS["nano"]
    return replace(nano, hiera=replace(nano.hiera, **changes))  # type: ignore[arg-type]


def run(name: str, network: ModelConfig, args: argparse.Namespace) -> Path:
    """Train one variant, or go on; return its checkpoint."""
    PRESETS[name] = replace(network, name=name)
    pictures_until = round(args.steps * (1 - CLIP_SHARE))
    config = TrainConfig(
        output=str(args.output / name),
        preset=name,
        image_size=network.image_size,
        data_dir=str(args.data_dir),
        steps=args.steps,
        batch=6,
        objects=8,
        clip_batch=1,
        clip_objects=4,
        clips_from=pictures_until,
        clip_share=1.0,
        real_share=0.75,
        lr=6e-4,
        warmup=40,
        balanced_until=pictures_until,
        corrections=1,
        ema=0.98,
        threads=args.threads,
        save_every=50,
    )
    for report in train(config):
        if not report.step % 50:
            log.info("%s step %d loss %.3f", name, report.step, report.loss)
    return args.output / name / "model.safetensors"


def score(model: SAM2, data_dir: Path, name: str) -> dict[str, float]:
    """Return the scores of one variant on what training holds aside."""
    every: dict[str, list[float]] = {}
    for source, suffix, few in (
        ("dsb2018", ".png", 3),
        ("usiigaci_stills", ".tif", 16),
    ):
        chosen = pictures(data_dir, source, suffix, 40)
        answers = list(evaluate_pictures(model, chosen, max_objects=few))
        for item in picture_scores(source, source, name, answers):
            every.setdefault(f"{source} {item.task}", []).append(item.score)
    movies = list(volumes(data_dir, "plant_nuclei_3d", PLANT_STARTS))
    tracked = [a for movie in movies for a in evaluate_movie(model, movie, min_area=40)]
    every["plant first mask"] = [answer.score for answer in tracked]
    return {key: sum(values) / len(values) for key, values in every.items()}


def frame_times(names: list[str], rounds: int) -> dict[str, float]:
    """Return the processor time of a frame of each variant, ms."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    movie = cells_movie(n_frames=24)
    models = {name: build_model(network).eval() for name, (_, network) in _of(names)}
    best = dict.fromkeys(names, float("inf"))
    for _ in range(rounds):
        for name, model in models.items():
            with torch.inference_mode():
                # Random weights may see nothing; a cell that is there costs more.
                model.sam_mask_decoder.pred_obj_score_head.layers[-1].bias.fill_(8.0)
            with Session(model, movie.image, axes="TYX") as session:
                t, y, x = movie.click
                session.add_points(1, t, [(y, x)])
                session.preview(t)
                began = time.process_time()
                frames = sum(1 for _ in session.propagate("forward"))
                spent = (time.process_time() - began) / frames * 1e3
            best[name] = min(best[name], spent)
    return best


def _of(names: list[str]) -> list[tuple[str, tuple[str, ModelConfig]]]:
    every = variants()
    return [(name, every[name]) for name in names]


def table(args: argparse.Namespace) -> None:
    """Print what was measured so far."""
    rows = {
        path.parent.name: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(args.output.glob("*/scores.json"))
    }
    names = [name for name in variants() if name in rows]
    times = frame_times(names, args.rounds)
    measures = sorted({key for row in rows.values() for key in row})
    print("| variant | weights | ms a frame | " + " | ".join(measures) + " |")
    print("| --- " * (3 + len(measures)) + "|")
    for name, (said, network) in _of(names):
        weights = sum(p.numel() for p in build_model(network).parameters()) / 1e6
        ratio = times[name] / times["base"]
        cells = [f"{rows[name].get(m, float('nan')):.3f}" for m in measures]
        print(
            f"| {said} | {weights:.2f} M | {times[name]:.0f} ({ratio:.2f}) | "
            + " | ".join(cells)
            + " |"
        )


def main() -> int:
    """Train, score and tabulate."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=variants(), default=None)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--table", action="store_true", help="of what is there")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if not args.table:
        for name, (_, network) in _of(args.only or list(variants())):
            scores = args.output / name / "scores.json"
            if scores.is_file():
                continue
            checkpoint = run(name, network, args)
            found = score(load_model(checkpoint, device="cpu"), args.data_dir, name)
            part = scores.with_suffix(".part")
            part.write_text(json.dumps(found), encoding="utf-8")
            part.replace(scores)
            log.info("%s: %s", name, found)
    table(args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
