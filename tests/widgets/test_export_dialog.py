"""Exporting as a user meets it: choose, write, read back, cancel, run into trouble."""

from __future__ import annotations

import errno
import gc
import threading
import time
import weakref
from itertools import pairwise
from pathlib import Path

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import tifffile
import zarr
from napari.layers import Image, Labels
from PIL import Image as Picture
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QFileDialog

from napari_sam2.stacks import EXPORTS
from napari_sam2.stacks.ctc import read_ctc
from napari_sam2.stacks.davis import read_davis
from napari_sam2.stacks.sav import read_sav
from napari_sam2.widgets import export_texts
from napari_sam2.widgets.export_dialog import USEFUL_FIRST
from napari_sam2.widgets.export_sources import fitting_level, steps_of
from napari_sam2.widgets.labels_volume import lock_of
from napari_sam2.widgets.result_layer import LEVEL

DEAF_SECONDS = 0.15
LEFT = Qt.MouseButton.LeftButton


class Hand:
    """A user of the export window."""

    def __init__(self, bench, qtbot) -> None:
        self.bench, self.qtbot = bench, qtbot
        self.exporting = bench.widget.exporting
        qtbot.mouseClick(bench.widget.panel.export, LEFT)
        self.dialog = self.exporting.dialog

    @property
    def said(self) -> str:
        return self.dialog.status.text()

    def pick(self, kind: str) -> None:
        kinds = self.dialog.kinds
        item = kinds.item(USEFUL_FIRST.index(kind))
        kinds.scrollToItem(item)
        where = kinds.visualItemRect(item).center()
        self.qtbot.mouseClick(kinds.viewport(), LEFT, pos=where)
        assert self.dialog.kind == kind

    def type(self, line, text) -> None:
        line.selectAll()
        self.qtbot.keyClicks(line, str(text))

    def press(self) -> None:
        self.qtbot.mouseClick(self.dialog.write, LEFT)

    def settle(self) -> None:
        self.qtbot.waitUntil(lambda: not self.exporting.running, timeout=10_000)

    def write(self, kind: str, path: Path) -> None:
        self.pick(kind)
        self.type(self.dialog.path, path)
        self.press()
        self.settle()


@pytest.fixture
def followed(bench):
    """The panel with two cells followed through all 12 frames."""
    bench.click(0, 20, 20)
    bench.widget.new_object()
    bench.click(0, 30, 40)
    bench.widget.follow("forward")
    bench.settle()
    return bench


@pytest.fixture
def hand(followed, qtbot) -> Hand:
    return Hand(followed, qtbot)


@pytest.fixture
def gated(viewer, movie, open_bench, qtbot):
    """Labels and an image that is read only while a gate is open; from frame 1 on."""
    gate, reached = threading.Event(), threading.Event()
    gate.set()

    def slow(block, block_info=None):
        if block_info and block_info[0]["chunk-location"][0] >= 1:
            reached.set()
            gate.wait(10)
        return block

    pixels = da.from_array(movie, chunks=(1, -1, -1))
    pixels = pixels.map_blocks(slow, dtype=movie.dtype, meta=np.empty((0, 0, 0)))
    viewer.add_image(pixels, name="slow", contrast_limits=(0, 4000))
    viewer.dims.set_point(0, 0)
    labels = np.zeros(movie.shape, np.uint16)
    labels[:, 10:20, 10:30] = 3
    bench = open_bench()
    viewer.add_labels(labels, name="mine")
    hand = Hand(bench, qtbot)
    hand.dialog.labels.setCurrentIndex(hand.dialog.labels.findText("mine"))
    hand.gate, hand.reached = gate, reached
    yield hand
    gate.set()


def begin(hand: Hand, kind: str, path: Path) -> None:
    """Press Export, and come back when it waits in the middle."""
    hand.gate.clear()
    hand.reached.clear()
    hand.pick(kind)
    hand.type(hand.dialog.path, path)
    hand.press()
    hand.qtbot.waitUntil(hand.reached.is_set, timeout=5000)
    assert hand.exporting.running


