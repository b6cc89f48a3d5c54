"""Does confidence mean what it says, and how often are flags false alarms?

    python benchmarks/calibration.py DATA_DIR [--model nano] [--picture FILE.png]

First frames' masks are given and followed, as `accuracy.py` does, through the
microscopy that trained `nano` (DATA_DIR as there) and through what training does not
see. The weights of `napari_sam2.tracking.confidence` are fitted on the former, each set
counting the same, and printed to be pasted; the tables are of the latter, under the
weights just fitted. An answer is right if its IoU with the truth is at least 0.5, or if
there is nothing and nothing was drawn. Columns: expected calibration error and area
under the ROC curve, for confidence and (IoU) for the predicted IoU alone fitted the
same way; the share of wrong answers found below 0.5, and of right ones doubted.

Flags are counted on the true labels as well: what is flagged there is a false alarm.

Sets: clips are drawn as in training (moved stills, volumes, films at random scales);
t98g's truth is a model's.
"""

from __future__ import annotations

import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from accuracy import PLANT_STARTS, SLICES, davis, model_parser, t98g, volumes
from skimage import measure

from napari_sam2.evaluation.calibration import (
    area_under_curve,
    fit_logistic,
    reliability,
)
from napari_sam2.evaluation.metrics import iou
from napari_sam2.evaluation.movies import LabelledMovie
from napari_sam2.evaluation.pictures import choose_ids
from napari_sam2.evaluation.reliability import draw_reliability
from napari_sam2.model import load_model
from napari_sam2.tracking import confidence as model_of
from napari_sam2.tracking.changes import Flags
from napari_sam2.tracking.confidence import Evidence, hints_of
from napari_sam2.tracking.score_rows import all_of
from napari_sam2.tracking.scores import ScoreTable
from napari_sam2.tracking.session import Session
from napari_sam2.training.datasets import RealPictures

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from napari_sam2.model import SAM2
    from napari_sam2.tracking.score_rows import ObjectScores

