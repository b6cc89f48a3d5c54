"""Volumes in time, from one click."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtWidgets import QApplication

from napari_sam2.widgets.engine import ModelChoice, Repeat, Request
from napari_sam2.widgets.frame_prompts import FramePrompts
from napari_sam2.widgets.target import Target
from napari_sam2.widgets.tracking_engine import TrackingEngine

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
    engine = TrackingEngine(shelf=tmp_path)
    labels = engine.open(request, 1)
    list(engine.propagate(request, "both", None, everything=False))
    assert engine.planes_to_repeat(request, repeat, everything=False) == 3 + 2 * 3
    places = {p.place for p in engine.repeat(request, repeat, everything=False)}
    assert places == {(t, z) for t in (0, 2) for z in range(3)} | {(1, 1)}
    assert labels.any(axis=(2, 3)).all()
    assert engine.planes_to_repeat(request, repeat, everything=False) == 0
    assert engine.turn(request, undo=True).what == "repetition over T"
    assert not labels[[0, 2]].any()
    assert labels[1].any()
    assert engine.turn(request, undo=False).what == "repetition over T"
    done = labels.copy()
    assert done.any(axis=(2, 3)).all()
    engine.close()
    # Another day, on the same image.
    engine = TrackingEngine(shelf=tmp_path)
    bare = Request(model=request.model, target=request.target)
    recovered = engine.recover(bare, engine.earlier(bare))
    assert (recovered.array == done).all()
    assert engine.planes_to_repeat(request, repeat, everything=False) == 0
    engine.close()