def test_every_kind_is_offered():
    assert sorted(USEFUL_FIRST) == sorted(EXPORTS) == sorted(export_texts.WORDS)


def test_measurements(hand, tmp_path):
    path = tmp_path / "cells.csv"
    hand.write("csv", path)
    table = pd.read_csv(path)
    labels = hand.bench.labels
    assert len(table) == 24
    for row in table.itertuples():
        assert row.area == (labels[row.frame] == row.object_id).sum()
    assert "Wrote <b>cells.csv</b> (2 cells, 12 frames)" in hand.said
    assert hand.bench.status in hand.said
    shown = hand.dialog.preview.table
    assert hand.dialog.preview.currentWidget() is shown
    assert shown.rowCount() == 5
    assert shown.horizontalHeaderItem(0).text() == "object_id"
    assert shown.item(0, 0).text() == "1"
    assert hand.bench.widget.panel.console.text() == (
        f"finish(export('csv', session.labels, {str(path)!r}, image=stack))"
    )
    assert list(tmp_path.iterdir()) == [path]


def _plot(hand, path):
    with Picture.open(path) as plot:
        assert plot.size == (1200, 720)
    assert not hand.dialog.preview.picture.pixmap().isNull()


def _movie(hand, path):
    with Picture.open(path) as gif:
        assert gif.n_frames == 12
    assert hand.dialog.preview.currentWidget() is hand.dialog.preview.picture


def _labels(hand, path):
    assert np.array_equal(tifffile.imread(path), hand.bench.labels)


def _zarr(hand, path):
    stored = zarr.open(str(path), mode="r")
    array = stored if isinstance(stored, zarr.Array) else stored["0"]
    assert np.array_equal(array[:], hand.bench.labels)


def _mask(hand, path):
    assert np.array_equal(tifffile.imread(path), hand.bench.labels == 2)


def _cutouts(_hand, path):
    assert [file.name for file in path.iterdir()] == ["object_0002.tif"]
    assert tifffile.imread(path / "object_0002.tif").shape[0] == 12


def _background(hand, path):
    movie = hand.bench.viewer.layers["movie"].data
    kept = np.where(hand.bench.labels == 2, movie, 0)
    assert np.array_equal(tifffile.imread(path), kept)


def _sav(hand, path):
    masklets = read_sav(path)
    assert np.array_equal(masklets[11] > 0, hand.bench.labels[11] > 0)


def _davis(hand, path):
    clip = read_davis(path)
    assert np.array_equal(clip.labels[5], hand.bench.labels[5])


def _ctc(hand, path):
    movie = read_ctc(path, "01", kind="RES")
    assert np.array_equal(movie.labels[5] > 0, hand.bench.labels[5] > 0)


def test_every_kind_is_written_and_read_back(hand, tmp_path):
    for kind, name, check in (
        ("plot", "area.png", _plot),
        ("overlay", "show.gif", _movie),
        ("tif", "labels.tif", _labels),
        ("zarr", "labels.zarr", _zarr),
        ("mask", "mask.tif", _mask),
        ("cutouts", "cutouts", _cutouts),
        ("background", "alone.tif", _background),
        ("sav", "masklets.json", _sav),
        ("davis", "davis", _davis),
        ("ctc", "ctc", _ctc),
    ):
        folder = tmp_path / kind
        folder.mkdir()
        hand.write(kind, folder / name)
        assert f"Wrote <b>{name}</b>" in hand.said
        check(hand, folder / name)
        assert [file.name for file in folder.iterdir()] == [name]


