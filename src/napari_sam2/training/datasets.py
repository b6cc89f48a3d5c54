"""Real microscopy (and a little natural video) as training pictures and clips.

`RealPictures` reads the folder of public sets once into memory (`real_sets`) and
then draws random crops at random scales with random appearance, in the same form
as `synthetic`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from skimage import measure

from napari_sam2.training import warps
from napari_sam2.training.real_sets import read_sets
from napari_sam2.training.retouch import draw_retouch
from napari_sam2.training.synthetic import relabel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sam2.training.real_sets import RealItem, Split

    Sample = tuple[NDArray[np.float32], NDArray[np.int32]]

_PICTURE_SHARE = {
    "dsb2018": 0.42,
    "usiigaci_stills": 0.36,
    "plant_nuclei_3d": 0.05,
    "fibsem_medulla": 0.12,
    "davis_train_240p": 0.05,
}
_CLIP_SHARE = {
    "dsb2018": 0.18,
    "usiigaci_stills": 0.4,
    "plant_nuclei_3d": 0.1,
    "fibsem_medulla": 0.17,
    "davis_train_240p": 0.15,
}
_SMALLEST_SIDE = 96.0
_LARGEST_STRETCH = 1.5


@dataclass(kw_only=True)
class _Group:
    """Items of one set and how often each is drawn."""

    items: list[RealItem] = field(default_factory=list)

    def chances(self) -> NDArray[np.float64]:
        """Rarer picture shapes (stains, in dsb2018) are drawn more often."""
        shapes = [str(item.image.shape[1:]) for item in self.items]
        chance = np.array([shapes.count(shape) ** -0.5 for shape in shapes])
        return np.asarray(chance / chance.sum(), dtype=np.float64)


class RealPictures:
    """The real sets of a folder, in memory, as an endless source of samples.

    Parameters
    ----------
    data_dir
        Folder that holds the sets.
    split
        "train" or "val"; no picture, volume or slice is in both.

    Attributes
    ----------
    items
        Everything loaded, for evaluation on whole pictures and volumes.

    Raises
    ------
    FileNotFoundError
        When the folder holds none of the known sets.
    """

    def __init__(self, data_dir: Path | str, split: Split = "train") -> None:
        folder = Path(data_dir)
        self.split = split
        self.items: list[RealItem] = list(read_sets(folder, split))
        self._groups: dict[str, _Group] = {}
        for item in self.items:
            if item.labels.any():
                self._groups.setdefault(item.source, _Group()).items.append(item)
        if not self._groups:
            message = (
                f"No training set found in {folder}: it should hold folders such as "
                f"{', '.join(_PICTURE_SHARE)}"
            )
            raise FileNotFoundError(message)
        self._chances = {k: group.chances() for k, group in self._groups.items()}

    def sample_picture(self, rng: np.random.Generator, size: int = 256) -> Sample:
        """Draw a random crop at a random scale with a random appearance.

        Parameters
        ----------
        rng
            Source of all randomness.
        size
            Side of the result in pixels.

        Returns
        -------
        image
            (H, W, 3) float32 in [0, 1].
        labels
            (H, W) int32, 0 background, 1..K objects of at least 12 px; K >= 1.
        """
        while True:
            item = self._choose(rng, _PICTURE_SHARE)
            image, labels = _a_frame(rng, item)
            window = _draw_window(rng, labels, size)
            y, x = window.coordinates(size)
            plane = warps.resample_labels(labels, y, x)
            if item.isotropic:
                plane = _connected(plane)
            plane = relabel(plane)
            if not plane.any():
                continue
            pixels = warps.resample(image, y, x, float(window.sides.min()) / size)
            return draw_retouch(rng, size).apply(rng, [pixels])[0], plane

    def sample_clip(
        self, rng: np.random.Generator, size: int = 256, n_frames: int = 8
    ) -> Sample:
        """Draw a clip: slices of a volume, frames of a film, or a moved picture.

        Parameters
        ----------
        rng
            Source of all randomness.
        size
            Side of the result in pixels.
        n_frames
            Number of frames T; a film or volume that is shorter is played back
            and forth.

        Returns
        -------
        frames
            (T, H, W, 3) float32 in [0, 1].
        labels
            (T, H, W) int32, the same id in every frame. Frame 0 shows at least one.
        """
        while True:
            item = self._choose(rng, _CLIP_SHARE)
            if len(item.image) == 1:
                image, plane = item.image[0], item.labels[0]
                window = _draw_window(rng, plane, size)
                pixels, labels = moved_picture(
                    rng, image, plane, window, size, n_frames
                )
            else:
                pixels, labels = _consecutive(rng, item, size, n_frames)
            if rng.random() < 0.5:
                pixels, labels = pixels[::-1], labels[::-1]
            planes = relabel(labels)
            if planes[0].any():
                return draw_retouch(rng, size).apply(rng, pixels), planes

    def _choose(self, rng: np.random.Generator, share: dict[str, float]) -> RealItem:
        names = [name for name in share if name in self._groups]
        chance = np.array([share[name] for name in names])
        name = names[int(rng.choice(len(names), p=chance / chance.sum()))]
        items = self._groups[name].items
        return items[int(rng.choice(len(items), p=self._chances[name]))]


def _swapped(rng: np.random.Generator, item: RealItem) -> RealItem:
    """Take the slices along a random axis, where that makes sense."""
    if not item.isotropic:
        return item
    axis = int(rng.integers(3))
    return replace(
        item,
        image=np.moveaxis(item.image, axis, 0),
        labels=np.moveaxis(item.labels, axis, 0),
    )


def _a_frame(
    rng: np.random.Generator, item: RealItem
) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    item = _swapped(rng, item)
    t = int(rng.integers(len(item.image)))
    return item.image[t], item.labels[t]


def _draw_window(
    rng: np.random.Generator, labels: NDArray[np.uint16], size: int
) -> warps.Window:
    """Draw a crop around a random labelled pixel; side log-uniform, aspect +-20 %."""
    shape = np.array(labels.shape, dtype=float)
    smallest = min(_SMALLEST_SIDE, 0.65 * shape.min())
    side = np.exp(rng.uniform(np.log(smallest), np.log(shape.max())))
    stretch = np.exp(rng.uniform(-0.18, 0.18))
    sides = np.minimum(side * np.array([stretch, 1 / stretch]), shape)
    sides = np.minimum(sides, sides.min() * _LARGEST_STRETCH)
    marked = np.flatnonzero(labels[::4, ::4])
    if marked.size:
        place = np.array(
            np.unravel_index(int(rng.choice(marked)), labels[::4, ::4].shape)
        )
        centre = place * 4 + rng.uniform(-0.4, 0.4, 2) * sides
    else:
        centre = rng.uniform(0, 1, 2) * shape
    centre = np.clip(centre, sides / 2 - 0.5, shape - sides / 2 - 0.5)
    turned = rng.random() < 0.2
    bump = None
    if rng.random() < 0.3:
        bump = warps.elastic(rng, size, float(rng.uniform(0.02, 0.2)))
    flips = rng.random(3) < 0.5
    return warps.Window(
        centre=centre,
        sides=sides,
        angle=float(rng.uniform(0, 2 * np.pi)) if turned else 0.0,
        flip=(bool(flips[0]), bool(flips[1]), bool(flips[2])),
        bump=bump,
    )


def _order(rng: np.random.Generator, n: int, n_frames: int, stride: int) -> list[int]:
    """List consecutive frames, turning round at the ends of a short item."""
    start = int(rng.integers(max(n - (n_frames - 1) * stride, 1)))
    steps = start + stride * np.arange(n_frames)
    period = max(2 * n - 2, 1)
    steps = steps % period
    return [int(k) for k in np.minimum(steps, period - steps)]


def _consecutive(
    rng: np.random.Generator, item: RealItem, size: int, n_frames: int
) -> Sample:
    """Neighbouring slices or frames through one window that may shake a little."""
    item = _swapped(rng, item)
    stride = int(rng.integers(1, 3 if item.isotropic else 4))
    order = _order(rng, len(item.image), n_frames, stride)
    window = _draw_window(rng, item.labels[order[0]], size)
    shake = rng.choice([0.0, 0.01]) * window.sides.min()
    pixels, planes = [], []
    for t in order:
        now = replace(window, centre=window.centre + rng.normal(0, 1, 2) * shake)
        y, x = now.coordinates(size)
        pixels.append(warps.resample(item.image[t], y, x, now.sides.min() / size))
        planes.append(warps.resample_labels(item.labels[t], y, x))
    labels = np.stack(planes)
    if item.isotropic:
        # One neuron may cross the crop several times: each piece is an object.
        labels = _pieces(labels)
    return np.stack(pixels), labels


def _connected(labels: NDArray[np.integer]) -> NDArray[np.integer]:
    """Tell apart the connected pieces of each label, in 2-D or 3-D."""
    return np.asarray(measure.label(labels, connectivity=1))  # type: ignore[no-untyped-call]


def _pieces(labels: NDArray[np.uint16]) -> NDArray[np.int32]:
    """3-D connected pieces of each label, found at half resolution."""
    small = labels[:, ::2, ::2]
    pieces = _connected(small)
    full = pieces.repeat(2, axis=1).repeat(2, axis=2)
    full = full[:, : labels.shape[1], : labels.shape[2]]
    # A pixel takes its coarse pixel's piece only if that has the same label.
    same = small.repeat(2, axis=1).repeat(2, axis=2)
    same = same[:, : labels.shape[1], : labels.shape[2]] == labels
    return np.where(same, full, 0).astype(np.int32)


def moved_picture(
    rng: np.random.Generator,
    image: NDArray[Any],
    labels: NDArray[Any],
    window: warps.Window,
    size: int,
    n_frames: int,
) -> Sample:
    """Make a still move: the window drifts, turns, breathes and bends.

    Parameters
    ----------
    rng
        Source of all randomness.
    image, labels
        (h, w) or (h, w, 3) as `warps.resample` takes them, and (h, w) int.
    window
        Where it starts.
    size, n_frames
        S and T.

    Returns
    -------
    frames, labels
        (T, S, S) or (T, S, S, 3) float32 in [0, 1], and (T, S, S) int32.
    """
    speed = rng.choice([0.005, 0.015, 0.04])
    drift = rng.normal(0, speed, 2)
    turn = rng.normal(0, 0.03)
    growth = rng.normal(0, 0.012)
    bends = [warps.elastic(rng, size, float(rng.uniform(0.02, 0.35))) for _ in range(2)]
    pace = rng.uniform(0.05, 0.35)
    phase = rng.uniform(0, 2 * np.pi)
    pixels, planes = [], []
    for t in range(n_frames):
        jitter = rng.normal(0, 0.25 * speed, 2)
        bump = bends[0] * np.float32(np.sin(pace * t + phase)) + bends[1] * np.float32(
            np.cos(pace * t + phase)
        )
        now = replace(
            window,
            centre=window.centre + (drift * t + jitter) * window.sides,
            sides=window.sides * np.exp(growth * t),
            angle=window.angle + turn * t,
            bump=bump if window.bump is None else bump + window.bump,
        )
        y, x = now.coordinates(size)
        pixels.append(warps.resample(image, y, x, now.sides.min() / size))
        planes.append(warps.resample_labels(labels, y, x))
    return np.stack(pixels), np.stack(planes).astype(np.int32)