CLIP_FRAMES = 16
DAVIS_FRAMES = 25
# By set: most objects of a movie, and their smallest area on the first frame, px.
OBJECTS = {
    "clips": (4, 40),
    "plant": (6, 40),
    "fibsem": (8, 100),
    "davis": (None, 20),
    "t98g": (None, 20),
}
SOURCES = {"plant": "plant_nuclei_3d", "fibsem": "fibsem_medulla"}
LOADED: list[SAM2] = []  # the model of each process
IOU_ALONE = (0, 1)
SIGNS = (0, 1, 1, 1, -1, -1, -1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Track:
    """One object that was followed: its scores, and its IoU with the truth, (T,)."""

    scores: ObjectScores
    quality: NDArray[np.float64]


def clips(data: RealPictures, count: int, seed: int) -> Iterator[LabelledMovie]:
    """Return clips as training draws them."""
    rng = np.random.default_rng(seed)
    for k in range(count):
        frames, labels = data.sample_clip(rng, 256, CLIP_FRAMES)
        pixels = np.rint(frames.clip(0, 1) * 255).astype(np.uint8)
        yield LabelledMovie(name=f"clip {k}", image=pixels, labels=labels)


def seen_movies(data: RealPictures, source: str) -> Iterator[LabelledMovie]:
    """Return what training has of a set: slices of volumes, every second frame."""
    for item in data.items:
        if item.source != source:
            continue
        if not item.isotropic:
            part = slice(0, 2 * DAVIS_FRAMES, 2)
            yield LabelledMovie(
                name=item.name, image=item.image[part], labels=item.labels[part]
            )
            continue
        for start in range(0, len(item.image) - SLICES + 1, SLICES):
            part = slice(start, start + SLICES)
            yield LabelledMovie(
                name=f"{item.name} from {start}",
                image=item.image[part],
                labels=measure.label(item.labels[part], connectivity=1),
                axes="ZYX",
            )


def follow(model: SAM2, movie: LabelledMovie, kind: str) -> list[Track]:
    """Give the first frame's masks and follow them all, keeping every score."""
    most, area = OBJECTS[kind]
    ids = choose_ids(movie.labels[0], name=movie.name, most=most, min_area=area, seed=0)
    if not ids:
        return []
    table = ScoreTable(len(movie.labels))
    quality = {k: np.ones(len(movie.labels)) for k in ids}
    with Session(model, movie.image, axes=movie.axes) as session:
        for k in ids:
            session.add_mask(k, 0, movie.labels[0] == k)
        for result in session.propagate("forward"):
            table.take(result.frame_idx, result.scores)
            for k in ids:
                truth = movie.labels[result.frame_idx] == k
                quality[k][result.frame_idx] = iou(result.labels == k, truth)
    return [Track(scores=table.of(k), quality=quality[k]) for k in ids]


def true_tracks(movie: LabelledMovie, min_area: int) -> list[ObjectScores]:
    """Return the truth as if it had been followed, from each first frame on."""
    table = ScoreTable(len(movie.labels))
    known: set[int] = set()
    rows, cols = np.indices(movie.labels.shape[1:])
    for t, plane in enumerate(movie.labels):
        areas = np.bincount(plane.ravel())
        y = np.bincount(plane.ravel(), rows.ravel())
        x = np.bincount(plane.ravel(), cols.ravel())
        new = np.flatnonzero(areas >= min_area)
        known |= set(new[new > 0].tolist())
        for k in known:
            area = int(areas[k]) if k < len(areas) else 0
            table.record(
                t,
                k,
                iou=1.0,
                object_score=1.0,
                area=area,
                centroid=(y[k] / area, x[k] / area) if area else None,
            )
    return [table.of(k) for k in table.object_ids]


def pooled(tracks: Sequence[Track]) -> tuple[Evidence, NDArray[np.bool_]]:
    """Return the evidence of all frames that were followed, and if it was right."""
    free = [~t.scores.prompted for t in tracks]
    parts = [t.scores.evidence for t in tracks]
    fields = Evidence.__dataclass_fields__
    evidence = Evidence(
        **{
            name: np.concatenate(
                [getattr(p, name)[f] for p, f in zip(parts, free, strict=True)]
            )
            for name in fields
        }
    )
    quality = [t.quality[t.scores.frames][f] for t, f in zip(tracks, free, strict=True)]
    return evidence, np.concatenate(quality) >= model_of.RIGHT


def fitted(sets: dict[str, list[Track]], columns: Sequence[int]) -> NDArray[np.float64]:
    """Fit the weights of some hints on masks; each set counts the same."""
    hints, right, weight = [], [], []
    for tracks in sets.values():
        evidence, true = pooled(tracks)
        shown = evidence.area > 0
        hints.append(hints_of(evidence)[shown])
        right.append(true[shown])
        weight.append(np.full(shown.sum(), 1 / shown.sum()))
    weights = np.zeros(len(SIGNS))
    weights[list(columns)] = fit_logistic(
        np.concatenate(hints)[:, columns],
        np.concatenate(right),
        weight=np.concatenate(weight),
        signs=[SIGNS[k] for k in columns],
    )
    return np.round(weights, 2)


def sureness(
    tracks: Sequence[Track], weights: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the confidence under some weights, and what was right."""
    model_of.WEIGHTS = tuple(weights)
    evidence, right = pooled(tracks)
    return model_of.confidence(evidence), right


def report(
    sets: dict[str, list[Track]],
    weights: NDArray[np.float64],
    alone: NDArray[np.float64],
    picture: Path | None,
) -> None:
    """Print how confidence and the predicted IoU alone do on each set; draw it."""
    every = {"all": [t for tracks in sets.values() for t in tracks], **sets}
    ours, plain = {}, {}
    columns = ["set", "objects", "answers", "right", "error", "(IoU)", "AUC", "(IoU)"]
    columns += ["found", "doubted"]
    print(f"| {' | '.join(columns)} |")
    print("|" + "---|" * len(columns))
    for name, tracks in every.items():
        by_iou, right = sureness(tracks, alone.tolist())
        sure, right = sureness(tracks, weights.tolist())
        ours[name], plain[name] = reliability(sure, right), reliability(by_iou, right)
        print(
            f"| {name} | {len(tracks)} | {len(right)} | {right.mean():.2f} "
            f"| {ours[name].error:.3f} | {plain[name].error:.3f} "
            f"| {area_under_curve(sure, right):.3f} "
            f"| {area_under_curve(by_iou, right):.3f} "
            f"| {np.mean(sure[~right] < 0.5):.2f} | {np.mean(sure[right] < 0.5):.2f} |"
        )
    evidence, right = pooled(every["all"])
    empty = evidence.area == 0
    if empty.any():
        sure = model_of.confidence(evidence)[empty].mean()
        print(
            f"\nempty: {empty.sum()}, said {sure:.2f}, right {right[empty].mean():.2f}"
        )
    if picture:
        draw_reliability(
            picture, {"confidence": ours, "predicted IoU alone, fitted": plain}
        )


def share(flags: NDArray[np.uint8], flag: Flags) -> str:
    """Return how many of the frames have a flag, in per cent."""
    if not len(flags):
        return "–"
    return f"{100 * np.mean((flags & flag.value) > 0):.1f}"


def report_flags(title: str, sets: dict[str, list[NDArray[np.uint8]]]) -> None:
    """Print how often each flag is raised, in per cent of the frames."""
    names = [f for f in Flags if f is not Flags.NONE]
    print(f"\n| {title} | frames | {' | '.join(f.words for f in names)} |")
    print("|" + "---|" * (2 + len(names)))
    for name, parts in sets.items():
        flags = np.concatenate(parts)
        cells = " | ".join(share(flags, f) for f in names)
        print(f"| {name} | {len(flags)} | {cells} |")


def split_flags(
    sets: dict[str, list[Track]],
) -> dict[str, list[NDArray[np.uint8]]]:
    """Return the flags of right answers, wrong ones, and of each first wrong one."""
    out: dict[str, list[NDArray[np.uint8]]] = {
        "right": [],
        "wrong": [],
        "first wrong, or one of the next two": [],
    }
    for track in (t for tracks in sets.values() for t in tracks):
        free = ~track.scores.prompted
        right = track.quality[track.scores.frames] >= model_of.RIGHT
        flags = track.scores.flags
        out["right"].append(flags[free & right])
        out["wrong"].append(flags[free & ~right])
        lost = np.flatnonzero(free & ~right)[:1]
        for k in lost:
            near = np.bitwise_or.reduce(flags[k : k + 3])
            out["first wrong, or one of the next two"].append(np.array([near]))
    return {name: parts for name, parts in out.items() if parts}


def prepare(name: str, device: str, threads: int) -> None:
    """Load the model of a process, once."""
    if threads:
        torch.set_num_threads(threads)
    LOADED.append(load_model(name, device=device))


def follow_loaded(job: tuple[LabelledMovie, str]) -> list[Track]:
    """Follow a movie with the model of this process."""
    return follow(LOADED[0], *job)


def follow_all(
    args: argparse.Namespace, jobs: list[tuple[str, LabelledMovie]]
) -> dict[str, list[Track]]:
    """Follow every movie; sets are named by what they are for and their kind."""
    # The longest first, so that no process is left alone with it.
    jobs = sorted(jobs, key=lambda job: -job[1].labels.size)
    began = time.perf_counter()
    found: dict[str, list[Track]] = {}
    with ProcessPoolExecutor(
        args.jobs,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=prepare,
        initargs=(args.model, args.device, args.threads),
    ) as pool:
        work = [(movie, name.split()[1]) for name, movie in jobs]
        for (name, movie), tracks in zip(
            jobs, pool.map(follow_loaded, work), strict=True
        ):
            found.setdefault(name, []).extend(tracks)
            seconds = time.perf_counter() - began
            print(f"{name}: {movie.name}, {seconds:.0f} s", file=sys.stderr, flush=True)
    return found


def keep(path: Path, sets: dict[str, list[Track]]) -> None:
    """Write what was followed, to fit again without following again."""
    named = [(name, track) for name, tracks in sets.items() for track in tracks]
    np.savez_compressed(
        path,
        names=np.array([name for name, _ in named]),
        lengths=np.array([len(t.quality) for _, t in named]),
        rows=np.concatenate([t.scores.rows for _, t in named]),
        quality=np.concatenate([t.quality for _, t in named]),
    )


def kept(path: Path) -> dict[str, list[Track]]:
    """Read what `keep` wrote."""
    held = np.load(path)
    ends = np.cumsum(held["lengths"])[:-1]
    rows, quality = np.split(held["rows"], ends), np.split(held["quality"], ends)
    found: dict[str, list[Track]] = {}
    for name, row, good in zip(held["names"].tolist(), rows, quality, strict=True):
        track = Track(scores=all_of(np.arange(len(row)), row), quality=good)
        found.setdefault(name, []).append(track)
    return found


def the_movies(
    args: argparse.Namespace, data: RealPictures, unseen: RealPictures
) -> list[tuple[str, LabelledMovie]]:
    """Return every movie, to fit on or to test on, with the name of its set."""
    # Natural video (davis) is tested on only: what is fitted is for microscopes.
    sets = {
        **{f"fit {k}": seen_movies(data, name) for k, name in SOURCES.items()},
        "fit clips": clips(data, args.clips, seed=0),
        "test t98g": t98g(args.data_dir),
        "test plant": volumes(args.data_dir, SOURCES["plant"], PLANT_STARTS),
        "test fibsem": volumes(args.data_dir, SOURCES["fibsem"], (0,)),
        "test davis": davis(args.data_dir),
        "test clips": clips(unseen, args.clips // 2, seed=1),
    }
    return [(name, movie) for name, movies in sets.items() for movie in movies]


def part(sets: dict[str, list[Track]], use: str) -> dict[str, list[Track]]:
    """Return the sets to fit on or to test on, by kind."""
    return {
        kind: sets[f"{use} {kind}"]
        for kind in ("t98g", "plant", "fibsem", "davis", "clips")
        if sets.get(f"{use} {kind}")
    }


def main() -> int:
    """Fit, and print what the fit is worth elsewhere."""
    parser = model_parser(__doc__)
    parser.add_argument("--clips", type=int, default=20, help="to fit; half to test")
    parser.add_argument(
        "--tracks", type=Path, help="where tracks are kept (.npz); taken if there"
    )
    parser.add_argument("--picture", type=Path, help="reliability diagram to write")
    parser.add_argument("--threads", type=int, default=0, help="of torch; 0: its own")
    parser.add_argument("--jobs", type=int, default=1, help="movies at a time")
    args = parser.parse_args()
    data = RealPictures(args.data_dir, "train")
    unseen = RealPictures(args.data_dir, "val")
    if args.tracks and args.tracks.exists():
        sets = kept(args.tracks)
    else:
        sets = follow_all(args, the_movies(args, data, unseen))
        if args.tracks:
            keep(args.tracks, sets)
    seen, tests = part(sets, "fit"), part(sets, "test")
    weights = fitted(seen, range(len(SIGNS)))
    print(f"WEIGHTS = {tuple(weights.tolist())}")
    alone = fitted(seen, IOU_ALONE)
    print(f"(of the predicted IoU alone: {alone[list(IOU_ALONE)].tolist()})\n")
    report(tests, weights, alone, args.picture)
    report_flags("answers that are", split_flags(tests))
    truth = {
        "t98g": [*t98g(args.data_dir)],
        **{
            k: [m for d in (data, unseen) for m in seen_movies(d, name)]
            for k, name in SOURCES.items()
        },
        "davis": [*davis(args.data_dir), *seen_movies(data, "davis_train_240p")],
    }
    alarms = {
        kind: [
            track.flags[1:]
            for m in movies
            for track in true_tracks(m, OBJECTS[kind][1])
        ]
        for kind, movies in truth.items()
    }
    report_flags("truth", {k: parts for k, parts in alarms.items() if parts})
    return 0


if __name__ == "__main__":
    sys.exit(main())
