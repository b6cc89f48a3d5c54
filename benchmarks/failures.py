"""Draw what goes wrong typically: the picture, the truth and the answer.

    python benchmarks/failures.py DATA_DIR [--out docs/images/failures.png]

Six objects of what training holds aside, chosen by eye among the worst that
`accuracy.py --pictures` shows, one of a kind. Each has three tiles: what was given (a
click, or the mask on the first frame), the truth in green, the answer in pink.

From Data Science Bowl 2018 (CC0), Usiigaci (MIT; the truth of the movie is a model's)
and the FIB-SEM medulla of neuroproof_examples (CC BY, Janelia FlyEM).
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from accuracy import pictures, t98g, volumes
from PIL import Image, ImageDraw

from napari_sam2 import Session
from napari_sam2.evaluation.cases import ANSWER, CLICK, TRUTH, cut_out
from napari_sam2.evaluation.metrics import iou
from napari_sam2.evaluation.users import deepest_point
from napari_sam2.model import load_model
from napari_sam2.stacks.writing import save_picture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_sam2.evaluation.cases import Panel
    from napari_sam2.evaluation.pictures import LabelledPicture
    from napari_sam2.model import SAM2

    Mask = NDArray[np.bool_]

TILE, GAP, LINE = 190, 4, 15
SOURCES = {"dsb2018": ".png", "usiigaci_stills": ".tif"}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """One object: clicked on in a picture, or followed to a frame of a movie."""

    title: str
    source: str
    item: str = ""
    object_id: int
    frame: int = 0


WANTED = (
    Wanted(
        title="Halo: a rounded cell in phase contrast",
        source="usiigaci_stills",
        item="set37",
        object_id=9,
    ),
    Wanted(
        title="Touching spread cells: the neighbour is taken too",
        source="usiigaci_stills",
        item="set45",
        object_id=15,
    ),
    Wanted(
        title="A speck beside something bright and large",
        source="dsb2018",
        item="2a2032c4ed78",
        object_id=10,
    ),
    Wanted(
        title="Stained tissue with little contrast",
        source="dsb2018",
        item="08275a5b1c2d",
        object_id=44,
    ),
    Wanted(
        title="A cell that changes its looks: rounded, then spread",
        source="t98g",
        object_id=27,
        frame=8,
    ),
    Wanted(
        title="Neuropil: a thin process that branches",
        source="fibsem",
        object_id=55,
        frame=9,
    ),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Shown:
    """A title and three tiles."""

    title: str
    tiles: tuple[Image.Image, Image.Image, Image.Image]
    captions: tuple[str, str, str]


def clicked(model: SAM2, wanted: Wanted, picture: LabelledPicture) -> Shown:
    """Click once on an object of a picture."""
    truth = picture.labels == wanted.object_id
    point = deepest_point(truth)
    with Session(model, picture.image) as session:
        session.add_points(1, 0, [point], [1])
        result = session.preview(0)
        image = session.stack.read(0)
    mask = result.labels == 1
    score, said = iou(mask, truth), result.scores[1].iou
    panel = cut_out(image, truth, mask, "", around=truth, clicks=[(point, 1)])
    return Shown(
        title=wanted.title,
        tiles=(
            tile(panel),
            tile(panel, panel.truth, TRUTH),
            tile(panel, panel.mask, ANSWER),
        ),
        captions=("one click", "truth", f"answer: IoU {score:.2f}, said {said:.2f}"),
    )


def followed(model: SAM2, data_dir: Path, wanted: Wanted) -> Shown:
    """Follow an object to a frame."""
    found = (
        t98g(data_dir)
        if wanted.source == "t98g"
        else volumes(data_dir, "fibsem_medulla", (0,))
    )
    movie = next(found)
    first, truth = (movie.labels[t] == wanted.object_id for t in (0, wanted.frame))
    mask, said = np.zeros_like(truth), 0.0
    with Session(model, movie.image, axes=movie.axes) as session:
        session.add_mask(1, 0, first)
        for result in session.propagate("forward"):
            if result.frame_idx == wanted.frame:
                mask, said = result.labels == 1, result.scores[1].iou
                break
        images = [session.stack.read(t) for t in (0, wanted.frame)]
    score = iou(mask, truth)
    before = cut_out(images[0], first, first, "", around=first | truth)
    panel = cut_out(images[1], truth, mask, "", around=first | truth)
    return Shown(
        title=wanted.title,
        tiles=(
            tile(before, before.truth, CLICK),
            tile(panel, panel.truth, TRUTH),
            tile(panel, panel.mask, ANSWER),
        ),
        captions=(
            "mask given, frame 0",
            f"truth, frame {wanted.frame}",
            f"answer: IoU {score:.2f}, said {said:.2f}",
        ),
    )


def tile(
    panel: Panel,
    mask: Mask | None = None,
    colour: tuple[int, int, int] = TRUTH,
) -> Image.Image:
    """Return a panel enlarged, with an outline, or with its clicks."""
    pixels = np.rint(panel.image.clip(0, 1) * 255).astype(np.uint8)
    if pixels.shape[-1] == 1:
        pixels = np.repeat(pixels, 3, axis=-1)
    size = (TILE, TILE)
    canvas = np.array(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))
    if mask is not None:
        large = np.array(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))
        core = np.pad(large, 1, mode="edge")
        core = core[2:, 1:-1] & core[:-2, 1:-1] & core[1:-1, 2:] & core[1:-1, :-2]
        canvas[large & ~core] = colour
    drawn = Image.fromarray(canvas)
    pen = ImageDraw.Draw(drawn)
    zoom = TILE / len(panel.image)
    for (y, x), _ in panel.clicks if mask is None else ():
        row, col = (y + 0.5) * zoom, (x + 0.5) * zoom
        pen.line((col - 6, row, col + 6, row), fill=CLICK, width=2)
        pen.line((col, row - 6, col, row + 6), fill=CLICK, width=2)
    return drawn


def sheet(shown: list[Shown]) -> Image.Image:
    """Put cases on one picture, two in a row."""
    wide, high = 3 * (TILE + GAP) + 3 * GAP, TILE + 2 * LINE + 3 * GAP
    rows = -(-len(shown) // 2)
    drawn = Image.new("RGB", (2 * wide, rows * high), (24, 24, 24))
    pen = ImageDraw.Draw(drawn)
    for k, case in enumerate(shown):
        x, y = k % 2 * wide + GAP, k // 2 * high
        pen.text((x, y + 2), case.title, fill=(255, 255, 255))
        for n, (part, caption) in enumerate(
            zip(case.tiles, case.captions, strict=True)
        ):
            left = x + n * (TILE + GAP)
            drawn.paste(part, (left, y + LINE + GAP))
            below = y + LINE + TILE + GAP + 1
            pen.text((left, below), caption, fill=(190, 190, 190))
    return drawn


def the_cases(model: SAM2, data_dir: Path) -> Iterator[Shown]:
    """Ask for every wanted object."""
    for wanted in WANTED:
        if wanted.source in SOURCES:
            suffix = SOURCES[wanted.source]
            for picture in pictures(data_dir, wanted.source, suffix, None):
                if picture.name == wanted.item:
                    yield clicked(model, wanted, picture)
        else:
            yield followed(model, data_dir, wanted)


def main() -> int:
    """Draw the picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data_dir", type=Path, help="folder with the public sets")
    parser.add_argument("--model", default="nano", help="a name or a checkpoint")
    parser.add_argument("--out", type=Path, default=Path("docs/images/failures.png"))
    args = parser.parse_args()
    shown = list(the_cases(load_model(args.model), args.data_dir))
    if len(shown) < len(WANTED):
        print(f"Found {len(shown)} of {len(WANTED)} objects.", file=sys.stderr)
        return 1
    save_picture(sheet(shown), args.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
