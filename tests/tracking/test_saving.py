"""A session under another name: whole or not at all, and gone on with there."""

from __future__ import annotations

import errno
import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_sam2.tracking import PromptError, Session, SessionFileError
from napari_sam2.tracking.replaying import open_replay
from napari_sam2.tracking.saving import note_image, read_image_note
from napari_sam2.tracking.session_file import is_open

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sam2.model import SAM2


@pytest.fixture
def begun(tmp_path: Path, movie: np.ndarray, nano: SAM2) -> Any:
    session = Session(nano, movie, path=tmp_path / "shelf" / "cells")
    session.add_points(1, 0, [(16, 20)], [1])
    for _ in session.propagate():
        pass
    yield session
    session.close()


def test_it_goes_on_under_another_name(
    begun: Session, movie: np.ndarray, nano: SAM2, tmp_path: Path
) -> None:
    old = begun.path
    assert old is not None
    note_image(old, {"name": "cells"})
    before = np.array(begun.labels)
    place = begun.save_as(tmp_path / "mine" / "day one")
    assert place == tmp_path / "mine" / "day one.sam2.zarr"
    assert (begun.path, is_open(place), is_open(old)) == (place, True, False)
    assert [p.name for p in place.parent.iterdir()] == [place.name]
    assert read_image_note(place) == {"name": "cells"}
    # What is done from now on is there and not in the old one; undo reaches back.
    begun.add_points(2, 0, [(34, 50)], [1])
    begun.preview(0)
    after = np.array(begun.labels)
    assert (after != before).any()
    begun.undo()
    begun.undo()
    assert not np.array(begun.labels)[1:].any()
    begun.redo()
    begun.redo()
    begun.close()
    with Session.open(old, model=nano, stack=movie) as left:
        np.testing.assert_array_equal(np.array(left.labels), before)
        assert left.object_ids == [1]
    with Session.open(place, model=nano, stack=movie) as kept:
        assert kept.object_ids == [1, 2]


def test_what_is_there_already_is_replaced_only_if_asked(
    begun: Session, movie: np.ndarray, nano: SAM2, tmp_path: Path
) -> None:
    with Session(nano, movie, path=tmp_path / "other") as other:
        with pytest.raises(SessionFileError, match=r"other\.sam2\.zarr is open"):
            begun.save_as(tmp_path / "other", replace=True)
        taken = other.path
    assert taken is not None
    with pytest.raises(SessionFileError, match="exists already"):
        begun.save_as(taken)
    begun.save_as(taken, replace=True)
    assert begun.save_as(taken) == taken  # it is there
    begun.close()
    with Session.open(taken, model=nano, stack=movie) as kept:
        assert kept.object_ids == [1]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["other.sam2.zarr", "shelf"]


def test_a_full_disk_leaves_everything_as_it_was(
    begun: Session,
    movie: np.ndarray,
    nano: SAM2,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Session(nano, movie, path=tmp_path / "other") as other:
        other.add_points(7, 0, [(16, 20)], [1])
        taken = other.path
    assert taken is not None

    def full(source: str, target: str, **_: object) -> None:
        if os.fspath(source).endswith("journal.jsonl"):
            raise OSError(errno.ENOSPC, "No space left on device")
        shutil.copyfile(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copy2", full)
        with pytest.raises(SessionFileError, match=r"No space left.*make room") as said:
            begun.save_as(taken, replace=True)
    assert "\n" not in str(said.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["other.sam2.zarr", "shelf"]
    begun.add_points(2, 0, [(34, 50)], [1])  # it goes on where it was
    begun.close()
    with Session.open(taken, model=nano, stack=movie) as kept:
        assert kept.object_ids == [7]


def test_without_a_folder_there_is_nothing_to_keep(
    movie: np.ndarray, nano: SAM2, tmp_path: Path
) -> None:
    with (
        Session(nano, movie) as session,
        pytest.raises(SessionFileError, match="begin it with path="),
    ):
        session.save_as(tmp_path / "x")


def test_labels_to_begin_with_are_kept_and_done_again(
    movie: np.ndarray, nano: SAM2, tmp_path: Path
) -> None:
    plane = np.zeros(movie.shape[1:], np.uint16)
    plane[4:9, 5:12] = 6
    with Session(nano, movie, path=tmp_path / "a") as session:
        session.begin_with([(2, plane), (3, plane)])
        session.add_points(1, 2, [(16, 20)], [1])
        with pytest.raises(PromptError, match="come first"):
            session.begin_with([(2, plane)])
        session.remove_object(6)
        session.undo()
        for _ in session.propagate():
            pass
        labels = np.array(session.labels)
        path = session.path
    assert path is not None
    assert (labels[3] == 6).any()
    with Session.open(path, model=nano, stack=movie) as again:
        again.remove_object(6)  # it is known where it is drawn
        assert not (np.array(again.labels) == 6).any()
    with open_replay(path, model=nano, stack=movie) as replay:
        for _ in replay.run():
            pass
        assert list(replay.differences()) == []


def test_scores_that_are_taken_over_are_out_of_date_until_tracked_again(
    movie: np.ndarray, nano: SAM2, tmp_path: Path
) -> None:
    with Session(nano, movie) as first:
        first.add_points(1, 2, [(16, 20)], [1])
        for _ in first.propagate(frames=range(2, 6)):
            pass
        scores, planes = first.scores, np.array(first.labels)
    known = scores.of(1)
    with Session(nano, movie, path=tmp_path / "a") as session:
        session.begin_with(enumerate(planes))
        session.take_scores(scores)
        session.add_points(1, 2, [(16, 20)], [1])
        np.testing.assert_array_equal(session.scores.of(1).rows, known.rows)
        assert np.flatnonzero(session.review(1).outdated).tolist() == [3, 4, 5]
        with pytest.raises(PromptError, match="begin another session"):
            session.take_scores(scores)
        path = session.path
    assert path is not None
    with Session.open(path, model=nano, stack=movie) as again:
        np.testing.assert_array_equal(again.scores.of(1).rows, known.rows)
        for _ in again.propagate(frames=range(2, 6)):
            pass
        assert not again.review(1).outdated.any()
    with open_replay(path, model=nano, stack=movie) as replay:
        for _ in replay.run():
            pass
        assert list(replay.differences()) == []
    with Session(nano, movie[:-1]) as shorter, pytest.raises(PromptError):
        shorter.take_scores(scores)


def test_a_note_of_the_image_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    assert read_image_note(tmp_path) == {}
    (tmp_path / "image.json").write_text(json.dumps([1]))
    assert read_image_note(tmp_path) == {}
    with pytest.raises(SessionFileError, match="make room"):
        note_image(tmp_path / "gone", {})
