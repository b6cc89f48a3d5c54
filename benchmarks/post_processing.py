"""Which way from coarse logits to a mask is best? IoU and boundary F, in one run.

    python benchmarks/post_processing.py DATA_DIR [--model nano] [--split val]

Objects are clicked on, boxed and followed through `Session` exactly as it ships; the
low-resolution logits of every answer are kept and turned into masks in different ways:

- none, holes filled, largest piece only, both (what `tracking/masks.py` does: `tidy`);
- not the largest piece only, but all above a share of its size;
- with both of them: Gaussians on the logits before they are enlarged (σ in cells, of
  which 64 cover a window; also with the logits limited to ±4) and after (σ in px),
  medians of the mask, bicubic instead of bilinear, other thresholds.

dsb2018 and usiigaci: one click, and the box; t98g, plant, fibsem: first masks followed,
mean over every fourth later frame that shows the object. Boundary F allows
`--tolerance` pixels. Differences to what ships are given with 95 % (bootstrap over
objects). `--split train` measures what trained the model: to choose with.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from accuracy import PLANT_STARTS, model_parser, t98g, volumes
from calibration import seen_movies
from scipy import ndimage
from torch.nn import functional as F

from napari_sam2 import Session
from napari_sam2.evaluation.datasets import spread
from napari_sam2.evaluation.metrics import boundary_f, iou
from napari_sam2.evaluation.pictures import choose_ids
from napari_sam2.evaluation.report import interval
from napari_sam2.evaluation.users import deepest_point, tight_box
from napari_sam2.model import load_model
from napari_sam2.tracking.canvas import Canvas
from napari_sam2.training.datasets import RealPictures
from napari_sam2.training.real_sets import read_sets

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from napari_sam2.evaluation.movies import LabelledMovie
    from napari_sam2.model import SAM2
    from napari_sam2.tracking.masks import Patch
    from napari_sam2.tracking.memory_bank import FrameMemory
    from napari_sam2.tracking.windows import Window
    from napari_sam2.training.real_sets import RealItem

    Logits = NDArray[np.float32]
    Mask = NDArray[np.bool_]

SOURCES = {
    "dsb2018": "dsb2018",
    "usiigaci": "usiigaci_stills",
    "plant": "plant_nuclei_3d",
    "fibsem": "fibsem_medulla",
}
STARTS = {"plant": PLANT_STARTS, "fibsem": (0,)}
OBJECTS = {"dsb2018": 4, "usiigaci": 24}  # of a picture: few stills, many nuclei
MOVIES = {"t98g": (None, 20), "plant": (None, 40), "fibsem": (12, 100)}
SHIPS = "both, bilinear (ships)"
MIN_AREA = 20


@dataclass(kw_only=True)
class Recorder(Canvas):
    """Draws as ever, and keeps the logits of what it drew, by frame and object."""

    kept: dict[tuple[int, int], tuple[Logits, Window]] = field(default_factory=dict)

    def patches(self, answers: Mapping[int, FrameMemory]) -> dict[int, Patch]:
        """Keep the answers' logits."""
        for object_id, memory in answers.items():
            if memory.mask_logits is not None:
                low_res = memory.mask_logits[0, 0].float().cpu().numpy()
                self.kept[memory.frame_idx, object_id] = low_res, memory.window
        return super().patches(answers)


def record(session: Session) -> Recorder:
    """Have a session keep its logits."""
    canvas = session._engine.canvas
    recorder = Recorder(store=canvas.store, state=canvas.state, tidies=canvas.tidies)
    session._engine.canvas = recorder
    return recorder


def enlarged(low_res: Logits, shape: tuple[int, int], mode: str = "bilinear") -> Logits:
    """Enlarge logits to a window."""
    x = torch.from_numpy(np.ascontiguousarray(low_res))[None, None]
    return F.interpolate(x, shape, mode=mode, align_corners=False)[0, 0].numpy()


def largest(mask: Mask, share: float = 1) -> Mask:
    """Keep the largest piece, and those of at least a share of its size."""
    pieces, count = ndimage.label(mask)
    if count < 2:
        return mask
    areas = np.bincount(pieces.ravel())
    areas[0] = 0
    return (areas >= share * areas.max())[pieces]


def both(mask: Mask, share: float = 1) -> Mask:
    """Keep the largest piece and fill its holes."""
    return ndimage.binary_fill_holes(largest(mask, share))


