"""The real engine behind the panel, with a small network of random weights."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from napari_sam2.tracking import PromptError
from napari_sam2.widgets.engine import FLAG_WORDS, Edit, ModelChoice, Painted, Request
from napari_sam2.widgets.frame_prompts import FramePrompts, Outline, Scribble
from napari_sam2.widgets.target import Colour, Target
from napari_sam2.widgets.tracking_engine import TrackingEngine

MODEL = ModelChoice(name="nano", device="cpu")


def load_random(choice: ModelChoice):
    import torch

    from napari_sam2.model import build_model

    torch.manual_seed(0)
    assert choice.device == "cpu"
    model = build_model("nano").eval().requires_grad_(requires_grad=False)
    # Random heads may say "no object"; here all are there.
    last = model.sam_mask_decoder.pred_obj_score_head.layers[-1]
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.constant_(last.bias, 5.0)
    return model


@pytest.fixture(scope="module")
def movie():
    return np.random.default_rng(0).integers(0, 4000, (5, 2, 64, 64), np.uint16)


@pytest.fixture
def engine():
    made = TrackingEngine(load_random)
    yield made
    made.close()


def request_for(movie, prompts=None, depth=1):
    target = Target(
        data=movie,
        name="m",
        shape=movie.shape,
        followed=0,
        held=(0, depth, 0, 0),
        axes="TZYX",
        contrast_limits=(0.0, 4000.0),
    )
    return Request(model=MODEL, target=target, prompts=prompts or {})


def click(*points, labels=None):
    return FramePrompts(points=points, labels=labels or (1,) * len(points))


def test_preview_then_follow_fills_the_held_depth(engine, movie):
    request = request_for(movie, {(1, 0): click((30.0, 30.0))})
    labels = engine.open(request, 0)
    assert labels.shape == movie.shape
    news = engine.preview(request, 0)
    assert news.objects[1].area == (labels[0, 1] == 1).sum() > 0
    seen = [
        news.frame_idx
        for news in engine.propagate(request, "forward", None, everything=False)
    ]
    assert seen == [0, 1, 2, 3, 4]
    assert not labels[:, 0].any()
    assert engine.open(request, 0) is labels


def test_undoing_gives_the_first_answer_again(engine, movie):
    one = request_for(movie, {(1, 0): click((30.0, 30.0))})
    two = request_for(movie, {(1, 0): click((30.0, 30.0), (10.0, 50.0))})
    labels = engine.open(one, 0)
    engine.preview(one, 0)
    before = labels[0, 1].copy()
    engine.preview(two, 0)
    engine.preview(one, 0)
    assert (labels[0, 1] == before).all()
    engine.preview(request_for(movie), 0)
    assert not labels[0, 1].any()


def test_clicks_given_fast_or_slowly_answer_alike(movie):
    both = {(1, 0): click((30.0, 30.0), (10.0, 50.0), labels=(1, 0))}
    answers = []
    for steps in ([both], [{(1, 0): click((30.0, 30.0))}, both]):
        engine = TrackingEngine(load_random)
        for prompts in steps:
            request = request_for(movie, prompts)
            labels = engine.open(request, 0)
            engine.preview(request, 0)
        answers.append(labels[0, 1].copy())
        engine.close()
    assert (answers[0] == answers[1]).all()


def test_painted_masks_are_kept_when_the_contrast_changes(engine, movie):
    request = request_for(movie)
    plane = np.zeros((64, 64), np.uint16)
    plane[5:20, 5:20], plane[40:50, 40:50] = 3, 4
    ids = engine.take_masks(
        request, 2, lambda: plane, Painted(selected=3, areas={4: 100, 5: 0})
    )
    assert ids == (3,)  # 4 and 5 are as they were
    target = request.target
    brighter = Target(
        **{
            field: getattr(target, field)
            for field in ("data", "name", "shape", "followed", "held", "axes")
        },
        contrast_limits=(0.0, 999.0),
    )
    again = Request(model=MODEL, target=brighter)
    labels = engine.open(again, 2)
    engine.preview(again, 2)
    assert ((labels[2, 1] == 3) == (plane == 3)).all()


def test_all_objects_of_other_labels_are_taken(engine, movie):
    plane = np.zeros((64, 64), np.int32)
    plane[5:20, 5:20], plane[40:50, 40:50] = 3, 4
    request = request_for(movie)
    assert engine.take_masks(request, 0, lambda: plane) == (3, 4)
    labels = engine.open(request, 0)
    engine.preview(request, 0)
    assert (labels[0, 1] == plane).all()
    engine.edit(request, Edit(verb="remove", object_id=3))
    assert set(np.unique(labels)) == {0, 4}


def test_an_image_that_left_is_forgotten(engine, movie):
    request = request_for(movie, {(1, 0): click((30.0, 30.0))})
    labels = engine.open(request, 0)
    engine.forget(request.target)
    assert engine.open(request, 0) is not labels


def test_the_catalogue_has_nano_and_the_official_models(engine, monkeypatch, tmp_path):
    monkeypatch.setenv("NAPARI_SAM2_MODELS", str(tmp_path))
    (tmp_path / "sam2.1_hiera_small.pt").write_bytes(b"")
    catalogue = engine.catalogue()
    here = {model.name: model.here for model in catalogue.models}
    assert here["nano"]
    assert here["sam2.1-small"]
    assert not here["sam2.1-tiny"]
    assert "sam2-tiny" not in here
    assert catalogue.devices[:2] == ("auto", "cpu")


def test_opening_the_panel_imports_no_torch():
    """Only the worker's thread pays for torch; napari's start and the panel do not."""
    code = (
        "import sys, napari_sam2.widgets.track_widget, napari_sam2.widgets.samples\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def follow(engine, request):
    return [
        news.frame_idx
        for news in engine.propagate(request, "forward", None, everything=False)
    ]


def test_taking_back_restores_every_pixel(engine, movie):
    first = request_for(movie, {(1, 0): click((30.0, 30.0))})
    labels = engine.open(first, 0)
    engine.preview(first, 0)
    clicked = np.array(labels)
    assert follow(engine, first) == [0, 1, 2, 3, 4]
    followed = np.array(labels)
    second = request_for(
        movie, {(1, 0): click((30.0, 30.0)), (1, 3): click((10.0, 10.0))}
    )
    engine.preview(second, 3)
    assert engine.frames_to_do(second, "forward", None, everything=False) == 2
    assert follow(engine, second) == [3, 4]
    undone = engine.turn(second, undo=True)
    assert undone.what == "forward propagation"
    assert undone.prompts == second.prompts
    assert undone.objects[1].outdated.tolist() == [False] * 4 + [True]
    # The correction goes as well, and what was tracked there is back.
    assert engine.turn(second, undo=True).prompts == first.prompts
    np.testing.assert_array_equal(np.array(labels), followed)
    assert engine.frames_to_do(first, "forward", None, everything=False) == 0
    engine.turn(first, undo=True)
    np.testing.assert_array_equal(np.array(labels), clicked)
    assert engine.turn(first, undo=True).prompts == {}
    assert not np.array(labels).any()
    none = request_for(movie)
    assert engine.turn(none, undo=True) is None
    # And forth again, the whole way.
    assert engine.turn(none, undo=False).prompts == first.prompts
    engine.turn(first, undo=False)
    np.testing.assert_array_equal(np.array(labels), followed)
    assert engine.turn(first, undo=False).prompts == second.prompts
    assert engine.turn(second, undo=False).what == "forward propagation"
    assert engine.turn(second, undo=False) is None
    assert engine.frames_to_do(second, "forward", None, everything=False) == 0


def test_taking_a_click_away_in_the_layer_is_taking_it_back(engine, movie):
    first = request_for(movie, {(1, 0): click((30.0, 30.0))})
    second = request_for(movie, {(1, 0): click((30.0, 30.0), (10.0, 50.0))})
    engine.preview(first, 0)
    engine.preview(second, 0)
    engine.preview(first, 0)
    assert engine.turn(first, undo=False).prompts == second.prompts


def test_what_was_removed_in_the_layer_comes_back(engine, movie):
    first = request_for(movie, {(1, 0): click((30.0, 30.0))})
    outline = FramePrompts(outlines=(Outline(kind="polygon", vertices=SQUARE),))
    second = request_for(movie, {**first.prompts, (2, 0): outline})
    labels = engine.open(first, 0)
    for request in (first, second):
        engine.preview(request, 0)
    drawn = labels[0, 1].copy()
    engine.preview(first, 0)  # Delete in the layer,
    assert not (labels[0, 1] == 2).any()
    standing = engine.turn(first, undo=True)  # and Ctrl+Z
    assert standing.what == "removal of outline of 2"
    assert standing.prompts == second.prompts
    assert (labels[0, 1] == drawn).all()
    standing = engine.turn(second, undo=True)
    assert standing.what == "outline of 2"
    assert standing.prompts == first.prompts


def test_masks_taken_together_are_taken_back_together(engine, movie):
    plane = np.zeros((64, 64), np.int32)
    plane[5:20, 5:20], plane[40:50, 40:50] = 3, 4
    request = request_for(movie)
    engine.take_masks(request, 0, lambda: plane)
    assert engine.turn(request, undo=True).masks == ()
    assert engine.turn(request, undo=False).masks == ((3, 0), (4, 0))


def test_painting_is_taken_back_pixel_by_pixel(kept, movie):
    engine = kept()
    request = request_for(movie, {(1, 0): click((30.0, 30.0))})
    labels = engine.open(request, 0)
    engine.preview(request, 0)
    before = np.array(labels)
    areas = {1: int((labels[0, 1] == 1).sum())}
    labels[0, 1, 50:60, 50:60] = 2  # as napari's brush does
    painted = Painted(selected=2, areas=areas)
    engine.take_masks(request, 0, lambda: labels[0, 1], painted)
    engine.preview(request, 0)
    assert (labels[0, 1] == 2).any()
    engine.turn(request, undo=True)
    np.testing.assert_array_equal(np.array(labels), before)


def test_more_steps_than_are_kept_cannot_be_taken_back_in_part(engine, movie):
    plane = np.zeros((64, 64), np.int32)
    for number in range(130):
        plane[number // 8 * 3, number % 8 * 8 : number % 8 * 8 + 4] = number + 1
    request = request_for(movie)
    assert len(engine.take_masks(request, 0, lambda: plane)) == 130
    assert engine.turn(request_for(movie), undo=True) is None


def test_edits_of_cells(engine, movie):
    def edit(verb, object_id, **more):
        return engine.edit(request, Edit(verb=verb, object_id=object_id, **more))

    plane = np.zeros((64, 64), np.int32)
    plane[5:20, 5:20], plane[40:50, 40:50] = 3, 4
    request = request_for(movie)
    engine.take_masks(request, 0, lambda: plane)
    labels = engine.open(request, 0)
    assert follow(engine, request) == [0, 1, 2, 3, 4]
    before = np.array(labels)

    assert edit("rename", 3, name="mother").names == {3: "mother"}
    assert edit("lock", 3, frames=(1, 2)).objects[3].locked.tolist() == [
        *(False, True, True, False, False)
    ]
    swapped = edit("swap", 3, other=4, frames=(2,))
    assert (3, 2) in swapped.masks
    assert swapped.objects[4].locked[2]  # the lock went along
    np.testing.assert_array_equal(labels[2:, 1] == 3, before[2:, 1] == 4)
    np.testing.assert_array_equal(labels[:2], before[:2])
    split = edit("split", 4, frames=(3,))
    assert set(split.objects) == {3, 4, 5}
    merged = edit("merge", 5, other=4, frames=(0,))
    assert set(merged.objects) == {3, 4}
    gone = edit("absent", 4, frames=(1,))
    assert not (labels[1, 1] == 4).any()
    assert gone.objects[4].area[1] == 0
    removed = edit("remove", 4)
    assert set(removed.objects) == {3}
    assert not (np.array(labels) == 4).any()
    for _ in range(7):
        back = engine.turn(request, undo=True)
    assert back.names == {}
    np.testing.assert_array_equal(np.array(labels), before)


def test_what_is_cleared_by_an_edit_is_not_said_again(engine, movie):
    """A click where the cell is not any more goes, and stays away."""
    request = request_for(movie, {(1, 0): click((30.0, 30.0)), (1, 3): click((9.0, 9))})
    engine.preview(request, 3)
    absent = engine.edit(request, Edit(verb="absent", object_id=1, frames=(3,)))
    assert absent.prompts == {(1, 0): click((30.0, 30.0))}
    assert absent.masks == ((1, 3),)
    after = request_for(movie, absent.prompts)
    assert engine.review(after, [1])[1].prompted.tolist() == [
        *(True, False, False, True, False)
    ]


def test_names_locks_and_clicks_outlive_another_contrast(kept, movie):
    engine = kept()
    request = request_for(movie, {(1, 0): click((30.0, 30.0))})
    follow(engine, request)
    engine.edit(request, Edit(verb="rename", object_id=1, name="mother"))
    engine.edit(request, Edit(verb="lock", object_id=1, frames=(2,)))
    before = engine.review(request, [1])[1]
    brighter = Request(
        model=MODEL,
        target=replace(request.target, contrast_limits=(0.0, 999.0)),
        prompts=request.prompts,
    )
    seen = engine.review(brighter, [1])[1]
    assert seen.locked.tolist() == [False, False, True, False, False]
    np.testing.assert_array_equal(seen.confidence, before.confidence)
    np.testing.assert_array_equal(seen.area, before.area)
    assert np.isfinite(seen.confidence).all()
    # They are of the other contrast, but for what the user fixed.
    assert seen.outdated.tolist() == [False, True, False, True, True]
    undone = engine.turn(brighter, undo=True)
    assert undone is None  # those deeds were another session's
    more = replace(brighter, prompts={(1, 0): click((30.0, 30.0), (33.0, 31.0))})
    engine.preview(more, 0)
    back = engine.turn(more, undo=True)
    assert back.prompts == request.prompts
    assert back.names == {1: "mother"}
    follow(engine, more)
    assert not engine.review(more, [1])[1].outdated.any()


def test_how_sure_it_was_outlives_another_model(kept, movie):
    engine = kept()
    request = request_for(movie, {(1, 0): click((30.0, 30.0))})
    follow(engine, request)
    before = engine.review(request, [1])[1].confidence
    for version in (1, 2):  # again and again
        other = replace(request, model=replace(MODEL, version=version))
        engine.open(other, 0)
        seen = engine.review(other, [1])[1]
        np.testing.assert_array_equal(seen.confidence, before)


def test_flags_are_in_words():
    from napari_sam2.tracking.changes import Flags

    assert set(FLAG_WORDS) == {flag.value for flag in Flags}


def test_a_locked_frame_stays(engine, movie):
    request = request_for(movie, {(1, 0): click((30.0, 30.0))})
    labels = engine.open(request, 0)
    follow(engine, request)
    labels[2, 1] = 0
    labels[2, 1, 5:9, 5:9] = 1
    engine.edit(request, Edit(verb="lock", object_id=1, frames=(2,)))
    again = request_for(movie, {(1, 0): click((30.0, 30.0), (33.0, 30.0))})
    assert follow(engine, again) == [0, 1]
    assert labels[2, 1].sum() == 16
    # A click there is refused until the lock is taken off; it counts from then on.
    more = request_for(movie, {**again.prompts, (1, 2): click((6.0, 6.0))})
    with pytest.raises(PromptError, match="locked in frame 2"):
        engine.preview(more, 2)
    free = engine.edit(more, Edit(verb="unlock", object_id=1, frames=(2,)))
    assert free.prompts == more.prompts
    assert engine.preview(more, 2).objects.keys() == {1}
    assert follow(engine, more) == [1, 2, 3, 4]


@pytest.fixture
def kept(tmp_path):
    """Give a function that makes engines which keep their sessions in one folder."""
    made = []

    def make():
        made.append(TrackingEngine(load_random, shelf=tmp_path / "shelf"))
        return made[-1]

    yield make
    for engine in made:
        engine.close()


def test_work_is_there_again_after_a_crash(kept, movie):
    first = kept()
    prompts = {(1, 0): click((30.0, 30.0), (33.0, 31.0), labels=(1, 0))}
    request = request_for(movie, prompts)
    labels = first.open(request, 0)
    assert first.earlier(request_for(movie)) is None  # its own is open
    follow(first, request)
    first.take_masks(request, 2, lambda: np.eye(64, dtype=int) * 4)
    first.preview(request, 2)
    before = np.array(labels)
    # The process is gone: nothing was closed, and its lock is a dead one's.
    (lock,) = first._shelf.glob("*/lock")
    lock.write_text(f"{2**22 + 7} {lock.read_text().split()[1]}")

    second = kept()
    again = movie.copy()
    assert second.earlier(request_for(again, depth=0)) is None  # another depth
    assert second.earlier(request_for(again + 1)) is None  # another image
    found = second.earlier(request_for(again))
    assert (found.objects, found.frames) == (2, 5)
    recovered = second.recover(request_for(again), found)
    np.testing.assert_array_equal(np.array(recovered.array), before)
    standing = recovered.standing
    assert standing.masks == ((4, 2),)
    assert set(standing.objects) == {1, 4}
    assert not np.isnan(standing.objects[1].confidence).any()
    # The layers' prompts are taken for the session's: nothing is done again.
    assert standing.prompts == prompts
    request = request_for(again, standing.prompts)
    assert second.frames_to_do(request, "forward", None, everything=False) == 3
    # A click given while it was being opened counts.
    late = {**standing.prompts, (5, 1): click((50.0, 50.0))}
    assert set(second.review(request_for(again, late), [5])) == {5}
    second.review(request, [5])
    assert follow(second, request) == [2, 3, 4]


def test_another_model_goes_on_with_the_labels(kept, movie):
    engine = kept()
    request = request_for(movie, {(1, 0): click((30.0, 30.0))})
    labels = engine.open(request, 0)
    follow(engine, request)
    before = np.array(labels)
    other = Request(
        model=ModelChoice(name="other", device="cpu"), target=request.target
    )
    engine.open(other, 0)
    np.testing.assert_array_equal(np.array(labels), before)
    assert engine._session is not None
    np.testing.assert_array_equal(np.array(engine._session.labels), before[:, 1])


def test_sessions_without_prompts_leave_nothing(kept, movie):
    engine = kept()
    engine.open(request_for(movie), 0)
    assert len(list(engine._shelf.iterdir())) == 1
    engine.close()
    assert list(engine._shelf.iterdir()) == []


def test_the_shelf_keeps_the_newest(tmp_path):
    import os

    from napari_sam2.tracking.shelf import new_session_path, tidy_up

    for k in range(5):
        folder = tmp_path / f"{k}.sam2.zarr"
        folder.mkdir()
        (folder / "journal.jsonl").touch()
        os.utime(folder / "journal.jsonl", (k, k))
    masks = tmp_path / "0-script.npz"  # what Copy script wrote
    np.savez(masks, mask0=np.ones((2, 2), bool))
    os.utime(masks, (1, 1))
    tidy_up(tmp_path, kept=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["3.sam2.zarr", "4.sam2.zarr"]
    path = new_session_path(tmp_path, "my movie/1.tif")
    assert path.name.endswith("-my_movie_1_tif.sam2.zarr")
    path.mkdir()
    assert new_session_path(tmp_path, "my movie/1.tif") != path


SQUARE = ((9.5, 9.5), (9.5, 29.5), (29.5, 29.5), (29.5, 9.5))


def test_drawings_are_told_to_the_session_and_taken_back(engine, movie):
    outline = Outline(kind="polygon", vertices=SQUARE)
    ellipse = Outline(kind="ellipse", vertices=SQUARE)
    scribble = Scribble(path=((40.0, 10.0), (40.0, 30.0)), label=1)
    drawn = FramePrompts(outlines=(outline,))
    labels = engine.open(request_for(movie), 0)
    engine.preview(request_for(movie, {(1, 0): drawn}), 0)
    square = labels[0, 1].copy()
    assert square[10, 10] == square[29, 29] == 1
    assert (square == 1).sum() == 400
    engine.preview(request_for(movie, {(1, 0): FramePrompts(outlines=(ellipse,))}), 0)
    assert labels[0, 1, 10, 10] == 0
    assert labels[0, 1, 20, 20] == 1
    engine.preview(request_for(movie, {(1, 0): drawn}), 0)  # undone in the session
    assert (labels[0, 1] == square).all()
    hole = Outline(kind="ellipse", vertices=SQUARE, label=0)
    corners = FramePrompts(outlines=(outline, hole))
    engine.preview(request_for(movie, {(1, 0): corners}), 0)
    assert labels[0, 1, 10, 10] == 1
    assert labels[0, 1, 20, 20] == 0
    engine.preview(request_for(movie, {(1, 0): drawn}), 0)
    engine.preview(request_for(movie, {(1, 0): corners}), 0)
    both = {(1, 0): corners, (2, 1): FramePrompts(scribbles=(scribble,))}
    request = request_for(movie, both)
    engine.preview(request, 1)
    assert (
        engine.edit(request, Edit(verb="lock", object_id=1, frames=(0,))).prompts
        == both
    )
    standing = engine.turn(request, undo=True)
    assert standing.prompts == both
    assert standing.masks == ()  # an outline is none that was painted
    standing = engine.turn(request, undo=True)
    assert standing.what == "scribble on 2"
    assert standing.prompts == {(1, 0): corners}


def test_scribbles_that_are_added_refine_and_others_begin_anew(engine, movie):
    one = Scribble(path=((30.0, 20.0), (30.0, 40.0)), label=1)
    two = Scribble(path=((10.0, 10.0), (10.0, 20.0)), label=0)
    answers = []
    for steps in (((one, two),), ((one,), (one, two)), ((two,), (one, two))):
        for scribbles in steps:
            request = request_for(movie, {(1, 0): FramePrompts(scribbles=scribbles)})
            labels = engine.open(request, 0)
            engine.preview(request, 0)
        answers.append(labels[0, 1].copy())
        engine.preview(request_for(movie), 0)
    assert (answers[0] == answers[1]).all()
    assert (answers[0] == answers[2]).all()


def test_painting_over_an_outline_and_back(engine, movie):
    drawn = FramePrompts(outlines=(Outline(kind="polygon", vertices=SQUARE),))
    request = request_for(movie, {(1, 0): drawn})
    labels = engine.open(request, 0)
    engine.preview(request, 0)
    plane = np.zeros((64, 64), np.uint16)
    plane[40:50, 40:50] = 1
    engine.take_masks(request, 0, lambda: plane, Painted(selected=1, areas={}))
    painted = request_for(movie)  # the panel has taken the outline away
    engine.preview(painted, 0)
    assert (labels[0, 1] == plane).all()
    standing = engine.turn(painted, undo=True)
    assert standing.prompts == {(1, 0): drawn}
    assert labels[0, 1, 20, 20] == 1


def test_a_supposed_click_is_not_remembered(engine, movie):
    request = request_for(movie, {(1, 0): click((30.0, 30.0))})
    labels = engine.open(request, 0)
    engine.preview(request, 0)
    before = labels.copy()
    lines = engine.suppose(request, 1, 0, (20.0, 40.0), 1, afresh=True)
    assert lines
    assert all(line.shape[1] == 2 for line in lines)
    assert engine.suppose(request, 1, 3, (20.0, 40.0), 1, afresh=False) is None
    assert engine.suppose(request, 1, 3, (20.0, 40.0), 1, afresh=True)
    assert engine.suppose(request, 2, 3, (20.0, 40.0), 1, afresh=False)
    assert (labels == before).all()
    standing = engine.turn(request, undo=True)
    assert standing.prompts == {}
    assert engine.turn(request_for(movie), undo=True) is None


def test_opening_encodes_the_frame(engine, movie):
    request = request_for(movie)
    engine.open(request, 2)
    assert engine.suppose(request, 1, 2, (20.0, 40.0), 1, afresh=False)


def test_what_the_model_sees_of_another_depth_leaves_the_session_alone(engine, movie):
    request = request_for(movie, {(1, 0): click((30.0, 30.0))})
    engine.open(request, 0)
    engine.preview(request, 0)
    session = engine._session
    here = engine.seen(request, 0, 1)
    assert here.picture.shape == (256, 256, 3)
    there = engine.seen(request_for(movie, depth=0), 3, 1)
    assert engine._session is session
    assert there.shape == (64, 64)
    small = there.picture[..., 0].reshape(64, 4, 64, 4).mean(axis=(1, 3))
    assert np.corrcoef(small.ravel(), movie[3, 0].ravel())[0, 1] > 0.8


def test_colours_are_another_session_on_the_same_labels(engine, movie):
    request = request_for(movie, {(1, 0): click((30.0, 30.0))})
    labels = engine.open(request, 0)
    engine.preview(request, 0)
    before = labels.copy()
    green = Colour(data=movie // 2, name="g", contrast_limits=(0.0, 2000.0))
    target = replace(request.target, colours=(green,))
    coloured = replace(request, target=target)
    assert engine.open(coloured, 0) is labels
    assert engine._session.stack.n_channels == 2
    assert (labels == before).all()
    engine.preview(coloured, 0)
    assert engine.review(coloured, [1])[1].prompted[0]
