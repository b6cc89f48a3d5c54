"""Scenes of space-filling cells: tissue and neuropil, as films or as stacks.

Shapes: T frames, N objects, S seeds, H = W = size.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_sam2.training import shapes
from napari_sam2.training.scenes import Kind, Motion, draw_motion, wander

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sam2.training.shapes import Buffers
    from napari_sam2.training.slices import Slices

    Field = NDArray[np.float32]
    Ints = NDArray[np.int32]


@dataclass(frozen=True, kw_only=True)
class CellScene:
    """Space-filling cells; the implementation of `Scene` for tissue and neuropil.

    Attributes
    ----------
    labelled
        (N + 1,) bool.
    radius
        Typical radius in px.
    motion
        Motion of the whole scene.
    seeds
        (T, S, 3) float32 (z, y, x) in px from the plane shown.
    weight, owner
        (S,) float32 px² and int32 object number.
    gap
        (N + 1,) bool, objects that are empty space.
    shrink
        Half the width of the space between cells, px.
    travel
        (T,) float32, how far the plane has come through a stack, px.
    """

    labelled: NDArray[np.bool_]
    radius: float
    motion: Motion
    seeds: Field
    weight: Field
    owner: Ints
    gap: NDArray[np.bool_]
    shrink: float
    travel: Field

    def at(self, t: int) -> Buffers:
        """Geometry of frame t."""
        y, x = self.motion.coordinates(t)
        shown = shapes.paint_cells(self.seeds[t], self.weight, self.owner, y, x)
        empty = self.gap[shown.index] | (shown.depth < self.shrink)
        keep = (~empty).astype(np.float32)
        return replace(
            shown,
            index=shown.index * ~empty,
            depth=(shown.depth - np.float32(self.shrink)) * keep,
            level=shown.level * keep,
            z=float(self.travel[t]),
        )


def draw_cells(
    rng: np.random.Generator,
    kind: Kind,
    size: int,
    n_frames: int,
    *,
    slices: Slices | None = None,
) -> CellScene:
    """Draw tissue or neuropil with its motion.

    With `slices`, it rests and the plane moves; T is then the number of its planes.
    """
    neuropil = kind == "neuropil"
    smallest = 9 if neuropil else 6
    radius = float(np.exp(rng.uniform(np.log(smallest), np.log(55)))) * size / 256
    pitch = radius * (1.1 if neuropil else 1.9)
    depth = 1.2 * pitch if (neuropil or slices is not None) else 0.0
    layers = 3 if depth else 1
    margin = 1.5 * radius
    layer = []
    for k in range(layers):
        side = size + 2 * margin
        n = max(int(side / max(pitch, size / 20)), 2)
        grid = np.moveaxis(np.mgrid[:n, :n], 0, -1).reshape(-1, 2) + rng.uniform(
            0, 1, 2
        )
        grid[:, 1] += 0.5 * (grid[:, 0] % 2 < 1)
        jitter = rng.uniform(0.4, 0.9) if neuropil else rng.uniform(0.18, 0.45)
        grid = grid + rng.normal(0, jitter, grid.shape)
        z = (k - layers // 2) * depth + rng.normal(0, 0.3, len(grid)) * depth
        layer.append(np.column_stack([z, grid * side / n - margin]))
    rest = np.concatenate(layer).astype(np.float32)
    count = len(rest)
    seeds = np.repeat(rest[None], n_frames, axis=0)
    travel = np.zeros(n_frames, np.float32)
    if slices is not None:
        travel = slices.travel * np.float32(radius)
        seeds[..., 0] += travel[:, None]
    seeds[..., 1:] += wander(rng, n_frames, count, radius * rng.uniform(0, 0.06))
    owner = np.arange(1, count + 1, dtype=np.int32)
    if neuropil:
        owner = _merge(rng, rest, owner, pitch)
    gap = np.zeros(count + 1, bool)
    if not neuropil and rng.random() < 0.5:
        gap[1:] = rng.random(count) < rng.uniform(0.1, 0.7)
    strength = rng.uniform(1.2, 3.0) if neuropil else rng.uniform(0.3, 1.2)
    uneven = rng.uniform(0.2, 0.9) if neuropil else 0.17
    shrink = 0.0
    if not neuropil and rng.random() < 0.35:
        shrink = float(rng.uniform(0.5, 0.15 * radius + 0.6))
    return CellScene(
        labelled=np.concatenate([[False], ~gap[1:]]),
        radius=radius,
        motion=draw_motion(
            rng,
            size,
            n_frames,
            strength=strength,
            aligned=slices is not None and slices.aligned,
        ),
        seeds=seeds,
        weight=(rng.normal(0, uneven, count) * pitch * pitch).astype(np.float32),
        owner=owner,
        gap=gap,
        shrink=shrink,
        travel=travel,
    )


def _merge(rng: np.random.Generator, seeds: Field, owner: Ints, pitch: float) -> Ints:
    """Join neighbouring seeds into irregular processes."""
    owner = owner.copy()
    for k in rng.permutation(len(seeds))[: int(len(seeds) * rng.uniform(0.1, 0.6))]:
        distance = ((seeds - seeds[k]) ** 2).sum(axis=1)
        distance[k] = np.inf
        near = int(distance.argmin())
        if distance[near] < (2 * pitch) ** 2:
            owner[k] = owner[near]
    return owner
