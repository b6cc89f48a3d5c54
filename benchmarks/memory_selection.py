"""Does another choice of memories track better? Every way on the same movies.

    python benchmarks/memory_selection.py DATA_DIR [--model nano] [--ways default ...]
    python benchmarks/memory_selection.py DATA_DIR --retention

Every object's mask on the first frame is given and followed, once with each way, as in
`accuracy.py`; a score is an object's mean IoU over the later frames that show it, and
an object fails below 0.5. Objects are paired between ways. Intervals (95 %) are of the
mean of the movies' means: movies are drawn with replacement, and objects within them.

Movies: t98g (a model's labels: agreement), the held-aside plant volume and neuropil
slices, DAVIS val, DAVIS train (`nano` was trained on these), and synthetic clips of 24
frames drawn with seeds that training does not use.

With `--retention`, sessions that keep all memories ("all") are compared with those that
keep the recent ones ("recent"): forward, and again to both sides after every object was
corrected in the middle frame, by one click into its largest error or by its true mask.
Then "recent" has to make memories again from the labels: of the frame before the click,
and of the frames after the middle when it goes backward. At most 8 objects a movie.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from accuracy import PLANT_STARTS, davis, model_parser, t98g, volumes

from napari_sam2.evaluation.metrics import iou
from napari_sam2.evaluation.movies import LabelledMovie
from napari_sam2.evaluation.pictures import choose_ids
from napari_sam2.evaluation.users import correction
from napari_sam2.model import load_model
from napari_sam2.tracking import Session, selection
from napari_sam2.training.real_sets import read_sets
from napari_sam2.training.synthetic import draw_clip

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from napari_sam2.model import SAM2, ImageFeatures
    from napari_sam2.tracking.memory_bank import Retention


class EncodeOnce:
    """Encodes each picture once for all ways; keeps its own time.

    Parameters
    ----------
    model
        Its `encode_image` is replaced.
    """

    def __init__(self, model: SAM2) -> None:
        self.encode = model.encode_image
        self.known: dict[bytes, ImageFeatures] = {}
        self.seconds = 0.0
        model.encode_image = self.answer

    def answer(self, pixels: torch.Tensor) -> ImageFeatures:
        """Encode pictures, or return the kept answer."""
        began = time.perf_counter()
        key = hashlib.blake2b(pixels.cpu().numpy().tobytes()).digest()
        if key not in self.known:
            self.known[key] = self.encode(pixels)
        self.seconds += time.perf_counter() - began
        return self.known[key]


Scores = dict[str, dict[str, list[float]]]  # by way, by movie, one an object

KINDS = ("nuclei", "spread", "rods", "vesicles")
CLIP_FRAMES, CLIP_OBJECTS, CLIP_SEED = 24, 4, 731
TRAIN_CLIPS, TRAIN_FRAMES = 6, 60
TASKS, RETAINED_OBJECTS = ("forward", "click", "mask"), 8
FAILED = 0.5
RESAMPLES = 4000


def synthetic() -> Iterator[LabelledMovie]:
    """Draw crowded clips, the same each time."""
    for i, kind in enumerate(KINDS):
        rng = np.random.default_rng([CLIP_SEED, i, 0])
        while True:
            frames, labels = draw_clip(rng, 256, CLIP_FRAMES, kind=kind)
            if len(np.unique(labels[0])) > 12:
                break
        yield LabelledMovie(
            name=f"synthetic {i} {kind}",
            image=(frames * 255).round().astype(np.uint8),
            labels=labels,
            axes="TYXC",
        )


def davis_train(data_dir: Path) -> Iterator[LabelledMovie]:
    """Return the natural videos that are trained on."""
    clips = (x for x in read_sets(data_dir, "train") if x.source == "davis_train_240p")
    for clip in itertools.islice(clips, TRAIN_CLIPS):
        yield LabelledMovie(
            name=clip.name,
            image=clip.image[:TRAIN_FRAMES],
            labels=clip.labels[:TRAIN_FRAMES],
            axes="TYXC",
        )


def movies(
    data_dir: Path, groups: list[str]
) -> Iterator[tuple[str, LabelledMovie, int | None, int]]:
    """Return groups of movies, with most objects and their least area."""
    plant = volumes(data_dir, "plant_nuclei_3d", PLANT_STARTS)
    found = {
        "t98g": (lambda: t98g(data_dir), None, 20),
        "plant": (lambda: plant, None, 40),
        "fibsem": (lambda: volumes(data_dir, "fibsem_medulla", (0,)), 12, 100),
        "davis": (lambda: davis(data_dir), None, 20),
        "davis-train": (lambda: davis_train(data_dir), None, 20),
        "synthetic": (synthetic, CLIP_OBJECTS, 24),
    }
    for group in groups:
        source, most, area = found[group]
        for movie in source():
            yield group, movie, most, area


def ids_of(movie: LabelledMovie, most: int | None, area: int) -> list[int]:
    """Return the objects that are followed: large enough, and seen again."""
    later = np.unique(movie.labels[1:])
    first = np.where(np.isin(movie.labels[0], later), movie.labels[0], 0)
    return choose_ids(first, name=movie.name, most=most, min_area=area)


def judged(labels: np.ndarray, movie: LabelledMovie, ids: list[int]) -> list[float]:
    """Return each object's mean IoU over the later frames that show it."""
    scores = []
    for k in ids:
        shown = [t for t in range(1, len(labels)) if (movie.labels[t] == k).any()]
        scores.append(
            float(np.mean([iou(labels[t] == k, movie.labels[t] == k) for t in shown]))
        )
    return scores


