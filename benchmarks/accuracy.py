"""How good is a model on real data it was not trained on? One table.

    python benchmarks/accuracy.py DATA_DIR [--model nano] [--pictures FOLDER]

DATA_DIR holds the public sets (`napari_sam2.training.real_sets` names the folders);
what training holds aside is used, and the sets it never reads. Every number goes
through `Session`, so it is what a user gets.

- dsb2018, usiigaci: one click at the deepest point of each object, 3 and 5 clicks with
  corrections in the largest error, and the tight box (baseline: the ellipse in it);
- t98g (a model's labels: agreement, not accuracy), plant, fibsem, davis: every object's
  mask on the first frame or slice, followed (baseline: that mask repeated). A score
  counts the later frames that show the object; `absent` is the share of the others
  that were left empty.

By default a part is measured, the same each time (the table says how many objects);
`--full` takes everything.

The same measures for data of one's own: `napari-sam2 evaluate`, docs/evaluation.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from skimage import io, measure

from napari_sam2.evaluation.cases import draw_cases
from napari_sam2.evaluation.datasets import find_data, spread
from napari_sam2.evaluation.movies import LabelledMovie, evaluate_movie
from napari_sam2.evaluation.pictures import LabelledPicture, evaluate_pictures
from napari_sam2.evaluation.report import (
    as_json,
    as_markdown,
    as_text,
    beside,
    make_rows,
)
from napari_sam2.evaluation.scores import (
    ELLIPSE,
    REPEATED,
    movie_scores,
    picture_scores,
)
from napari_sam2.model import load_model
from napari_sam2.training.real_sets import read_sets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_sam2.evaluation.report import Row
    from napari_sam2.model import SAM2
    from napari_sam2.training.real_sets import RealItem

SETS = ("dsb2018", "usiigaci", "t98g", "plant", "fibsem", "davis")
SLICES = 25  # as many as a volume is followed through
PLANT_STARTS = (0, 25, 50, 75)


def held_aside(data_dir: Path, source: str) -> list[RealItem]:
    """Return the items of one set that training does not see."""
    return [item for item in read_sets(data_dir, "val") if item.source == source]


def pictures(
    data_dir: Path, source: str, suffix: str, most: int | None
) -> list[LabelledPicture]:
    """Return pictures of a set, as stored."""
    return [
        LabelledPicture(
            name=item.name,
            image=data_dir / source / f"{item.name}_image{suffix}",
            labels=item.labels[0],
        )
        for item in spread(held_aside(data_dir, source), most)
    ]


def t98g(data_dir: Path) -> Iterator[LabelledMovie]:
    """Return the phase-contrast movie, 16 bit as stored."""
    folder = data_dir / "t98g_movie"
    if (folder / "movie.tif").is_file():
        labels = io.imread(folder / "labels.tif")
        yield LabelledMovie(
            name="t98g", image=folder / "movie.tif", labels=labels, axes="TYX"
        )


def volumes(
    data_dir: Path, source: str, starts: tuple[int, ...]
) -> Iterator[LabelledMovie]:
    """Return parts of the volumes held aside; each connected piece is an object."""
    for item in held_aside(data_dir, source):
        for start in starts:
            part = slice(start, start + SLICES)
            yield LabelledMovie(
                name=f"{item.name} from {start}",
                image=item.image[part],
                labels=measure.label(item.labels[part], connectivity=1),
                axes="ZYX",
            )


def davis(data_dir: Path) -> Iterator[LabelledMovie]:
    """Return natural videos whose single object is annotated on every frame."""
    folder = data_dir / "davis_val_480p"
    if folder.is_dir():
        yield from (files.read_movie() for files in find_data(folder).movies)


def measure_set(
    model: SAM2, name: str, args: argparse.Namespace
) -> tuple[list[Row], list]:
    """Return the rows of one set and its cases; both empty when it is not there."""
    data_dir, most = args.data_dir, args.max_objects
    if name in ("dsb2018", "usiigaci"):
        source, suffix, factor = {
            "dsb2018": ("dsb2018", ".png", 1),
            "usiigaci": ("usiigaci_stills", ".tif", 6),  # two pictures only
        }[name]
        chosen = pictures(data_dir, source, suffix, args.max_pictures)
        few = most and most * factor
        answers = list(evaluate_pictures(model, chosen, max_objects=few))
        scores = picture_scores(name, name, args.model, answers)
        return beside(make_rows(scores), (ELLIPSE,)), [a.case for a in answers]
    movies, few, area = {
        "t98g": (t98g(data_dir), None, 20),
        "plant": (volumes(data_dir, "plant_nuclei_3d", PLANT_STARTS), None, 40),
        "fibsem": (volumes(data_dir, "fibsem_medulla", (0,)), most and 3 * most, 100),
        "davis": (davis(data_dir), None, 20),
    }[name]
    scores, every = [], []
    for movie in movies:
        tracked = evaluate_movie(
            model, movie, max_objects=few, min_area=area, boundaries=name == "davis"
        )
        every += tracked
        called = f"davis {movie.name}" if name == "davis" else name
        scores += movie_scores(called, movie.name, args.model, tracked)
    return beside(make_rows(scores), (REPEATED,)), [a.case for a in every]


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = model_parser(__doc__)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--max-pictures", type=int, default=56, help="of a set")
    parser.add_argument("--max-objects", type=int, default=4, help="of a picture")
    parser.add_argument("--full", action="store_true", help="everything there is")
    parser.add_argument("--pictures", type=Path, help="folder for pictures of cases")
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--json", action="store_true", help="one line of JSON instead")
    parser.add_argument("--threads", type=int, default=0, help="of torch; 0: its own")
    parser.add_argument("--recent-memories", type=int, help="0 to 6; default: 6")
    args = parser.parse_args(arguments)
    if args.full:
        args.max_pictures = args.max_objects = None
    return args


def model_parser(doc: str | None) -> argparse.ArgumentParser:
    """Return a parser that asks for the data and a model, as several scripts do."""
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data_dir", type=Path, help="folder with the public sets")
    parser.add_argument("--model", default="nano", help="a name or a checkpoint")
    parser.add_argument("--device", default="auto")
    return parser


def main() -> int:
    """Measure, and print the table."""
    args = parse()
    if args.threads:
        torch.set_num_threads(args.threads)
    model = load_model(
        args.model, device=args.device, recent_memories=args.recent_memories
    )
    rows: list[Row] = []
    seconds: dict[str, float] = {}
    for name in args.sets:
        began = time.perf_counter()
        found, cases = measure_set(model, name, args)
        seconds[name] = round(time.perf_counter() - began, 1)
        if not found:
            print(f"{name}: not in {args.data_dir}, left out", file=sys.stderr)
            continue
        rows += found
        if args.pictures:
            args.pictures.mkdir(parents=True, exist_ok=True)
            draw_cases(args.pictures / f"{name}.png", cases)
        print(f"{name}: {seconds[name]} s", file=sys.stderr, flush=True)
    if args.json:
        print(json.dumps(as_json(rows, model=str(args.model), seconds=seconds)))
    else:
        print((as_markdown if args.markdown else as_text)(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
