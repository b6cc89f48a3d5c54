"""Run a session to its end, or to Ctrl-C, and show how it goes."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from tqdm import tqdm

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from napari_sam2.tracking import FrameResult, Session
    from napari_sam2.tracking.planning import Direction
    from napari_sam2.tracking.repeating import Repetition
    from napari_sam2.tracking.results import PlaneResult

Result = TypeVar("Result")

BAR_FORMAT = (
    "{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} frames "
    "[{rate_noinv_fmt}, {remaining} left]"
)


@dataclass(frozen=True, kw_only=True)
class Followed:
    """What a run did.

    Attributes
    ----------
    frames, objects : int
        How many frames were segmented, and how many objects were looked for.
    seconds : float
        Time from the first frame's start to the last one's end; loading is not in it.
    peak_memory_mb : float
        The process's largest resident set so far, in megabytes (10⁶ bytes).
    interrupted : bool
        Whether Ctrl-C ended it.
    unread : tuple of str
        What is wrong with each frame that could not be read; they are not in `frames`.
    """

    frames: int
    objects: int
    seconds: float
    peak_memory_mb: float
    interrupted: bool
    unread: tuple[str, ...] = ()

    @property
    def frames_per_second(self) -> float:
        """Frames segmented per second; 0 where there was none."""
        return self.frames / self.seconds if self.seconds else 0.0


class Interruption:
    """Ctrl-C seen, and to be answered when the frame in work is done."""

    def __init__(self) -> None:
        self.seen = False


@contextlib.contextmanager
def gentle_interrupt() -> Iterator[Interruption]:
    """Let the first Ctrl-C be noted; a second one interrupts at once.

    Outside the main thread, where signals cannot be caught, nothing changes.
    """
    state = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield state
        return
    before = signal.getsignal(signal.SIGINT)

    def note(signum: int, frame: Any) -> None:
        state.seen = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    signal.signal(signal.SIGINT, note)
    try:
        yield state
    finally:
        signal.signal(signal.SIGINT, before)


class _Count:
    """What is done of a run, as its results come in."""

    def __init__(self) -> None:
        self.frames = 0
        self.objects: set[int] = set()
        self.unread: dict[object, str] = {}

    def note(self, place: object, result: FrameResult, *, again: bool = False) -> None:
        """Count a frame; of one that could not be read keep why."""
        self.frames += not again
        self.objects.update(result.scores)
        if result.error is not None:
            self.unread[place] = str(result.error)


def follow(
    session: Session,
    *,
    direction: Direction = "both",
    frames: range | None = None,
    quiet: bool = False,
) -> Followed:
    """Propagate with a progress bar; stop after the frame in work on Ctrl-C.

    Parameters
    ----------
    session : Session
        With its prompts; its labels are filled frame by frame.
    direction : {"forward", "backward", "both"}
        Passed on to `Session.propagate`.
    frames : range, optional
        Segment these only.
    quiet : bool
        Show no bar.
    """
    seen: set[int] = set()

    def note(result: FrameResult, count: _Count) -> None:
        t = result.frame_idx
        count.note(t, result, again=t in seen)
        seen.add(t)

    results = session.propagate(direction=direction, frames=frames)
    total = len(frames) if frames is not None else session.labels.shape[0]
    followed = go_through(results, note, total=total, quiet=quiet)
    return replace(followed, objects=len(session.object_ids))


def repeat(
    repetition: Repetition,
    *,
    direction: Direction = "both",
    frames: range | None = None,
    quiet: bool = False,
) -> Followed:
    """Repeat with a progress bar; stop after the frame in work on Ctrl-C.

    Parameters
    ----------
    repetition : Repetition
        Of a session that has been propagated; its labels are filled frame by frame.
    direction, frames
        Passed on to `Repetition.run`.
    quiet : bool
        Show no bar.
    """

    def note(plane: PlaneResult, count: _Count) -> None:
        result = plane.result
        if result.error is not None:
            where = ", ".join(map(str, plane.place))
            result = replace(result, error=f"At ({where}): {result.error}")
        count.note(plane.place, result, again=plane.again)

    total = repetition.frames_to_do(direction, frames)
    planes = repetition.run(direction, frames)
    return go_through(planes, note, total=total, quiet=quiet)


def go_through(
    results: Generator[Result, None, None],
    note: Callable[[Result, _Count], None],
    *,
    total: int,
    quiet: bool,
) -> Followed:
    """Take results one by one under a bar, until the end or Ctrl-C.

    Parameters
    ----------
    results : generator
        Is closed in the end.
    note : callable
        Counts each result.
    total : int
        How many there will be, about.
    quiet : bool
        Show no bar.
    """
    count, start = _Count(), time.perf_counter()
    with (
        gentle_interrupt() as interruption,
        tqdm(
            total=total,
            unit=" frames",
            disable=quiet,
            bar_format=BAR_FORMAT,
            mininterval=0.2 if sys.stderr.isatty() else 2.0,
        ) as bar,
        contextlib.closing(results),
    ):
        try:
            for result in results:
                note(result, count)
                bar.update(count.frames - bar.n)
                if interruption.seen:
                    break
        except KeyboardInterrupt:  # the second one
            interruption.seen = True
        if not interruption.seen:
            bar.total = bar.n  # "forward" from a late prompt does fewer frames
            bar.refresh()
    return Followed(
        frames=count.frames - len(count.unread),
        objects=len(count.objects),
        seconds=time.perf_counter() - start,
        peak_memory_mb=peak_memory_mb(),
        interrupted=interruption.seen,
        unread=tuple(count.unread.values()),
    )


def peak_memory_mb() -> float:
    """Return the largest resident set this process has had, in 10⁶ bytes."""
    if sys.platform == "win32":
        import psutil

        return float(psutil.Process().memory_info().peak_wset) / 1e6
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e6
