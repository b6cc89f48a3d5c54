"""Geometry pass of the synthetic pictures: which object, how deep, where in it.

Objects are never drawn one by one on the whole frame. Blobs (any star-convex
outline given as a table of radii, stretched, rotated and bent) are evaluated in
batches of boxes of about equal size; space-filling cells are a power diagram
whose candidates are chosen block by block.

Shapes: N objects, A angles of an outline table, H rows, W columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Field = NDArray[np.float32]
    Ints = NDArray[np.int32]
    Claims = tuple[NDArray[np.intp], NDArray[np.intp], Field, Field, Field]

ANGLES = 96
"""Number of radii of an outline table."""

_BLOCK = 16
_CANDIDATES = 14
_HALF_SIDES = (6, 9, 13, 18, 26, 36, 52, 76, 110, 160, 240)


@dataclass(frozen=True, kw_only=True)
class Buffers:
    """What a frame shows, before any optics; every field is (H, W).

    Attributes
    ----------
    index
        int32, 0 background, 1..N the object on top.
    level
        float32, 1 at the object's centre, 0 at its outline and outside.
    depth
        float32, distance from the outline in px, 0 outside.
    v, u
        float32, pixel coordinates that move and turn with the object.
    y, x
        float32, coordinates that move with the scene's background.
    z
        How far the plane has travelled through a stack, px.
    """

    index: Ints
    level: Field
    depth: Field
    v: Field
    u: Field
    y: Field
    x: Field
    z: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Blobs:
    """Star-convex objects at one moment.

    Attributes
    ----------
    number
        (N,) int32, the value each one writes into `Buffers.index`; several blobs may
        be parts of one object. Ascending.
    centre
        (N, 2) float32, (y, x) in px.
    angle
        (N,) float32, rotation in radians.
    axes
        (N, 2) float32, half axes (v, u) in px that the table is multiplied by.
    bend
        (N,) float32, curvature: u's parabola added to v, in half axes.
    lift
        (N,) float32, distance from the plane in units of the object's own depth.
    table
        (N, A) float32, radius against angle, about 1.
    """

    number: Ints
    centre: Field
    angle: Field
    axes: Field
    bend: Field
    lift: Field
    table: Field


def round_outlines(rng: np.random.Generator, n: int, rough: float) -> Field:
    """Nuclei-like outlines: low Fourier modes of strength `rough`, (n, A)."""
    order = np.arange(2, 8)
    phase = rng.uniform(0, 2 * np.pi, (n, order.size, 1))
    size = rng.normal(0, rough, (n, order.size, 1)) / order[:, None] ** 0.8
    theta = np.linspace(0, 2 * np.pi, ANGLES, endpoint=False)
    table = 1 + (size * np.cos(order[:, None] * theta + phase)).sum(axis=1)
    return np.asarray(np.clip(table, 0.35, 2.0), dtype=np.float32)


def rod_outlines(rng: np.random.Generator, n: int) -> Field:
    """Superellipses, from ellipse to nearly rectangular, (n, A)."""
    power = rng.uniform(2.0, 4.0, (n, 1))
    theta = np.linspace(0, 2 * np.pi, ANGLES, endpoint=False)
    cosine, sine = np.abs(np.cos(theta)), np.abs(np.sin(theta))
    table = (cosine**power + sine**power) ** (-1 / power)
    return np.asarray(table, dtype=np.float32)


def spread_outlines(rng: np.random.Generator, n: int, rough: float) -> Field:
    """Adherent cells: a small body, two to six protrusions, ragged rim, (n, A)."""
    theta = np.linspace(0, 2 * np.pi, ANGLES, endpoint=False)
    arms = 6
    first = rng.uniform(0, 2 * np.pi, (n, 1))
    spacing = rng.dirichlet(np.full(arms, 1.5), n) * 2 * np.pi
    where = first + np.cumsum(spacing, axis=1)
    # Two arms lie along the cell's long axis: most spread cells are spindles.
    where[:, 0], where[:, 1] = rng.normal((0, np.pi), 0.25, (n, 2)).T
    length = rng.gamma(1.6, 0.26, (n, arms)) * (rng.random((n, arms)) < 0.45)
    length[:, :2] = rng.gamma(3.0, 0.22, (n, 2))
    sharp = np.exp(rng.uniform(np.log(3), np.log(45), (n, arms, 1)))
    bumps = length[..., None] * np.exp(sharp * (np.cos(theta - where[..., None]) - 1))
    order = np.arange(6, 22)[:, None]
    ragged = rng.normal(0, rough, (n, order.size, 1)) / np.sqrt(order)
    phase = 2 * np.pi * rng.random((n, order.size, 1))
    rim = (ragged * np.cos(order * theta + phase)).sum(axis=1)
    body = round_outlines(rng, n, 0.15) * rng.uniform(0.4, 0.75, (n, 1))
    table = (body + bumps.sum(axis=1)) * np.exp(rim)
    return np.asarray(np.clip(table, 0.2, 2.2), dtype=np.float32)


def _batch(
    boxes: Field, pick: NDArray[np.intp], half: int, size: tuple[int, ...]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pixels of the boxes around some centres: row and flat pixel, both (P,)."""
    offset = np.arange(-half, half + 1)
    rows = np.rint(boxes[pick, 0]).astype(np.intp)[:, None] + offset
    columns = np.rint(boxes[pick, 1]).astype(np.intp)[:, None] + offset
    row_ok = (rows >= 0) & (rows < size[0])
    column_ok = (columns >= 0) & (columns < size[1])
    inside = row_ok[:, :, None] & column_ok[:, None, :]
    flat = rows[:, :, None] * size[1] + columns[:, None, :]
    which = np.broadcast_to(pick[:, None, None], inside.shape)
    return which[inside], flat[inside]


