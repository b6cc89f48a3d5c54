"""How an object's mask changes from frame to frame, and which changes are flagged.

Shapes: N frames of one object, in the order in which they were followed.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

HISTORY = 3
"""Frames a frame is compared with: the median of three bears one bad mask, and lags
two frames behind an object that grows or shrinks steadily, which is not flagged."""

RECENT = 10
"""Frames whose lowest predicted IoU counts."""

# True objects do these things seldom: docs/scores.md has how often, in four sets.
JUMP_SIZE = 0.5
"""A step is a jump from this many object sizes a frame on ..."""
JUMP_STEPS = 4.0
"""... if it is this many times the usual step as well: fast objects may be fast."""
AREA_GROWTH = 2.0
"""Areas grow to more than this times the usual one when a mask spills over."""
AREA_SHRINK = 3.0
"""Areas fall below the usual one divided by this; less is common, where a volume's
objects end in a cap or a cell rounds up."""
OVERLAP_LOST = 0.5
"""Share of an answer that others took: two objects are where one is."""


class Flags(enum.Flag):
    """What is to be looked at in a frame of an object; see `changes_of`."""

    NONE = 0
    JUMP = 1
    AREA = 2
    VANISHED = 4
    OVERLAP = 8

    @property
    def words(self) -> str:
        """The names in lower case, separated by spaces; empty for none."""
        return " ".join(str(flag.name).lower() for flag in self)


@dataclass(frozen=True, kw_only=True, eq=False)
class Changes:
    """Changes against the recent past; NaN where there is nothing to compare.

    Attributes
    ----------
    step
        (N,) distance from the last centroid before, px.
    step_ratio
        (N,) `step` a frame, in object sizes: square roots of the usual recent area.
    area_ratio
        (N,) area over the usual (median) recent area.
    flags
        (N,) uint8 bits of `Flags`.
    """

    step: Floats
    step_ratio: Floats
    area_ratio: Floats
    flags: NDArray[np.uint8]


def changes_of(
    frames: NDArray[np.integer],
    area: NDArray[np.integer],
    centroid: NDArray[np.floating],
    overlap_lost: NDArray[np.floating],
) -> Changes:
    """Compare each frame with the last `HISTORY` frames that showed the object.

    Flagged are a jump (a step a frame of more than `JUMP_SIZE` object sizes and
    `JUMP_STEPS` times the usual recent step), an area of more than `AREA_GROWTH`
    times or less than one `AREA_SHRINK`-th of the usual recent one, vanishing (the
    first empty frame only: an object may well have left), and an answer of which
    others took more than `OVERLAP_LOST`. The first frame is where the object comes
    from; it has no flags.

    Parameters
    ----------
    frames
        (N,) frame indices, rising or falling.
    area
        (N,) pixels, 0 where the object is not.
    centroid
        (N, 2) y, x in px; ignored where the area is 0.
    overlap_lost
        (N,) share in [0, 1].
    """
    count = len(frames)
    visible = area > 0
    seen = np.flatnonzero(visible)
    # How many frames before each show the object: its place among those.
    place = np.searchsorted(seen, np.arange(count))
    usual = _usual_before(area[seen].astype(np.float64))[place]
    step = np.full(count, np.nan)
    pace = np.full(count, np.nan)
    gap = np.ones(count)
    if len(seen) > 1:
        here = centroid[seen].astype(np.float64)
        step[seen[1:]] = np.hypot(*(here[1:] - here[:-1]).T)
        gap[seen[1:]] = np.abs(np.diff(frames[seen].astype(np.int64)))
        pace[seen] = _usual_before((step / gap)[seen])[:-1]
    size = np.sqrt(usual)
    area_ratio = np.where(visible, area / usual, np.nan)
    flags = np.zeros(count, np.uint8)
    jumps = step / gap > np.fmax(JUMP_SIZE * size, JUMP_STEPS * pace)
    flags[jumps] |= Flags.JUMP.value
    odd = (area_ratio > AREA_GROWTH) | (area_ratio < 1 / AREA_SHRINK)
    flags[odd] |= Flags.AREA.value
    flags[1:][visible[:-1] & ~visible[1:]] |= Flags.VANISHED.value
    flags[overlap_lost > OVERLAP_LOST] |= Flags.OVERLAP.value
    flags[:1] = 0
    return Changes(
        step=step,
        step_ratio=step / gap / size,
        area_ratio=area_ratio,
        flags=flags,
    )


def recent_low(values: NDArray[np.floating]) -> Floats:
    """Return the lowest of the last `RECENT` values up to each, (N,) for (N,)."""
    padded = np.concatenate([np.full(RECENT - 1, np.inf), values])
    return np.asarray(sliding_window_view(padded, RECENT).min(axis=1))


def _usual_before(values: Floats) -> Floats:
    """Return the median of up to `HISTORY` values before each, NaN for none.

    Parameters
    ----------
    values
        (n,), NaN where there is none.

    Returns
    -------
    numpy.ndarray
        (n + 1,); the last one comes after all values.
    """
    padded = np.concatenate([np.full(HISTORY, np.nan), values])
    windows = np.sort(sliding_window_view(padded, HISTORY), axis=1)  # NaN come last
    known = np.count_nonzero(~np.isnan(windows), axis=1)
    rows = np.arange(len(windows))
    low = windows[rows, np.maximum(known - 1, 0) // 2]
    # Of three values known // 2 is the middle one; of none it is 0, and NaN.
    return np.asarray((low + windows[rows, known // 2]) / 2)