def test_some_cells_some_frames_and_options(hand, tmp_path):
    dialog = hand.dialog
    hand.type(dialog.cells, "1")
    hand.type(dialog.first, "3")
    hand.type(dialog.last, "6")
    hand.pick("overlay")
    dialog.options.fps.setValue(5)
    hand.write("overlay", tmp_path / "show.gif")
    assert "(1 cell, 4 frames)" in hand.said
    line = hand.bench.widget.panel.console.text()
    assert line.endswith("image=stack, objects=[1], frames=range(3, 7), fps=5))")


def test_a_cell_that_is_not_there_is_named(hand, tmp_path):
    hand.type(hand.dialog.cells, "1, 7")
    hand.write("csv", tmp_path / "cells.csv")
    assert hand.said == "Cell 7 is in none of these frames; check the numbers."
    hand.type(hand.dialog.cells, "all of them")
    hand.press()
    assert hand.said.startswith("Write cells by their numbers")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "numbers"), [("3", (3,)), (" 1, 4-6 ", (1, 4, 5, 6)), ("2;1", (1, 2))]
)
def test_cell_numbers(text, numbers):
    assert export_texts.cell_numbers(text) == numbers


@pytest.mark.parametrize("text", ["", "0", "6-4", "1.5", "cell", "1-900000000"])
def test_bad_cell_numbers(text):
    with pytest.raises(ValueError, match="such as 3 or 1, 4-6"):
        export_texts.cell_numbers(text)


def test_scale_and_units_are_the_layers(viewer, movie, open_bench, qtbot, tmp_path):
    viewer.add_image(
        movie,
        name="movie",
        axis_labels=("t", "y", "x"),
        scale=(30, 0.5, 0.25),
        units=("s", "um", "um"),
    )
    viewer.dims.set_point(0, 0)
    bench = open_bench()
    bench.click(0, 20, 20)
    hand = Hand(bench, qtbot)
    hand.write("csv", tmp_path / "cells.csv")
    row = pd.read_csv(tmp_path / "cells.csv").iloc[0]
    assert (row.area_scaled, row.y_scaled, row.x_scaled) == (49 * 0.125, 10, 5)
    assert (row.space_unit, row.time_unit) == ("micrometer", "second")


def test_labels_without_sizes_take_the_images():
    labels = Labels(np.zeros((2, 4, 4), int))
    image = Image(np.zeros((2, 4, 4)), scale=(2, 0.5, 0.5), units=("s", "um", "um"))
    sized = (2.0, 0.5, 0.5), ("second", "micrometer", "micrometer")
    assert steps_of((labels, image), 0) == sized
    assert steps_of((labels, None), 0) == ((1.0,) * 3, ("pixel",) * 3)
    labels.scale = (3, 1, 1)
    assert steps_of((labels, image), 0)[0] == (3.0, 1.0, 1.0)
    assert steps_of((image,), None) == ((1.0, 0.5, 0.5), ("pixel", *sized[1][1:]))


def test_other_labels_with_an_axis_that_is_held(viewer, open_bench, qtbot, tmp_path):
    """(t, z, y, x) labels of somebody else's, at the depth where the slider stands."""
    rng = np.random.default_rng(1)
    image = rng.integers(0, 255, (5, 3, 24, 24), np.uint8)
    labels = np.zeros(image.shape, np.int32)
    labels[:, 2, 4:10, 4:12] = 9
    names = ("t", "z", "y", "x")
    viewer.add_image(rng.random((5, 3, 8, 8)), name="too small", axis_labels=names)
    bench = open_bench()
    viewer.add_image(image, name="volume", axis_labels=names, scale=(1, 2, 1, 1))
    viewer.add_labels(labels, name="mine", axis_labels=names, scale=(1, 2, 1, 1))
    viewer.dims.set_point(1, 4)
    hand = Hand(bench, qtbot)
    dialog = hand.dialog
    dialog.labels.setCurrentIndex(dialog.labels.findText("mine"))
    assert [dialog.image.itemText(i) for i in range(dialog.image.count())] == [
        "volume",
        "none",
    ]
    assert dialog.held.text() == "depth (z) axis at 2, as its slider stands"
    hand.write("csv", tmp_path / "cells.csv")
    table = pd.read_csv(tmp_path / "cells.csv")
    assert list(table.frame) == [0, 1, 2, 3, 4]
    assert list(table.area) == [48] * 5
    means = image[:, 2, 4:10, 4:12].mean(axis=(1, 2))
    assert np.allclose(table.intensity_mean, means, rtol=1e-6)

    # The script does the same.
    first = (tmp_path / "cells.csv").read_bytes()
    (tmp_path / "cells.csv").unlink()
    script = hand.exporting.script(bench.place)
    exec(script, {"viewer": viewer})
    assert (tmp_path / "cells.csv").read_bytes() == first

    # Along the other axis there is one plane with labels in it.
    dialog.axis.setCurrentIndex(dialog.axis.findData(1))
    hand.write("csv", tmp_path / "depth.csv")
    assert list(pd.read_csv(tmp_path / "depth.csv").frame) == [2]


