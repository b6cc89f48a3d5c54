"""Following in the panel against the same session without a window.

    xvfb-run -s "-screen 0 1400x900x24" python benchmarks/panel_speed.py

The sample movie, `nano`, on disk every time, in turns: without a window; in the panel
with the slider left alone; with the slider going along; with somebody scrolling to
another frame ten times a second. Printed are frames a second, the share of those
without a window, and processor time a frame: what is more than without a window is
drawing, of which that in software (llvmpipe, a machine without a graphics card) is
named.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from event_loop import centres

WAYS = ("no window", "slider stays", "slider goes along", "somebody scrolls")
RENDERER = "llvmpipe"
SCROLL_MILLISECONDS = 100


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run, for each frame."""

    seconds: float
    processor: float
    renderer: float


def renderer_seconds() -> float:
    """Return the processor time of a renderer in software; Linux only."""
    import psutil

    spent = 0.0
    for thread in psutil.Process().threads():
        with contextlib.suppress(FileNotFoundError):  # it has ended meanwhile
            name = Path(f"/proc/self/task/{thread.id}/comm").read_text()
            if name.startswith(RENDERER):
                spent += thread.user_time + thread.system_time
    return spent


class Clock:
    """Measures one run."""

    def __init__(self, frames: int) -> None:
        self.frames = frames

    def __enter__(self) -> Clock:
        self._began = time.perf_counter(), time.process_time(), renderer_seconds()
        return self

    def __exit__(self, *_: object) -> None:
        now = time.perf_counter(), time.process_time(), renderer_seconds()
        spent = [(b - a) / self.frames for a, b in zip(self._began, now, strict=True)]
        self.run = Run(seconds=spent[0], processor=spent[1], renderer=spent[2])


def headless(sample: Any, objects: int) -> Run:
    """Follow without a window."""
    from napari_sam2 import Session, load_model

    model = load_model("nano", device="cpu", dtype="auto")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run.sam2.zarr")
        with Session(model, sample.image, axes=sample.axes, path=path) as session:
            for k, place in enumerate(centres(sample.labels[0])[:objects], start=1):
                session.add_points(k, 0, [place])
            session.preview(0)
            with Clock(len(sample.image)) as clock:
                for _ in session.propagate("forward"):
                    pass
    return clock.run


def in_panel(sample: Any, objects: int, way: str) -> Run:
    """Follow in a window of our own."""
    import napari
    from qtpy.QtCore import QEventLoop, QTimer

    from napari_sam2.widgets.track_widget import TrackWidget

    viewer = napari.Viewer()
    viewer.add_image(sample.image, name="cells", axis_labels=("t", "y", "x"))
    viewer.dims.set_point(0, 0)
    widget = TrackWidget(viewer)
    viewer.window.add_dock_widget(widget, name="SAM 2")

    def settle(pause: float = 0.3) -> None:
        """Let the event loop run, as it does for a user, until all is done."""
        loop, idle = QEventLoop(), QTimer()
        since = [time.perf_counter()]

        def look() -> None:
            now = time.perf_counter()
            if widget.desk.worker.busy or widget.following.run is not None:
                since[0] = now
            elif now - since[0] > pause:
                loop.quit()

        idle.timeout.connect(look)
        idle.start(20)
        loop.exec_()

    settle()
    assert widget.place is not None
    for place in centres(sample.labels[0])[:objects]:
        widget.place.prompts.click((0, *place))
        settle()
        widget.new_object()
    widget.panel.watch.setChecked(way == "slider goes along")
    scroll = QTimer()
    frames = len(sample.image)
    scroll.timeout.connect(
        lambda: viewer.dims.set_current_step(
            0, (viewer.dims.current_step[0] + 7) % frames
        )
    )
    if way == "somebody scrolls":
        scroll.start(SCROLL_MILLISECONDS)
    ended = QEventLoop()
    look = QTimer()

    def follow() -> None:
        widget.follow("forward")
        look.timeout.connect(lambda: widget.following.run is None and ended.quit())
        look.start(5)

    with Clock(frames) as clock:
        QTimer.singleShot(0, follow)
        ended.exec_()
    scroll.stop()
    look.stop()
    settle()
    widget.close_down()
    viewer.close()
    return clock.run


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--objects", type=int, nargs="+", default=[1])
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()

    from napari_sam2.stacks.samples import cells_movie

    sample = cells_movie(n_frames=args.frames)
    for objects in args.objects:
        headless(sample, objects)  # warms up
        runs: dict[str, list[Run]] = {way: [] for way in WAYS}
        for _ in range(args.rounds):
            for way in WAYS:
                if way == WAYS[0]:
                    runs[way].append(headless(sample, objects))
                else:
                    runs[way].append(in_panel(sample, objects, way))
        print(f"\n{objects} object{'s' * (objects > 1)}: medians of {args.rounds}")
        print(f"{'':20}{'frames/s':>10}{'share':>8}{'processor':>12}{'renderer':>11}")
        alone = statistics.median(run.seconds for run in runs[WAYS[0]])
        for way, found in runs.items():
            seconds, processor, renderer = (
                statistics.median(getattr(run, name) for run in found)
                for name in ("seconds", "processor", "renderer")
            )
            print(
                f"{way:20}{1 / seconds:10.1f}{alone / seconds:8.2f}"
                f"{1000 * processor:9.0f} ms{1000 * renderer:8.1f} ms",
                flush=True,
            )


if __name__ == "__main__":
    main()
