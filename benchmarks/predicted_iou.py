"""Does the predicted IoU mean what it says? Clicks, boxes and followed masks.

    python benchmarks/predicted_iou.py DATA_DIR [--model nano]

The IoU that the network predicts for its answer beside the true one, on what training
does not see (as `accuracy.py` reads it), through `Session`. Columns: means of both;
how far what is said is from the truth on average (as bins of a tenth; the sign of the
difference of the means says which way); the rank correlation; and the true IoU of
answers that are said to be below 0.5, between, and above 0.8.

Confidence, which is calibrated and not only the network's word, is measured by
`calibration.py`.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import torch
from accuracy import PLANT_STARTS, model_parser, pictures, t98g, volumes
from scipy.stats import spearmanr

from napari_sam2 import Session
from napari_sam2.evaluation.calibration import reliability
from napari_sam2.evaluation.metrics import iou
from napari_sam2.evaluation.pictures import choose_ids
from napari_sam2.evaluation.users import deepest_point, tight_box
from napari_sam2.model import load_model

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_sam2.evaluation.movies import LabelledMovie
    from napari_sam2.evaluation.pictures import LabelledPicture
    from napari_sam2.model import SAM2

PICTURES = {
    "dsb2018": ("dsb2018", ".png", 4),
    "usiigaci": ("usiigaci_stills", ".tif", 24),
}
MOVIES = {"t98g": (None, 20), "plant": (None, 40), "fibsem": (12, 100)}
BINS = ((0.0, 0.5), (0.5, 0.8), (0.8, 1.01))


def ask(
    model: SAM2, picture: LabelledPicture, most: int
) -> Iterator[tuple[str, float, float]]:
    """Yield task, predicted and true IoU of objects clicked on and boxed."""
    ids = choose_ids(picture.labels, name=picture.name, most=most, min_area=20)
    with Session(model, picture.image, axes=picture.axes) as session:
        for k in ids:
            truth = picture.labels == k
            for task in ("click", "box"):
                if task == "click":
                    session.add_points(1, 0, [deepest_point(truth)], [1])
                else:
                    session.add_box(1, 0, tight_box(truth))
                result = session.preview(0)
                yield task, result.scores[1].iou, iou(result.labels == 1, truth)
                session.remove_object(1)


def follow(
    model: SAM2, movie: LabelledMovie, most: int | None, area: int
) -> Iterator[tuple[str, float, float]]:
    """Yield predicted and true IoU of followed masks where there is an object."""
    ids = choose_ids(movie.labels[0], name=movie.name, most=most, min_area=area)
    if not ids:
        return
    with Session(model, movie.image, axes=movie.axes) as session:
        for n, k in enumerate(ids, start=1):
            session.add_mask(n, 0, movie.labels[0] == k)
        for result in session.propagate("forward"):
            for n, k in enumerate(ids, start=1):
                truth = movie.labels[result.frame_idx] == k
                if result.frame_idx and truth.any():
                    true = iou(result.labels == n, truth)
                    yield "followed", result.scores[n].iou, true


def the_answers(
    model: SAM2, name: str, args: argparse.Namespace
) -> Iterator[tuple[str, float, float]]:
    """Measure one set."""
    if name in PICTURES:
        source, suffix, most = PICTURES[name]
        for picture in pictures(args.data_dir, source, suffix, args.max_pictures):
            yield from ask(model, picture, most)
        return
    movies = {
        "t98g": lambda: t98g(args.data_dir),
        "plant": lambda: volumes(args.data_dir, "plant_nuclei_3d", PLANT_STARTS),
        "fibsem": lambda: volumes(args.data_dir, "fibsem_medulla", (0,)),
    }[name]()
    for movie in movies:
        yield from follow(model, movie, *MOVIES[name])


def line(name: str, said: NDArray[np.float64], true: NDArray[np.float64]) -> str:
    """Return one row of the table."""
    cells = [name, str(len(said)), f"{said.mean():.2f}", f"{true.mean():.2f}"]
    # Nothing in it needs outcomes to be yes or no.
    cells.append(f"{reliability(said, true).error:.3f}")
    cells.append(f"{spearmanr(said, true).statistic:.2f}")
    for low, high in BINS:
        here = true[(said >= low) & (said < high)]
        cells.append(f"{here.mean():.2f} ({len(here)})" if len(here) else "–")
    return f"| {' | '.join(cells)} |"


def main() -> int:
    """Measure, and print the table."""
    parser = model_parser(__doc__)
    parser.add_argument(
        "--sets",
        nargs="+",
        choices=(*PICTURES, *MOVIES),
        default=(*PICTURES, *MOVIES),
    )
    parser.add_argument("--max-pictures", type=int, default=56, help="of a set")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = load_model(args.model, device=args.device)
    found: dict[str, list[tuple[float, float]]] = {}
    for name in args.sets:
        began = time.perf_counter()
        for task, said, true in the_answers(model, name, args):
            found.setdefault(f"{name}, {task}", []).append((said, true))
        seconds = time.perf_counter() - began
        print(f"{name}: {seconds:.0f} s", file=sys.stderr, flush=True)
    columns = ["answers to", "answers", "said", "true", "error", "rank correlation"]
    columns += ["true where said < 0.5", "0.5 to 0.8", "> 0.8"]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for name, pairs in found.items():
        print(line(name, *np.array(pairs).T))
    return 0


if __name__ == "__main__":
    sys.exit(main())
