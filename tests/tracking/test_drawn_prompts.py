"""Scribbles and outlines as prompts, and clicks that are only supposed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_sam2.stacks.drawn import ellipse_mask, polygon_mask, scribble_points
from napari_sam2.tracking import PromptError, Session
from napari_sam2.tracking.drawn_prompts import Outline, OutlinePrompt, ScribblePrompt
from napari_sam2.tracking.prompt_json import prompt_from_json, prompt_to_json
from napari_sam2.tracking.prompts import MaskPrompt, PointPrompt
from napari_sam2.tracking.replaying import open_replay

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_sam2.model import SAM2

    Open = Callable[..., Session]

SHAPE = (48, 64)
PATH = [(12, 14), (16, 20), (18, 28)]
TRIANGLE = [(8.5, 10.5), (8.5, 30.5), (30.5, 20.5)]
BOX = [(20, 40), (20, 56), (40, 56), (40, 40)]


def test_a_scribble_is_a_few_clicks_in_one_step(opened: Open) -> None:
    one, other = opened(), opened()
    one.add_scribble(1, 0, PATH)
    points = scribble_points(PATH, SHAPE)
    other.add_points(1, 0, points, 1)
    np.testing.assert_array_equal(one.preview(0).labels, other.preview(0).labels)
    assert one.undoable == ["scribble on 1"]
    (prompt,) = one.prompts
    assert isinstance(prompt, ScribblePrompt)
    assert prompt.path == tuple(PATH)
    one.add_scribble(1, 0, [(40, 4), (44, 10)], 0)
    assert one.prompts[1].labels == (0, 0, 0)
    one.undo()
    assert one.prompts == [prompt]


def test_an_outline_is_a_mask_in_one_step(opened: Open) -> None:
    session = opened()
    session.add_points(1, 0, [(5, 5)], [1])
    session.add_polygon(1, 0, TRIANGLE)
    session.preview(0)
    wanted = polygon_mask(TRIANGLE, SHAPE)
    np.testing.assert_array_equal(session.labels[0] == 1, wanted)
    assert session.undoable[-1] == "outline of 1"
    (prompt,) = session.prompts  # as a mask, it replaces what was said
    assert isinstance(prompt, OutlinePrompt)
    assert prompt.outlines == (Outline(kind="polygon", vertices=tuple(TRIANGLE)),)
    session.add_ellipse(2, 0, BOX)
    session.preview(0)
    assert session.labels[0, 30, 48] == 2
    assert session.labels[0, 21, 41] == 0
    session.add_points(1, 0, [(12, 20)], [1])  # refines it
    assert len(session.prompts) == 3


def test_several_outlines_are_one_mask_in_one_step(opened: Open) -> None:
    session = opened()
    hole = [(24, 44), (24, 52), (36, 52), (36, 44)]
    drawn = [("polygon", TRIANGLE, 1), ("ellipse", BOX, 1), ("polygon", hole, 0)]
    session.add_outlines(1, 0, drawn)
    session.preview(0)
    both = polygon_mask(TRIANGLE, SHAPE) | ellipse_mask(BOX, SHAPE)
    wanted = both & ~polygon_mask(hole, SHAPE)
    np.testing.assert_array_equal(session.labels[0] == 1, wanted)
    assert session.undoable == ["outline of 1"]
    session.add_outlines(1, 0, [(*drawn[2][:2], 1), ("polygon", TRIANGLE, 0), drawn[2]])
    assert not session.preview(0).labels.any()  # all of it was taken away


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda s: s.add_scribble(1, 0, [(-9, -9), (-5, -2)]), "scribble lies outside"),
        (lambda s: s.add_scribble(1, 0, []), r"at least 1 finite \(y, x\)"),
        (lambda s: s.add_scribble(1, 0, [(1, np.nan)]), "finite"),
        (lambda s: s.add_scribble(1, 0, "abc"), "finite"),
        (lambda s: s.add_scribble(1, 0, PATH, 2), "label must be 1"),
        (lambda s: s.add_scribble(1, 99, PATH), "Frame 99 does not exist"),
        (lambda s: s.add_scribble(0, 0, PATH), "Object id 0 cannot be used"),
        (lambda s: s.add_polygon(1, 0, [(1, 1), (5, 5)]), "at least 3"),
        (lambda s: s.add_polygon(1, 0, [(1, 1), (5, 5), (9, 9)]), "holds no pixel"),
        (lambda s: s.add_polygon(1, 0, [(90, 90), (90, 99), (99, 99)]), "no pixel of"),
        (lambda s: s.add_ellipse(1, 0, TRIANGLE), "four corners of its box, not 3"),
        (lambda s: s.add_outlines(1, 0, []), "first outline must have the label 1"),
        (lambda s: s.add_outlines(1, 0, [("polygon", BOX, 0)]), "first outline must"),
        (lambda s: s.add_outlines(1, 0, [("polygon", BOX, 2)]), "label must be 1"),
        (lambda s: s.add_outlines(1, 0, [("star", BOX, 1)]), "not 'star'"),
        (lambda s: s.suppose(1, 0, (99, 99)), "click inside"),
        (lambda s: s.suppose(1, -1, (9, 9)), "Frame -1 does not exist"),
    ],
)
def test_what_cannot_be_used_is_said_and_changes_nothing(
    opened: Open, call: Callable[[Session], None], said: str
) -> None:
    session = opened()
    with pytest.raises(PromptError, match=said) as caught:
        call(session)
    assert str(caught.value).endswith(".")
    assert session.prompts == []
    assert session.undoable == []


def test_drawn_prompts_survive_json_and_older_readers() -> None:
    scribble = ScribblePrompt.from_path(3, 2, PATH, 0, SHAPE)
    polygon = OutlinePrompt.from_vertices(4, 1, "polygon", TRIANGLE, SHAPE)
    ellipse = OutlinePrompt.from_vertices(5, 1, "ellipse", BOX, SHAPE)
    both = [("polygon", TRIANGLE, 1), ("ellipse", BOX, 0)]
    pieces = OutlinePrompt.from_outlines(6, 1, both, SHAPE)
    for prompt in (scribble, polygon, ellipse, pieces):
        said = json.loads(json.dumps(prompt_to_json(prompt)))
        assert prompt_from_json(said) == prompt
        for name in ("path", "polygon", "ellipse", "outlines"):
            said.pop(name, None)
        plain = prompt_from_json(said)  # what one that does not know them reads
        assert type(plain) in (PointPrompt, MaskPrompt)
        assert vars(plain).items() <= vars(prompt).items()


def test_sessions_on_disk_know_them_and_do_them_again(
    opened: Open, nano: SAM2, movie: np.ndarray, tmp_path: Path
) -> None:
    np.save(tmp_path / "movie.npy", movie)
    session = opened(tmp_path / "movie.npy", path=tmp_path / "cells")
    session.add_scribble(1, 0, PATH)
    session.add_polygon(2, 1, TRIANGLE)
    session.add_outlines(2, 4, [("ellipse", BOX, 1), ("polygon", TRIANGLE, 0)])
    for _ in session.propagate(frames=range(6)):
        pass
    session.swap(1, 2, 3)  # a drawn prompt goes along, with its new id
    path, before = session.path, session.prompts
    session.close()
    with Session.open(path, model=nano) as again:
        assert again.prompts == before
    with open_replay(path, model=nano) as replay:
        list(replay.run())
        assert list(replay.differences()) == []


def everything(session: Session) -> Any:
    """All that a session knows, in a form that can be compared."""
    state = session._state
    return (
        np.array(session.labels).tobytes(),
        session.prompts,
        session.position,
        session.undoable,
        session.redoable,
        {
            i: (
                found.tracked.tobytes(),
                found.stale.tobytes(),
                dict(found.answered),
                dict(found.looks),
                found.window,
                found.restarted.copy(),
                {t: id(memory) for t, memory in found.bank.conditioning.items()},
                {t: id(memory) for t, memory in found.bank.recent.items()},
            )
            for i, found in state.objects.items()
        },
        {i: [a.tobytes() for a in state.scores.snapshot(i)] for i in state.objects},
        {i: drawn.tobytes() for i, drawn in state.drawn.items()},
    )


@pytest.mark.parametrize("name", ["nano", "tiny"])
def test_a_supposed_click_is_what_the_click_gives_and_leaves_no_trace(
    opened: Open, request: pytest.FixtureRequest, name: str, tmp_path: Path
) -> None:
    session = opened(
        model=request.getfixturevalue(name),
        path=tmp_path / "cells",
        zoom=name == "nano",
    )
    session.add_points(1, 0, [(16, 20)], [1])
    session.add_mask(2, 3, polygon_mask(BOX, SHAPE))
    for _ in session.propagate(frames=range(6)):
        pass
    session.lock(2, 4)
    journal = session.path / "journal.jsonl"
    # On a prompted, a tracked, a painted, an unknown frame; of new objects.
    for object_id, frame in [(1, 0), (1, 2), (2, 3), (1, 9), (7, 0), (7, 5)]:
        before, lines = everything(session), journal.read_bytes()
        mask = session.suppose(object_id, frame, (18.0, 25.0))
        assert session.suppose(2, 4, (5, 5)) is None  # locked
        assert everything(session) == before
        assert journal.read_bytes() == lines
        assert mask is not None
        assert mask.any()
        session.add_points(object_id, frame, [(18.0, 25.0)], [1])
        plane = session.preview(frame).labels
        assert not (plane == object_id)[~mask].any()
        assert plane[mask].all()  # where it is not the object's, it is another's
        if (object_id, frame) != (7, 0):
            np.testing.assert_array_equal(plane == object_id, mask)
        session.undo()


def test_whether_a_frame_is_encoded(opened: Open) -> None:
    session = opened()
    assert not session.is_encoded(3)
    session.suppose(1, 3, (16, 20))
    assert session.is_encoded(3)
    session.encode(5)
    assert session.is_encoded(5)
    with pytest.raises(IndexError, match="99"):
        session.encode(99)
