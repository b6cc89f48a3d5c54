"""Synthetic microscopy on the fly: pictures and clips with exact labels.

Domain randomisation after SynthSeg (Billot et al. 2023) and AnyStar (Dey et al.
2024): shapes, crowding, contrast mechanism, texture, optics and noise are drawn so
widely that a real image is one more variation. `scenes` decides what is there and
how it moves, `shapes` rasterises, `optics`, `slices` and `camera` make it look like
something.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from napari_sam2.training import camera, optics, scenes, tissue
from napari_sam2.training.branching import draw_branching
from napari_sam2.training.slices import draw_slices

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sam2.training.slices import Slices

MIN_AREA = 12
"""Smallest object kept, px: fewer pixels cannot be clicked."""

_KINDS: dict[scenes.Kind, float] = {
    "nuclei": 5,
    "spread": 4,
    "branching": 1,
    "rods": 1.5,
    "vesicles": 1,
    "tissue": 2.5,
    "neuropil": 3,
}
_STACKS: dict[scenes.Kind, float] = {"neuropil": 0.85, "branching": 0.0}
"""How often clips are stacks, where that is not 0.25."""


def draw_picture(
    rng: np.random.Generator,
    size: int = 256,
    *,
    kind: scenes.Kind | None = None,
    style: optics.Style | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Draw one picture.

    Parameters
    ----------
    rng
        Source of all randomness: the same state gives the same picture.
    size
        Side in pixels, a multiple of 16.
    kind, style
        What to draw, and the kind of microscope; None draws that, too.

    Returns
    -------
    image
        (H, W, 3) float32 in [0, 1].
    labels
        (H, W) int32, 0 background, 1..K objects of at least 12 px; K >= 1.

    Raises
    ------
    ValueError
        When `size` is not a positive multiple of 16.
    """
    frames, labels = draw_clip(rng, size, n_frames=1, kind=kind, style=style)
    return frames[0], labels[0]


def draw_clip(
    rng: np.random.Generator,
    size: int = 256,
    n_frames: int = 8,
    *,
    kind: scenes.Kind | None = None,
    style: optics.Style | None = None,
    stack: bool | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Draw a clip: a film of moving cells, or a plane's way through a stack.

    Parameters
    ----------
    rng
        Source of all randomness.
    size
        Side in pixels, a multiple of 16.
    n_frames
        Number of frames T, at least 1.
    kind, style
        What to draw, and the kind of microscope; None draws that, too.
    stack
        Whether slices of a volume or frames of a film, likewise. Branching cells are
        always filmed.

    Returns
    -------
    frames
        (T, H, W, 3) float32 in [0, 1].
    labels
        (T, H, W) int32; an object keeps its id 1..K in all frames, daughters of a
        division get new ones. Frame 0 shows at least one.

    Raises
    ------
    ValueError
        When `size` is not a positive multiple of 16 or `n_frames` is below 1.
    """
    if size < 16 or size % 16 or n_frames < 1:
        message = (
            f"size must be a multiple of 16 and n_frames >= 1, not {size}, {n_frames}"
        )
        raise ValueError(message)
    while True:
        what = kind or _draw_kind(rng)
        deep = rng.random() < _STACKS.get(what, 0.25) if stack is None else stack
        slices = None
        if deep and what != "branching":
            slices = draw_slices(rng, n_frames, sections=what == "neuropil")
        frames, labels = _draw(rng, size, n_frames, what, style, slices)
        if labels[0].any():
            return frames, labels


def _draw_kind(rng: np.random.Generator) -> scenes.Kind:
    chance = np.array(list(_KINDS.values()))
    return list(_KINDS)[int(rng.choice(len(_KINDS), p=chance / chance.sum()))]


def _draw_scene(
    rng: np.random.Generator,
    size: int,
    n_frames: int,
    kind: scenes.Kind,
    slices: Slices | None,
) -> scenes.Scene:
    scene: object
    if kind == "branching":
        scene = draw_branching(rng, size, n_frames)
    elif kind in {"tissue", "neuropil"}:
        scene = tissue.draw_cells(rng, kind, size, n_frames, slices=slices)
    else:
        scene = scenes.draw_blobs(rng, kind, size, n_frames, slices=slices)
    return cast("scenes.Scene", scene)


def _draw(
    rng: np.random.Generator,
    size: int,
    n_frames: int,
    kind: scenes.Kind,
    style: optics.Style | None,
    slices: Slices | None,
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    drawn = n_frames if slices is None else len(slices.planes)
    scene = _draw_scene(rng, size, drawn, kind, slices)
    look = optics.draw_look(rng, scene, kind, style=style)
    sensor = camera.draw_camera(rng, size, n_frames, noisy=look.style == "fluorescence")
    rate = rng.uniform(0, 0.12) * (rng.random() < 0.3)
    images, planes = [], []
    for t in range(drawn):
        buffers = scene.at(t)
        images.append(look.render(buffers, float(np.exp(-rate * t))))
        planes.append(np.where(scene.labelled[buffers.index], buffers.index, 0))
    if slices is not None:
        images, planes = slices.blur(images), slices.shown(planes)
        sensor = slices.sharpen(sensor, scene.radius)
    return sensor.expose(rng, images), relabel(np.stack(planes))


def relabel(labels: NDArray[np.integer]) -> NDArray[np.int32]:
    """Renumber the objects 1..K in order and drop what is too small to click.

    Parameters
    ----------
    labels
        (H, W) or (T, H, W) integers, 0 background. In a clip an object is kept
        when some frame shows at least 12 px of it; its shreds of fewer than 4 px
        in other frames are erased.

    Returns
    -------
    numpy.ndarray
        The same shape, int32, 0..K.
    """
    planes = labels.reshape(-1, *labels.shape[-2:])
    top = int(planes.max(initial=0)) + 1
    areas = np.stack([np.bincount(plane.ravel(), minlength=top) for plane in planes])
    areas[:, 0] = 0
    keep = areas.max(axis=0) >= MIN_AREA
    number = np.where(keep, np.cumsum(keep), 0)
    shown = np.where(areas >= min(4, MIN_AREA), number, 0)
    out = [table[plane] for table, plane in zip(shown, planes, strict=True)]
    return np.stack(out).reshape(labels.shape).astype(np.int32)
