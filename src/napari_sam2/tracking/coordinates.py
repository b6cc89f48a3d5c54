"""The one place where (y, x) of a frame becomes SAM 2's (x, y)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sam2.tracking.windows import Window


def points_to_input(
    points: Sequence[tuple[float, float]], window: Window, side: int
) -> list[tuple[float, float]]:
    """Turn (y, x) pixel centres of a frame into SAM 2's (x, y).

    A pixel's centre at column x lies at x + 0.5 of the window's width; the network
    adds 0.5 to what it is given, so 0.5 is taken off again.

    Parameters
    ----------
    points
        (y, x) pairs, centres at integers.
    window
        The part of the frame that is resized to the network's input.
    side
        Side S of the network's input.
    """
    return [
        (
            (x - window.x + 0.5) * side / window.width - 0.5,
            (y - window.y + 0.5) * side / window.height - 0.5,
        )
        for y, x in points
    ]


def box_to_input(
    box: tuple[float, float, float, float], window: Window, side: int
) -> list[tuple[float, float]]:
    """Turn the edges of a box into SAM 2's two corners (x, y).

    Parameters
    ----------
    box
        (y, x, y2, x2), edges: 0 is the frame's border, not a pixel's centre.
    window
        The part of the frame that is resized to the network's input.
    side
        Side S of the network's input.
    """
    y, x, y2, x2 = (edge - 0.5 for edge in box)
    return points_to_input([(y, x), (y2, x2)], window, side)
