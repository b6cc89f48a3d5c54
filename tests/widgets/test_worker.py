"""One thread, newest first, answers in the event loop, an end that comes."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest
from qtpy.QtCore import QCoreApplication, QEvent

from napari_sam2.widgets.worker import Job, Worker

MAIN = threading.main_thread()


@pytest.fixture
def worker(qtbot):
    made = Worker()
    yield made
    made.close()
    assert made.wait(10)


def test_work_is_in_the_thread_and_answers_in_the_event_loop(worker, qtbot):
    where = []
    job = Job(
        kind="a",
        work=lambda: where.append(threading.current_thread()) or 42,
        on_done=lambda value: where.append((value, threading.current_thread())),
    )
    worker.submit(job)
    qtbot.waitUntil(lambda: len(where) == 2)
    assert where[0] is not MAIN
    assert where[1] == (42, MAIN)
    assert not worker.busy


def test_a_closed_worker_keeps_nothing(qtbot):
    """What its last step belongs to is freed."""

    class Engine:
        def close(self) -> None:
            pass

    worker, engine = Worker(), Engine()
    freed = weakref.ref(engine)
    worker.close(last=engine.close)
    assert worker.wait()
    worker.deleteLater()
    del worker, engine
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    gc.collect()
    assert freed() is None


def test_every_job_is_in_the_same_thread(worker, qtbot):
    seen = set()
    done = []
    for kind in "abcde":
        worker.submit(
            Job(
                kind=kind,
                work=lambda: seen.add(threading.get_ident()),
                on_done=done.append,
            )
        )
    qtbot.waitUntil(lambda: len(done) == 5)
    assert len(seen) == 1


def test_a_newer_job_replaces_a_waiting_one_of_its_kind(worker, qtbot):
    gate, answers = threading.Event(), []
    worker.submit(Job(kind="slow", work=gate.wait))
    for number in range(4):
        worker.submit(
            Job(kind="click", work=lambda n=number: n, on_done=answers.append)
        )
    worker.submit(Job(kind="other", work=lambda: "kept", on_done=answers.append))
    gate.set()
    qtbot.waitUntil(lambda: not worker.busy)
    assert answers == [3, "kept"]


def test_a_generator_is_cancelled_between_two_answers(worker, qtbot):
    items, ends, closed = [], [], threading.Event()
    step = threading.Semaphore(0)

    def count():
        try:
            for number in range(1000):
                step.acquire()
                yield number
        finally:
            closed.set()

    worker.submit(
        Job(kind="run", work=count, on_item=items.append, on_done=ends.append)
    )
    step.release(3)
    qtbot.waitUntil(lambda: len(items) == 3)
    assert worker.cancel("run")
    step.release(100)
    qtbot.waitUntil(lambda: bool(ends))
    assert items == [0, 1, 2, 3]
    assert ends == [False]
    assert closed.is_set()


def test_cancelling_what_waits_tells_nobody(worker, qtbot):
    gate, told = threading.Event(), []
    worker.submit(Job(kind="slow", work=gate.wait))
    worker.submit(Job(kind="x", work=lambda: 1, on_done=told.append))
    assert not worker.cancel("x")
    gate.set()
    qtbot.waitUntil(lambda: not worker.busy)
    assert told == []


def test_errors_are_answers_and_the_thread_goes_on(worker, qtbot):
    errors, done = [], []

    def fail():
        raise ValueError("no")

    def fail_later():
        yield 1
        raise OSError("later")

    worker.submit(Job(kind="a", work=fail, on_error=errors.append))
    worker.submit(Job(kind="b", work=fail_later, on_error=errors.append))
    worker.submit(Job(kind="c", work=lambda: 5, on_done=done.append))
    qtbot.waitUntil(lambda: bool(done))
    assert [str(error) for error in errors] == ["no", "later"]


def test_after_closing_nothing_is_delivered_and_the_last_word_is_said(qtbot):
    worker = Worker()
    told, last = [], []
    gate = threading.Event()
    worker.submit(Job(kind="slow", work=gate.wait, on_done=told.append))
    worker.submit(Job(kind="never", work=lambda: told.append("ran")))
    worker.close(last=lambda: last.append(threading.current_thread()))
    gate.set()
    assert worker.wait(10)
    worker.deliver()
    assert told == []
    assert last
    assert last[0] is not MAIN
    with pytest.raises(RuntimeError, match="closed"):
        worker.submit(Job(kind="late", work=list))
