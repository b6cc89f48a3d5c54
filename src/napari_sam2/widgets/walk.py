"""What the worker's thread does in a run: propagate, repeat, answer in between."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Generator

    from napari_sam2.widgets.engine import (
        Direction,
        Engine,
        FrameNews,
        PlaneNews,
        Repeat,
        Request,
    )
    from napari_sam2.widgets.turns import Turn

    News: TypeAlias = "Opened | FrameNews | PlaneNews | int"
    Question = Callable[[], Callable[[], None]]

LONG_RUN = 100  # frames from which on it is worth saying what it takes


@dataclass(frozen=True, kw_only=True)
class Opened:
    """The first answer of a run: where the labels will be."""

    array: Any
    total: int
    possible: int
    needs: str = ""


def open_and_propagate(
    engine: Engine,
    request: Request,
    direction: Direction,
    frames: range | None,
    repeat: Repeat | None,
    *,
    everything: bool,
) -> Generator[News, None, None]:
    """Fill the frames of a stack, then those of others; see `Engine`.

    Yields
    ------
    Opened
        First.
    FrameNews, PlaneNews
        Of each frame.
    int
        How many planes are to be repeated, before the first of them.
    """
    array = engine.open(request, 0)
    total = possible = engine.frames_to_do(
        request, direction, frames, everything=everything
    )
    if not total:
        possible = engine.frames_to_do(request, direction, frames, everything=True)
    needs = ""
    if total >= LONG_RUN:
        needs = engine.estimate(request, direction, frames, everything=everything)
    yield Opened(array=array, total=total, possible=possible, needs=needs)
    if total:
        yield from engine.propagate(request, direction, frames, everything=everything)
    if repeat is not None:
        yield engine.planes_to_repeat(request, repeat, everything=everything)
        yield from engine.repeat(request, repeat, everything=everything)


def with_answers(
    news: Generator[News, None, None],
    questions: deque[Question],
    turn: Turn,
    finish_ahead: Callable[[], None],
) -> Generator[News | Callable[[], None], None, None]:
    """Answer questions after each of the news, then let the window draw.

    Parameters
    ----------
    news : generator
        From `open_and_propagate`.
    questions : deque of callable
        Emptied; their answers are among the news.
    turn : Turn
        Offered after each of the news.
    finish_ahead : callable
        Waits for what is computed beside, before a turn is taken.
    """
    with contextlib.closing(news):
        for one in news:
            yield one
            while questions:
                yield questions.popleft()()
            turn.offer(finish_ahead)