@pytest.fixture
def coarse(viewer, movie, open_bench, qtbot):
    """A cell followed at the coarser of two resolutions, three times as coarse."""
    # Of the same number of pixels, but elsewhere.
    viewer.add_image(np.zeros((12, 16, 22), np.uint16), name="another")
    viewer.add_image(
        [movie, movie[:, ::3, ::3] // 2],
        name="pyramid",
        multiscale=True,
        scale=(30, 0.5, 0.25),
        translate=(0, 7, 0),
        units=("s", "um", "um"),
        contrast_limits=(0, 4000),
    )
    bench = open_bench()
    bench.widget.panel.level.setCurrentIndex(1)
    bench.settle()
    assert bench.labels.shape == (12, 16, 22)
    bench.click(0, 8, 7)
    bench.widget.follow("forward")
    bench.settle()
    return Hand(bench, qtbot)


def test_labels_of_a_coarser_level_go_with_its_pixels(coarse, movie, viewer, tmp_path):
    pixels, labels = movie[:, ::3, ::3] // 2, coarse.bench.labels
    assert coarse.dialog.image.currentText() == "pyramid"
    coarse.write("csv", tmp_path / "cells.csv")
    table = pd.read_csv(tmp_path / "cells.csv")
    means = [pixels[t][labels[t] > 0].mean() for t in range(12)]
    assert np.allclose(table.intensity_mean, means, rtol=1e-6)
    wide = 0.25 * 64 / 22  # so much finer is the finest level
    assert np.allclose(table.area_scaled, table.area * 1.5 * wide)
    assert np.allclose(table.x_scaled, table.x * wide)
    assert set(table.space_unit) == {"micrometer"}
    coarse.write("background", tmp_path / "cell.tif")
    kept = tifffile.imread(tmp_path / "cell.tif")
    assert (kept == np.where(labels > 0, pixels, 0)).all()
    coarse.write("overlay", tmp_path / "cell.gif")
    assert "12 frames" in coarse.said
    coarse.write("cutouts", tmp_path / "cut.tif")
    assert "12 frames" in coarse.said
    # Labels of somebody else's, at that level: so does the script.
    ours = coarse.bench.place.result.layer
    viewer.add_labels(
        labels.copy(), name="mine", scale=ours.scale, translate=ours.translate
    )
    coarse.dialog.labels.setCurrentIndex(coarse.dialog.labels.findText("mine"))
    assert coarse.dialog.image.currentText() == "pyramid"
    coarse.write("csv", tmp_path / "mine.csv")
    first = (tmp_path / "mine.csv").read_bytes()
    script = coarse.exporting.script(coarse.bench.place)
    assert "viewer.layers['pyramid'].data[1]" in script
    (tmp_path / "mine.csv").unlink()
    lines = script.splitlines()
    theirs = [line for line in lines if "session." not in line]
    exec("\n".join(theirs), {"viewer": viewer})
    assert (tmp_path / "mine.csv").read_bytes() == first


def test_which_level_labels_belong_to():
    levels = [np.zeros((2, 8, 8)), np.zeros((2, 4, 4)), np.zeros((2, 4, 4))]
    image = Image(levels, multiscale=True, scale=(1, 0.5, 0.5))
    labels = Labels(np.zeros((2, 4, 4), int))
    assert fitting_level(image, labels).level == 1
    labels.metadata[LEVEL] = 2
    assert fitting_level(image, labels).level == 2
    labels.metadata[LEVEL] = 0  # of another image
    assert fitting_level(image, labels).level == 1
    assert fitting_level(image, Labels(np.zeros((2, 5, 4), int))) is None
    assert steps_of((labels, fitting_level(image, labels)), 0)[0] == (1.0, 1.0, 1.0)
    fine = Labels(np.zeros((2, 8, 8), int))
    assert steps_of((fine, fitting_level(image, fine)), 0)[0] == (1.0, 0.5, 0.5)


def test_one_picture_in_colours(viewer, open_bench, qtbot, tmp_path):
    bench = open_bench()
    image = np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8)
    labels = np.zeros((24, 32), int)
    labels[5:9, 6:12] = 4
    viewer.add_image(image, name="picture", rgb=True)
    viewer.add_labels(labels, name="mine")
    hand = Hand(bench, qtbot)
    hand.dialog.labels.setCurrentIndex(hand.dialog.labels.findText("mine"))
    hand.write("csv", tmp_path / "cells.csv")
    assert "(1 cell, 1 frame)" in hand.said
    row = pd.read_csv(tmp_path / "cells.csv").iloc[0]
    assert (row.object_id, row.area) == (4, 24)
    assert np.isclose(row.intensity_mean_1, image[5:9, 6:12, 1].mean())
    hand.pick("plot")
    assert hand.dialog.options.column.findData("intensity_mean") == -1


