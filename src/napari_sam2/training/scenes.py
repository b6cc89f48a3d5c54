"""What is in a synthetic clip and how it moves, before any optics.

A scene is drawn once a clip (layout and motion of every object) and asked for the
geometry of each frame. It is either a film (things move, divide, die, cross) or a
stack (the plane travels through resting 3-D objects).

Space-filling cells are in `tissue`.

Shapes: T frames, N objects, A outline angles, H = W = size.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from napari_sam2.training import shapes, textures
from napari_sam2.training.shapes import Blobs, Buffers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sam2.training.slices import Slices

    Field = NDArray[np.float32]
    Ints = NDArray[np.int32]

Kind = Literal[
    "nuclei", "spread", "branching", "rods", "vesicles", "tissue", "neuropil"
]

_MAX_BLOBS = 320


class Scene(Protocol):
    """Geometry of a clip, frame by frame."""

    labelled: NDArray[np.bool_]
    radius: float

    def at(self, t: int) -> Buffers:
        """Geometry of frame t."""


@dataclass(frozen=True, kw_only=True)
class Motion:
    """How the scene's coordinates move: drift, jitter and a slow smooth warp.

    Attributes
    ----------
    shift
        (T, 2) float32 px.
    warp
        (2, H, W) float32 px, and its share at each frame, `share` (T,).
    """

    shift: Field
    warp: Field
    share: Field

    def coordinates(self, t: int) -> tuple[Field, Field]:
        """Scene coordinates (y, x) of the pixels of frame t, each (H, W)."""
        size = self.warp.shape[1]
        y, x = np.mgrid[:size, :size].astype(np.float32)
        y += self.warp[0] * self.share[t] - self.shift[t, 0]
        x += self.warp[1] * self.share[t] - self.shift[t, 1]
        return y, x

    def appears(self, t: int, place: Field) -> Field:
        """Pixel at which scene coordinates are seen in frame t, (N, 2)."""
        pixel = place + self.shift[t]
        nearest = np.clip(np.rint(pixel), 0, self.warp.shape[1] - 1).astype(np.intp)
        moved = self.warp[:, nearest[:, 0], nearest[:, 1]].T * self.share[t]
        return np.asarray(pixel - moved, dtype=np.float32)


def draw_motion(
    rng: np.random.Generator,
    size: int,
    n_frames: int,
    *,
    strength: float = 1.0,
    aligned: bool = False,
) -> Motion:
    """Drift, jitter and warp of a clip; a picture or aligned slices only have warp."""
    steady = rng.random() < 0.5
    drift = rng.normal(0, 0.3 if steady else 2.0 * strength, 2)
    jitter = rng.normal(0, float(rng.choice([0.1, 0.6, 2.0])), (n_frames, 2))
    shift = np.arange(n_frames)[:, None] * drift + jitter * (n_frames > 1)
    if aligned:
        shift *= 0
    nodes = int(rng.integers(4, 9 if strength <= 1 else 16))
    weakest = 0.12 if strength > 1.2 else 0.0
    amplitude = rng.uniform(weakest, 0.25) * size / nodes * strength
    warp = np.stack([textures.smooth_noise(rng, size, nodes) for _ in range(2)])
    share = 1 + np.cumsum(rng.normal(0, 0.08, n_frames))
    return Motion(
        shift=shift.astype(np.float32),
        warp=(warp * amplitude * 0.5).astype(np.float32),
        share=share.astype(np.float32),
    )


def scatter(
    rng: np.random.Generator, size: int, pitch: float, *, margin: float
) -> Field:
    """Jittered-grid positions in clumps or evenly spread, (N, 2) float32 px."""
    side = size + 2 * margin
    pitch = max(pitch, side / np.sqrt(3 * _MAX_BLOBS), 2.0)
    n = max(round(side / pitch), 1)
    grid = np.moveaxis(np.mgrid[:n, :n], 0, -1).reshape(-1, 2).astype(np.float32)
    grid[:, 1] += 0.5 * (grid[:, 0] % 2)
    jitter = rng.uniform(0.1, 0.5)
    grid += rng.uniform(-jitter, jitter, grid.shape)
    place = (grid + 0.25) * (side / n) - margin
    if rng.random() < 0.5:
        nodes = int(rng.integers(4, 8))
        clumps = rng.standard_normal((nodes, nodes))
        cell = np.clip((place + margin) / side * nodes, 0, nodes - 1).astype(int)
        keep = clumps[cell[:, 0], cell[:, 1]] > rng.uniform(-0.8, 0.6)
    else:
        keep = rng.random(len(place)) < rng.choice([0.3, 0.6, 0.85, 1.0])
    place = place[keep]
    if not len(place):
        place = np.asarray(rng.uniform(0.2, 0.8, (1, 2)) * size)
    rng.shuffle(place)
    return place[:_MAX_BLOBS].astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class BlobScene:
    """Blobs with a life each; the implementation of `Scene` for separate objects.

    Attributes
    ----------
    labelled
        (N + 1,) bool, whether an object is one to segment (debris is not).
    radius
        Typical radius in px.
    motion
        Motion of the whole scene.
    centre, angle, lift, scale
        (T, N, 2), (T, N), (T, N), (T, N) float32.
    axes, bend
        (N, 2), (N,) float32.
    tables, mix
        (2, N, A) outlines between which the shape swings, and where, (T, N).
    alive
        (T, N) bool.
    overlap
        See `shapes.paint_blobs`.
    travel
        (T,) float32, how far the plane has come through a stack, px.
    """

    labelled: NDArray[np.bool_]
    radius: float
    motion: Motion
    centre: Field
    angle: Field
    lift: Field
    scale: Field
    axes: Field
    bend: Field
    tables: Field
    mix: Field
    alive: NDArray[np.bool_]
    overlap: bool
    travel: Field

    def at(self, t: int) -> Buffers:
        """Geometry of frame t."""
        y, x = self.motion.coordinates(t)
        live = np.flatnonzero(self.alive[t])
        mix = self.mix[t, live, None]
        blobs = Blobs(
            number=(live + 1).astype(np.int32),
            centre=self.centre[t, live],
            angle=self.angle[t, live],
            axes=self.axes[live] * self.scale[t, live, None],
            bend=self.bend[live],
            lift=self.lift[t, live],
            table=self.tables[0, live] * (1 - mix) + self.tables[1, live] * mix,
        )
        boxes = self.motion.appears(t, blobs.centre)
        shown = shapes.paint_blobs(blobs, y, x, overlap=self.overlap, boxes=boxes)
        return replace(shown, z=float(self.travel[t]))


def _outlines(rng: np.random.Generator, kind: Kind, n: int) -> Field:
    if kind == "spread":
        return shapes.spread_outlines(rng, n, rng.uniform(0, 0.4) ** 2)
    if kind == "rods":
        return shapes.rod_outlines(rng, n)
    rough = 0.05 if kind == "vesicles" else rng.uniform(0.02, 0.28)
    return shapes.round_outlines(rng, n, rough)


def _proportions(rng: np.random.Generator, kind: Kind, n: int) -> tuple[Field, Field]:
    """Half axes (v, u) for radius 1 and bend of n objects, (n, 2) and (n,)."""
    if kind == "rods":
        aspect = rng.uniform(2, 7) * np.exp(rng.normal(0, 0.25, n))
        bend = rng.normal(0, 0.5, n)
    elif kind == "spread":
        aspect = np.exp(rng.normal(0.4, 0.4, n))
        bend = rng.normal(0, 0.25, n)
    else:
        aspect = np.exp(np.abs(rng.normal(0, rng.uniform(0.05, 0.45), n)))
        bend = rng.normal(0, 0.12 * (kind == "nuclei"), n)
    root = np.sqrt(np.clip(aspect, 1, 9))
    axes = np.stack([1 / root, root], axis=1)
    return axes.astype(np.float32), bend.astype(np.float32)


def _radius(rng: np.random.Generator, kind: Kind, size: int) -> float:
    low, high = {
        "nuclei": (3.5, 60.0),
        "spread": (14.0, 70.0),
        "rods": (4.0, 24.0),
        "vesicles": (3.5, 36.0),
    }[kind]
    return float(np.exp(rng.uniform(np.log(low), np.log(high)))) * size / 256


def wander(rng: np.random.Generator, n_frames: int, n: int, speed: float) -> Field:
    """Draw persistent random walks that start at 0, (T, N, 2) float32 px."""
    steady = rng.normal(0, 1, (1, n, 2))
    wobble = rng.normal(0, 1, (n_frames, n, 2))
    each = np.exp(rng.normal(0, 0.7, (1, n, 1)))
    step = speed * each * (steady * rng.uniform(0, 1) + 0.6 * wobble)
    step[0] = 0
    return np.cumsum(step, axis=0).astype(np.float32)


def draw_blobs(
    rng: np.random.Generator,
    kind: Kind,
    size: int,
    n_frames: int,
    *,
    slices: Slices | None = None,
) -> BlobScene:
    """Draw a scene of separate or crowded objects with their motion.

    With `slices`, they rest and the plane moves; T is then the number of its planes.
    """
    stack = slices is not None
    radius = _radius(rng, kind, size)
    spacing = rng.uniform(1.3, 2.4) if rng.random() < 0.6 else rng.uniform(2.4, 5)
    if stack:
        spacing *= 0.75
    place = scatter(rng, size, radius * spacing, margin=radius)
    n = len(place)
    axes, bend = _proportions(rng, kind, n)
    sizes = radius * np.exp(rng.normal(0, rng.uniform(0.03, 0.4), (n, 1)))
    speed = 0.0 if stack else float(radius * rng.choice([0.03, 0.1, 0.3]))
    centre = place[None] + wander(rng, n_frames, n, speed)
    spin = rng.normal(0, 0.02 if stack else rng.choice([0.02, 0.12]), (n_frames, n))
    aligned = rng.normal(rng.uniform(0, 6.3), rng.choice([0.2, 1.0, 9.0]), n)
    angle = aligned + np.cumsum(spin, axis=0)
    lift = np.zeros((n_frames, n))
    travel = np.zeros(n_frames, np.float32) if slices is None else slices.travel
    if stack or rng.random() < 0.15:
        height = rng.uniform(-1.1, 1.1, n)
        lift = (height + travel[:, None]) / np.exp(rng.normal(0, 0.2, n))
    first = _outlines(rng, kind, n)
    change = rng.uniform(0.1, 0.6)
    tables = np.stack([first, (1 - change) * first + change * _outlines(rng, kind, n)])
    pace = rng.normal(0, 0.25, n) * np.arange(n_frames)[:, None]
    scene = BlobScene(
        labelled=np.concatenate([[False], np.ones(n, bool)]),
        radius=radius,
        motion=draw_motion(
            rng,
            size,
            n_frames,
            strength=0.5 if stack else 1.0,
            aligned=slices is not None and slices.aligned,
        ),
        centre=centre.astype(np.float32),
        angle=angle.astype(np.float32),
        lift=lift.astype(np.float32),
        scale=np.exp(np.cumsum(rng.normal(0, 0.015, (n_frames, n)), 0)).astype("f4"),
        axes=(axes * sizes).astype(np.float32),
        bend=bend,
        tables=tables.astype(np.float32),
        mix=(0.5 - 0.5 * np.cos(pace + rng.uniform(0, 3, n))).astype(np.float32),
        alive=np.ones((n_frames, n), bool),
        overlap=bool(rng.random() < (0.3 if kind == "nuclei" else 0.6)),
        travel=travel * np.float32(radius),
    )
    if n_frames > 2 and not stack:
        scene = _divide(rng, scene, size)
        scene = _come_and_go(rng, scene)
    return _add_debris(rng, scene, size)


def _grow(scene: BlobScene, parent: NDArray[np.intp], *, times: int) -> BlobScene:
    """Append `times` copies of some objects to the scene."""
    pick = np.tile(parent, times)

    def per_object(a: NDArray[np.generic], axis: int) -> NDArray[np.generic]:
        return np.concatenate([a, np.take(a, pick, axis=axis)], axis=axis)

    changed = {
        name: per_object(getattr(scene, name), 1)
        for name in ("centre", "angle", "lift", "scale", "tables", "mix", "alive")
    }
    changed |= {name: per_object(getattr(scene, name), 0) for name in ("axes", "bend")}
    marks = np.concatenate([scene.labelled, scene.labelled[pick + 1]])
    return replace(scene, labelled=marks, **changed)  # type: ignore[arg-type]


def _divide(rng: np.random.Generator, scene: BlobScene, size: int) -> BlobScene:
    """Let some objects divide: the parent ends, two daughters part from its place."""
    if rng.random() > 0.4:
        return scene
    n_frames, n = scene.alive.shape
    middle = scene.centre[n_frames // 2]
    inside = np.flatnonzero(((middle > 0) & (middle < size)).all(axis=1))
    count = min(len(inside), 1 + int(rng.integers(0, 1 + len(inside) // 6)))
    if not count:
        return scene
    parent = rng.choice(inside, count, replace=False)
    when = rng.integers(1, n_frames, count)
    grown = _grow(scene, parent, times=2)
    time = np.arange(n_frames)[:, None]
    after = time >= when
    grown.alive[:, parent] = ~after
    grown.alive[:, n:] = np.tile(after, (1, 2))
    axis = grown.angle[0, parent] + rng.normal(0, 0.3, count)
    apart = (0.45 + 0.12 * np.clip(time - when, 0, 6)) * scene.axes[parent, 1]
    offset = np.stack([np.sin(axis), np.cos(axis)], axis=-1)[None] * apart[..., None]
    grown.centre[:, n : n + count] += offset
    grown.centre[:, n + count :] -= offset
    grown.axes[n:] *= np.array([0.85, 0.55], np.float32)
    return grown


def _come_and_go(rng: np.random.Generator, scene: BlobScene) -> BlobScene:
    """Let a few objects appear late, vanish early, or be away for some frames."""
    n_frames, n = scene.alive.shape
    if rng.random() > 0.4:
        return scene
    for k in rng.choice(n, min(n, 1 + n // 12), replace=False):
        start, stop = np.sort(rng.integers(1, n_frames, 2))
        if rng.random() < 0.5:
            scene.alive[start:stop, k] = False
        elif rng.random() < 0.5:
            scene.alive[stop:, k] = False
            _shrivel(scene, int(k), int(stop), frames=int(rng.integers(0, 4)))
        else:
            scene.alive[:start, k] = False
    return scene


def _shrivel(scene: BlobScene, k: int, stop: int, *, frames: int) -> None:
    """Let an object shrink to half its size in the last frames before it is dead."""
    last = np.arange(max(stop - frames, 0), stop)
    scene.scale[last, k] *= 1 - 0.5 * (last - stop + frames + 1) / max(frames, 1)


def _add_debris(rng: np.random.Generator, scene: BlobScene, size: int) -> BlobScene:
    """Append unlabelled specks and, at times, something large that covers others."""
    n_frames, n = scene.alive.shape
    count = int(rng.integers(0, 12)) * int(rng.random() < 0.5)
    large = int(rng.random() < 0.12)
    if count + large == 0:
        return scene
    grown = _grow(scene, rng.integers(0, n, count + large), times=1)
    place = rng.uniform(0, size, (count + large, 2))
    walk = wander(rng, n_frames, count + large, 0.02 * size)
    grown.centre[:, n:] = place + walk * rng.choice([0.0, 1.0])
    speck = rng.uniform(1.0, 3.0, (count + large, 1))
    speck[count:] = rng.uniform(0.1, 0.25) * size
    grown.axes[n:] = speck * np.exp(rng.normal(0, 0.3, (count + large, 2)))
    grown.lift[:, n:] = 0
    grown.alive[:, n:] = True
    grown.labelled[n + 1 :] = False
    return grown
