"""What windows bring in small and large frames: looked at through them, and whole.

    python benchmarks/zoom.py DATA_DIR [--model nano] [--sides 512 1024 2048 4096]

The same real objects, none of them trained on and none resized, in larger and larger
frames. Each frame is the middle of one of 4096²:

- nuclei: three mosaics of tiles of 256², from the dark dsb2018 pictures held aside,
  stretched alike; the four tiles in the middle are asked for;
- phase: the two Usiigaci stills held aside, mirrored at their borders (so 1024² is the
  still itself, almost); what lies whole in its middle 512² is asked for;
- t98g (512²; its labels are a model's), plant (100²) and fibsem (250²), mirrored too:
  first masks followed through 12 frames or slices, but for objects that ever touch the
  border.

Against windows: "large" pictures, where one of the largest objects and a little around
it is enlarged to 512² and to 2048², so that it fills half of the frame (in movies a
third).

Both ways take turns on the same objects in one run, one thread, one object after the
other. Differences are given with 95 % (bootstrap over objects); times are medians in ms
(n: how many were timed).
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from accuracy import held_aside, model_parser, pictures, t98g, volumes
from skimage import io
from skimage.transform import resize

from napari_sam2 import Session
from napari_sam2.evaluation.pictures import pick
from napari_sam2.evaluation.report import interval
from napari_sam2.evaluation.users import correction, deepest_point, tight_box
from napari_sam2.model import load_model

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from napari_sam2.model import SAM2

SETS = ("nuclei", "phase", "t98g", "plant", "fibsem")
VOLUMES = {
    "plant": ("plant_nuclei_3d", (0, 50, 75)),  # others begin with nothing whole
    "fibsem": ("fibsem_medulla", (0,)),
}
LARGEST, CORE, TILE = 4096, 512, 256
DARK = 100  # mean of an 8-bit picture that is bright on dark
MIN_AREA = 40
FRAMES = 12
SEED = 0
LARGE_SIDES = (512, 2048)
ZOOMS = (False, True)
TASKS = ("click", "box", "first mask")
FIRST, NEXT, FURTHER, BOXED, FRAME = TIMES = (
    "the first click in a frame",
    "the next click",
    "a further click",
    "a drawn box",
    "a frame of all objects",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """A frame or movie, (T, Y, X), with what is asked for in its middle.

    `core` has (T, h, w) labels, `ids` which of them.
    """

    name: str
    frames: NDArray[np.generic]
    core: NDArray[np.integer]
    ids: Sequence[int]

    def cut(self, side: int) -> NDArray[np.generic]:
        """Return the middle of every frame."""
        start = (self.frames.shape[-1] - side) // 2
        return self.frames[:, start : start + side, start : start + side]


@dataclass(frozen=True, kw_only=True)
class Found:
    """One number of one object; `side` is the frame's, a time is in seconds."""

    kind: str
    item: str
    side: int
    zoom: bool
    what: str
    value: float


def inner_ids(labels: NDArray[np.integer]) -> list[int]:
    """Return labels of the first of (T, h, w) planes that never touch the border."""
    ids, areas = np.unique(labels[0], return_counts=True)
    rim = np.concatenate(
        [labels[:, [0, -1]].ravel(), labels[:, :, [0, -1]].ravel(), [0]]
    )
    last = set(np.unique(labels[1:])) if len(labels) > 1 else set(ids)
    return [
        int(k)
        for k, area in zip(ids, areas, strict=True)
        if area >= MIN_AREA and k not in rim and k in last
    ]


