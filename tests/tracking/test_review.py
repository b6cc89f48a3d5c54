"""What a session says of an object, frame by frame, and the names of objects."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam2.tracking import Session

N, HEIGHT, WIDTH = 14, 48, 64


def disc(y, x, radius=8):
    yy, xx = np.mgrid[:HEIGHT, :WIDTH]
    return (yy - y) ** 2 + (xx - x) ** 2 < radius**2


def where(flags):
    return np.flatnonzero(flags).tolist()


def test_a_review_says_what_the_scores_say(opened):
    session = opened()
    session.add_mask(1, 2, disc(16, 20))
    list(session.propagate(frames=range(9)))
    seen = session.review(1)
    assert where(~np.isnan(seen.confidence)) == list(range(2, 9))
    for t in range(2, 9):
        row = session.scores.row(1, t)
        assert seen.confidence[t] == pytest.approx(row.confidence)
        assert seen.area[t] == row.area
        assert seen.flags[t] == row.flags.value
    assert where(seen.prompted) == [2]
    assert not seen.locked.any()
    assert not seen.outdated.any()
    session.lock(1, [4, 5])
    assert where(session.review(1).locked) == [4, 5]
    assert not seen.locked.any()  # a copy


def test_a_correction_outdates_what_came_from_it(opened):
    session = opened()
    session.add_mask(1, 0, disc(16, 20))
    list(session.propagate())
    session.add_mask(1, 6, disc(20, 24))
    # Forward from 0 still holds before it; the session may track back to improve it.
    assert where(session.review(1).outdated) == list(range(7, N))
    assert session.stale(1) == list(range(1, N))
    list(session.propagate(frames=range(10)))
    assert where(session.review(1).outdated) == list(range(10, N))
    session.lock(1, 3)
    session.add_mask(1, 0, disc(15, 19))
    assert where(session.review(1).outdated) == [1, 2, *range(10, N)]


def test_what_was_tracked_back_is_outdated_from_the_other_side(opened):
    session = opened()
    session.add_mask(1, 9, disc(16, 20))
    list(session.propagate("backward"))
    session.add_mask(1, 4, disc(20, 24))
    assert where(session.review(1).outdated) == [0, 1, 2, 3]


def test_unknown_objects_are_named(opened):
    with pytest.raises(KeyError, match="no object 3"):
        opened().review(3)
    with pytest.raises(KeyError, match="no object 3"):
        opened().rename(3, "mother")


def test_names_can_be_taken_back_and_are_kept(nano, movie, tmp_path):
    with Session(nano, movie, axes="TYX", path=tmp_path / "s") as session:
        session.add_mask(1, 0, disc(16, 20))
        session.rename(1, " mother ")
        session.rename(1, "mother")  # nothing new: no step
        assert session.undoable[-1] == "name of 1"
        session.rename(1, "")
        assert session.names == {}
        session.undo()
        assert session.names == {1: "mother"}
        session.undo()
        assert session.names == {}
        session.redo()
    with Session.open(tmp_path / "s", model=nano, stack=movie) as again:
        assert again.names == {1: "mother"}
        again.remove_object(1)
        assert again.names == {}
        again.undo()
        assert again.names == {1: "mother"}
