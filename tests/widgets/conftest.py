"""A cheap engine that needs no network, and ways to drive the event loop."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QWidget

from napari_sam2.stacks.drawn import ellipse_mask, polygon_mask, scribble_points
from napari_sam2.tracking.results import Seen
from napari_sam2.tracking.review import ObjectReview
from napari_sam2.widgets.engine import (
    Catalogue,
    FrameNews,
    ModelInfo,
    ObjectNews,
    PlaneNews,
    Standing,
)
from napari_sam2.widgets.kept_sessions import Recovered, Saved, SessionScript
from napari_sam2.widgets.labels_volume import LabelsVolume
from napari_sam2.widgets.track_widget import TrackWidget

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_sam2.widgets.frame_prompts import FramePrompts

MAIN = threading.main_thread()
RADIUS = 4


class DiskEngine:
    """Draws a disk at each click; frames move it one pixel to the right each.

    Deterministic, and slow on demand (`seconds` a frame). Refuses to be called from
    the event loop.
    """

    def __init__(self, *, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.volumes: dict[int, LabelsVolume] = {}
        self.masks: dict[tuple[int, int], np.ndarray] = {}
        self.requests: list[object] = []
        self.previews = 0
        self.frames_done: list[int] = []
        self.fresh: set[int] = set()
        self.told: dict[object, object] = {}
        self.prompts: dict[tuple[int, int], FramePrompts] = {}
        self.names: dict[int, str] = {}
        self.scores: dict[tuple[int, int], ObjectNews] = {}
        self.outdated: set[tuple[int, int]] = set()
        self.locked: set[tuple[int, int]] = set()
        self.edits: list[object] = []
        self.done: list[tuple[str, dict]] = []
        self.undone: list[tuple[str, dict]] = []
        self.repeats: list[object] = []
        self.elsewhere: dict[tuple[int, int, int], ObjectNews] = {}
        self.looked_at: list[tuple[int, int]] = []
        self.shelved = None
        self.saved: list[object] = []
        self.discarded = 0
        self.found_at: dict[str, object] = {}
        self.closed = False
        self.supposed: list[tuple[int, int, tuple[float, float], int]] = []
        self.encoded: set[int] | None = None  # None: all of them
        self.fail: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()

    def _check(self, request=None) -> None:
        assert threading.current_thread() is not MAIN, "work in the event loop"
        self.gate.wait(10)
        if request is not None:
            self.requests.append(request)
        if self.fail is not None:
            raise self.fail
        if request is not None and request.prompts != self.prompts:
            self._begin(request, "click")
            now, before = request.prompts, self.prompts
            changed = {k for k in {*now, *before} if now.get(k) != before.get(k)}
            self.prompts = dict(now)
            for key in changed - set(now):
                self.scores.pop(key, None)
            ids = {object_id for object_id, _ in changed}
            fixed = {*now, *self.masks, *self.locked}
            self.outdated |= {k for k in self.scores if k[0] in ids and k not in fixed}

    STATE = (
        "prompts",
        "masks",
        "names",
        "scores",
        "outdated",
        "locked",
        "fresh",
        "elsewhere",
    )

    def _state(self, request) -> dict:
        state = {name: getattr(self, name).copy() for name in self.STATE}
        return {**state, "labels": np.array(self._volume(request).array)}

    def _begin(self, request, what: str) -> None:
        self.done.append((what, self._state(request)))
        self.undone.clear()

    def turn(self, request, *, undo):
        self._check(request)
        source, other = (self.done, self.undone)[:: 1 if undo else -1]
        if not source:
            return None
        what, before = source.pop()
        other.append((what, self._state(request)))
        self._volume(request).array[...] = before.pop("labels")
        for name, value in before.items():
            setattr(self, name, value)
        return self._standing(request, what)

    def review(self, request, object_ids):
        self._check(request)
        return self._reviews(request, object_ids)

    def _reviews(self, request, object_ids):
        n_frames = request.target.n_frames
        return {
            object_id: self._review(object_id, n_frames)
            for object_id in object_ids
            if any(key[0] == object_id for key in {*self.prompts, *self.masks})
        }

    def _review(self, object_id, n_frames) -> ObjectReview:
        confidence = np.full(n_frames, np.nan, np.float32)
        area, flags = np.zeros(n_frames, np.int32), np.zeros(n_frames, np.uint8)
        for (i, t), news in self.scores.items():
            if i == object_id:
                confidence[t], area[t], flags[t] = (
                    news.confidence,
                    news.area,
                    news.flags,
                )
        marks = []
        for keys in ({*self.prompts, *self.masks}, self.locked, self.outdated):
            marks.append(np.zeros(n_frames, bool))
            marks[-1][[t for i, t in keys if i == object_id]] = True
        return ObjectReview(
            confidence=confidence,
            area=area,
            flags=flags,
            prompted=marks[0],
            locked=marks[1],
            outdated=marks[2],
        )

    def _standing(self, request, what) -> Standing:
        ids = {object_id for object_id, _ in {*self.prompts, *self.masks}}
        return Standing(
            what=what,
            prompts=dict(self.prompts),
            masks=tuple(self.masks),
            objects=self._reviews(request, ids),
            names=dict(self.names),
        )

    def edit(self, request, edit):
        self._check(request)
        self._begin(request, edit.verb)
        self.edits.append(edit)
        keys = {(edit.object_id, t) for t in edit.frames}
        store = self._volume(request).store(request.target)
        if edit.verb == "lock":
            self.locked |= keys
        elif edit.verb == "unlock":
            self.locked -= keys
        elif edit.verb == "rename":
            self.names[edit.object_id] = edit.name
        elif edit.verb == "remove":
            self._forget_object(edit.object_id)
            self._volume(request).erase(edit.object_id, request.target)
        elif edit.verb == "merge":
            self._forget_object(edit.object_id)
            for t in range(len(store)):
                plane = store.read(t)
                plane[plane == edit.object_id] = edit.other
                store.write(t, plane)
        else:
            for t in edit.frames:
                plane = store.read(t)
                mine, theirs = plane == edit.object_id, plane == edit.other
                plane[mine], plane[theirs & (edit.other > 0)] = (
                    edit.other,
                    edit.object_id,
                )
                store.write(t, plane)
                if edit.verb == "absent":
                    self.masks[edit.object_id, t] = np.zeros(plane.shape, bool)
                    self.prompts.pop((edit.object_id, t), None)
        return self._standing(request, edit.verb)

    def _forget_object(self, object_id) -> None:
        for name in ("prompts", "masks", "scores"):
            kept = {k: v for k, v in getattr(self, name).items() if k[0] != object_id}
            setattr(self, name, kept)

    computes = "on paper in pencil"

    def catalogue(self) -> Catalogue:
        assert threading.current_thread() is not MAIN
        return Catalogue(
            models=(
                ModelInfo(name="nano", here=True, note="built in"),
                ModelInfo(name="sam2.1-tiny", here=False, note="149 MB"),
            ),
            devices=("auto", "cpu"),
        )

    def download(self, name, report):
        self._check()
        report(50, 100)
        return ModelInfo(name=name, here=True, note="149 MB")

    def _volume(self, request) -> LabelsVolume:
        key = id(request.target.data)
        return self.volumes.setdefault(key, LabelsVolume(request.target))

    def open(self, request, frame_idx):
        self._check(request)
        return self._volume(request).array

    def _draw(self, request, frame_idx, anchors) -> FrameNews:
        store = self._volume(request).store(request.target)
        plane = store.read(frame_idx)
        y, x = np.indices(plane.shape)
        objects = {}
        for object_id, (frame, prompts) in anchors.items():
            plane[plane == object_id] = 0
            step = frame_idx - frame
            mask = self.masks.get((object_id, frame))
            inside = np.zeros(plane.shape, bool) if mask is None else mask.copy()
            if prompts is not None and prompts.box is not None:
                y0, x0, y1, x1 = prompts.box
                inside |= (y >= y0) & (y < y1) & (x >= x0) & (x < x1)
            points = [] if prompts is None else list(prompts.points)
            labels = [] if prompts is None else list(prompts.labels)
            if prompts is not None and prompts.outlines:
                inside = np.zeros(plane.shape, bool)
                fill = {"polygon": polygon_mask, "ellipse": ellipse_mask}
                for outline in prompts.outlines:
                    held = fill[outline.kind](outline.vertices, plane.shape)
                    inside = inside | held if outline.label else inside & ~held
            scribbles = () if prompts is None else prompts.scribbles
            for scribble in reversed(scribbles):
                along = scribble_points(scribble.path, plane.shape).tolist()
                points = [*along, *points]
                labels = [*[scribble.label] * len(along), *labels]
            for (cy, cx), label in zip(points, labels, strict=True):
                disk = (y - cy) ** 2 + (x - cx - step) ** 2 <= RADIUS**2
                inside = inside | disk if label else inside & ~disk
            plane[inside] = object_id
            objects[object_id] = ObjectNews(confidence=0.9, area=int(inside.sum()))
            self.scores[object_id, frame_idx] = objects[object_id]
            self.outdated.discard((object_id, frame_idx))
        store.write(frame_idx, plane)
        return FrameNews(frame_idx=frame_idx, objects=objects)

    def _anchors(self, request, frame_idx=None):
        keys = {*request.prompts, *self.masks}
        chosen = {}
        for object_id, frame in sorted(keys, reverse=True):
            if frame_idx in (None, frame):
                chosen[object_id] = (frame, request.prompts.get((object_id, frame)))
        return chosen

    def preview(self, request, frame_idx):
        self._check(request)
        self.previews += 1
        anchors = self._anchors(request, frame_idx)
        store = self._volume(request).store(request.target)
        plane = store.read(frame_idx)
        plane[~np.isin(plane, list(anchors))] = 0
        store.write(frame_idx, plane)
        return self._draw(request, frame_idx, anchors)

    def suppose(self, request, object_id, frame_idx, point, label, *, afresh):
        self._check()
        assert request.prompts == self.prompts
        if afresh and self.encoded is not None:
            self.encoded.add(frame_idx)
        if self.encoded is not None and frame_idx not in self.encoded:
            return None
        self.supposed.append((object_id, frame_idx, point, label))
        angles = np.linspace(0, 2 * np.pi, 16)
        ring = np.stack([np.sin(angles), np.cos(angles)], axis=1)
        return [np.array(point) + RADIUS * ring]

    def _todo(self, request, direction, frames, everything):
        start = min(frame for frame, _ in self._anchors(request).values())
        asked = range(request.target.n_frames) if frames is None else frames
        forward = [t for t in asked if t >= start]
        backward = [t for t in reversed(asked) if t < start]
        if direction == "backward" and start in asked:
            backward = [start, *backward]
        todo = {"forward": forward, "backward": backward}
        walk = todo.get(direction, [*forward, *backward])
        fresh = self.fresh if self.told == request.prompts else set()
        return walk if everything else [t for t in walk if t not in fresh]

    def frames_to_do(self, request, direction, frames, *, everything):
        self._check(request)
        return len(self._todo(request, direction, frames, everything))

    def estimate(self, request, direction, frames, *, everything):
        self._check(request)
        return "12 frames × 1 object: 1 MB of memory, about 1 s"

    def earlier(self, request):
        self._check(request)
        return self.shelved

    def recover(self, request, earlier):
        self._check()
        return Recovered(
            array=self.open(request, 0), standing=self._standing(request, "")
        )

    def save(self, request, path, *, replace):
        self._check(request)
        self.saved.append((path, replace))
        return path.with_name(f"{path.name.removesuffix('.sam2.zarr')}.sam2.zarr")

    def discard(self):
        self._check()
        self.discarded += 1

    def look_at(self, path):
        self._check()
        return Saved(path=path, model="nano", found_at=self.found_at, saved=True)

    def script(self, request):
        self._check(request)
        lines = [
            f"session.add_points({i}, {t}, {list(given.points)}, {list(given.labels)})"
            for (i, t), given in request.prompts.items()
        ]
        lines += [f"# {what}" for what, _ in self.done]
        return SessionScript(lines=tuple(lines), repeats=tuple(self.repeats))

    def propagate(self, request, direction, frames, *, everything):
        self._check(request)
        anchors = self._anchors(request)
        walk = self._todo(request, direction, frames, everything)
        if self.told != request.prompts:
            self.told, self.fresh = dict(request.prompts), set()
        self._begin(request, f"{direction} propagation")
        for frame in walk:
            if self.seconds:
                time.sleep(self.seconds)
            news = self._draw(request, frame, anchors)
            self.frames_done.append(frame)
            self.fresh.add(frame)
            yield news

    def finish_ahead(self):
        self._check()

    def planes_to_repeat(self, request, repeat, *, everything):
        self._check(request)
        return len(self._elsewhere(request, repeat)) * request.target.n_frames

    def _elsewhere(self, request, repeat):
        axis = request.target.axes.index(repeat.over)
        held = request.target.held[axis]
        return [t for t in range(request.target.shape[axis]) if t != held]

    def repeat(self, request, repeat, *, everything):
        """Have the labels of the held position at all others as well.

        The further away, the less sure.
        """
        self._check(request)
        self._begin(request, "repetition")
        self.repeats.append(repeat)
        axis = request.target.axes.index(repeat.over)
        array = self._volume(request).array
        for t in self._elsewhere(request, repeat):
            for frame in range(request.target.n_frames):
                if self.seconds:
                    time.sleep(self.seconds)
                here = request.target.index(frame)
                there = (*here[:axis], t, *here[axis + 1 :])
                array[there] = array[here]
                sure = 0.9 - 0.1 * abs(t - request.target.held[axis])
                objects = {
                    i: ObjectNews(confidence=sure, area=int((array[there] == i).sum()))
                    for i in {object_id for object_id, _ in self.prompts}
                }
                for i, news in objects.items():
                    self.elsewhere[t, i, frame] = news
                yield PlaneNews(place=there, objects=objects)

    def repeated(self, request, index):
        """Say what is known; the axis repeated over is the first one."""
        self._check()
        if not self.repeats or index[0] == request.target.held[0]:
            return None
        n_frames = request.target.n_frames
        found = {}
        for (t, i, frame), news in self.elsewhere.items():
            if t == index[0]:
                review = found.setdefault(i, self._review(-1, n_frames))
                review.confidence[frame], review.area[frame] = (
                    news.confidence,
                    news.area,
                )
        return found

    def take_masks(self, request, frame_idx, plane, painted=None):
        self._check(request)
        pixels = np.asarray(plane())
        if painted is None:
            ids = tuple(int(i) for i in np.unique(pixels) if i)
        else:
            ids = (painted.selected,)
        self._begin(request, "mask")
        for object_id in ids:
            self.masks[object_id, frame_idx] = pixels == object_id
        return ids

    def seen(self, request, frame_idx, object_id):
        """Show the 16 × 24 pixels from (10, 20) on, each twice as high and wide."""
        self._check()
        frame = request.target.data[request.target.index(frame_idx)]
        part = np.asarray(frame)[10:26, 20:44] / 4000
        picture = np.repeat(part.repeat(2, 0).repeat(2, 1)[..., np.newaxis], 3, axis=-1)
        self.looked_at.append((frame_idx, object_id))
        return Seen(picture=picture.astype(np.float32), corner=(10, 20), shape=(16, 24))

    def forget(self, target):
        self._check()
        self.volumes.pop(id(target.data), None)

    def close(self):
        self.closed = True


class Bench:
    """A viewer with the panel in it, and the patience to wait for answers."""

    def __init__(self, viewer, engine, qtbot, timeout: int = 5000) -> None:
        self.viewer, self.engine, self.qtbot = viewer, engine, qtbot
        self.widget = TrackWidget(viewer, engine=engine)
        self.dock = viewer.window.add_dock_widget(self.widget, name="SAM 2")
        self.settle(timeout)

    @property
    def place(self):
        return self.widget.place

    @property
    def labels(self) -> np.ndarray:
        return np.asarray(self.place.result.layer.data)

    @property
    def status(self) -> str:
        return self.widget.panel.status.text()

    def settle(self, timeout: int = 5000) -> None:
        """Wait until all is answered and drawn."""
        self.qtbot.waitUntil(
            lambda: (
                not self.widget.desk.worker.busy and self.widget.following.run is None
            ),
            timeout=timeout,
        )

    def click(
        self, *position: float, positive: bool = True, timeout: int = 5000
    ) -> None:
        self.place.prompts.click(position, positive=positive)
        self.settle(timeout)


class Mouse:
    """A real mouse over the picture of a bench; positions are (y, x) in the world."""

    def __init__(self, bench: Bench) -> None:
        self._bench, self._viewer = bench, bench.viewer
        window = bench.widget.window()
        window.resize(1000, 800)
        window.show()
        bench.qtbot.waitExposed(window)
        (self.canvas,) = (
            w for w in window.findChildren(QWidget) if "CanvasBackend" in repr(type(w))
        )
        self._viewer.reset_view()
        self.wait()

    def pixel(self, position: tuple[float, float]) -> QPoint:
        """Return where a position is on the canvas."""
        camera, displayed = self._viewer.scene.camera, self._viewer.dims.displayed[-2:]
        world = np.zeros(self._viewer.dims.ndim)
        world[-2:] = position
        middle = np.array([self.canvas.height(), self.canvas.width()]) / 2
        off = world[list(displayed)] - np.array(camera.center[-2:])
        y, x = middle + off * camera.zoom
        return QPoint(round(x), round(y))

    def wait(self, milliseconds: int = 25) -> None:
        """Let napari, which throttles moves, take notice."""
        self._bench.qtbot.wait(milliseconds)

    def move(self, position: tuple[float, float]) -> None:
        QTest.mouseMove(self.canvas, self.pixel(position))
        self.wait()

    def drag(self, path, modifiers=Qt.KeyboardModifier.NoModifier) -> None:
        """Press, move along a path, let go."""
        left = Qt.MouseButton.LeftButton
        self.move(path[0])
        QTest.mousePress(self.canvas, left, modifiers, self.pixel(path[0]))
        self.wait()
        for position in path[1:]:
            self.move(position)
        QTest.mouseRelease(self.canvas, left, modifiers, self.pixel(path[-1]))
        self.wait()
        self._bench.settle()


@pytest.fixture
def disk_engine() -> DiskEngine:
    return DiskEngine()


@pytest.fixture
def engine(disk_engine) -> DiskEngine:
    return disk_engine


@pytest.fixture
def movie() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 4000, (12, 48, 64), np.uint16)


@pytest.fixture
def viewer(make_napari_viewer_proxy):
    return make_napari_viewer_proxy()


@pytest.fixture
def open_bench(viewer, engine, qtbot) -> Iterator:
    """Return a function that opens the panel on what is in the viewer."""
    made: list[Bench] = []

    def open_panel(timeout: int = 5000) -> Bench:
        made.append(Bench(viewer, engine, qtbot, timeout))
        return made[-1]

    yield open_panel
    if isinstance(engine, DiskEngine):
        engine.gate.set()
    for bench in made:
        worker = bench.widget.desk.worker
        bench.widget.close_down()
        assert worker.wait(10), "the worker's thread is still alive"
        with contextlib.suppress(RuntimeError):  # it may have gone with its viewer
            bench.widget.close()


@pytest.fixture
def bench(viewer, movie, open_bench) -> Bench:
    """The panel on a small movie."""
    viewer.add_image(movie, name="movie")
    viewer.dims.set_point(0, 0)
    return open_bench()


@pytest.fixture
def mouse_over() -> type[Mouse]:
    """Return what makes a real mouse over a bench."""
    return Mouse


@pytest.fixture
def mouse(bench) -> Mouse:
    """A real mouse over the panel's small movie."""
    return Mouse(bench)
