"""Run a session to its end, or to Ctrl-C, and show how it goes."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from dataclasses import dataclass
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
    done: set[int] = set()
    unread: dict[int, str] = {}

    def note(result: FrameResult) -> int:
        if result.error is None:
            done.add(result.frame_idx)
        else:
            unread[result.frame_idx] = str(result.error)
        return len(done) + len(unread)

    start = time.perf_counter()
    total = len(frames) if frames is not None else session.labels.shape[0]
    results = session.propagate(direction=direction, frames=frames)
    interrupted = go_through(results, note, total=total, quiet=quiet)
    return Followed(
        frames=len(done),
        objects=len(session.object_ids),
        seconds=time.perf_counter() - start,
        peak_memory_mb=peak_memory_mb(),
        interrupted=interrupted,
        unread=tuple(unread.values()),
    )


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
    count = 0
    objects: set[int] = set()
    unread: dict[tuple[int, ...], str] = {}

    def note(plane: PlaneResult) -> int:
        nonlocal count
        count += not plane.again
        objects.update(plane.result.scores)
        if plane.result.error is not None:
            where = ", ".join(map(str, plane.place))
            unread[plane.place] = f"At ({where}): {plane.result.error}"
        return count

    start = time.perf_counter()
    total = repetition.frames_to_do(direction, frames)
    planes = repetition.run(direction, frames)
    interrupted = go_through(planes, note, total=total, quiet=quiet)
    return Followed(
        frames=count - len(unread),
        objects=len(objects),
        seconds=time.perf_counter() - start,
        peak_memory_mb=peak_memory_mb(),
        interrupted=interrupted,
        unread=tuple(unread.values()),
    )


def go_through(
    results: Generator[Result, None, None],
    note: Callable[[Result], int],
    *,
    total: int,
    quiet: bool,
) -> bool:
    """Take results one by one under a bar, until the end or Ctrl-C.

    Parameters
    ----------
    results : generator
        Is closed in the end.
    note : callable
        Takes each result; returns how many frames are done.
    total : int
        How many there will be, about.
    quiet : bool
        Show no bar.

    Returns
    -------
    bool
        Whether it was interrupted.
    """
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
                bar.update(note(result) - bar.n)
                if interruption.seen:
                    break
        except KeyboardInterrupt:  # the second one
            interruption.seen = True
        if not interruption.seen:
            bar.total = bar.n  # "forward" from a late prompt does fewer frames
            bar.refresh()
    return interruption.seen


def peak_memory_mb() -> float:
    """Return the largest resident set this process has had, in 10⁶ bytes."""
    if sys.platform == "win32":
        import psutil

        return float(psutil.Process().memory_info().peak_wset) / 1e6
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e6
