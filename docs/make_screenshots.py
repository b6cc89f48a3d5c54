"""Take the pictures of the documentation from a real viewer, driven like a user's.

xvfb-run -s "-screen 0 1400x900x24" python docs/make_screenshots.py [--out docs/images]

panel.png: the sample movie, three cells clicked and followed. ready.png: the panel
before the first click. drawing.png: a scribble, an outline, and what a click at the
mouse would give. following.png: in the middle of a run. correction.png: a
correction, and in the strip what it has made out of date. keys.png: the list of keys.
export_dialog.png: what the cells are written as. volume.png: the sample volume.
adapt.png: a model adapted to the sample movie. movie.png: a movie of yours (--movie).
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import napari
import numpy as np
from qtpy.QtCore import QEventLoop, QPoint, QTimer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QWidget
from skimage.segmentation import expand_labels

from napari_sam2.stacks.samples import cells_movie, cells_stack
from napari_sam2.widgets import AdaptWidget, TrackWidget
from napari_sam2.widgets.samples import sample_movie, sample_stack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_sam2.widgets.engine import Engine

SIZE = (1400, 880)

# Pictures must not show, nor leave, anybody's sessions.
SHELF = tempfile.TemporaryDirectory(prefix="napari-sam2-pictures-")
os.environ["NAPARI_SAM2_SESSIONS"] = SHELF.name
PATIENCE_SECONDS = 300.0


def pump(seconds: float) -> None:
    """Let the window live for a while."""
    loop = QEventLoop()
    QTimer.singleShot(int(1000 * seconds), loop.quit)
    loop.exec()


def wait_until(true: Callable[[], bool]) -> None:
    """Let the window live until something holds."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not true():
        if time.monotonic() > end:
            raise TimeoutError("the panel did not answer; see the log above")
        pump(0.02)


class Tour:
    """A window that is looked at while things are done in it."""

    def __init__(self, out: Path, engine: Engine | None, model: Path | None) -> None:
        self.out, self.engine, self.model = out, engine, model
        self.viewer = napari.Viewer(title="napari")
        self.viewer.window.resize(*SIZE)
        self.widget: TrackWidget | None = None

    def open(self, layer: tuple) -> TrackWidget:
        data, options, _ = layer
        self.viewer.add_image(data, **options)
        self.viewer.dims.set_point(0, 0)
        self.widget = TrackWidget(self.viewer, engine=self.engine)
        self.viewer.window.add_dock_widget(
            self.widget, name="Segment and track (SAM 2)"
        )
        if self.model is not None:
            self.widget.models.add_file(self.model)
        wait_until(lambda: self.widget.desk.ready)
        self.settle()
        return self.widget

    def settle(self) -> None:
        widget = self.widget
        wait_until(lambda: not widget.desk.worker.busy and widget.following.run is None)
        pump(0.3)

    def click(self, position: Sequence[float], *, positive: bool = True) -> None:
        self.widget.place.prompts.click(position, positive=positive)
        self.settle()

    def draw(self, kind: str, vertices: np.ndarray) -> None:
        """Draw a path or a polygon, (N, 2), in the first frame."""
        prompts = self.widget.place.prompts
        prompts.take_tool("scribble" if kind == "path" else "outline")
        prompts.shapes.add(np.insert(vertices, 0, 0, axis=1), shape_type=kind)
        self.settle()

    def hover(self, position: tuple[float, float]) -> None:
        """Hold the mouse over a position (y, x) of the picture, and wait."""
        (canvas,) = (
            widget
            for widget in self.widget.window().findChildren(QWidget)
            if "CanvasBackend" in repr(type(widget))
        )
        camera = self.viewer.scene.camera
        off = (np.array(position) - camera.center[-2:]) * camera.zoom
        x, y = canvas.width() / 2 + off[1], canvas.height() / 2 + off[0]
        for shake in (0, 1):
            QTest.mouseMove(canvas, QPoint(round(x) + shake, round(y)))
            pump(0.1)
        name = f"{self.widget.place.image.name} preview"
        wait_until(lambda: name in self.viewer.layers)
        self.settle()

    def shoot(self, name: str) -> None:
        path = self.out / name
        self.viewer.screenshot(str(path), canvas_only=False, flash=False)
        print(path)

    def shoot_export(self, name: str) -> None:
        """Write the measurements as a user does, and look at the window."""
        exporting = self.widget.exporting
        self.widget.panel.export.click()
        dialog = exporting.dialog
        with tempfile.TemporaryDirectory() as folder:
            shown = f"~/{Path(dialog.path.text()).name}"
            dialog.path.setText(str(Path(folder) / Path(shown).name))
            dialog.write.click()
            wait_until(lambda: not exporting.running)
            dialog.path.setText(shown)  # not where this machine keeps things
            pump(0.5)
            path = self.out / name
            dialog.grab().save(str(path))
            print(path)
        dialog.close()

    def close(self) -> None:
        worker = self.widget.desk.worker
        self.widget.close_down()
        worker.wait()
        self.viewer.close()
        pump(0.2)


def centres(labels: np.ndarray, ids: Sequence[int]) -> list[tuple[float, float]]:
    """Return the middles (y, x) of objects in a plane."""
    return [tuple(np.argwhere(labels == i).mean(axis=0)) for i in ids]