def plain(
    low_res: Logits, shape: tuple[int, int], *, then: Callable[..., Mask]
) -> Mask:
    return then(enlarged(low_res, shape) > 0)


def coarse(
    low_res: Logits, shape: tuple[int, int], *, sigma: float, limit: float = np.inf
) -> Mask:
    smooth = ndimage.gaussian_filter(low_res.clip(-limit, limit), sigma)
    return both(enlarged(smooth, shape) > 0)


def fine(low_res: Logits, shape: tuple[int, int], *, sigma: float) -> Mask:
    return both(ndimage.gaussian_filter(enlarged(low_res, shape), sigma) > 0)


def median(low_res: Logits, shape: tuple[int, int], *, size: int) -> Mask:
    mask = (enlarged(low_res, shape) > 0).astype(np.uint8)
    # Of zeros and ones, the median is which of them is in the majority.
    return both(ndimage.uniform_filter(mask * np.float32(1), size) > 0.5)


def bicubic(low_res: Logits, shape: tuple[int, int]) -> Mask:
    return both(enlarged(low_res, shape, "bicubic") > 0)


def above(low_res: Logits, shape: tuple[int, int], *, threshold: float) -> Mask:
    return both(enlarged(low_res, shape) > threshold)


WAYS: dict[str, Callable[[Logits, tuple[int, int]], Mask]] = {
    SHIPS: partial(plain, then=both),
    "none": partial(plain, then=lambda mask: mask),
    "holes": partial(plain, then=ndimage.binary_fill_holes),
    "largest piece": partial(plain, then=largest),
    **{
        f"both, pieces over {s:.0%}": partial(plain, then=partial(both, share=s))
        for s in (0.1, 0.25, 0.5)
    },
    "bicubic": bicubic,
    **{f"Gaussian {s} cells": partial(coarse, sigma=s) for s in (0.5, 1)},
    "Gaussian 1 cell of ±4": partial(coarse, sigma=1, limit=4),
    **{f"Gaussian {s} px": partial(fine, sigma=s) for s in (1, 2)},
    **{f"median {s} px": partial(median, size=s) for s in (3, 5)},
    **{f"logits > {t}": partial(above, threshold=t) for t in (-1, -0.5, 0.5)},
}


@dataclass(frozen=True, kw_only=True)
class Scored:
    """IoU and boundary F of one object, by way; a frame's or a mean of frames."""

    iou: dict[str, float]
    f: dict[str, float]


def judge(kept: tuple[Logits, Window] | None, truth: Mask, tolerance: float) -> Scored:
    """Score one answer in all ways; None is an empty one."""
    ious, fs = {}, {}
    window = None if kept is None else kept[1]
    part = around(truth, window)
    for way, make in WAYS.items():
        mask = np.zeros(truth.shape, np.bool_)
        if kept is not None:
            mask[kept[1].place] = make(kept[0], kept[1].shape)
        ious[way] = iou(mask[part], truth[part])
        fs[way] = boundary_f(mask[part], truth[part], bound_th=tolerance)
    return Scored(iou=ious, f=fs)


def around(truth: Mask, window: Window | None) -> tuple[slice, slice]:
    """Return the part of a frame with the object and the window, and a pixel more."""
    y, x, y2, x2 = tight_box(truth)
    if window is not None:
        y, x = min(y, window.y), min(x, window.x)
        y2 = max(y2, window.y + window.height)
        x2 = max(x2, window.x + window.width)
    return slice(max(y - 1, 0), y2 + 1), slice(max(x - 1, 0), x2 + 1)


def mean(scores: list[Scored]) -> Scored:
    """Average the frames of one object."""
    return Scored(
        iou={way: float(np.mean([s.iou[way] for s in scores])) for way in WAYS},
        f={way: float(np.mean([s.f[way] for s in scores])) for way in WAYS},
    )


def ask(
    model: SAM2, item: RealItem, most: int, tolerance: float
) -> Iterator[tuple[str, Scored]]:
    """Click on and box the objects of a picture."""
    labels = item.labels[0]
    ids = choose_ids(labels, name=item.name, most=most, min_area=MIN_AREA)
    axes = "YXC" if item.image.ndim == 4 else "YX"
    with Session(model, item.image[0], axes=axes) as session:
        recorder = record(session)
        for k in ids:
            truth = labels == k
            for task in ("click", "box"):
                if task == "click":
                    session.add_points(1, 0, [deepest_point(truth)], [1])
                else:
                    session.add_box(1, 0, tight_box(truth))
                session.preview(0)
                yield task, judge(recorder.kept.pop((0, 1)), truth, tolerance)
                session.remove_object(1)