def mirrored(frames: NDArray[np.generic]) -> NDArray[np.generic]:
    """Go on with (T, h, w) frames beyond their borders, up to 4096²."""
    before = [(LARGEST - size) // 2 for size in frames.shape[1:]]
    after = [
        LARGEST - size - b for size, b in zip(frames.shape[1:], before, strict=True)
    ]
    return np.pad(frames, [(0, 0), *zip(before, after, strict=True)], mode="symmetric")


def middle(planes: NDArray[np.generic], side: int) -> NDArray[np.generic]:
    """Return the middle of (T, h, w) planes."""
    y, x = ((size - side) // 2 for size in planes.shape[1:])
    return planes[:, y : y + side, x : x + side]


def nuclei(data_dir: Path, most: int) -> Iterator[Scene]:
    """Return mosaics of dark pictures."""
    tiles = [
        (middle(item.image, TILE)[0], middle(item.labels, TILE)[0])
        for item in held_aside(data_dir, "dsb2018")
        if item.image.ndim == 3 and item.image.mean() < DARK
    ]
    rng = np.random.default_rng(SEED)
    count = LARGEST // TILE
    for k in range(3 if tiles else 0):
        order = [rng.permutation(len(tiles)) for _ in range(count**2 // len(tiles) + 1)]
        frame = np.zeros((1, LARGEST, LARGEST), np.uint8)
        labels = np.zeros((1, LARGEST, LARGEST), np.int32)
        for place, index in zip(
            middle_first(count), np.concatenate(order), strict=False
        ):
            at = tuple(slice(p * TILE, (p + 1) * TILE) for p in place)
            image, own = tiles[index]
            frame[0][at] = image
            inner = np.isin(own, inner_ids(own[None]))
            labels[0][at] = np.where(inner, own + labels.max(), 0)
        core = middle(labels, CORE)
        ids = pick(inner_ids(core), name=f"mosaic {k}", most=most, seed=SEED)
        yield Scene(name=f"mosaic {k}", frames=frame, core=core, ids=ids)


def middle_first(count: int) -> list[tuple[int, int]]:
    """Return the places of a square of tiles, from the middle outwards."""
    places = [(y, x) for y in range(count) for x in range(count)]
    return sorted(places, key=lambda p: max(abs(c - (count - 1) / 2) for c in p))


def phase(data_dir: Path, most: int) -> Iterator[Scene]:
    """Return the stills, mirrored."""
    for picture in pictures(data_dir, "usiigaci_stills", ".tif", None):
        core = middle(picture.labels[None], CORE)
        ids = pick(inner_ids(core), name=picture.name, most=most, seed=SEED)
        frames = mirrored(io.imread(picture.image)[None])
        yield Scene(name=picture.name, frames=frames, core=core, ids=ids)


def movies(data_dir: Path, kind: str, most: int) -> Iterator[Scene]:
    """Return movies or slices of volumes, mirrored."""
    found = volumes(data_dir, *VOLUMES[kind]) if kind in VOLUMES else t98g(data_dir)
    for movie in found:
        image = movie.image
        frames = io.imread(image) if isinstance(image, Path) else np.asarray(image)
        core = movie.labels[:FRAMES]
        ids = pick(inner_ids(core), name=movie.name, most=most, seed=SEED)
        yield Scene(
            name=movie.name, frames=mirrored(frames[:FRAMES]), core=core, ids=ids
        )


def enlarged(
    scene: Scene, most: int, sides: Sequence[int] = LARGE_SIDES
) -> Iterator[tuple[int, Scene]]:
    """Return objects of a scene that fill half of the frame, and the frame's side."""
    height = scene.core.shape[-1]
    corner = (scene.frames.shape[-1] - height) // 2
    # The largest lose least by being enlarged.
    areas = {k: int((scene.core[0] == k).sum()) for k in scene.ids}
    for k in sorted(areas, key=lambda k: -areas[k])[:most]:
        mask = scene.core == k
        y, x, y2, x2 = tight_box(mask.any(0))
        fill = 2 if len(mask) == 1 else 3
        side = int(max(1.1 * max(y2 - y, x2 - x), np.sqrt(fill * mask[0].sum())))
        # The mirrored surroundings are there where the object is near the border.
        top, left = corner + (y + y2 - side) // 2, corner + (x + x2 - side) // 2
        part = scene.frames[:, top : top + side, left : left + side].astype(np.float32)
        labels = np.pad(mask, [(0, 0), (side, side), (side, side)])
        top, left = top - corner + side, left - corner + side
        labels = labels[:, top : top + side, left : left + side]
        low, high = part.min(), part.max()
        for large in sides:
            shape = (len(part), large, large)
            image = resize(part, shape, order=3).clip(low, high)
            yield (
                large,
                Scene(
                    name=f"{scene.name} object {k}, large",
                    frames=image.astype(scene.frames.dtype),
                    core=resize(labels.astype(np.float32), shape, order=1) > 0.5,
                    ids=(1,),
                ),
            )


def overlap(found: NDArray[np.integer], k: int, truth: NDArray[np.bool_]) -> float:
    """Return the IoU of a label of a frame with a mask in its middle."""
    own = found == k
    inner = middle(own[None], truth.shape[-1])[0]
    shared = int(np.count_nonzero(inner & truth))
    return shared / (int(np.count_nonzero(own)) + int(truth.sum()) - shared)


def ask(model: SAM2, kind: str, scene: Scene, side: int, zoom: bool) -> Iterator[Found]:
    """Click on every object of a picture and correct it, then draw its box."""
    offset = (side - scene.core.shape[-1]) // 2
    about = {"kind": kind, "side": side, "zoom": zoom}
    with Session(model, scene.cut(side)[0], axes="YX", zoom=zoom, lanes=1) as session:
        for task in TASKS[:2]:
            for n, k in enumerate(scene.ids):
                truth = scene.core[0] == k
                began = time.perf_counter()
                if task == "click":
                    y, x = deepest_point(truth)
                    session.add_points(1, 0, [(y + offset, x + offset)], [1])
                else:
                    box = [at + offset for at in tight_box(truth)]
                    session.add_box(1, 0, tuple(box))
                labels = session.preview(0).labels
                seconds = time.perf_counter() - began
                item = f"{scene.name} object {k}"
                score = overlap(labels, 1, truth)
                yield Found(item=item, what=task, value=score, **about)
                spent = (NEXT if n else FIRST) if task == "click" else BOXED
                yield Found(item=item, what=spent, value=seconds, **about)
                if task == "click":
                    found = middle(labels[None], truth.shape[-1])[0] == 1
                    seconds = correct(session, found, truth, offset)
                    yield Found(item=item, what=FURTHER, value=seconds, **about)
                session.remove_object(1)


def correct(
    session: Session, found: NDArray[np.bool_], truth: NDArray[np.bool_], offset: int
) -> float:
    """Click where an answer is worst; return how long that took."""
    (y, x), label = correction(found, truth) or (deepest_point(truth), 1)
    began = time.perf_counter()
    session.add_points(1, 0, [(y + offset, x + offset)], [label])
    session.preview(0)
    return time.perf_counter() - began


def follow(
    model: SAM2, kind: str, scene: Scene, side: int, zoom: bool
) -> Iterator[Found]:
    """Give the first masks of a movie and follow them together."""
    about = {"kind": kind, "side": side, "zoom": zoom}
    offset = (side - scene.core.shape[-1]) // 2
    inner = slice(offset, offset + scene.core.shape[-1])
    with Session(model, scene.cut(side), axes="TYX", zoom=zoom, lanes=1) as session:
        for n, k in enumerate(scene.ids, start=1):
            mask = np.zeros((side, side), np.bool_)
            mask[inner, inner] = scene.core[0] == k
            session.add_mask(n, 0, mask)
        scores: dict[int, list[float]] = {k: [] for k in scene.ids}
        began = time.perf_counter()
        for result in session.propagate("forward"):
            seconds = time.perf_counter() - began
            t = result.frame_idx
            if t:
                item = f"{scene.name} frame {t}"
                yield Found(item=item, what=FRAME, value=seconds, **about)
                for n, k in enumerate(scene.ids, start=1):
                    truth = scene.core[t] == k
                    if truth.any():
                        scores[k].append(overlap(result.labels, n, truth))
            began = time.perf_counter()
    for k, values in scores.items():
        item = f"{scene.name} object {k}"
        mean = float(np.mean(values))
        yield Found(item=item, what=TASKS[2], value=mean, **about)


def measure(model: SAM2, name: str, args: argparse.Namespace) -> Iterator[Found]:
    """Measure one set in frames of all sizes, both ways in turns."""
    picture = name in ("nuclei", "phase")
    run = ask if picture else follow
    scenes = (
        {"nuclei": nuclei, "phase": phase}[name](args.data_dir, args.max_objects)
        if picture
        else movies(args.data_dir, name, args.max_objects)
    )
    for scene in scenes:
        for side in args.sides:
            for zoom in ZOOMS:
                yield from run(model, name, scene, side, zoom)
        few = args.max_large if picture else args.max_large // 2
        for side, large in enlarged(scene, few):
            for zoom in ZOOMS:
                yield from run(model, f"{name}, large", large, side, zoom)


def pairs(
    found: Sequence[Found], whats: Sequence[str]
) -> Iterator[tuple[str, int, str, NDArray[np.float64]]]:
    """Yield set, side, what, and (N, 2) numbers: whole frames and windows."""
    groups: dict[tuple[str, int, str], dict[str, dict[bool, float]]] = {}
    for one in found:
        if one.what in whats:
            group = groups.setdefault((one.kind, one.side, one.what), {})
            group.setdefault(one.item, {})[one.zoom] = one.value
    for (kind, side, what), items in groups.items():
        values = [[both[zoom] for zoom in ZOOMS] for both in items.values()]
        yield kind, side, what, np.array(values)


def compared(values: NDArray[np.float64]) -> str:
    """Return both means, and where their difference lies."""
    whole, windows = values.mean(0)
    limits = interval(values[:, 1] - values[:, 0])
    within = f" ({limits[0]:+.2f} to {limits[1]:+.2f})" if limits else ""
    return f"{whole:.2f} / {windows:.2f}{within}".replace("-", "−")


def timed(values: NDArray[np.float64]) -> str:
    """Return both medians in ms, and their ratio."""
    whole, windows = 1000 * np.median(values, 0)
    return f"{whole:.0f} / {windows:.0f} ({windows / whole:.2f})"


def print_tables(found: Sequence[Found]) -> None:
    """Print scores, then times: whole frames / windows, by the frame's side."""
    large = [one for one in found if one.kind.endswith("large")]
    usual = [one for one in found if not one.kind.endswith("large")]
    for part in (usual, large):
        print_table("whole / windows (difference)", part, TASKS, compared)
    for part in (usual, large):
        print_table("whole / windows (ratio)", part, TIMES, timed)


def print_table(
    title: str,
    found: Sequence[Found],
    whats: Sequence[str],
    write: Callable[[NDArray[np.float64]], str],
) -> None:
    """Print one table, a set and task a row, a side a column."""
    cells: dict[tuple[str, str], dict[int, str]] = {}
    counts: dict[tuple[str, str], int] = {}
    for kind, side, what, values in pairs(found, whats):
        cells.setdefault((kind, what), {})[side] = write(values)
        counts[kind, what] = len(values)
    sides = sorted({one.side for one in found})
    print(f"| {title} | n | {' | '.join(f'{side}²' for side in sides)} |")
    print("|" + "---|" * (2 + len(sides)))
    for (kind, what), row in cells.items():
        written = " | ".join(row.get(side, "–") for side in sides)
        print(f"| {kind}, {what} | {counts[kind, what]} | {written} |")
    print()


def main() -> int:
    """Measure, and print the tables."""
    parser = model_parser(__doc__)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--sides", nargs="*", type=int, default=[512, 1024, 2048, 4096])
    parser.add_argument("--max-objects", type=int, default=20, help="of a scene")
    parser.add_argument("--max-large", type=int, default=6, help="of a scene")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--json", type=Path, help="every number, after each set")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = load_model(args.model, device=args.device)
    found: list[Found] = []
    for name in args.sets:
        began = time.perf_counter()
        here = list(measure(model, name, args))
        if not here:
            print(f"{name}: not in {args.data_dir}, left out", file=sys.stderr)
        found += here
        seconds = time.perf_counter() - began
        print(f"{name}: {seconds:.0f} s", file=sys.stderr, flush=True)
        if args.json:
            args.json.write_text(json.dumps([asdict(one) for one in found]))
    print_tables(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