def test_what_was_written_keeps_no_pixels(hand, viewer, tmp_path):
    """A removed layer's image must not be held by the window or the script."""
    hand.dialog.labels.setCurrentIndex(0)
    data = np.ones((3, 40, 40), np.uint16)
    viewer.add_labels(data, name="mine")
    hand.dialog.labels.setCurrentIndex(hand.dialog.labels.findText("mine"))
    hand.write("csv", tmp_path / "cells.csv")
    gone = weakref.ref(data)
    viewer.layers.remove("mine")
    del data
    hand.qtbot.waitUntil(lambda: gc.collect() >= 0 and gone() is None, timeout=3000)
    assert "mine" in hand.exporting.script(hand.bench.place)


def test_the_script_goes_on_after_the_session(hand, tmp_path, qapp):
    hand.write("csv", tmp_path / "cells.csv")
    hand.bench.widget.panel.copy.click()
    hand.bench.settle()
    script = qapp.clipboard().text()
    compile(script, "script", "exec")
    assert script.index("session.add_points") < script.index("finish(export('csv'")
    assert "from napari_sam2.stacks import export, finish" in script


def test_names_are_suggested_and_free(hand, tmp_path):
    dialog = hand.dialog
    hand.write("csv", tmp_path / "mine.csv")
    hand.pick("plot")
    assert Path(dialog.path.text()) == tmp_path / "mine.png"
    hand.pick("davis")
    assert Path(dialog.path.text()) == tmp_path / "mine"


def test_browse_gives_the_right_ending(hand, tmp_path, monkeypatch):
    asked = []

    def answer(_parent, title, folder, filters):
        asked.append((title, filters))
        return str(tmp_path / "typed"), ""

    monkeypatch.setattr(QFileDialog, "getSaveFileName", answer)
    hand.qtbot.mouseClick(hand.dialog.browse, LEFT)
    assert asked == [("Measurements, CSV", "CSV (*.csv)")]
    assert hand.dialog.path.text() == str(tmp_path / "typed.csv")
    monkeypatch.setattr(
        QFileDialog, "getExistingDirectory", lambda *_args: str(tmp_path)
    )
    hand.pick("ctc")
    hand.qtbot.mouseClick(hand.dialog.browse, LEFT)
    assert hand.dialog.path.text() == str(tmp_path / "typed")