def follow(
    model: SAM2, movie: LabelledMovie, kind: str, tolerance: float, every: int
) -> Iterator[tuple[str, Scored]]:
    """Follow first masks, and score some later frames that show the object."""
    most, area = MOVIES[kind]
    ids = choose_ids(movie.labels[0], name=movie.name, most=most, min_area=area)
    if not ids:
        return
    scores: dict[int, list[Scored]] = {k: [] for k in ids}
    with Session(model, movie.image, axes=movie.axes) as session:
        recorder = record(session)
        for n, k in enumerate(ids, start=1):
            session.add_mask(n, 0, movie.labels[0] == k)
        for result in session.propagate("forward"):
            t = result.frame_idx
            for n, k in enumerate(ids, start=1):
                kept, truth = recorder.kept.pop((t, n), None), movie.labels[t] == k
                if t % every == 1 % every and t and truth.any():
                    scores[k].append(judge(kept, truth, tolerance))
    yield from (("followed", mean(found)) for found in scores.values() if found)


def movies(name: str, args: argparse.Namespace) -> Iterator[LabelledMovie]:
    """Return the movies of a set; of t98g there is nothing to train on."""
    if name == "t98g":
        return t98g(args.data_dir)
    if args.split == "train":
        return seen_movies(RealPictures(args.data_dir, "train"), SOURCES[name])
    return volumes(args.data_dir, SOURCES[name], STARTS[name])


def the_answers(
    model: SAM2, name: str, args: argparse.Namespace
) -> Iterator[tuple[str, Scored]]:
    """Measure one set."""
    if name in OBJECTS:
        items = [
            item
            for item in read_sets(args.data_dir, args.split)
            if item.source == SOURCES[name]
        ]
        for item in spread(items, args.max_pictures):
            yield from ask(model, item, OBJECTS[name], args.tolerance)
        return
    for movie in movies(name, args):
        yield from follow(model, movie, name, args.tolerance, args.every)


def cell(ways: list[dict[str, float]], way: str) -> str:
    """Return the mean of what ships, or the difference to it."""
    values = np.array([found[way] for found in ways])
    if way == SHIPS:
        return f"{values.mean():.3f}"
    gain = values - np.array([found[SHIPS] for found in ways])
    limits = interval(gain)
    within = f" ({limits[0]:+.3f} to {limits[1]:+.3f})" if limits else ""
    return f"{gain.mean():+.3f}{within}"


def main() -> int:
    """Measure, and print one table for each measure."""
    parser = model_parser(__doc__)
    parser.add_argument("--split", choices=("train", "val"), default="val")
    parser.add_argument("--sets", nargs="+", choices=(*OBJECTS, *MOVIES))
    parser.add_argument("--max-pictures", type=int, default=56, help="of a set")
    parser.add_argument("--tolerance", type=float, default=1, help="of F, px")
    parser.add_argument("--every", type=int, default=4, help="frame of a movie counts")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    args = parser.parse_args()
    default = [*OBJECTS, *MOVIES] if args.split == "val" else [*SOURCES]
    torch.set_num_threads(args.threads)
    model = load_model(args.model, device=args.device)
    found: dict[str, list[Scored]] = {}
    for name in args.sets or default:
        began = time.perf_counter()
        for task, scored in the_answers(model, name, args):
            found.setdefault(f"{name}, {task}", []).append(scored)
        seconds = time.perf_counter() - began
        print(f"{name}: {seconds:.0f} s", file=sys.stderr, flush=True)
    for title, measure in (("IoU", "iou"), ("boundary F", "f")):
        columns = [f"{name} ({len(parts)})" for name, parts in found.items()]
        print(f"\n| {title} | {' | '.join(columns)} |")
        print("|" + "---|" * (1 + len(columns)))
        for way in WAYS:
            cells = [
                cell([getattr(s, measure) for s in parts], way)
                for parts in found.values()
            ]
            print(f"| {way} | {' | '.join(cells)} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
