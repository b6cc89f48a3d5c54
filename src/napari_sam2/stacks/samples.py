"""Two small samples that need no file: a movie of dividing cells, a volume of cells.

Both are drawn with numpy from a fixed seed, so that the demonstration, the
documentation and the tests show the same cells on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BACKGROUND = 300.0
"""Camera offset and out-of-focus light, in grey levels."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A drawn stack, what is really in it, and a good first click.

    Attributes
    ----------
    image : (T, Y, X) uint16
        Fluorescence-like intensity, 0 to about 5000 grey levels.
    labels : (T, Y, X) uint16
        0 background, 1… the cells; a cell keeps its number until it divides, and
        its daughters have new ones.
    axes : str
        ``"TYX"`` or ``"ZYX"``.
    click : tuple of (int, float, float)
        ``(frame, y, x)`` on cell 1.
    """

    image: NDArray[np.uint16]
    labels: NDArray[np.uint16]
    axes: str
    click: tuple[int, float, float]


@dataclass(kw_only=True)
class _Cell:
    number: int
    position: NDArray[np.float64]  # (2,) y, x in pixels
    velocity: NDArray[np.float64]  # (2,) pixels a frame
    radius: float  # pixels
    elongation: float  # long axis / short axis
    angle: float  # radians
    brightness: float  # grey levels above the background
    divides_at: int | None = None


def cells_movie(*, n_frames: int = 40, size: int = 256) -> Sample:
    """Return a movie of crawling, turning and dividing bright cells.

    Parameters
    ----------
    n_frames : int
        Number of frames; cells divide at one third and at two thirds of them.
    size : int
        Height and width in pixels; cells have radii of about 0.045 `size`.
    """
    rng = np.random.default_rng(20)
    cells = _scatter(rng, size, n_frames)
    click = (0, float(cells[0].position[0]), float(cells[0].position[1]))
    image = np.zeros((n_frames, size, size), np.uint16)
    labels = np.zeros((n_frames, size, size), np.uint16)
    next_number = len(cells) + 1
    for t in range(n_frames):
        for cell in [c for c in cells if c.divides_at == t]:
            cells.remove(cell)
            cells.extend(_daughters(cell, next_number))
            next_number += 2
        light = np.zeros((size, size))
        for cell in cells:
            _draw_cell(cell, light, labels[t])
        image[t] = _camera(rng, light)
        _move(rng, cells, size)
    return Sample(image=image, labels=labels, axes="TYX", click=click)


def cells_stack(*, n_planes: int = 32, size: int = 128) -> Sample:
    """Return a volume of ellipsoidal cells, each crossing several planes.

    Parameters
    ----------
    n_planes : int
        Number of planes; cells span about a third of them.
    size : int
        Height and width in pixels.
    """
    rng = np.random.default_rng(3)
    light = np.zeros((n_planes, size, size))
    labels = np.zeros(light.shape, np.uint16)
    middle = np.array([n_planes, size, size]) / 2
    centres = [middle]
    for _ in range(400):  # far enough apart to touch only here and there
        candidate = rng.uniform(0.1, 0.9, 3) * light.shape
        gaps = (np.asarray(centres) - candidate) / light.shape
        if len(centres) < 22 and np.sqrt((gaps**2).sum(1)).min() > 0.22:
            centres.append(candidate)
    grid = np.indices(light.shape)  # (3, Z, Y, X)
    for number, centre in enumerate(centres, start=1):
        radii = np.array([n_planes / 6, size / 10, size / 10]) * rng.uniform(0.8, 1.2)
        scaled = (grid - centre[:, None, None, None]) / radii[:, None, None, None]
        distance = np.sqrt((scaled**2).sum(0))
        light += rng.uniform(900, 2200) * _soft(distance, radii[1])
        labels[(distance < 1) & (labels == 0)] = number
    image = np.stack([_camera(rng, plane) for plane in light])
    click = (n_planes // 2, float(middle[1]), float(middle[2]))
    return Sample(image=image, labels=labels, axes="ZYX", click=click)


def _scatter(rng: np.random.Generator, size: int, n_frames: int) -> list[_Cell]:
    """Return the first frame's cells, the first one in the middle."""
    centres = [np.array([0.47, 0.45]) * size]
    for _ in range(600):
        candidate = rng.uniform(0.08, 0.92, 2) * size
        gaps = np.asarray(centres) - candidate
        if len(centres) < 15 and np.hypot(*gaps.T).min() > 0.16 * size:
            centres.append(candidate)
    cells = [
        _Cell(
            number=number,
            position=centre,
            velocity=rng.normal(0, 0.004 * size, 2),
            radius=size * rng.uniform(0.038, 0.052),
            elongation=rng.uniform(1.0, 1.5),
            angle=rng.uniform(0, np.pi),
            brightness=rng.uniform(900, 2200),
        )
        for number, centre in enumerate(centres, start=1)
    ]
    if len(cells) > 2:
        cells[1].divides_at = n_frames // 3
        cells[2].divides_at = 2 * n_frames // 3
    return cells


