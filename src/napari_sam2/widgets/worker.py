"""One long-lived thread for everything that takes time: network, disk, downloads.

Why one thread, and not a thread a job or a child process: docs/performance.md. Answers
wait in a queue that the event loop empties from a timer while there is work, so that
no Qt object is touched outside the main thread and a burst of answers is one redraw.
"""

from __future__ import annotations

import atexit
import logging
import threading
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Literal

from qtpy.QtCore import QObject, QTimer

if TYPE_CHECKING:
    from collections.abc import Callable

    Answer = tuple["Job", Literal["item", "done", "error"], Any]

logger = logging.getLogger(__name__)

POLL_MILLISECONDS = 20
GOODBYE_SECONDS = 10.0


def _ignore(_: Any) -> None:
    """Take an answer that nobody asked for."""


@dataclass(kw_only=True, eq=False)
class Job:
    """Something to do in the thread, and whom to tell in the event loop.

    Attributes
    ----------
    work : callable
        Runs in the thread. Returns an answer, or a generator of answers, which can be
        cancelled between two of them.
    kind : str
        A job that waits is dropped when another of its kind arrives: newest wins.
    on_item, on_done, on_error : callable
        Run in the event loop: for each answer of a generator; at the end, with the
        answer (for a generator: whether it ran to its end); with the exception.
    cancelled : threading.Event
        Ends a generator at its next answer. `work` may look at it as well.
    """

    work: Callable[[], Any]
    kind: str
    on_item: Callable[[Any], None] = _ignore
    on_done: Callable[[Any], None] = _ignore
    on_error: Callable[[Exception], None] = _ignore
    cancelled: threading.Event = field(default_factory=threading.Event)


class Worker(QObject):
    """A queue of jobs, worked off in order by one thread.

    Create and use it in the main thread. `close` it, or its thread stays.
    """

    def __init__(self) -> None:
        super().__init__()
        self._queue = _Queue()
        self._closed = False
        self._timer = QTimer(self)
        self._timer.setInterval(POLL_MILLISECONDS)
        self._timer.timeout.connect(self.deliver)
        # Not a bound method: the thread must not keep this Qt object alive.
        self._thread = threading.Thread(
            target=self._queue.serve, name="napari-sam2", daemon=True
        )
        _serving[self._thread] = self._queue
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether answers are still to come."""
        return not self._queue.idle

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def submit(self, job: Job) -> None:
        """Put `job` last, in place of those of its kind that have not begun."""
        if self._closed:
            raise RuntimeError("The worker is closed; open the panel again.")
        self._queue.put(job)
        self._timer.start()

    def cancel(self, *kinds: str) -> bool:
        """Drop waiting jobs of these kinds; end a running one at its next answer.

        Returns
        -------
        bool
            Whether one is running, and so will still report.
        """
        return self._queue.cancel(kinds)

    def deliver(self) -> None:
        """Hand over the answers that are there. The timer calls this."""
        idle = self._queue.idle  # asked first: nothing comes after the last answer
        while not self._closed:
            try:
                job, what, value = self._queue.answers.get_nowait()
            except Empty:
                break
            receiver = {
                "item": job.on_item,
                "done": job.on_done,
                "error": job.on_error,
            }[what]
            receiver(value)
        if self._closed or idle:
            self._timer.stop()

    def close(self, *, last: Callable[[], None] | None = None) -> None:
        """End the thread after its present step; no answer is delivered any more.

        Parameters
        ----------
        last : callable, optional
            Runs in the thread at the very end, to give back what it holds.
        """
        if not self._closed:
            self._closed = True
            self._queue.close(last)

    def wait(self, seconds: float = GOODBYE_SECONDS) -> bool:
        """Wait for a closed worker's thread; return whether it has ended."""
        self._thread.join(seconds)
        return not self._thread.is_alive()


class _Queue:
    """What the two threads share."""

    def __init__(self) -> None:
        self.answers: SimpleQueue[Answer] = SimpleQueue()
        self._jobs: deque[Job] = deque()
        self._running: Job | None = None
        self._change = threading.Condition()
        self._last: Callable[[], None] | None = None
        self._closed = False

    @property
    def idle(self) -> bool:
        with self._change:
            return self._running is None and not self._jobs and self.answers.empty()

    def put(self, job: Job) -> None:
        with self._change:
            self._drop((job.kind,))
            self._jobs.append(job)
            self._change.notify()

    def cancel(self, kinds: tuple[str, ...]) -> bool:
        with self._change:
            self._drop(kinds)
            if self._running is None or self._running.kind not in kinds:
                return False
            self._running.cancelled.set()
            return True

    def close(self, last: Callable[[], None] | None = None) -> None:
        with self._change:
            self._jobs.clear()
            if self._running is not None:
                self._running.cancelled.set()
            self._closed, self._last = True, last or self._last
            self._change.notify()

    def serve(self) -> None:
        """Work until closed. The thread's body."""
        try:
            self._serve()
        finally:
            # Or whatever the last step belongs to would live as long as the program.
            _serving.pop(threading.current_thread(), None)

    def _serve(self) -> None:
        while True:
            with self._change:
                self._running = None
                self._change.wait_for(lambda: self._jobs or self._closed)
                if self._closed:
                    break
                job = self._running = self._jobs.popleft()
            self._do(job)
            del job  # or the last one's arrays would be kept while waiting
        if self._last is not None:
            self._last()

    def _do(self, job: Job) -> None:
        try:
            value = job.work()
            if isinstance(value, Generator):
                value = self._drain(job, value)
        except Exception as error:
            logger.debug("job %s failed", job.kind, exc_info=True)
            self.answers.put((job, "error", error))
        else:
            self.answers.put((job, "done", value))

    def _drain(self, job: Job, items: Generator[Any, None, Any]) -> bool:
        """Pass answers on until the end or until cancelled; say which."""
        try:
            for item in items:
                self.answers.put((job, "item", item))
                if job.cancelled.is_set():
                    return False
        finally:
            items.close()
        return True

    def _drop(self, kinds: tuple[str, ...]) -> None:
        for job in [j for j in self._jobs if j.kind in kinds]:
            self._jobs.remove(job)


_serving: dict[threading.Thread, _Queue] = {}


@atexit.register
def _end_with_the_program() -> None:
    """Let no thread die inside torch, which would take the program down."""
    for thread, queue in list(_serving.items()):
        queue.close()
        thread.join(GOODBYE_SECONDS)
