"""Is the window ever deaf while frames are filled, and whose doing is it?

A timer of 5 ms in the event loop is the heartbeat. Whenever it is late, another thread
looks at what the event loop is doing, every 4 ms. For each gap of more than 20 ms two
numbers are kept: how long it was, and how much processor time the event loop's thread
used in it. The rest it waited: for a core, the interpreter's lock, the renderer.
What it worked at is put down to

- ours: a function of this plugin, named, that calls no redraw of napari's;
- napari: slicing and drawing, also where we asked for it by moving the slider;
- nothing: it had nothing to do but was not let to run.

The panel follows cells of the sample movie with `nano`, with the slider going along and
without.

    xvfb-run -s "-screen 0 1400x900x24" python benchmarks/event_loop.py
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

BEAT_MILLISECONDS = 5
LATE_SECONDS = 0.010
LOOK_SECONDS = 0.004
GAP_SECONDS = 0.020
OURS = str(Path("napari_sam2", "widgets"))
OTHERS = ("napari", "vispy")


@dataclass
class Gap:
    """A stretch in which the event loop did not come round."""

    seconds: float
    worked: float
    seen: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def whose(self) -> tuple[str, str]:
        """Whose doing it was mostly, and in which function."""
        if not self.seen:
            return "nothing", "waiting for a core"
        return self.seen.most_common(1)[0][0]


class Heartbeat:
    """Beats in the event loop; looks at it from another thread when it is late."""

    def __init__(self) -> None:
        from qtpy.QtCore import QTimer

        self.gaps: list[Gap] = []
        self.beats = 0
        self._last, self._worked = time.perf_counter(), time.thread_time()
        self._seen: Counter[tuple[str, str]] = Counter()
        self._main = threading.get_ident()
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._timer = QTimer()
        self._timer.timeout.connect(self._beat)

    def __enter__(self) -> Heartbeat:
        self._last, self._worked = time.perf_counter(), time.thread_time()
        self._began = self._last
        self._timer.start(BEAT_MILLISECONDS)
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._began
        self._timer.stop()
        self._over.set()
        self._watcher.join()

    def _beat(self) -> None:
        now, worked = time.perf_counter(), time.thread_time()
        seconds = now - self._last
        self.beats += 1
        if seconds > GAP_SECONDS:
            seen, self._seen = self._seen, Counter()
            self.gaps.append(Gap(seconds, worked - self._worked, seen))
        else:
            self._seen.clear()
        self._last, self._worked = now, worked

    def _watch(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            if time.perf_counter() - self._last > LATE_SECONDS:
                frame = sys._current_frames().get(self._main)
                self._seen[whose(frame)] += 1


def whose(frame: FrameType | None) -> tuple[str, str]:
    """Say whose function is running, and the one of ours or napari's it is in."""
    ours, others = "", ""
    while frame is not None:
        code = frame.f_code
        where = code.co_filename
        name = f"{Path(where).stem}.{code.co_name}"
        if OURS in where:
            ours = ours or f"{name}:{frame.f_lineno}"
        elif not (ours or others or name.endswith("__call__")):
            others = name if any(f"/{p}/" in where for p in OTHERS) else ""
        frame = frame.f_back
    if others:
        return "napari", f"{others}{f' from {ours}' if ours else ''}"
    if ours:
        return "ours", ours
    return "nothing", "the event loop itself"


def measure(*, watched: bool, objects: int, frames: int) -> Heartbeat:
    """Follow cells through the sample movie in a window of our own."""
    import napari
    from qtpy.QtWidgets import QApplication

    from napari_sam2.stacks.samples import cells_movie
    from napari_sam2.widgets.track_widget import TrackWidget

    sample = cells_movie(n_frames=frames)
    viewer = napari.Viewer()
    viewer.add_image(sample.image, name="cells", axis_labels=("t", "y", "x"))
    viewer.dims.set_point(0, 0)
    widget = TrackWidget(viewer)
    viewer.window.add_dock_widget(widget, name="SAM 2")
    app = QApplication.instance()
    assert app is not None

    def settle() -> None:
        while widget.desk.worker.busy or widget.following.run is not None:
            app.processEvents()
            time.sleep(0.001)
        for _ in range(50):
            app.processEvents()
            time.sleep(0.01)

    settle()
    places = centres(sample.labels[0])[:objects]
    assert widget.place is not None
    for place in places:
        widget.place.prompts.click((0, *place))
        settle()
        widget.new_object()
    widget.panel.watch.setChecked(watched)
    with Heartbeat() as heart:
        widget.follow("forward")
        settle()
    widget.close_down()
    viewer.close()
    return heart


def centres(labels: object) -> list[tuple[float, float]]:
    """Return the middle of each cell in a plane."""
    from skimage.measure import regionprops

    return [region.centroid for region in regionprops(labels)]


def report(heart: Heartbeat, title: str) -> None:
    """Print how long the gaps were, and whose."""
    lengths = sorted(1000 * gap.seconds for gap in heart.gaps)
    over = sum(length > 50 for length in lengths)
    print(
        f"\n{title}: {heart.beats} beats in {heart.seconds:.1f} s, {len(lengths)} gaps "
        f"over 20 ms, {over} over 50 ms"
    )
    print(f"{'longest':>9} {'its work':>9} {'how many':>9}  whose, in which function")
    groups: dict[tuple[str, str], list[Gap]] = {}
    for gap in heart.gaps:
        groups.setdefault(gap.whose, []).append(gap)
    ordered = sorted(groups.items(), key=lambda item: -max(g.seconds for g in item[1]))
    for (owner, function), gaps in ordered[:14]:
        longest = max(gaps, key=lambda gap: gap.seconds)
        print(
            f"{1000 * longest.seconds:6.0f} ms {1000 * longest.worked:6.0f} ms "
            f"{len(gaps):9}  {owner}: {function}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--objects", type=int, default=2)
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--switch", type=float, help="interpreter's switch interval, s")
    args = parser.parse_args()
    if args.switch:
        sys.setswitchinterval(args.switch)
    for watched in (False, True):
        heart = measure(watched=watched, objects=args.objects, frames=args.frames)
        report(heart, f"slider {'goes along' if watched else 'stays'}")


if __name__ == "__main__":
    main()