def follow(model: SAM2, movie: LabelledMovie, ids: list[int], way: str) -> np.ndarray:
    """Give all first masks, follow them one way, and return the labels."""
    with Session(model, movie.image, axes=movie.axes, memory_selection=way) as session:
        for k in ids:
            session.add_mask(k, 0, movie.labels[0] == k)
        for _ in session.propagate():
            pass
        return np.array(session.labels)


def interval(
    base: dict[str, list[float]], other: dict[str, list[float]]
) -> tuple[float, float, float]:
    """Return the mean difference of the movies' means and its 95 % interval."""
    rng = np.random.default_rng(0)
    gains = [np.subtract(other[name], base[name]) for name in base]
    means = []
    for _ in range(RESAMPLES):
        drawn = rng.integers(0, len(gains), len(gains))
        means.append(
            np.mean([rng.choice(gains[k], len(gains[k])).mean() for k in drawn])
        )
    low, high = np.percentile(means, (2.5, 97.5))
    return float(np.mean([gain.mean() for gain in gains])), float(low), float(high)


def table(scores: Scores, groups: dict[str, str]) -> str:
    """Return one line for each way: scores of groups, failures, and the interval."""
    base = scores["default"]
    names = list(dict.fromkeys(groups.values()))
    real = [name for name, group in groups.items() if group != "synthetic"]
    lines = [f"{'way':16}" + "".join(f"{name:>13}" for name in names) + "   failed"]
    for way, found in scores.items():
        cells = []
        for group in names:
            own = [s for name in found if groups[name] == group for s in found[name]]
            cells.append(f"{np.mean(own):13.3f}")
        every = [s for name in found for s in found[name]]
        cells.append(f"{np.mean(np.array(every) < FAILED):9.3f}")
        if way != "default" and real:
            mean, low, high = interval(
                {n: base[n] for n in real}, {n: found[n] for n in real}
            )
            cells.append(f"   real movies {mean:+.3f} [{low:+.3f}, {high:+.3f}]")
        lines.append(f"{way:16}" + "".join(cells))
    return "\n".join(lines)


def compare_ways(model: SAM2, args: argparse.Namespace) -> dict[str, object]:
    """Follow every movie every way and print the tables."""
    scores: Scores = {way: {} for way in args.ways}
    seconds = dict.fromkeys(args.ways, 0.0)
    groups: dict[str, str] = {}
    once = EncodeOnce(model)
    for group, movie, most, area in movies(args.data_dir, args.sets):
        ids = ids_of(movie, most, area)
        if not ids:
            continue
        groups[movie.name] = group
        cells = []
        once.known.clear()
        for way in args.ways:
            began, before = time.perf_counter(), once.seconds
            labels = follow(model, movie, ids, way)
            seconds[way] += time.perf_counter() - began - (once.seconds - before)
            scores[way][movie.name] = judged(labels, movie, ids)
            cells.append(f"{way} {np.mean(scores[way][movie.name]):.3f}")
        print(f"{movie.name} ({len(ids)}): " + "  ".join(cells), flush=True)
    print(table(scores, groups))
    print(
        "seconds but for pictures: "
        + "  ".join(f"{way} {s:.0f}" for way, s in seconds.items())
    )
    return {"scores": scores, "groups": groups, "seconds": seconds}


