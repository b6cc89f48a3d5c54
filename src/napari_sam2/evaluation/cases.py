"""Cases to look at: what was asked, what came out, what it should have been."""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw

from napari_sam2.evaluation.users import tight_box
from napari_sam2.stacks.writing import save_picture

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]
    Picture = NDArray[np.float32]

TRUTH, ANSWER, CLICK = (60, 220, 90), (255, 90, 200), (255, 230, 60)
TILE = 176
ROOM = 16
BANDS = ("best", "median", "worst")


@dataclass(frozen=True, kw_only=True, eq=False)
class Panel:
    """A part of a frame with the true and the found outline.

    Attributes
    ----------
    image
        (h, w, 3) float32 in [0, 1].
    truth, mask
        (h, w) bool.
    caption
        A few words.
    clicks
        ((y, x), label) in pixels of the part.
    """

    image: Picture
    truth: Mask
    mask: Mask
    caption: str
    clicks: tuple[tuple[tuple[float, float], int], ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """One object: where it is from, how well it went, and panels to see why.

    Attributes
    ----------
    name
        Picture or movie, and object.
    score
        What cases are ordered by, in [0, 1].
    panels
        At least one.
    """

    name: str
    score: float
    panels: tuple[Panel, ...]


def cut_out(
    image: Picture,
    truth: Mask,
    mask: Mask,
    caption: str,
    *,
    around: Mask | None = None,
    clicks: Sequence[tuple[tuple[float, float], int]] = (),
) -> Panel:
    """Cut a square of about three times the object out of a frame.

    Parameters
    ----------
    image, truth, mask
        The whole frame, (Y, X, 3) and (Y, X).
    caption
        Written above the panel.
    around
        (Y, X) bool, what is in the middle; by default the truth, or the mask
        where that is empty.
    clicks
        ((y, x), label) in pixels of the frame.
    """
    middle = around if around is not None and around.any() else truth
    middle = middle if middle.any() else mask
    height, width = truth.shape
    y, x, y2, x2 = tight_box(middle) if middle.any() else (0, 0, height, width)
    side = min(max(3 * max(y2 - y, x2 - x), 48), height, width)
    top = min(max((y + y2 - side) // 2, 0), height - side)
    left = min(max((x + x2 - side) // 2, 0), width - side)
    place = slice(top, top + side), slice(left, left + side)
    return Panel(
        image=image[place].copy(),
        truth=truth[place].copy(),
        mask=mask[place].copy(),
        caption=caption,
        clicks=tuple(((py - top, px - left), label) for (py, px), label in clicks),
    )


def insides(labels: NDArray[Any]) -> Mask:
    """Return all objects of a label plane, with a line between those that touch."""
    inside = np.asarray(labels > 0)
    inside[1:] &= labels[1:] == labels[:-1]
    inside[:, 1:] &= labels[:, 1:] == labels[:, :-1]
    return inside


def choose_cases(cases: Sequence[Case], count: int) -> dict[str, list[Case]]:
    """Return up to `count` best, median and worst cases, none of them twice."""
    ordered = sorted(cases, key=lambda case: case.score)
    count = min(count, len(ordered) // 3) or min(1, len(ordered))
    worst, rest = ordered[:count], ordered[count:]
    best = rest[max(len(rest) - count, 0) :][::-1]
    rest = rest[: len(rest) - len(best)]
    start = max((len(rest) - count) // 2, 0)
    return {"best": best, "median": rest[start : start + count], "worst": worst}


class Gallery:
    """Cases of which the best, the median and the worst are shown in the end.

    Those that will not be shown are let go of, so that any number can be added.

    Parameters
    ----------
    count
        Most cases of each band.
    tile
        Side of a panel, px.
    """

    def __init__(self, count: int = 4, *, tile: int = TILE) -> None:
        self._count = count
        self._tile = tile
        self._scores: list[float] = []
        self._kept: list[Case] = []

    def add(self, case: Case) -> None:
        """Add a case."""
        insort(self._scores, case.score)
        insort(self._kept, case, key=lambda kept: kept.score)
        if len(self._kept) > ROOM * self._count:
            self._kept = self._worth_keeping()

    def draw(self, path: Path) -> None:
        """Write the picture; see `draw_cases`."""
        draw_cases(path, self._worth_keeping(), count=self._count, tile=self._tile)

    def _worth_keeping(self) -> list[Case]:
        """Return both ends, and as many of either side of the median of all."""
        kept, count = self._kept, self._count
        if len(kept) <= 3 * count:
            return kept
        median = self._scores[len(self._scores) // 2]
        middle = bisect_left(kept, median, key=lambda case: case.score)
        # No further than to the nearer end, so that the median stays in the middle.
        nearer = min(middle - count, len(kept) - count - middle)
        reach = max(min(nearer, ROOM * count // 4), 0)
        chosen = {*range(count), *range(len(kept) - count, len(kept))}
        chosen |= {*range(middle - reach, middle + reach)}
        return [kept[k] for k in sorted(chosen)]


def draw_cases(
    path: Path, cases: Sequence[Case], *, count: int = 4, tile: int = TILE
) -> None:
    """Write best, median and worst cases as one picture, a case a row.

    Truth is outlined in green, the answer in pink; clicks are yellow, a plus for
    the object and a minus beside it.

    Parameters
    ----------
    path
        Picture to write (.png).
    cases
        At least one.
    count
        Most cases of each band.
    tile
        Side of a panel, px.

    Raises
    ------
    ValueError
        When there is no case.
    """
    if not cases:
        message = "There is no case to draw: evaluate at least one object."
        raise ValueError(message)
    rows = [
        (f"{band}: {case.name}, {case.score:.2f}", case)
        for band, chosen in choose_cases(cases, count).items()
        for case in chosen
    ]
    columns = max(len(case.panels) for _, case in rows)
    head, foot = 14, 14
    high = head + tile + foot
    sheet = Image.new("RGB", (columns * (tile + 4), len(rows) * high), (24, 24, 24))
    pen = ImageDraw.Draw(sheet)
    for row, (title, case) in enumerate(rows):
        pen.text((3, row * high + 1), title, fill=(255, 255, 255))
        for column, panel in enumerate(case.panels):
            corner = column * (tile + 4), row * high + head
            sheet.paste(_drawn(panel, tile), corner)
            below = corner[0] + 3, corner[1] + tile + 1
            pen.text(below, panel.caption, fill=(190, 190, 190))
    save_picture(sheet, path)


def _drawn(panel: Panel, side: int) -> Image.Image:
    """Return a panel enlarged, its outlines one screen pixel wide or two."""
    pixels = np.rint(panel.image.clip(0, 1) * 255).astype(np.uint8)
    tile = Image.fromarray(pixels).resize((side, side), Image.Resampling.BILINEAR)
    canvas = np.array(tile)
    for mask, colour in ((panel.truth, TRUTH), (panel.mask, ANSWER)):
        grown = Image.fromarray(mask).resize((side, side), Image.Resampling.NEAREST)
        canvas[_rim(np.array(grown))] = colour
    tile = Image.fromarray(canvas)
    pen = ImageDraw.Draw(tile)
    zoom = side / len(panel.image)
    for (y, x), label in panel.clicks:
        row, col = (y + 0.5) * zoom, (x + 0.5) * zoom
        pen.line((col - 5, row, col + 5, row), fill=CLICK, width=2)
        if label:
            pen.line((col, row - 5, col, row + 5), fill=CLICK, width=2)
    return tile


def _rim(mask: Mask) -> Mask:
    """Return the pixels of a mask that touch its outside."""
    core = mask.copy()
    core[1:] &= mask[:-1]
    core[:-1] &= mask[1:]
    core[:, 1:] &= mask[:, :-1]
    core[:, :-1] &= mask[:, 1:]
    return mask & ~core