def test_it_asks_before_it_writes_over_something(hand, tmp_path):
    path = tmp_path / "cells.csv"
    path.write_text("precious")
    hand.write("csv", path)
    assert "is there already" in hand.said
    assert path.read_text() == "precious"
    hand.press()
    hand.settle()
    assert "Wrote" in hand.said
    assert path.read_text() != "precious"
    hand.press()
    assert "is there already" in hand.said  # and once more the next time


def test_the_image_itself_is_not_written_over(
    viewer, movie, open_bench, qtbot, tmp_path
):
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, movie)
    before = path.read_bytes()
    viewer.open(str(path), plugin="napari")
    viewer.dims.set_point(0, 0)
    bench = open_bench()
    bench.click(0, 20, 20)
    hand = Hand(bench, qtbot)
    assert Path(hand.dialog.path.text()) == tmp_path / "movie_measurements.csv"
    hand.write("background", path)
    hand.press()
    assert "is the file that a layer is read from" in hand.said
    assert path.read_bytes() == before


def test_no_labels(viewer, open_bench, qtbot):
    hand = Hand(open_bench(), qtbot)
    assert hand.said == export_texts.NO_LABELS
    assert not hand.dialog.write.isEnabled()
    viewer.add_labels(np.ones((3, 9, 9), np.uint8))
    assert hand.dialog.write.isEnabled()
    hand.pick("overlay")
    assert "needs an image" in hand.said
    assert not hand.dialog.write.isEnabled()


def test_empty_labels(bench, qtbot, tmp_path):
    hand = Hand(bench, qtbot)
    hand.write("tif", tmp_path / "labels.tif")
    assert hand.said.startswith("There is no cell in these frames yet")
    assert not list(tmp_path.iterdir())


def test_progress_then_cancel_leaves_nothing(gated, tmp_path):
    path = tmp_path / "cells.csv"
    path.write_text("before")
    gated.pick("csv")
    gated.type(gated.dialog.path, path)
    gated.press()  # it asks
    begin(gated, "csv", path)
    gated.qtbot.waitUntil(lambda: "Writing: 8%" in gated.dialog.bar.format())
    assert not gated.dialog.form.isEnabled()
    gated.qtbot.mouseClick(gated.dialog.cancel, LEFT)
    assert gated.said == export_texts.CANCELLING
    gated.gate.set()
    gated.settle()
    assert gated.said == export_texts.CANCELLED
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
    assert gated.dialog.write.isVisible()
    assert not gated.dialog.cancel.isVisible()
    gated.press()
    gated.settle()
    assert "Wrote" in gated.said  # nothing of the cancelled one is in the way


def test_a_full_disk_is_one_sentence(hand, tmp_path, monkeypatch):
    def full(_path):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("napari_sam2.stacks.writing._flush_all", full)
    hand.write("csv", tmp_path / "cells.csv")
    assert "No space left on device" in hand.said
    assert "Make room" in hand.said
    assert not list(tmp_path.iterdir())
    assert hand.dialog.write.isEnabled()


def test_a_place_that_cannot_be_written(hand, tmp_path):
    (tmp_path / "file").write_text("in the way")
    hand.write("csv", tmp_path / "file" / "cells.csv")
    assert "could not be written" in hand.said
    hand.write("csv", tmp_path / "cells.doc")
    assert "does not suit" in hand.said
    hand.dialog.path.clear()
    hand.press()
    assert hand.said == "Give the file a name first."


def test_the_layer_is_deleted_while_it_is_written(gated, viewer, tmp_path):
    begin(gated, "csv", tmp_path / "cells.csv")
    viewer.layers.remove("mine")
    gated.gate.set()
    gated.settle()
    assert "Wrote" in gated.said
    assert len(pd.read_csv(tmp_path / "cells.csv")) == 12
    assert gated.dialog.labels.findText("mine") == -1