def _daughters(cell: _Cell, number: int) -> list[_Cell]:
    along = np.array([np.sin(cell.angle), np.cos(cell.angle)])
    return [
        _Cell(
            number=number + index,
            position=cell.position + side * 0.9 * cell.radius * along,
            velocity=side * 0.12 * cell.radius * along,
            radius=0.8 * cell.radius,
            elongation=1.1,
            angle=cell.angle + np.pi / 2,
            brightness=1.15 * cell.brightness,
        )
        for index, side in enumerate((-1, 1))
    ]


def _move(rng: np.random.Generator, cells: list[_Cell], size: int) -> None:
    """Take one step: a smooth random walk that keeps apart and inside the frame."""
    for cell in cells:
        cell.velocity = 0.9 * cell.velocity + rng.normal(0, 0.0012 * size, 2)
        cell.angle += rng.normal(0, 0.06)
        for other in cells:
            gap = cell.position - other.position
            distance = float(np.hypot(*gap))
            room = 1.3 * (cell.radius + other.radius)
            if 0 < distance < room:
                cell.velocity += 0.04 * (room - distance) * gap / distance
        margin = 1.5 * cell.radius
        cell.velocity += 0.2 * np.clip(margin - cell.position, 0, None)
        cell.velocity -= 0.2 * np.clip(cell.position + margin - size, 0, None)
    for cell in cells:
        cell.position = cell.position + cell.velocity


def _draw_cell(
    cell: _Cell, light: NDArray[np.float64], labels: NDArray[np.uint16]
) -> None:
    """Add the cell's light and its number to one frame, in place."""
    stretch = np.sqrt(cell.elongation)
    reach = cell.radius * stretch + 12  # beyond it there is no light left to add
    low = np.clip(cell.position - reach, 0, light.shape).astype(int)
    high = np.clip(cell.position + reach, 0, light.shape).astype(int) + 1
    near = (slice(low[0], high[0]), slice(low[1], high[1]))
    light, labels = light[near], labels[near]  # views
    y, x = np.indices(light.shape)
    dy, dx = y + low[0] - cell.position[0], x + low[1] - cell.position[1]
    sine, cosine = np.sin(cell.angle), np.cos(cell.angle)
    along = (dy * sine + dx * cosine) / (cell.radius * stretch)
    across = (dy * cosine - dx * sine) / (cell.radius / stretch)
    distance = np.hypot(along, across)  # 1 on the outline
    nucleus = 0.5 * np.exp(-4.0 * ((along - 0.15) ** 2 + across**2))
    light += cell.brightness * _soft(distance, cell.radius) * (0.75 + nucleus)
    labels[(distance < 1) & (labels == 0)] = cell.number


def _soft(distance: NDArray[np.float64], radius: float) -> NDArray[np.float64]:
    """Return 1 inside, 0 outside, with an edge about two pixels wide."""
    steepness = np.clip(radius * (distance - 1) / 0.8, -30, 30)
    edge: NDArray[np.float64] = 1 / (1 + np.exp(steepness))
    return edge


def _camera(rng: np.random.Generator, light: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Return `light` as a camera would read it: shot noise and read noise, uint16."""
    y = np.linspace(0, 1, light.shape[0])[:, None]
    glow = BACKGROUND * (1 + 0.3 * y)  # illumination is never quite even
    electrons = rng.poisson((light + glow) / 4) * 4.0
    noisy = electrons + rng.normal(0, 20, light.shape)
    return np.clip(np.rint(noisy), 0, 65535).astype(np.uint16)
