"""Cells that branch, such as neurons and astrocytes: a body and trees of processes.

A process is a chain of bent rods that fork and thin out; all parts of a cell write
the same number, so that a cell is one object.

Shapes: T frames, K cells, P parts, A outline angles, H = W = size.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2.training import shapes
from napari_sam2.training.scenes import Motion, draw_motion, scatter, wander
from napari_sam2.training.shapes import Blobs, Buffers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Field = NDArray[np.float32]
    Ints = NDArray[np.intp]

_MOST_PARTS = 400
_THINNEST = 1.3


@dataclass(frozen=True, kw_only=True)
class BranchScene:
    """Branching cells that move and turn; an implementation of `Scene`.

    Attributes
    ----------
    labelled
        (K + 1,) bool.
    radius
        Typical radius of a cell's body and thick processes, px.
    motion
        Motion of the whole scene.
    parts
        P blobs, their centres relative to the cell's and before it turns.
    owner
        (P,) index of the cell a part belongs to, 0 .. K - 1, ascending.
    place, turn
        (T, K, 2) float32 px and (T, K) float32 radians.
    """

    labelled: NDArray[np.bool_]
    radius: float
    motion: Motion
    parts: Blobs
    owner: Ints
    place: Field
    turn: Field

    def at(self, t: int) -> Buffers:
        """Geometry of frame t."""
        y, x = self.motion.coordinates(t)
        turn, place = self.turn[t], self.place[t]
        cosine, sine = np.cos(turn)[self.owner], np.sin(turn)[self.owner]
        dy, dx = self.parts.centre.T
        away = np.stack([cosine * dy + sine * dx, cosine * dx - sine * dy], axis=1)
        blobs = replace(
            self.parts,
            centre=place[self.owner] + away,
            angle=self.parts.angle + turn[self.owner],
        )
        boxes = self.motion.appears(t, blobs.centre)
        shown = shapes.paint_blobs(blobs, y, x, overlap=True, boxes=boxes)
        # Texture and nucleus are the cell's, not its parts'.
        cell = np.maximum(shown.index - 1, 0)
        dy, dx = y - place[cell, 0], x - place[cell, 1]
        cosine, sine = np.cos(turn)[cell], np.sin(turn)[cell]
        return replace(shown, v=cosine * dy - sine * dx, u=cosine * dx + sine * dy)


def draw_branching(rng: np.random.Generator, size: int, n_frames: int) -> BranchScene:
    """Draw a scene of branching cells with their motion."""
    reach = float(np.exp(rng.uniform(np.log(22), np.log(90)))) * size / 256
    body = max(reach * rng.uniform(0.12, 0.25), 3.0)
    place = scatter(rng, size, reach * rng.uniform(0.9, 2.0), margin=0.5 * reach)
    most = int(rng.integers(3, 8))
    forks = int(rng.integers(1, 4))
    place = place[: max(_MOST_PARTS // (most * (2**forks - 1)), 1)]
    parts, owner = _grow(rng, len(place), reach, body, most=most, forks=forks)
    speed = float(reach * rng.choice([0.01, 0.04, 0.1]))
    turn = np.cumsum(rng.normal(0, rng.choice([0.01, 0.06]), (n_frames, len(place))), 0)
    return BranchScene(
        labelled=np.arange(len(place) + 1) > 0,
        radius=0.6 * body,
        motion=draw_motion(rng, size, n_frames),
        parts=parts,
        owner=owner,
        place=place + wander(rng, n_frames, len(place), speed),
        turn=turn.astype(np.float32),
    )


def _grow(
    rng: np.random.Generator,
    n: int,
    reach: float,
    body: float,
    *,
    most: int,
    forks: int,
) -> tuple[Blobs, Ints]:
    """Grow n cells about the origin: bodies, then processes fork by fork."""
    sizes = body * np.exp(rng.normal(0, 0.2, (n, 1)))
    aspect = np.exp(rng.normal(0, 0.2, (n, 1)))
    angle = rng.uniform(0, 2 * np.pi, n)
    cells = np.arange(n)
    owners, centres, angles = [cells], [np.zeros((n, 2))], [angle]
    axes, bends = [sizes * np.hstack([1 / aspect, aspect])], [np.zeros(n)]
    tables = [shapes.round_outlines(rng, n, 0.15)]
    # Tips from which processes grow on: where, which way, how thick, how long.
    count = rng.integers(2, most + 1, n)
    cell = np.repeat(cells, count)
    way = angle[cell] + rng.uniform(0, 2 * np.pi, len(cell))
    tip = 0.6 * sizes[cell] * np.stack([np.sin(way), np.cos(way)], axis=1)
    thick = sizes[cell, 0] * rng.uniform(0.12, 0.4, len(cell))
    share = 1 / sum(0.75**k for k in range(forks))
    length = reach * share * np.exp(rng.normal(-0.1, 0.3, len(cell)))
    for _ in range(forks):
        thick = np.maximum(thick, _THINNEST)
        forward = np.stack([np.sin(way), np.cos(way)], axis=1)
        bend = rng.normal(0, 0.12, len(cell)) * length / thick
        # A bent rod's ends are beside its centre: let them lie where it begins.
        aside = np.stack([np.cos(way), -np.sin(way)], axis=1)
        owners.append(cell)
        centres.append(
            tip + 0.5 * length[:, None] * forward + (bend * thick)[:, None] * aside
        )
        angles.append(way)
        axes.append(np.stack([thick, 0.5 * length + thick], axis=1))
        bends.append(bend)
        tables.append(shapes.rod_outlines(rng, len(cell)))
        tip = tip + length[:, None] * forward
        twice = np.repeat(np.arange(len(cell)), 2)
        on = twice[rng.random(len(twice)) < 0.8]
        side = np.where(rng.random(len(on)) < 0.5, 1, -1)
        cell, tip = cell[on], tip[on]
        way = way[on] + side * rng.uniform(0.2, 0.9, len(on))
        thick = thick[on] * rng.uniform(0.6, 0.9, len(on))
        length = length[on] * rng.uniform(0.5, 1.0, len(on))
    owner = np.concatenate(owners)
    order = np.argsort(owner, kind="stable")
    owner = owner[order]

    def sorted_field(parts: Sequence[NDArray[Any]]) -> Field:
        return np.concatenate(parts)[order].astype(np.float32)

    blobs = Blobs(
        number=(owner + 1).astype(np.int32),
        centre=sorted_field(centres),
        angle=sorted_field(angles),
        axes=sorted_field(axes),
        bend=sorted_field(bends),
        lift=np.zeros(len(owner), np.float32),
        table=sorted_field(tables),
    )
    return blobs, owner
