"""Sessions in the panel: saved, opened with their image, asked about on closing."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import QPoint, Qt, QTimer
from qtpy.QtGui import QCloseEvent
from qtpy.QtWidgets import QApplication, QMessageBox, QPushButton

from napari_sam2.stacks.samples import cells_movie
from napari_sam2.tracking.shelf import note_saved, recent_sessions, saved_sessions
from napari_sam2.widgets import messages, session_dialogs
from napari_sam2.widgets.closing import CLOSE_BUTTON
from napari_sam2.widgets.image_origin import (
    PLUGIN,
    ImageMissingError,
    describe,
    read_again,
)
from napari_sam2.widgets.saving_engine import SavingEngine

PATIENCE = 120_000  # ms; a network on a busy machine


@pytest.fixture(scope="module")
def cells():
    """A few frames of the sample movie, small, and a click on a cell."""
    sample = cells_movie()
    _, y, x = sample.click
    top, left = max(0, int(y) - 48), max(0, int(x) - 48)
    image = np.ascontiguousarray(sample.image[:6, top : top + 96, left : left + 96])
    return image, (y - top, x - left)


@pytest.fixture
def shelf(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("NAPARI_SAM2_SESSIONS", str(tmp_path / "shelf"))
    return tmp_path / "shelf"


@pytest.fixture
def engine(shelf, request):
    """The real engine with nano where a test asks for it, else the cheap one."""
    if "real" in request.fixturenames:
        return SavingEngine(shelf=shelf)
    return request.getfixturevalue("disk_engine")


@pytest.fixture
def real(viewer, cells, tmp_path, open_bench):
    """The panel with nano on a movie that lies in a file."""
    tifffile.imwrite(tmp_path / "wells.tif", cells[0])
    viewer.open(tmp_path / "wells.tif", plugin=PLUGIN)
    viewer.layers[0].axis_labels = ("t", "y", "x")
    viewer.dims.set_point(0, 0)
    return open_bench(PATIENCE)


@pytest.fixture
def answer(monkeypatch):
    """Answer the dialogs; return what was asked."""
    asked: list[str] = []

    def answers(name: str, value: object) -> list[str]:
        def ask(_parent: object, text: object) -> object:
            asked.append(str(text))
            return value

        monkeypatch.setattr(session_dialogs, name, ask)
        return asked

    return answers


def trigger(bench, action: str, timeout: int = PATIENCE) -> None:
    getattr(bench.widget.panel.session_menu, action).trigger()
    bench.settle(timeout=timeout)


def recent(bench) -> list[str]:
    menu = bench.widget.panel.session_menu.recent
    menu.aboutToShow.emit()
    bench.qtbot.waitUntil(lambda: menu.actions()[0].text() != messages.LOOKING)
    return [action.text() for action in menu.actions()]


def work(bench, click) -> np.ndarray:
    bench.click(0, *click, timeout=PATIENCE)
    bench.widget.panel.last.setValue(3)
    bench.widget.follow("forward")
    bench.settle(timeout=PATIENCE)
    return bench.labels.copy()


def test_saved_closed_and_opened_again_with_its_image(
    real, viewer, cells, shelf, tmp_path, answer, open_bench
):
    """What was tracked, clicked and locked is there again, from its file."""
    state = real.widget.panel.session_menu.state
    assert state.text() == ""
    before = work(real, cells[1])
    real.widget.toggle_lock()
    real.settle(PATIENCE)
    assert before[3].any()
    assert state.text() == "kept, but under no name yet"
    assert real.widget.sessions.unsaved
    asked = answer("ask_where_to_save", tmp_path / "day one")
    trigger(real, "save_as")
    home = tmp_path / "day one.sam2.zarr"
    assert asked == [str(tmp_path / "wells.sam2.zarr")]
    assert home.is_dir()
    assert list(shelf.glob("*.sam2.zarr")) == []  # it is not there twice
    assert not real.widget.sessions.unsaved
    assert state.text() == "saved as you go: day one"
    assert real.widget.panel.console.text() == f"session.save_as({str(home)!r})"
    # Painting on is kept there at once; another contrast begins another session.
    real.click(0, cells[1][0] + 4, cells[1][1], timeout=PATIENCE)
    assert not real.widget.sessions.unsaved
    viewer.layers["wells"].contrast_limits = (5, 60000)
    real.widget.panel.new_contrast.click()
    real.settle()
    real.click(0, cells[1][0] - 4, cells[1][1], timeout=PATIENCE)
    assert real.widget.sessions.unsaved
    assert state.text() == "changes to day one, not saved"
    trigger(real, "save")
    assert state.text() == "saved as you go: day one"
    kept, masks = real.labels.copy(), real.widget.desk.request().prompts
    viewer.layers.clear()
    real.settle(PATIENCE)
    texts = recent(real)
    (at,) = [i for i, text in enumerate(texts) if text.startswith("day one: wells")]
    assert "1 cell" in texts[at]
    real.widget.panel.session_menu.recent.actions()[at].trigger()
    real.settle(timeout=PATIENCE)
    assert real.status == messages.RECOVERED
    assert viewer.layers[0].name == "wells"
    np.testing.assert_array_equal(real.labels, kept)
    assert real.widget.desk.request().prompts == masks
    assert tuple(viewer.layers["wells"].contrast_limits) == (5, 60000)
    assert viewer.layers["wells"].axis_labels == ("t", "y", "x")
    assert viewer.layers.selection.active.name == "wells clicks"
    assert not real.widget.sessions.unsaved
    # And what was followed can be gone on with.
    real.widget.panel.last.setValue(5)
    real.widget.follow("forward")
    real.settle(timeout=PATIENCE)
    assert real.labels[5].any()


def test_an_image_that_has_moved_is_asked_for(
    real, viewer, cells, tmp_path, answer, monkeypatch
):
    before = work(real, cells[1])
    answer("ask_where_to_save", tmp_path / "s")
    trigger(real, "save_as")
    viewer.layers.clear()
    real.settle(PATIENCE)
    moved = tmp_path / "moved.tif"
    (tmp_path / "wells.tif").rename(moved)
    asked = answer("ask_for_image", None)
    asked.clear()
    answer("ask_what_to_open", tmp_path / "s.sam2.zarr")
    trigger(real, "open")
    assert "wells.tif is not in" in asked[-1]
    assert real.status == asked[-1]
    tifffile.imwrite(tmp_path / "other.tif", cells[0][:, :90])
    answers = iter([tmp_path / "other.tif", moved])
    whys = []

    def ask(_parent, why):
        whys.append(why)
        return next(answers)

    monkeypatch.setattr(session_dialogs, "ask_for_image", ask)
    trigger(real, "open")
    assert len(whys) == 2
    assert "other.tif does not fit this session: it has shape [6, 90, 96]" in whys[1]
    assert real.status == messages.RECOVERED
    np.testing.assert_array_equal(real.labels, before)


def test_another_image_of_the_same_shape_is_refused(
    real, viewer, cells, tmp_path, answer
):
    work(real, cells[1])
    answer("ask_where_to_save", tmp_path / "s")
    trigger(real, "save_as")
    viewer.layers.clear()
    real.settle(PATIENCE)
    tifffile.imwrite(tmp_path / "wells.tif", cells[0] + 1)
    answer("ask_what_to_open", tmp_path / "s.sam2.zarr")
    trigger(real, "open")
    assert "s.sam2.zarr was made on another image" in real.status
    assert "\n" not in real.status
    real.click(0, *cells[1], timeout=PATIENCE)  # the panel goes on


def test_a_sample_is_drawn_again():
    found_at = {"sample": (PLUGIN, "nothing"), "shape": [2], "name": "x"}
    with pytest.raises(ImageMissingError, match="cannot be read"):
        read_again(found_at)
    with pytest.raises(ImageMissingError, match="came from no file"):
        read_again({"name": "x", "shape": [2]})


def test_a_disk_that_is_full_leaves_the_work_where_it_is(
    bench, engine, tmp_path, answer, monkeypatch
):
    bench.click(0, 20, 20)

    def full(request, path, *, replace):
        raise OSError("day.sam2.zarr cannot be written (disk full); make room.")

    monkeypatch.setattr(engine, "save", full)
    answer("ask_where_to_save", tmp_path / "day")
    trigger(bench, "save_as")
    assert "make room" in bench.status
    assert bench.widget.sessions.unsaved


def close_event(bench) -> bool:
    """Close the window as its cross does; return whether it may close."""
    bench.widget.settled()
    window = bench.widget.window()
    event = QCloseEvent()
    event.accept()
    return not bench.widget.guard.eventFilter(window, event)


def test_nothing_is_asked_where_nothing_is_unsaved(bench, answer):
    asked = answer("ask_about_unsaved", "cancel")
    assert close_event(bench)
    bench.click(0, 20, 20)
    answer("ask_where_to_save", Path("there"))
    trigger(bench, "save_as")
    asked.clear()
    assert close_event(bench)
    assert asked == []


def test_cancel_keeps_the_window_open(bench, viewer, answer, qtbot):
    bench.click(0, 20, 20)
    bench.widget.settled()
    asked = answer("ask_about_unsaved", "cancel")
    window = bench.widget.window()
    window.show()
    assert not window.close()
    assert window.isVisible()
    assert asked == [messages.unsaved(None)]
    bench.click(0, 30, 30)  # everything works on
    assert bench.labels[0, 30, 30]


def test_keep_lets_it_close_at_once(bench, engine, answer):
    bench.click(0, 20, 20)
    answer("ask_about_unsaved", "keep")
    assert close_event(bench)
    assert engine.saved == []
    assert engine.discarded == 0


def test_discard_throws_it_away(bench, engine, answer):
    bench.click(0, 20, 20)
    answer("ask_about_unsaved", "discard")
    assert close_event(bench)
    assert engine.discarded == 1


def test_save_stops_what_runs_and_waits(bench, engine, answer, qtbot):
    engine.seconds = 0.05
    bench.click(0, 20, 20)
    bench.widget.follow("forward")
    qtbot.waitUntil(lambda: len(engine.frames_done) >= 2, timeout=5000)
    answer("ask_about_unsaved", "save")
    answer("ask_where_to_save", Path("there"))
    assert close_event(bench)
    assert engine.saved == [(Path("there"), False)]
    assert len(engine.frames_done) < 12
    assert not bench.widget.sessions.unsaved


@pytest.mark.parametrize("how", ["no name", "disk full"])
def test_what_cannot_be_saved_keeps_the_window_open(
    bench, engine, answer, monkeypatch, how
):
    bench.click(0, 20, 20)

    def full(request, path, *, replace):
        raise OSError("It cannot be written; make room.")

    monkeypatch.setattr(engine, "save", full)
    answer("ask_about_unsaved", "save")
    answer("ask_where_to_save", None if how == "no name" else Path("there"))
    assert not close_event(bench)
    assert bench.widget.sessions.unsaved


def test_it_is_closed_from_a_script_while_it_saves(bench, engine, answer):
    """A question that nobody can answer any more lets go."""
    bench.click(0, 20, 20)
    answer("ask_about_unsaved", "save")
    answer("ask_where_to_save", Path("there"))
    engine.gate.clear()
    QTimer.singleShot(200, bench.widget.close_down)
    assert not close_event(bench)
    engine.gate.set()


def test_the_viewer_of_a_script_closes_without_a_question(bench, viewer, answer):
    bench.click(0, 20, 20)
    bench.widget.settled()
    asked = answer("ask_about_unsaved", "cancel")
    viewer.close()
    assert asked == []


def dock_button(bench) -> QPushButton:
    bench.widget.settled()
    (button,) = bench.dock.findChildren(QPushButton, CLOSE_BUTTON)
    return button


def test_the_cross_of_the_dock_asks(bench, engine, answer, qtbot):
    bench.click(0, 20, 20)
    asked = answer("ask_about_unsaved", "cancel")
    press(dock_button(bench))
    qtbot.waitUntil(lambda: len(asked) == 1)
    qtbot.wait(50)
    assert bench.widget.parent() is not None
    bench.dock.setFloating(True)  # it has another title bar now
    qtbot.wait(50)
    press(dock_button(bench))
    qtbot.waitUntil(lambda: len(asked) == 2)
    bench.dock.setFloating(False)
    qtbot.wait(50)
    answer("ask_about_unsaved", "keep")
    worker = bench.widget.desk.worker
    press(dock_button(bench))
    qtbot.waitUntil(lambda: not worker.alive, timeout=5000)
    assert engine.closed


def press(button: QPushButton) -> None:
    from qtpy.QtTest import QTest

    QTest.mouseClick(button, Qt.MouseButton.LeftButton, pos=QPoint(3, 3))


@pytest.mark.parametrize(
    ("text", "fate"),
    [("Save", "save"), ("Keep for later", "keep"), ("Discard", "discard"), ("", "")],
)
def test_the_question_has_these_answers(bench, text, fate):
    def press_it() -> None:
        (box,) = [
            w for w in QApplication.topLevelWidgets() if isinstance(w, QMessageBox)
        ]
        if not text:
            box.reject()  # Escape
        for button in box.buttons():
            if button.text().replace("&", "") == text:
                button.click()

    QTimer.singleShot(100, press_it)
    found = session_dialogs.ask_about_unsaved(bench.widget, "<b>Save?</b>")
    assert found == (fate or "cancel")


def test_nobody_is_asked_without_a_screen(bench, monkeypatch):
    from qtpy.QtGui import QGuiApplication

    monkeypatch.setattr(QGuiApplication, "platformName", lambda: "offscreen")
    assert session_dialogs.ask_about_unsaved(bench.widget, "x") == "keep"


def test_recent_is_read_while_cells_are_followed(bench, engine, qtbot):
    engine.seconds = 0.1
    bench.click(0, 20, 20)
    bench.widget.follow("forward")
    assert recent(bench) == [messages.NOTHING_RECENT]
    assert bench.widget.following.run is not None
    bench.widget.following.stop()
    bench.settle()


def test_saved_places_are_remembered(tmp_path):
    assert saved_sessions(tmp_path) == []
    for name in ("a", "b", "a"):
        note_saved(tmp_path / "shelf", tmp_path / f"{name}.sam2.zarr")
    assert [p.name for p in saved_sessions(tmp_path / "shelf")] == [
        "a.sam2.zarr",
        "b.sam2.zarr",
    ]
    assert recent_sessions(tmp_path / "shelf") == []  # they have gone


def test_what_finds_a_layer_again(viewer):
    layer = viewer.add_image(np.zeros((3, 4, 5)), name="m", scale=(2, 1, 1))
    found = describe(layer, 0, (1, 0, 0))
    assert found["shape"] == [3, 4, 5]
    assert (found["followed"], found["held"]) == (0, [1, 0, 0])
    assert found["scale"] == [2.0, 1.0, 1.0]
    assert found["path"] is None


def test_the_copied_script_makes_the_same_labels(real, viewer, cells, tmp_path, qapp):
    """Everything that the panel can do, done again by a fresh interpreter."""
    widget, (y, x) = real.widget, cells[1]

    def settle() -> None:
        real.settle(timeout=PATIENCE)

    work(real, (y, x))
    widget.new_object()
    real.click(0, y + 20, x + 20, timeout=PATIENCE)
    settle()
    real.click(0, y + 22, x + 24, positive=False, timeout=PATIENCE)
    widget.follow("forward")
    settle()
    # Paint a third cell by hand.
    layer = real.place.result.layer
    layer.selected_label = 3
    viewer.dims.set_point(0, 1)
    layer.data_setitem(
        tuple(np.array([(1, r, c) for r in range(6) for c in range(9)]).T), 3
    )
    layer.events.paint(value=[])
    settle()
    widget.panel.last.setValue(5)
    widget.follow("forward")
    settle()
    widget.undo()
    settle()
    widget.redo()
    settle()
    viewer.dims.set_point(0, 2)
    real.place.object_id = 1
    widget.toggle_lock()
    settle()
    viewer.dims.set_point(0, 4)
    widget.delete_here()
    settle()
    widget.editing.edit("split", 2, frames=(3,))
    settle()
    widget.editing.edit("swap", 1, other=2, frames=(2,))
    settle()
    widget.editing.edit("merge", 4, other=3, frames=(4,))
    settle()
    viewer.layers["wells"].contrast_limits = (100.5, 50000.25)
    real.widget.panel.new_contrast.click()
    real.settle()
    viewer.dims.set_point(0, 5)
    real.click(5, y, x, timeout=PATIENCE)
    settle()
    widget.editing.edit("remove", 3)
    settle()
    widget.follow("both")
    settle()
    widget.undo()
    settle()
    widget.panel.copy.click()
    settle()
    script = qapp.clipboard().text()
    np.save(tmp_path / "image.npy", np.asarray(viewer.layers["wells"].data))
    (tmp_path / "script.py").write_text(script)
    runner = textwrap.dedent(f"""
        import numpy as np, torch
        from napari.components import ViewerModel
        torch.set_num_threads({max(1, _threads() - 1)})
        viewer = ViewerModel()
        viewer.add_image(np.load({str(tmp_path / "image.npy")!r}), name="wells")
        exec(open({str(tmp_path / "script.py")!r}).read())
        np.save({str(tmp_path / "out.npy")!r}, viewer.layers[-1].data)
    """)
    subprocess.run(
        [sys.executable, "-c", runner],
        check=True,
        timeout=300,
        env={**os.environ, "NAPARI_SAM2_SESSIONS": str(tmp_path / "elsewhere")},
    )
    again = np.load(tmp_path / "out.npy")
    np.testing.assert_array_equal(again, real.labels)
    assert len(np.unique(again)) > 2
    for call in ("begin_with", "remove_object", "undo", "propagate", "saved["):
        assert call in script, script


def _threads() -> int:
    import torch

    return torch.get_num_threads()


def test_every_button_shows_its_line(viewer, movie, open_bench, monkeypatch):
    plane = np.zeros(movie.shape, np.uint16)
    plane[:, 5:15, 5:15] = 7
    viewer.add_image(movie, name="movie")
    viewer.dims.set_point(0, 0)
    bench = open_bench()
    viewer.add_labels(plane, name="others")
    bench.settle()
    panel = bench.widget.panel
    bench.click(0, 20, 20)
    bench.place.result.layer.events.paint(value=[])
    bench.settle()
    layer = bench.place.result.layer.name
    line = f"session.add_mask(1, 0, viewer.layers[{layer!r}].data[0] == 1)"
    assert panel.console.text() == line
    for button, line in (
        (panel.new_object, "session.add_points(2, …)  # the next click"),
        (panel.use_labels, "for mask in masks_from_labels(0, viewer.layers['others']"),
        (panel.undo, "session.undo()"),
        (panel.redo, "session.redo()"),
        (panel.forward, "for result in session.propagate('forward'): print("),
        (panel.delete_object, "session.remove_object("),
    ):
        button.click()
        bench.settle()
        assert panel.console.text().startswith(line)
    monkeypatch.setattr(bench.engine, "seconds", 0.05)
    panel.again.setChecked(True)
    panel.forward.click()
    panel.stop.click()
    bench.settle()
    assert panel.console.text() == "run.close()  # what is done stays"
    panel.model.setCurrentIndex(1)
    panel.download.click()
    assert panel.console.text().endswith("download('sam2.1-tiny')")


def test_the_strip_is_not_emptied_by_another_contrast(real, viewer, cells):
    before = work(real, cells[1])
    cell, lowest = real.place.cells[1], real.place.cells[1].lowest
    known = cell.confidence.copy()
    low, high = viewer.layers[0].contrast_limits
    viewer.layers[0].contrast_limits = (low, high * 0.8)
    real.widget.panel.new_contrast.click()
    real.settle(timeout=PATIENCE)
    np.testing.assert_array_equal(real.labels, before)
    cell = real.place.cells[1]
    np.testing.assert_array_equal(cell.confidence, known)
    assert cell.lowest == lowest
    assert np.flatnonzero(cell.outdated).tolist() == [1, 2, 3]
    assert "to be done again" in cell.words(2)
    real.widget.follow("forward")
    real.settle(timeout=PATIENCE)
    assert not real.place.cells[1].outdated.any()
    assert np.isfinite(real.place.cells[1].confidence[:4]).all()
