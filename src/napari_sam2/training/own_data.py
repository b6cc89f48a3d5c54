"""A user's own labels as an endless source of training pictures and clips.

Frames are read when they are drawn from, one at a time, and a few are kept. Crops lie
around single objects and are a few times their size, as in use.

Shapes: S side of a sample, T frames.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_sam2.stacks import StackError
from napari_sam2.stacks.labelled import compact
from napari_sam2.training import warps
from napari_sam2.training.datasets import moved_picture
from napari_sam2.training.retouch import draw_retouch
from napari_sam2.training.synthetic import relabel

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from numpy.typing import NDArray

    from napari_sam2.stacks import Stack

    Sample = tuple[NDArray[np.float32], NDArray[np.int32]]

SMALLEST_AREA = 20
SMALLEST_SIDE = 48.0
NARROW, WIDE = 1.5, 6.0  # sides of a crop, in sides of the object
KEPT_BYTES = 512_000_000
RETOUCHED = 0.5
TRIES = 100


@dataclass(frozen=True, kw_only=True, eq=False)
class Annotated:
    """A movie, a volume or a picture (one frame), and labels of some of its objects.

    Attributes
    ----------
    name
        What to call it.
    stack
        Its frames.
    labels
        (T, Y, X) int array-like, 0 background, the same id through time. Frames
        without any label count as not looked at.
    """

    name: str
    stack: Stack
    labels: Any

    def __post_init__(self) -> None:
        """Refuse labels of other frames."""
        if tuple(self.labels.shape) != self.stack.shape:
            message = (
                f"{self.name} has frames (T, Y, X) {self.stack.shape} but labels "
                f"{tuple(self.labels.shape)}: give labels for these frames."
            )
            raise StackError(message)

    def plane(self, frame_idx: int) -> NDArray[Any]:
        """Return the labels (Y, X) of a frame."""
        return np.asarray(self.labels[frame_idx])


@dataclass(frozen=True, kw_only=True, order=True)
class ObjectKey:
    """One object: which of the annotated items it is in, and its id."""

    item: int
    object_id: int


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """An object in one frame: where, in pixels (y, x, y2, x2)."""

    frame_idx: int
    box: tuple[int, int, int, int]


@dataclass(kw_only=True)
class Census:
    """Where every object is.

    Attributes
    ----------
    sightings
        The frames that show an object, by object.
    labelled
        For each item, the frames that have labels, in order.
    """

    sightings: dict[ObjectKey, list[Sighting]] = field(default_factory=dict)
    labelled: dict[int, list[int]] = field(default_factory=dict)


def take_census(items: Sequence[Annotated]) -> Generator[int, None, Census]:
    """Look through all labels.

    Parameters
    ----------
    items
        What was annotated. Objects below 20 px in a frame are overlooked there.

    Yields
    ------
    int
        How many frames have been looked through.

    Returns
    -------
    Census
        Where every object is.
    """
    done = 0
    census = Census()
    for number, item in enumerate(items):
        for t in range(item.stack.n_frames):
            ids, places = compact(np.maximum(item.plane(t), 0))
            boxes = ndimage.find_objects(places, max_label=len(ids) - 1)
            areas = np.bincount(places.ravel(), minlength=len(ids))
            for object_id, area, (rows, cols) in zip(
                ids[1:].tolist(), areas[1:], boxes, strict=True
            ):
                if area < SMALLEST_AREA:
                    continue
                key = ObjectKey(item=number, object_id=object_id)
                box = (rows.start, cols.start, rows.stop, cols.stop)
                sighting = Sighting(frame_idx=t, box=box)
                census.sightings.setdefault(key, []).append(sighting)
            if len(boxes):
                census.labelled.setdefault(number, []).append(t)
            done += 1
            yield done
    return census


def divide(
    census: Census, share: float, seed: int
) -> tuple[list[ObjectKey], list[ObjectKey]]:
    """Divide objects into those to learn from and those held aside.

    Parameters
    ----------
    census
        Where they are.
    share
        Of objects held aside, in (0, 1).
    seed
        For another division.

    Returns
    -------
    learn, aside
        Where there are at least eight items, whole items are held aside; otherwise
        objects of every item. At least two are held aside.

    Raises
    ------
    ValueError
        If there are fewer than five objects.
    """
    keys = sorted(census.sightings)
    if len(keys) < 5:
        message = (
            f"There are {len(keys)} labelled objects of at least {SMALLEST_AREA} "
            "pixels: label at least five, some are held aside to see what it brings."
        )
        raise ValueError(message)
    rng = np.random.default_rng([seed, len(keys)])
    items = sorted({key.item for key in keys})
    if len(items) >= 8:
        count = max(1, round(share * len(items)))
        chosen = set(rng.permutation(items)[:count].tolist())
        aside = [key for key in keys if key.item in chosen]
    else:
        count = min(max(2, round(share * len(keys))), len(keys) - 3)
        aside = [keys[i] for i in sorted(rng.permutation(len(keys))[:count])]
    hidden = set(aside)
    return [key for key in keys if key not in hidden], aside


class OwnPictures:
    """Draws samples around the objects to learn from; others stay unlabelled.

    Parameters
    ----------
    items
        What was annotated.
    census
        From `take_census`.
    learn
        The objects to draw around.
    """

    def __init__(
        self, items: Sequence[Annotated], census: Census, learn: Sequence[ObjectKey]
    ) -> None:
        self._items = items
        self._census = census
        self._learn = list(learn)
        self._ids: dict[int, NDArray[np.int64]] = {}
        for number in range(len(items)):
            own = [key.object_id for key in learn if key.item == number]
            self._ids[number] = np.array(own, np.int64)
        self._kept: OrderedDict[tuple[int, int], Any] = OrderedDict()

    def sample_picture(self, rng: np.random.Generator, size: int = 256) -> Sample:
        """Draw a crop around an object, (S, S, 3) in [0, 1] and labels (S, S)."""
        for _ in range(TRIES):
            key, seen = self._choose(rng)
            image, labels = self._frame(key.item, seen.frame_idx)
            window = self._window(rng, seen, labels.shape, size)
            y, x = window.coordinates(size)
            plane = relabel(warps.resample_labels(labels, y, x))
            if plane.any():
                scale = float(window.sides.min()) / size
                return _retouched(rng, [warps.resample(image, y, x, scale)])[0], plane
        raise _nothing_drawn()

    def sample_clip(
        self, rng: np.random.Generator, size: int = 256, n_frames: int = 8
    ) -> Sample:
        """Draw T frames around an object, (T, S, S, 3) in [0, 1] and labels.

        Neighbouring labelled frames of a movie or volume, forwards or backwards; a
        single picture is made to move.
        """
        for _ in range(TRIES):
            key, seen = self._choose(rng)
            order = self._order(rng, key.item, seen.frame_idx, n_frames)
            if len(order) < n_frames:
                image, labels = self._frame(key.item, seen.frame_idx)
                window = self._window(rng, seen, labels.shape, size)
                pixels, planes = moved_picture(
                    rng, image, labels, window, size, n_frames
                )
            else:
                pixels, planes = self._consecutive(rng, key.item, seen, order, size)
            planes = relabel(planes)
            if planes[0].any():
                return _retouched(rng, pixels), planes
        raise _nothing_drawn()

    def _choose(self, rng: np.random.Generator) -> tuple[ObjectKey, Sighting]:
        key = self._learn[int(rng.integers(len(self._learn)))]
        sightings = self._census.sightings[key]
        return key, sightings[int(rng.integers(len(sightings)))]

    def _order(
        self, rng: np.random.Generator, item: int, frame_idx: int, n_frames: int
    ) -> list[int]:
        """List labelled frames from one on, in a random direction where both go."""
        labelled = self._census.labelled[item]
        at = labelled.index(frame_idx)
        onwards = labelled[at : at + n_frames]
        back = labelled[max(at - n_frames + 1, 0) : at + 1][::-1]
        ways = [way for way in (onwards, back) if len(way) == n_frames]
        return ways[int(rng.integers(len(ways)))] if ways else []

    def _consecutive(
        self,
        rng: np.random.Generator,
        item: int,
        seen: Sighting,
        order: Sequence[int],
        size: int,
    ) -> tuple[NDArray[np.float32], NDArray[Any]]:
        _, first = self._frame(item, order[0])
        window = self._window(rng, seen, first.shape, size)
        y, x = window.coordinates(size)
        scale = float(window.sides.min()) / size
        pixels, planes = [], []
        for t in order:
            image, labels = self._frame(item, t)
            pixels.append(warps.resample(image, y, x, scale))
            planes.append(warps.resample_labels(labels, y, x))
        return np.stack(pixels), np.stack(planes)

    def _frame(self, item: int, frame_idx: int) -> tuple[NDArray[np.float32], Any]:
        """Read (Y, X) or (Y, X, 3) in [0, 1], and the labels to learn from."""
        key = item, frame_idx
        if key not in self._kept:
            found = self._items[item]
            planes = found.stack.scaled(found.stack.read_raw(frame_idx))
            image = planes[..., 0] if planes.shape[-1] == 1 else planes
            labels = found.plane(frame_idx)
            known = np.where(np.isin(labels, self._ids[item]), labels, 0)
            self._kept[key] = image, known.astype(np.int32)
            held = sum(a.nbytes + b.nbytes for a, b in self._kept.values())
            while held > KEPT_BYTES and len(self._kept) > 1:
                _, (a, b) = self._kept.popitem(last=False)
                held -= a.nbytes + b.nbytes
        self._kept.move_to_end(key)
        image, labels = self._kept[key]
        return image, labels

    def _window(
        self,
        rng: np.random.Generator,
        seen: Sighting,
        shape: tuple[int, ...],
        size: int,
    ) -> warps.Window:
        """Draw a crop around an object, a few times its size, turned and bent."""
        y, x, y2, x2 = seen.box
        extent = float(max(y2 - y, x2 - x))
        side = extent * np.exp(rng.uniform(np.log(NARROW), np.log(WIDE)))
        side = float(np.clip(side, SMALLEST_SIDE, max(min(shape), SMALLEST_SIDE)))
        room = max(side - extent, 0) / 2
        middle = np.array([(y + y2 - 1) / 2, (x + x2 - 1) / 2])
        flips = rng.random(3) < 0.5
        bump = None
        if rng.random() < 0.3:
            bump = warps.elastic(rng, size, float(rng.uniform(0.02, 0.15)))
        return warps.Window(
            centre=middle + rng.uniform(-0.8, 0.8, 2) * room,
            sides=side * np.exp(rng.uniform(-0.1, 0.1, 2)),
            angle=float(rng.uniform(0, 2 * np.pi)) if rng.random() < 0.3 else 0.0,
            flip=(bool(flips[0]), bool(flips[1]), bool(flips[2])),
            bump=bump,
        )


def _retouched(
    rng: np.random.Generator, pixels: Sequence[NDArray[np.float32]] | NDArray[Any]
) -> NDArray[np.float32]:
    """Change the appearance of half the samples; (T, S, S, 3)."""
    frames = np.stack([_coloured(frame) for frame in pixels])
    if rng.random() >= RETOUCHED:
        return frames
    return draw_retouch(rng, frames.shape[1]).apply(rng, frames)


def _coloured(frame: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.repeat(frame[..., None], 3, axis=-1) if frame.ndim == 2 else frame


def _nothing_drawn() -> ValueError:
    return ValueError(
        "No crop around the labelled objects shows one: are the labels those of the "
        "image?"
    )