def _claims(
    blobs: Blobs, which: NDArray[np.intp], pixel: NDArray[np.intp], y: Field, x: Field
) -> Claims:
    """Keep those pixels of the boxes about blobs `which` that lie in the blobs.

    Returns row, flat pixel, level and own coordinates (v, u), (P,) each.
    """
    dy = y[pixel] - blobs.centre[which, 0]
    dx = x[pixel] - blobs.centre[which, 1]
    cosine, sine = np.cos(blobs.angle)[which], np.sin(blobs.angle)[which]
    u = cosine * dx + sine * dy
    v = cosine * dy - sine * dx
    nu = u / blobs.axes[which, 1]
    nv = v / blobs.axes[which, 0] + blobs.bend[which] * nu * nu
    square = nu * nu + nv * nv
    # The outline itself is slow to find: first drop what no radius reaches.
    widest = blobs.table.max(axis=1) ** 2 * (1 - blobs.lift**2)
    near = np.flatnonzero(square < widest[which] * np.float32(1.001))
    which, pixel, square = which[near], pixel[near], square[near]
    v, u = v[near], u[near]
    position = np.arctan2(nv[near], nu[near]) * np.float32(ANGLES / (2 * np.pi))
    low = np.floor(position)
    part = position - low
    bin_ = low.astype(np.int32) % ANGLES
    start = which * ANGLES
    flat = blobs.table.ravel()
    radius = flat[start + bin_] * (1 - part) + flat[start + (bin_ + 1) % ANGLES] * part
    rho2 = square / (radius * radius)
    level = 1 - np.sqrt(rho2 + blobs.lift[which] ** 2)
    keep = level > 0
    return which[keep], pixel[keep], level[keep], v[keep], u[keep]


def paint_blobs(
    blobs: Blobs, y: Field, x: Field, *, overlap: bool, boxes: Field
) -> Buffers:
    """Rasterise blobs; later ones cover earlier ones, or touching ones share.

    Parameters
    ----------
    blobs
        The objects, in drawing order.
    y, x
        (H, W) float32 scene coordinates of the pixels.
    overlap
        True: the last one drawn is on top, and a part of the same object in which a
        pixel lies deeper. False: a pixel claimed by several belongs to the one in
        which it lies deepest, relative to its size, so that cells touch.
    boxes
        (N, 2) float32, (y, x) pixel about which each blob is looked for: where
        its centre appears in the frame.
    """
    reach = (blobs.axes * blobs.table.max(axis=1, keepdims=True)).max(axis=1)
    visible = np.abs(blobs.lift) < 1
    # The warp may stretch an object: look a little further than its outline.
    reach = 1.15 * reach * np.sqrt(np.maximum(1 - blobs.lift**2, 0)) + np.abs(
        blobs.bend * blobs.axes[:, 0]
    )
    y_flat, x_flat = y.ravel(), x.ravel()
    parts: list[Claims] = []
    limits = (0, *_HALF_SIDES)
    for low, half in pairwise(limits):
        last = half == _HALF_SIDES[-1]
        group = visible & (reach > low - 3) & ((reach <= half - 3) | last)
        pick = np.flatnonzero(group)
        if pick.size == 0:
            continue
        which, pixel = _batch(boxes, pick, half, y.shape)
        parts.append(_claims(blobs, which, pixel, y_flat, x_flat))
    return _resolve(blobs, parts, y, x, overlap=overlap)