def movie_tour(
    out: Path, engine: Engine | None = None, model: Path | None = None
) -> None:
    """Clicks on three cells, and what comes of them."""
    sample = cells_movie()
    tour = Tour(out, engine, model)
    widget = tour.open(sample_movie()[0])
    tour.shoot("ready.png")
    for number, middle in enumerate(centres(sample.labels[0], (1, 4, 5))):
        if number:
            widget.new_object()
        tour.click((0, *middle))
    widget.follow("forward")
    wait_until(lambda: widget.following.run is None or widget.following.run.done > 18)
    tour.shoot("following.png")
    tour.settle()
    tour.viewer.dims.set_point(0, 24)
    pump(0.5)
    tour.shoot("panel.png")
    widget.editing.edit("lock", 1, frames=tuple(range(30, 40)))
    tour.settle()
    y, x = np.argwhere(np.asarray(widget.place.result.array[12]) == 3).mean(axis=0)
    tour.viewer.dims.set_point(0, 12)
    widget.place.object_id = 3
    tour.click((12, y, x + 9), positive=False)
    tour.shoot("correction.png")
    widget.show_keys()
    pump(0.3)
    tour.shoot("keys.png")
    tour.shoot_export("export_dialog.png")
    tour.close()


def drawing_tour(
    out: Path, engine: Engine | None = None, model: Path | None = None
) -> None:
    """A scribble, an outline, and the preview at the mouse."""
    labels = cells_movie().labels[0]
    middle = np.array(labels.shape) / 2
    ids = [int(i) for i in np.unique(labels) if i]
    by_distance = sorted(
        zip(centres(labels, ids), ids, strict=True),
        key=lambda found: float(np.linalg.norm(middle - found[0])),
    )
    (first, _), (second, outlined), (third, _) = by_distance[:3]
    tour = Tour(out, engine, model)
    widget = tour.open(sample_movie()[0])
    along = np.array([(-5, -8), (-1, -2), (2, 4), (5, 9)])
    tour.draw("path", np.array(first) + along)
    widget.new_object()
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    ring = np.stack([np.sin(angles), np.cos(angles)], axis=1)
    radius = np.sqrt((labels == outlined).sum() / np.pi)
    tour.draw("polygon", second + 1.1 * radius * ring)
    widget.panel.click_tool.click()
    widget.new_object()
    widget.panel.hover.setChecked(True)
    tour.hover(third)
    tour.shoot("drawing.png")
    tour.close()


def volume_tour(
    out: Path, engine: Engine | None = None, model: Path | None = None
) -> None:
    """One cell through the planes of a volume, both ways."""
    plane, y, x = cells_stack().click
    tour = Tour(out, engine, model)
    widget = tour.open(sample_stack()[0])
    tour.viewer.dims.set_point(0, 2.0 * plane)
    tour.click((plane, y, x))
    widget.follow("both")
    tour.settle()
    tour.viewer.dims.set_point(0, 2.0 * plane)
    pump(0.5)
    tour.shoot("volume.png")
    tour.close()


def adapt_tour(out: Path, steps: int = 60) -> None:
    """A model adapted to outlines that take in the dim rims of cells."""
    viewer = napari.Viewer(title="napari")
    viewer.window.resize(*SIZE)
    ((data, options, _),) = sample_movie()
    viewer.add_image(data, **options)
    labels = np.stack([expand_labels(plane, 4) for plane in cells_movie().labels])
    viewer.add_labels(labels, name="cells corrected", axis_labels=("t", "y", "x"))
    viewer.layers["cells corrected"].contour = 2
    viewer.dims.set_point(0, 12)
    widget = AdaptWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Adapt the model (SAM 2)")
    widget.panel.steps.setValue(steps)
    wait_until(lambda: not widget.worker.busy)
    widget.start()
    wait_until(lambda: not widget.worker.busy)
    pump(0.5)
    path = out / "adapt.png"
    viewer.screenshot(str(path), canvas_only=False, flash=False)
    print(path)
    widget.close_down()
    widget.worker.wait()
    viewer.close()
    pump(0.2)


def your_tour(
    out: Path,
    path: Path,
    clicks: list[tuple[float, float]],
    model: Path | None = None,
) -> None:
    """Cells of a movie of yours."""
    tour = Tour(out, None, model)
    from napari_sam2.stacks.napari_reader import get_reader

    reader = get_reader(str(path))
    assert reader is not None
    data, options, *_ = reader(str(path))[0]
    widget = tour.open((data, options, "image"))
    for number, middle in enumerate(clicks):
        if number:
            widget.new_object()
        tour.click((0, *middle))
    tour.shoot("movie_click.png")
    widget.follow("forward")
    tour.settle()
    tour.shoot("movie.png")
    tour.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    parser.add_argument("--movie", type=Path, help="a movie of yours, (T, Y, X)")
    parser.add_argument("--clicks", default="", help="y,x;y,x on its first frame")
    parser.add_argument("--model", type=Path, help="another checkpoint than nano")
    wish = parser.parse_args()
    wish.out.mkdir(parents=True, exist_ok=True)
    movie_tour(wish.out, model=wish.model)
    drawing_tour(wish.out, model=wish.model)
    volume_tour(wish.out, model=wish.model)
    adapt_tour(wish.out)
    if wish.movie is not None:
        pairs = [pair.split(",") for pair in wish.clicks.split(";") if pair]
        clicks = [(float(y), float(x)) for y, x in pairs]
        your_tour(wish.out, wish.movie, clicks, wish.model)


if __name__ == "__main__":
    main()