def corrected(
    session: Session, movie: LabelledMovie, ids: list[int], how: str
) -> np.ndarray:
    """Correct all objects in the middle frame, redo both sides, return the labels."""
    middle = len(movie.labels) // 2
    before = np.array(session.labels[middle])
    for k in ids:
        truth = movie.labels[middle] == k
        if how == "mask":
            session.add_mask(k, middle, truth)
        elif (click := correction(before == k, truth)) is not None:
            session.add_points(k, middle, [click[0]], click[1])
    for _ in session.propagate("both"):
        pass
    return np.array(session.labels)


def retained(
    model: SAM2, movie: LabelledMovie, ids: list[int], retention: Retention
) -> dict[str, np.ndarray]:
    """Return labels by task, all with one retention."""
    labels = {}
    for how in ("click", "mask"):
        with Session(
            model, movie.image, axes=movie.axes, retention=retention
        ) as session:
            for k in ids:
                session.add_mask(k, 0, movie.labels[0] == k)
            for _ in session.propagate():
                pass
            labels["forward"] = np.array(session.labels)
            # A session of its own: corrections leave remade memories behind.
            labels[how] = corrected(session, movie, ids, how)
    return labels


def compare_retention(model: SAM2, args: argparse.Namespace) -> dict[str, object]:
    """Print how far sessions agree with each other, and each with the truth."""
    every: dict[str, list[tuple[float, float, float]]] = {}
    once = EncodeOnce(model)
    for _, movie, _, area in movies(args.data_dir, args.sets):
        ids = ids_of(movie, RETAINED_OBJECTS, area)
        if not ids:
            continue
        once.known.clear()
        kept = {way: retained(model, movie, ids, way) for way in ("recent", "all")}
        cells = []
        for task in TASKS:
            pair = kept["recent"][task], kept["all"][task]
            # The corrected frame is not asked for.
            left_out = 0 if task == "forward" else len(movie.labels) // 2
            rows = [agreement(*pair, movie, k, {0, left_out}) for k in ids]
            rows = [row for row in rows if row is not None]
            every.setdefault(task, []).extend(rows)
            if rows:
                each, recent, whole = np.mean(rows, axis=0)
                cells.append(f"{task} {each:.4f} ({recent:.3f}, {whole:.3f})")
        print(f"{movie.name} ({len(ids)}): " + "  ".join(cells), flush=True)
    print(f"{'task':12}{'recent/all':>12}{'recent':>9}{'all':>9}{'objects':>9}")
    for task, rows in every.items():
        each, recent, whole = np.mean(rows, axis=0)
        line = f"{each:12.4f}{recent:9.3f}{whole:9.3f}{len(rows):9}"
        print(f"{task:12}{line}")
    return {"retention": every}


def agreement(
    recent: np.ndarray,
    whole: np.ndarray,
    movie: LabelledMovie,
    k: int,
    without: set[int],
) -> tuple[float, float, float] | None:
    """Return IoU of two labels of an object, and of each with the truth.

    Means over the other frames that show the object; None if there are none.
    """
    shown = [
        t
        for t, plane in enumerate(movie.labels)
        if t not in without and (plane == k).any()
    ]
    if not shown:
        return None
    pairs = [(recent[t] == k, whole[t] == k, movie.labels[t] == k) for t in shown]
    return (
        float(np.mean([iou(a, b) for a, b, _ in pairs])),
        float(np.mean([iou(a, truth) for a, _, truth in pairs])),
        float(np.mean([iou(b, truth) for _, b, truth in pairs])),
    )


def parse() -> argparse.Namespace:
    """Read the command line."""
    sets = ("t98g", "plant", "fibsem", "davis", "davis-train", "synthetic")
    parser = model_parser(__doc__)
    parser.add_argument("--sets", nargs="+", choices=sets, default=sets)
    parser.add_argument("--ways", nargs="+", default=list(selection.STRATEGIES))
    parser.add_argument("--retention", action="store_true", help="compare that instead")
    parser.add_argument("--json", type=Path, help="file for every object's score")
    parser.add_argument("--threads", type=int, default=0, help="of torch; 0: its own")
    args = parser.parse_args()
    args.ways = ["default", *(way for way in args.ways if way != "default")]
    return args


def main() -> int:
    """Measure, and print."""
    args = parse()
    if args.threads:
        torch.set_num_threads(args.threads)
    model = load_model(args.model, device=args.device)
    compare = compare_retention if args.retention else compare_ways
    result = compare(model, args)
    if args.json:
        args.json.write_text(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
