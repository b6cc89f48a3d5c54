"""Where should the network run beside a napari window? Measured, not believed.

One step = read a 256² picture, encode it, decode one click, hand the mask back, with
`nano` and random weights (speed does not depend on them). It runs

- headless: in the main thread, nothing else going on;
- in a fresh thread for every step; in one long-lived thread, with all cores for torch
  and with one left free; in a child process;

while the window is idle, refreshes a Labels layer ten times a second (what the widget
does), or redraws as fast as it can. The ways take turns in every round, so that
whatever else the machine does hits all of them; medians are printed. A timer of 10 ms
in the event loop (heartbeat) says how long the window was deaf.

    xvfb-run -s "-screen 0 1400x900x24" python benchmarks/threading_cost.py
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import queue
import statistics
import threading
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

SIZE = 256
WAYS = (
    "headless",
    "fresh thread",
    "long-lived thread",
    "long-lived thread, a core left free",
    "child process",
)
WINDOWS = ("idle", "10 refreshes/s", "flat out")


class Network:
    """nano with random weights: a picture in, a mask out."""

    def __init__(self, threads: int) -> None:
        import torch

        from napari_sam2.model import PromptTensors, build_model, normalise

        torch.manual_seed(0)
        torch.set_num_threads(threads)
        self._torch, self._normalise = torch, normalise
        self._model = build_model("nano").eval().requires_grad_(requires_grad=False)
        self._prompts = PromptTensors(
            points=torch.tensor([[[128.0, 128.0]]]),  # (O, N, 2)
            labels=torch.tensor([[1]]),
        )

    def use(self, threads: int) -> None:
        self._torch.set_num_threads(threads)

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        torch, model = self._torch, self._model
        with torch.inference_mode():
            pixels = torch.from_numpy(frame).permute(2, 0, 1)[None]  # (1, 3, S, S)
            features = model.encode_image(self._normalise(pixels))
            embedding = model.without_memory(features)
            out = model.decode_masks(embedding, features, self._prompts)
            return (out.low_res_masks[0, 0] > 0).numpy()


def child(pipe: Connection, threads: int) -> None:
    """Answer every picture that comes through the pipe with (mask, seconds)."""
    network = Network(threads)
    while (frame := pipe.recv()) is not None:
        pipe.send(network(frame))


class Bench:
    """A window to disturb and be disturbed by, and the ways to run a step beside it."""

    def __init__(self, threads: int, steps: int) -> None:
        import napari
        from qtpy.QtCore import QEventLoop, QTimer

        self.steps, self._loop_type = steps, QEventLoop
        self.threads = threads
        self.frame = np.random.default_rng(0).random((SIZE, SIZE, 3), np.float32)
        self.network = Network(threads)
        self.viewer = napari.Viewer()
        movie = np.random.default_rng(1).integers(0, 999, (8, 512, 512), np.uint16)
        self.viewer.add_image(movie)
        self.labels = self.viewer.add_labels(np.zeros(movie.shape, np.uint16))
        self._redraw, self._beat = QTimer(), QTimer()
        self._redraw.timeout.connect(self._refresh)
        self._beat.timeout.connect(self._tick)
        self.jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        threading.Thread(target=self._serve, daemon=True).start()
        spawn = multiprocessing.get_context("spawn")
        self.pipe, theirs = spawn.Pipe()
        spawn.Process(target=child, args=(theirs, threads), daemon=True).start()
        self.gaps: list[float] = []
        self._last = self.count = 0.0
        self._pump(1.5)

    def _serve(self) -> None:
        while (job := self.jobs.get()) is not None:
            job()

    def _refresh(self) -> None:
        self.count += 1
        row = int(self.count) % 500
        self.labels.data[int(self.viewer.dims.current_step[0]), row : row + 8] = 1
        self.labels.refresh()

    def _tick(self) -> None:
        now = time.perf_counter()
        self.gaps.append(1000 * (now - self._last))
        self._last = now

    def _pump(self, seconds: float) -> None:
        from qtpy.QtCore import QTimer

        loop = self._loop_type()
        QTimer.singleShot(int(1000 * seconds), loop.quit)
        loop.exec()

    def run(self, way: str, window: str) -> tuple[list[float], list[float]]:
        """Return milliseconds of each step, and the heartbeat's gaps meanwhile."""
        if way == "headless":
            return self._work(self.network), []
        self.gaps, self._last = [], time.perf_counter()
        if window != "idle":
            self._redraw.start(100 if window == "10 refreshes/s" else 0)
        self._beat.start(10)
        done = threading.Event()
        times: list[float] = []

        def job() -> None:
            spare = way.endswith("free")
            self.network.use(max(1, self.threads - 1) if spare else self.threads)
            times.extend(self._work(self.network))
            self.network.use(self.threads)
            done.set()

        def one_thread_a_step() -> None:
            for _ in range(self.steps):
                start = time.perf_counter()
                thread = threading.Thread(target=self.network, args=(self.frame,))
                thread.start()
                thread.join()
                times.append(1000 * (time.perf_counter() - start))
            done.set()

        def through_the_pipe() -> None:
            times.extend(self._work(self._ask_child))
            done.set()

        if way.startswith("long-lived thread"):
            self.jobs.put(job)
        else:
            target = one_thread_a_step if way == "fresh thread" else through_the_pipe
            threading.Thread(target=target, daemon=True).start()
        while not done.is_set():
            self._pump(0.05)
        self._redraw.stop()
        self._beat.stop()
        return times, self.gaps

    def _ask_child(self, frame: np.ndarray) -> Any:
        self.pipe.send(frame)
        return self.pipe.recv()

    def _work(self, step: Callable[[np.ndarray], Any]) -> list[float]:
        times = []
        for _ in range(self.steps):
            start = time.perf_counter()
            step(self.frame)
            times.append(1000 * (time.perf_counter() - start))
        return times

    def close(self) -> None:
        self.jobs.put(None)
        self.pipe.send(None)
        self.viewer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=8, help="steps a round")
    parser.add_argument("--torch-threads", type=int, default=os.cpu_count() or 1)
    wish = parser.parse_args()
    bench = Bench(wish.torch_threads, wish.steps)
    cases = [("headless", "idle")]
    cases += [(way, window) for window in WINDOWS for way in WAYS[1:]]
    times: dict[tuple[str, str], list[float]] = defaultdict(list)
    gaps: dict[tuple[str, str], list[float]] = defaultdict(list)
    for case in cases:  # warm up: the child imports torch, kernels are chosen
        bench.run(*case)
    for _ in range(wish.rounds):
        for case in cases:
            took, deaf = bench.run(*case)
            times[case] += took
            gaps[case] += deaf
    bench.close()
    base = statistics.median(times["headless", "idle"])
    print(f"{platform.platform()}, {os.cpu_count()} cores, {wish.torch_threads} torch")
    print(f"threads, {wish.rounds} rounds of {wish.steps} steps, medians; timer gap:")
    print("99th percentile between ticks of a 10 ms timer in the event loop\n")
    print("| where the network runs | window | ms a step | × headless | timer gap |")
    print("|---|---|---|---|---|")
    for way, window in cases:
        middle = statistics.median(times[way, window])
        found = np.array(gaps[way, window] or [0.0])
        deaf = f"{np.percentile(found, 99):.0f} ms" if way != "headless" else "–"
        shown = window if way != "headless" else "–"
        print(f"| {way} | {shown} | {middle:.1f} | {middle / base:.2f} | {deaf} |")


if __name__ == "__main__":
    main()
