"""A journal as Python: the same calls, and the same labels."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_sam2.tracking import Session
from napari_sam2.tracking.scripting import (
    Script,
    arrays_path,
    changed_settings,
    frames_text,
    remove_orphans,
    write_arrays,
    write_script,
)
from napari_sam2.tracking.session_file import read_journal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_sam2.model import SAM2


def again(session: Session, tmp_path: Path) -> tuple[str, np.ndarray]:
    """Return the script of a session, and the labels that it makes."""
    assert session.path is not None
    entries, _ = read_journal(session.path)
    script = write_script(entries, session.path)
    write_arrays(script, tmp_path / "masks.npz")
    text = "\n".join([*script.imports, *script.lines])
    with Session(session.model, session.stack) as other:
        names: dict[str, Any] = {"session": other, "stack": other.stack}
        if script.arrays:
            names["saved"] = np.load(tmp_path / "masks.npz")
        exec(text, names)
        return text, np.array(other.labels)


@pytest.fixture
def begun(tmp_path: Path, movie: np.ndarray, nano: SAM2) -> Any:
    session = Session(nano, movie, path=tmp_path / "cells")
    yield session
    session.close()


def run(session: Session, direction: Any = "forward", count: int = 99) -> None:
    walk = session.propagate(direction)
    for _ in range(count):
        if next(walk, None) is None:
            break
    walk.close()


def test_everything_that_can_be_done_is_done_again(
    begun: Session, tmp_path: Path
) -> None:
    mask = np.zeros(begun.stack.shape[1:], bool)
    mask[10:30, 12:33] = True
    begun.begin_with([(3, np.where(mask, 9, 0))])
    begun.add_points(1, 0, [(16, 20)], [1])
    begun.preview(0)
    begun.add_box(2, 2, (26, 42, 42, 58))
    run(begun, "both")
    begun.add_mask(1, 6, mask)
    run(begun, count=2)  # stopped
    begun.rename(1, "it's")
    begun.lock(2, [9, 10])
    begun.unlock(2, 10)
    begun.undo()
    begun.redo()
    begun.split(2, 11)
    begun.swap(1, 2, 8)
    begun.reopen()
    begun.add_mask(1, 12, np.zeros_like(mask))
    begun.preview(12)
    run(begun)
    begun.merge(10, 1, 12)
    begun.remove_object(9)
    begun.clear_prompts(1, 0)
    run(begun, "backward")
    text, labels = again(begun, tmp_path)
    np.testing.assert_array_equal(labels, np.array(begun.labels))
    assert labels.any()
    for line in (
        'session.rename(1, "it\'s")',
        "session.lock(2, range(9, 11))",
        "session.unlock(2, 10)",
        "session.undo()",
        "session.split(2, 11, 10)",
        "session.swap(1, 2, 8)",
        "session.merge(10, 1, 12)",
        "session.remove_object(9)",
        "for result in session.propagate('both'):",
        "for result in islice(run, 2):",
        "session.add_mask(1, 12, np.zeros(stack.shape[1:], bool))  # it is not there",
    ):
        assert line in text


def test_what_was_drawn_is_drawn_again(begun: Session, tmp_path: Path) -> None:
    square = [(9.5, 9.5), (9.5, 24.25), (24.5, 24.5), (24.5, 9.5)]
    begun.add_polygon(1, 0, square)
    begun.add_ellipse(2, 0, [(y + 12, x + 30) for y, x in square])
    pieces = [
        ("polygon", square, 1),
        ("ellipse", square, 0),
        ("polygon", square[1:], 1),
    ]
    begun.add_outlines(1, 5, pieces)
    begun.add_scribble(1, 3, [(16, 14), (18.123456, 26)])
    begun.add_scribble(1, 3, [(40, 40), (40, 50)], label=0)
    run(begun)
    text, labels = again(begun, tmp_path)
    assert "session.add_polygon(1, 0, [(9.5, 9.5), (9.5, 24.25)" in text
    assert "session.add_ellipse(2, 0, " in text
    assert "session.add_outlines(1, 5, [('polygon', [(9.5, 9.5), " in text
    assert text.count("session.add_scribble(1, 3, ") == 2
    assert set(np.unique(labels[0])) == {0, 1, 2}
    np.testing.assert_array_equal(labels, begun.labels)


def test_what_is_done_while_frames_are_filled(begun: Session, tmp_path: Path) -> None:
    begun.add_points(1, 0, [(16, 20)], [1])
    walk = begun.propagate()
    next(walk)
    next(walk)
    begun.add_points(2, 5, [(30, 40)], [1])
    begun.preview(5)
    next(walk)
    walk.close()
    text, labels = again(begun, tmp_path)
    np.testing.assert_array_equal(labels, np.array(begun.labels))
    assert text.index("islice(run, 2)") < text.index("session.preview(5)")
    assert text.index("session.preview(5)") < text.index("islice(run, 1)")
    assert text.count("run.close()") == 1


def test_some_objects_and_frames_are_named(begun: Session, tmp_path: Path) -> None:
    begun.add_points(1, 0, [(16, 20)], [1])
    begun.add_points(2, 0, [(30, 40)], [1])
    for _ in begun.propagate("forward", [0, 1, 2], [2], everything=True):
        pass
    text, labels = again(begun, tmp_path)
    np.testing.assert_array_equal(labels, np.array(begun.labels))
    call = "'forward', frames=range(0, 3), object_ids=[2], everything=True"
    assert f"session.propagate({call})" in text


def test_frames_are_written_shortly() -> None:
    assert frames_text([4]) == "4"
    assert frames_text([4, 5, 6]) == "range(4, 7)"
    assert frames_text([4, 6]) == "[4, 6]"


def test_settings_that_are_not_the_usual_ones(
    opened: Callable[..., Session], tmp_path: Path, movie: np.ndarray
) -> None:
    with opened(movie) as usual, opened(movie, retention="all", zoom=True) as other:
        zoom = usual.model.config.dense_prompts
        assert changed_settings(usual._settings, zoom=zoom) == ""
        text = changed_settings(other._settings, zoom=False)
        assert text == ", retention='all', max_conditioning=None, zoom=True"
    assert arrays_path(tmp_path / "a.sam2.zarr") == tmp_path / "a-script.npz"


def test_masks_go_when_the_next_script_needs_none(
    begun: Session, tmp_path: Path
) -> None:
    begun.add_mask(1, 0, np.eye(*begun.stack.shape[1:], dtype=bool))
    begun.undo()
    assert begun.path is not None
    entries, _ = read_journal(begun.path)
    path = arrays_path(tmp_path / "cells.sam2.zarr")
    with_mask, without = write_script(entries, begun.path), Script()
    assert with_mask.arrays
    write_arrays(with_mask, path)
    assert path.exists()
    write_arrays(without, path)
    assert not path.exists()
    write_arrays(without, path)  # there is none, which is right
    np.savez(path, mine=np.ones(3))
    write_arrays(without, path)
    assert path.exists()  # it is somebody else's


def test_masks_of_sessions_that_have_gone_go_after_a_while(tmp_path: Path) -> None:
    mask = Script(arrays={"mask0": np.ones((2, 2), bool)})
    kinds = ("gone", "kept", "new")
    paths = {kind: arrays_path(tmp_path / f"{kind}.sam2.zarr") for kind in kinds}
    for path in paths.values():
        write_arrays(mask, path)
    (tmp_path / "kept.sam2.zarr").mkdir()
    others = [tmp_path / f"{name}-script.npz" for name in ("mine", "text", "empty")]
    np.savez(others[0], mask0=np.ones(3), mine=np.ones(3))
    others[1].write_text("a file of mine")
    others[2].touch()
    for path in (paths["gone"], paths["kept"], *others):
        os.utime(path, (1000, 1000))
    remove_orphans(tmp_path, before=2000)
    assert not paths["gone"].exists()
    assert paths["kept"].exists()
    assert paths["new"].exists()
    assert all(path.exists() for path in others)


def test_a_line_of_a_later_version_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing is known of 'dance'"):
        write_script([{"do": "dance"}], tmp_path)
