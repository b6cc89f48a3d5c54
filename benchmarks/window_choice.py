"""Would a first click choose its window better if larger ones cost something?

    python benchmarks/window_choice.py DATA_DIR [--split train]

A first click looks through windows of all sizes and takes the mask that
`tracking/scouting.py` scores best. Here every mask of every window is kept with its
score and its true IoU, and the choice is made again with a cost for each doubling of
the window's side: mean IoU, in brackets where the difference to no cost lies with 95 %
(bootstrap over objects), beside the best choice possible. Choose on `--split train`;
val says what it is worth, and has the enlarged cells of `zoom.py` as well. The masks
chosen from are those that a session would draw.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from zoom import enlarged, nuclei, phase

from napari_sam2 import Session
from napari_sam2.evaluation.datasets import spread
from napari_sam2.evaluation.metrics import iou
from napari_sam2.evaluation.pictures import choose_ids
from napari_sam2.evaluation.report import interval
from napari_sam2.evaluation.users import deepest_point
from napari_sam2.model import load_model
from napari_sam2.tracking.masks import patch_from_logits, tidy
from napari_sam2.tracking.scouting import zoom_scores
from napari_sam2.tracking.windows import SMALLEST, whole, window_around, window_sides
from napari_sam2.training.real_sets import read_sets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_sam2.model import SAM2

COSTS = (0, 0.1, 0.2, 0.3, 0.4, 0.6)
SETS = {"dsb2018": 3, "usiigaci_stills": 24}  # objects of a picture
LARGE = 4
MIN_AREA = 20


def choices(
    model: SAM2,
    image: NDArray[np.generic],
    labels: NDArray[np.integer],
    ids: list[int],
) -> Iterator[NDArray[np.float64]]:
    """Yield for each object (N, 3): doublings of the side, score and IoU of masks."""
    shape = labels.shape
    axes = "YXC" if image.ndim == 3 else "YX"
    with Session(model, image, axes=axes, zoom=True) as session:
        for k in ids:
            truth = labels == k
            point = deepest_point(truth)
            session.add_points(1, 0, [point], [1])
            engine = session._engine
            prompts = engine.state.objects[1].said(0)
            found = []
            for window in [
                *(window_around(point, side, shape) for side in window_sides(shape)),
                whole(shape),
            ]:
                features = engine.frames.features(0, window=window)
                logits, ious = engine.tracker.candidates(window, features, prompts)
                scores = zoom_scores(logits, ious, window, shape, [(point, 1)])
                doublings = np.log2(np.sqrt(np.prod(window.shape)) / SMALLEST)
                for low_res, score in zip(logits, scores, strict=True):
                    mask = np.zeros(shape, np.bool_)
                    patch = tidy(patch_from_logits(low_res.numpy(), window.shape))
                    mask[window.place] = patch.mask(window.shape)
                    found.append((doublings, float(score), iou(mask, truth)))
            yield np.array(found)
            session.remove_object(1)


def measure(
    model: SAM2, args: argparse.Namespace
) -> dict[str, list[NDArray[np.float64]]]:
    """Return every choice, by set."""
    found: dict[str, list[NDArray[np.float64]]] = {}
    items = list(read_sets(args.data_dir, args.split))
    for source, most in SETS.items():
        own = [item for item in items if item.source == source]
        for item in spread(own, args.max_pictures):
            labels = item.labels[0]
            ids = choose_ids(labels, name=item.name, most=most, min_area=MIN_AREA)
            made = choices(model, item.image[0], labels, ids)
            found.setdefault(source, []).extend(made)
    if args.split == "val":
        for name, scenes in (("nuclei, large", nuclei), ("phase, large", phase)):
            for scene in scenes(args.data_dir, LARGE):
                for _, large in enlarged(scene, LARGE, sides=(512,)):
                    made = choices(
                        model, large.frames[0], large.core[0].astype(int), [1]
                    )
                    found.setdefault(name, []).extend(made)
    return found


def main() -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data_dir", type=Path, help="folder with the public sets")
    parser.add_argument("--model", default="nano", help="a name or a checkpoint")
    parser.add_argument("--split", choices=("train", "val"), default="val")
    parser.add_argument("--max-pictures", type=int, default=45, help="of a set")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    found = measure(load_model(args.model), args)
    heads = [f"{cost:g}" for cost in COSTS]
    print(f"| cost of a doubling | n | {' | '.join(heads)} | best |")
    print("|" + "---|" * (3 + len(COSTS)))
    for name, objects in found.items():
        chosen = {
            cost: np.array([c[np.argmax(c[:, 1] - cost * c[:, 0]), 2] for c in objects])
            for cost in COSTS
        }
        cells = []
        for cost in COSTS:
            cell = f"{chosen[cost].mean():.3f}"
            limits = interval(chosen[cost] - chosen[0]) if cost else None
            if limits:
                cell += f" ({limits[0]:+.3f} to {limits[1]:+.3f})".replace("-", "−")
            cells.append(cell)
        best = np.mean([c[:, 2].max() for c in objects])
        print(f"| {name} | {len(objects)} | {' | '.join(cells)} | {best:.3f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
