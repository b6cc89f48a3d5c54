"""Volumes in time, from one click."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from qtpy.QtCore import QPoint
from qtpy.QtWidgets import QApplication

from napari_sam2.widgets import messages
from napari_sam2.widgets.engine import Edit, ModelChoice, ObjectNews, Repeat, Request
from napari_sam2.widgets.frame_prompts import FramePrompts
from napari_sam2.widgets.heat_strip import GUTTER, NOT_HERE
from napari_sam2.widgets.saving_engine import SavingEngine
from napari_sam2.widgets.target import Target

SCALE, TRANSLATE = (1.0, 2.0, 0.5, 0.25), (0.0, 10.0, -3.0, 7.0)


@pytest.fixture
def volumes(viewer, open_bench):
    """The panel on three volumes of five planes; followed is depth."""
    data = np.random.default_rng(0).integers(0, 4000, (3, 5, 48, 64), np.uint16)
    viewer.add_image(
        data,
        name="volumes",
        axis_labels=("t", "z", "y", "x"),
        scale=SCALE,
        translate=TRANSLATE,
    )
    viewer.dims.set_point([0, 1], [1.0, 2 * SCALE[1] + TRANSLATE[1]])
    bench = open_bench()
    bench.widget.panel.axis.setCurrentIndex(1)
    bench.settle()
    assert bench.widget.panel.axis.currentText() == "depth (z) axis, 5 steps"
    return bench


def test_all_volumes_are_filled(volumes, viewer):
    panel = volumes.widget.panel
    assert not panel.repeat_row.isHidden()
    panel.repeat.setCurrentText("over the time axis, 3 steps")
    volumes.click(1, 2, 20, 30)
    volumes.widget.follow("both")
    assert volumes.widget.panel.console.text() == (
        "for run in session.propagate('both'), (repetition := Repetition(session, 'T'))"
        ".run('both'): print(sum(1 for _ in run))"
    )
    volumes.settle()
    assert volumes.engine.repeats == [Repeat(over="T", direction="both")]
    assert (volumes.labels[0] == volumes.labels[1]).all()
    assert volumes.labels.any(axis=(2, 3)).all()
    assert volumes.place.index_here == (1, 2)  # back where it began
    assert volumes.status.startswith("<b>Done:</b> 15 frames")
    panel.copy.click()
    volumes.settle()
    script = QApplication.clipboard().text()
    compile(script, "script", "exec")
    assert "Repetition(session, 'T')" in script
    assert "viewer.add_labels(repetition.labels)" in script
    viewer.dims.set_point(0, 2.0)  # looking at it does not change what is taken back
    volumes.widget.undo()
    volumes.settle()
    assert volumes.engine.requests[-1].target.held[0] == 1
    assert len(volumes.place.prompts.points.data) == 1
    assert not volumes.labels[[0, 2]].any()
    assert volumes.labels[1].any()


def test_deleting_says_which_volume_it_is_about(volumes):
    volumes.click(1, 2, 20, 30)
    volumes.widget.panel.delete_object.click()
    volumes.settle()
    assert "gone from all frames of this volume, and of those where it was" in (
        volumes.status
    )


def test_a_deleted_cell_that_was_repeated_is_not_listed_any_more(volumes):
    panel = volumes.widget.panel
    panel.repeat.setCurrentIndex(1)
    volumes.click(1, 2, 20, 30)
    volumes.widget.new_object()
    volumes.click(1, 2, 30, 50)
    volumes.widget.follow("both")
    volumes.settle()
    assert panel.objects.object_ids == [1, 2]
    panel.delete_object.click()
    volumes.settle()
    assert panel.objects.object_ids == [1]


def frames_and_lowest(bench, object_id=1):
    table = bench.widget.panel.objects
    row = table.object_ids.index(object_id)
    return [table.item(row, column).text() for column in (2, 3, 4)]


def go_to_volume(bench, viewer, t):
    viewer.dims.set_point(0, float(t))
    bench.settle()


def test_table_and_strip_show_the_volume_at_the_slider(volumes, viewer):
    panel, strip = volumes.widget.panel, volumes.widget.panel.strip
    panel.repeat.setCurrentIndex(1)
    volumes.click(1, 2, 20, 30)
    volumes.widget.follow("both")
    volumes.settle()
    assert frames_and_lowest(volumes) == ["1", "5", "0.90"]
    go_to_volume(volumes, viewer, 2)
    assert frames_and_lowest(volumes) == ["–", "5", "0.80"]
    # A click in the strip goes to the frame of this volume.
    strip.chosen.emit(4, 1)
    volumes.settle()
    assert volumes.place.index_here == (2, 4)
    assert "0.80" in words_in(strip, 4)
    volumes.widget.undo()
    volumes.settle()
    assert frames_and_lowest(volumes) == ["–", "–", "–"]
    assert strip.hint == NOT_HERE
    assert "not followed yet" in words_in(strip, 4)
    go_to_volume(volumes, viewer, 1)
    assert frames_and_lowest(volumes) == ["1", "5", "0.90"]
    assert "0.90" in words_in(strip, 4)
    volumes.widget.redo()
    go_to_volume(volumes, viewer, 0)
    assert frames_and_lowest(volumes) == ["–", "5", "0.80"]


def words_in(strip, frame):
    """Say what the strip tells of the first cell in one of five frames."""
    width = strip.viewport().width() - GUTTER
    return strip.words_at(QPoint(GUTTER + int((frame + 0.5) * width / 5), 3))


def test_volumes_are_seen_while_they_fill(volumes, viewer, qtbot):
    panel = volumes.widget.panel
    panel.watch.setChecked(False)
    panel.repeat.setCurrentIndex(1)
    volumes.click(1, 2, 20, 30)
    volumes.engine.elsewhere[2, 1, 3] = ObjectNews(confidence=0.2, area=7)  # earlier
    volumes.engine.seconds = 0.2
    volumes.widget.follow("both")
    run = volumes.widget.following.run
    qtbot.waitUntil(lambda: (0, 0) in run.planes or run.latest_plane, timeout=10000)
    viewer.dims.set_point(0, 0.0)
    qtbot.waitUntil(lambda: frames_and_lowest(volumes)[1] in "1234", timeout=2000)
    assert "not followed yet" in words_in(panel.strip, 4)
    viewer.dims.set_point(0, 2.0)
    assert panel.strip.hint == NOT_HERE
    qtbot.waitUntil(lambda: "0.20" in words_in(panel.strip, 3), timeout=2000)
    assert volumes.widget.following.run is not None
    volumes.settle()
    assert frames_and_lowest(volumes) == ["–", "5", "0.80"]


def test_doubtful_frames_of_the_volume_are_gone_to(volumes, viewer):
    volumes.widget.panel.repeat.setCurrentIndex(1)
    volumes.click(1, 2, 20, 30)
    volumes.widget.follow("both")
    volumes.settle()
    volumes.engine.elsewhere[2, 1, 3] = ObjectNews(confidence=0.2, area=7)
    volumes.place.go_to(0)
    volumes.widget.reviewing.next_doubtful()
    assert volumes.status == messages.NO_DOUBT
    go_to_volume(volumes, viewer, 2)
    volumes.widget.reviewing.next_doubtful()
    assert volumes.place.index_here == (2, 3)


def test_without_being_asked_nothing_is_repeated(volumes):
    volumes.click(1, 2, 20, 30)
    volumes.widget.follow("both")
    volumes.settle()
    assert not volumes.labels[[0, 2]].any()


def test_repeating_is_stopped(volumes, qtbot):
    volumes.widget.panel.repeat.setCurrentIndex(1)
    volumes.click(1, 2, 20, 30)
    volumes.engine.seconds = 0.2
    volumes.widget.follow("both")
    run = volumes.widget.following.run
    qtbot.waitUntil(lambda: run.latest_plane is not None, timeout=10000)
    volumes.widget.panel.stop.click()
    volumes.settle()
    assert "Stopped" in volumes.status
    assert volumes.labels[0].any()
    assert not volumes.labels[2].any()


def test_a_movie_has_nothing_to_repeat_over(bench):
    assert bench.widget.panel.repeat_row.isHidden()


def request_for(volumes):
    target = Target(
        data=volumes,
        name="v",
        shape=volumes.shape,
        followed=1,
        held=(1, 0, 0, 0),
        axes="TZYX",
        contrast_limits=(0.0, 1500.0),
    )
    prompts = {(1, 1): FramePrompts(points=((40.0, 44.0),), labels=(1,))}
    choice = ModelChoice(name="nano", device="cpu")
    return Request(model=choice, target=target, prompts=prompts)


def make_volumes():
    volumes = np.random.default_rng(1).integers(0, 40, (3, 3, 96, 96), np.uint16)
    y, x = np.mgrid[:96, :96]
    for t in range(3):
        volumes[t, :, (y - 40 - t) ** 2 + (x - 44 - 2 * t) ** 2 < 160] += 1500
    return volumes


def test_the_real_engine_repeats_undoes_and_recovers(tmp_path):
    volumes = make_volumes()
    request, repeat = request_for(volumes), Repeat(over="T")
    engine = SavingEngine(shelf=tmp_path)
    labels = engine.open(request, 1)
    list(engine.propagate(request, "both", None, everything=False))
    assert engine.repeated(request, (0, 1)) is None
    assert engine.script(request).repeats == ()
    assert engine.planes_to_repeat(request, repeat, everything=False) == 3 + 2 * 3
    planes = list(engine.repeat(request, repeat, everything=False))
    places = {p.place for p in planes}
    assert places == {(t, z) for t in (0, 2) for z in range(3)} | {(1, 1)}
    assert labels.any(axis=(2, 3)).all()
    assert engine.planes_to_repeat(request, repeat, everything=False) == 0
    assert engine.script(request).repeats == (repeat,)
    assert engine.turn(request, undo=True).what == "repetition over T"
    assert engine.script(request).repeats == ()
    assert not labels[[0, 2]].any()
    assert labels[1].any()
    assert engine.turn(request, undo=False).what == "repetition over T"
    assert engine.script(request).repeats == (repeat,)
    done = labels.copy()
    known = engine.repeated(request, (2, 0))[1]
    assert (known.area == (done[2] == 1).sum(axis=(1, 2))).all()
    told = {p.place: p.objects[1] for p in planes if p.place[0] == 2}
    assert [told[2, z].area for z in range(3)] == known.area.tolist()
    sure = [told[2, z].confidence for z in range(3)]
    assert sure == pytest.approx(known.confidence, abs=0.05)
    assert not known.outdated.any()
    assert done.any(axis=(2, 3)).all()
    engine.edit(request, Edit(verb="remove", object_id=1))
    assert not labels.any()
    assert engine.repeated(request, (2, 0)) == {}
    bare = Request(model=request.model, target=request.target)
    assert engine.turn(bare, undo=True).what == "delete 1"
    assert (labels == done).all()
    assert not engine.repeated(request, (2, 0))[1].outdated.any()
    engine.close()
    # Another day, on the same image.
    engine = SavingEngine(shelf=tmp_path)
    recovered = engine.recover(bare, engine.earlier(bare))
    assert (recovered.array == done).all()
    assert engine.script(bare).repeats == (repeat,)
    again = engine.repeated(bare, (2, 0))[1]
    assert (again.confidence == known.confidence).all()
    assert engine.planes_to_repeat(request, repeat, everything=False) == 0
    # A click in one of the other volumes leaves what else was found there.
    elsewhere = Request(
        model=request.model,
        target=replace(request.target, held=(2, 0, 0, 0)),
        prompts={(2, 0): FramePrompts(points=((80.0, 20.0),), labels=(1,))},
    )
    engine.preview(elsewhere, 0)
    labels = engine.open(elsewhere, 0)
    assert (labels[2, 0] == 2).any()
    assert ((labels == 1) == (done == 1))[labels != 2].all()
    assert engine.repeated(elsewhere, (1, 0)) is None
    engine.close()