def test_labels_that_change_meanwhile_are_not_in_it(gated, viewer, tmp_path):
    begin(gated, "csv", tmp_path / "cells.csv")
    viewer.layers["mine"].data[:] = 0
    gated.gate.set()
    gated.settle()
    assert list(pd.read_csv(tmp_path / "cells.csv").area) == [200] * 12


@pytest.mark.parametrize("what", ["viewer", "dock"])
def test_closed_while_it_is_written(gated, viewer, tmp_path, what):
    begin(gated, "csv", tmp_path / "cells.csv")
    worker = gated.exporting.worker
    if what == "viewer":
        viewer.close()
    else:
        viewer.window.remove_dock_widget(gated.bench.widget)
    gated.gate.set()
    gated.qtbot.waitUntil(lambda: not worker.alive, timeout=5000)
    assert not list(tmp_path.iterdir())


def test_the_window_is_closed_while_it_is_written(gated, tmp_path):
    begin(gated, "csv", tmp_path / "cells.csv")
    gated.qtbot.mouseClick(gated.dialog.close_button, LEFT)
    gated.gate.set()
    gated.settle()
    assert "Wrote" in gated.bench.status
    gated.qtbot.mouseClick(gated.bench.widget.panel.export, LEFT)
    assert gated.exporting.dialog.isVisible()
    assert "Wrote" in gated.said


def test_it_does_not_wait_for_following(bench, engine, qtbot, tmp_path):
    bench.click(0, 20, 20)
    engine.seconds = 0.1
    bench.widget.follow("forward")
    qtbot.waitUntil(lambda: len(engine.frames_done) >= 2, timeout=5000)
    hand = Hand(bench, qtbot)
    assert hand.said == export_texts.FOLLOWING
    hand.write("csv", tmp_path / "cells.csv")
    assert bench.widget.following.run is not None
    frames = list(pd.read_csv(tmp_path / "cells.csv").frame)
    assert frames == list(range(len(frames)))
    assert 2 <= len(frames) < 12
    bench.settle()
    assert bench.labels[11].any()  # following was not disturbed


def test_a_frame_that_is_being_filled_is_waited_for(hand, tmp_path):
    lock = lock_of(hand.bench.place.result.layer.data)
    with lock:
        hand.pick("csv")
        hand.type(hand.dialog.path, tmp_path / "cells.csv")
        hand.press()
        hand.qtbot.wait(200)
        assert hand.exporting.running
        assert not list(tmp_path.iterdir())
    hand.settle()
    assert "Wrote" in hand.said


def test_the_event_loop_is_never_deaf(viewer, open_bench, qtbot, tmp_path):
    rng = np.random.default_rng(0)
    viewer.add_image(rng.integers(0, 4000, (24, 256, 256), np.uint16), name="movie")
    bench = open_bench()
    labels = np.zeros((24, 256, 256), np.uint16)
    for number in range(15):
        labels[:, 16 * number : 16 * number + 9, 10:200] = number + 1
    viewer.add_labels(labels, name="mine")
    hand = Hand(bench, qtbot)
    hand.dialog.labels.setCurrentIndex(hand.dialog.labels.findText("mine"))
    hand.write("csv", tmp_path / "first.csv")  # what is imported once is
    hand.type(hand.dialog.path, tmp_path / "cells.csv")
    beats: list[float] = []
    timer = QTimer()
    timer.timeout.connect(lambda: beats.append(time.perf_counter()))
    timer.start(5)
    hand.press()
    hand.settle()
    timer.stop()
    gaps = [b - a for a, b in pairwise(beats)]
    assert len(gaps) > 10
    assert max(gaps) < DEAF_SECONDS, f"deaf for {1000 * max(gaps):.0f} ms"