def _resolve(
    blobs: Blobs,
    parts: list[Claims],
    y: Field,
    x: Field,
    *,
    overlap: bool,
) -> Buffers:
    """Keep one claim a pixel and write the buffers."""
    shape, count = y.shape, y.size
    index = np.zeros(count, np.int32)
    fields = [np.zeros(count, np.float32) for _ in range(4)]
    if parts:
        which, pixel, level, v, u = (
            np.concatenate(p) for p in zip(*parts, strict=True)
        )
        narrow = blobs.axes.min(axis=1) * blobs.table.mean(axis=1)
        depth = level * narrow[which]
        order = blobs.number.astype(np.float32)
        rank = order[which] + depth / (depth + 1) if overlap else level
        best = np.full(count, -1, np.float32)
        np.maximum.at(best, pixel, rank)
        won = rank >= best[pixel]
        pixel = pixel[won]
        index[pixel] = blobs.number[which[won]]
        values = (level[won], depth[won], v[won], u[won])
        for field, value in zip(fields, values, strict=True):
            field[pixel] = value
    level, depth, v, u = (field.reshape(shape) for field in fields)
    return Buffers(
        index=index.reshape(shape), level=level, depth=depth, v=v, u=u, y=y, x=x
    )


def paint_cells(
    seeds: Field, weight: Field, owner: Ints, y: Field, x: Field
) -> Buffers:
    """Space-filling cells: a power diagram of seeds, several seeds an object.

    Parameters
    ----------
    seeds
        (N, 3) float32, (z, y, x) in px relative to the plane shown (z = 0).
    weight
        (N,) float32, subtracted from the squared distance, px².
    owner
        (N,) int32, object number of each seed, at least 1.
    y, x
        (H, W) float32 scene coordinates; H and W are multiples of 16.
    """
    height, width = y.shape
    rows, columns = height // _BLOCK, width // _BLOCK
    blocks = rows * columns

    def to_blocks(field: Field) -> Field:
        split = field.reshape(rows, _BLOCK, columns, _BLOCK)
        return split.transpose(0, 2, 1, 3).reshape(blocks, _BLOCK * _BLOCK)

    def back(field: NDArray[np.generic]) -> NDArray[np.generic]:
        split = field.reshape(rows, columns, _BLOCK, _BLOCK)
        return split.transpose(0, 2, 1, 3).reshape(height, width)

    yb, xb = to_blocks(y), to_blocks(x)
    lift = seeds[:, 0] ** 2 - weight
    to_centre = (
        (yb.mean(axis=1)[:, None] - seeds[:, 1]) ** 2
        + (xb.mean(axis=1)[:, None] - seeds[:, 2]) ** 2
        + lift
    )
    count = min(_CANDIDATES, len(seeds))
    near = np.argpartition(to_centre, count - 1, axis=1)[:, :count]
    # (blocks, candidates, pixels of a block)
    dy = yb[:, None] - seeds[near, 1][..., None]
    dx = xb[:, None] - seeds[near, 2][..., None]
    power = dy * dy + dx * dx + lift[near][..., None]
    first = power.argmin(axis=1)[:, None]
    best = np.take_along_axis(power, first, axis=1)[:, 0]
    seed = np.take_along_axis(near[..., None], first, axis=1)[:, 0]
    number = owner[seed]
    other = owner[near][..., None] != number[:, None]
    second = np.where(other, power, np.float32(1e9)).min(axis=1)
    floor = np.minimum(best.min(), 0)
    depth = 0.5 * (np.sqrt(second - floor) - np.sqrt(best - floor))
    level = np.clip(depth / (np.sqrt(second - floor) * 0.5 + 1), 0, 1)
    return Buffers(
        index=back(number).astype(np.int32),
        level=back(level).astype(np.float32),
        depth=back(depth).astype(np.float32),
        v=back(yb - seeds[seed, 1]).astype(np.float32),
        u=back(xb - seeds[seed, 2]).astype(np.float32),
        y=y,
        x=x,
    )
