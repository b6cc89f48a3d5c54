"""Swap, merge, split, and undo of everything."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_sam2.tracking import PromptError, Session
from napari_sam2.tracking.history import History

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sam2.model import SAM2

Open = "Callable[..., Session]"
N, HEIGHT, WIDTH = 14, 48, 64


def disc(y: int, x: int, radius: int = 8) -> np.ndarray:
    yy, xx = np.mgrid[:HEIGHT, :WIDTH]
    return (yy - y) ** 2 + (xx - x) ** 2 < radius**2


@pytest.fixture
def two(opened: Open) -> Session:
    """Two objects, tracked to the end."""
    session = opened()
    session.add_mask(1, 0, disc(16, 20))
    session.add_mask(2, 0, disc(34, 48))
    for _ in session.propagate():
        pass
    # Where the random network lost them they are put back: edits need pixels.
    for t in range(N):
        session.labels[t] = np.where(disc(16, 20), 1, np.where(disc(34, 48), 2, 0))
    return session


def labels(session: Session) -> np.ndarray:
    return np.array(session.labels)


def test_swap(two: Session) -> None:
    before = labels(two)
    two.add_points(1, 9, [(16, 20)], [1])
    two.lock(2, 10)
    two.swap(1, 2, 5)
    after = labels(two)
    np.testing.assert_array_equal(after[:5], before[:5])
    np.testing.assert_array_equal(after[5:] == 1, before[5:] == 2)
    np.testing.assert_array_equal(after[5:] == 2, before[5:] == 1)
    where = {(p.object_id, p.frame_idx) for p in two.prompts}
    assert where == {(1, 0), (2, 0), (1, 5), (2, 5), (2, 9)}
    assert two.locked(1) == [10]
    # A correction before the swap does not run over it.
    two.add_points(1, 2, [(16, 20)], [1])
    assert max(r.frame_idx for r in two.propagate(object_ids=[1])) == 4
    two.undo()
    two.undo()
    two.undo()
    np.testing.assert_array_equal(labels(two), before)


def test_split_and_merge(two: Session) -> None:
    before = labels(two)
    assert two.split(1, 6) == 3
    after = labels(two)
    np.testing.assert_array_equal(after[:6], before[:6])
    np.testing.assert_array_equal(after[6:] == 3, before[6:] == 1)
    assert not (after[6:] == 1).any()
    assert two.object_ids == [1, 2, 3]
    assert two.frames_to_do("both") == 0  # both halves stay as they are
    two.merge(3, 1, 6)
    np.testing.assert_array_equal(labels(two), before)
    assert two.object_ids == [1, 2]
    assert two.frames_to_do("both") == 0
    assert two.undo() == "merge 3 into 1"
    np.testing.assert_array_equal(labels(two), after)
    assert two.object_ids == [1, 2, 3]


def test_merging_everything(two: Session) -> None:
    before = labels(two)
    two.merge(2, 1)
    np.testing.assert_array_equal(labels(two) == 1, before > 0)
    assert two.object_ids == [1]
    assert [(p.object_id, p.frame_idx) for p in two.prompts] == [(1, 0)]
    two.undo()
    np.testing.assert_array_equal(labels(two), before)
    assert two.object_ids == [1, 2]


def test_edits_refuse_what_makes_no_sense(two: Session) -> None:
    with pytest.raises(KeyError, match="no object 9"):
        two.swap(1, 9)
    with pytest.raises(PromptError, match="named twice"):
        two.merge(1, 1)
    with pytest.raises(PromptError, match="id 2 cannot"):
        two.split(1, 4, new_id=2)
    with pytest.raises(IndexError, match="nothing before"):
        two.split(1, 0)
    with pytest.raises(IndexError, match="Frame 99"):
        two.swap(1, 2, 99)
    assert two.object_ids == [1, 2]


ACTIONS: dict[str, Callable[[Session, int], Any]] = {
    "click": lambda s, t: s.add_points(1, t, [(16, 20)], [1]),
    "mask": lambda s, t: s.add_mask(2, t, disc(34, 40 + t % 8)),
    "new": lambda s, t: s.add_box(3, t, (4, 4, 20, 20)),
    "preview": lambda s, t: s.preview(t),
    "forward": lambda s, t: [*s.propagate(frames=range(t, min(t + 4, N)))],
    "both": lambda s, t: [*s.propagate("both", frames=range(t, min(t + 4, N)))],
    "remove": lambda s, t: s.remove_object(2) if 2 in s.object_ids else None,
    "clear": lambda s, t: s.clear_prompts(1, t) if 1 in s.object_ids else None,
    "lock": lambda s, t: s.lock(1, t) if 1 in s.object_ids else None,
    "unlock": lambda s, t: s.unlock(1, t) if 1 in s.object_ids else None,
    "swap": lambda s, t: s.swap(1, 2, t) if {1, 2} <= {*s.object_ids} else None,
    "split": lambda s, t: s.split(2, t) if t and 2 in s.object_ids else None,
    "merge": lambda s, t: s.merge(2, 1, t) if {1, 2} <= {*s.object_ids} else None,
}


def known(session: Session) -> Any:
    """Return all a user can see of a session, labels included."""
    return (
        labels(session).tobytes(),
        [(p.object_id, p.frame_idx, type(p)) for p in session.prompts],
        {i: (session.locked(i), session.stale(i)) for i in session.object_ids},
    )


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    actions=st.lists(
        st.tuples(st.sampled_from(sorted(ACTIONS)), st.integers(0, 5)),
        min_size=2,
        max_size=7,
    )
)
def test_undo_goes_all_the_way_back_and_redo_forth(
    nano: SAM2, movie: np.ndarray, actions: list[tuple[str, int]]
) -> None:
    with Session(nano, movie, axes="TYX", contrast_limits=(0, 255)) as session:
        session.add_mask(1, 0, disc(16, 20))
        session.add_mask(2, 0, disc(34, 48))
        session.preview(0)
        seen = {len(session.undoable): known(session)}
        for name, t in actions:
            # The frame may be locked, or nothing prompted.
            with contextlib.suppress(PromptError):
                ACTIONS[name](session, t)
            # A preview belongs to the step before it.
            seen[len(session.undoable)] = known(session)
        end = known(session)
        while len(session.undoable) > min(seen):
            session.undo()
            if len(session.undoable) in seen:
                assert known(session) == seen[len(session.undoable)]
        while session.redoable:
            session.redo()
        assert known(session) == end


def test_a_new_step_ends_redo(two: Session) -> None:
    two.add_points(1, 4, [(3, 3)], [0])
    assert two.undo() == "prompt on 1"
    assert two.redoable == ["prompt on 1"]
    two.add_points(1, 5, [(3, 3)], [0])
    assert two.redoable == []
    assert two.redo() is None


def test_undo_leaves_what_others_painted_since(two: Session) -> None:
    two.remove_object(2)
    two.labels[3, 34, 48] = 77  # painted in napari, where object 2 was
    two.undo()
    plane = np.array(two.labels[3])
    assert plane[34, 48] == 77
    assert np.count_nonzero(plane == 2) == np.count_nonzero(disc(34, 48)) - 1


def test_after_undoing_a_correction_tracking_is_as_before(opened: Open) -> None:
    session = opened()
    session.add_points(1, 0, [(16, 20)], [1])
    for _ in session.propagate():
        pass
    before = labels(session)
    session.add_points(1, 6, [(25, 38)], [0])
    session.preview(6)
    for _ in session.propagate("both"):
        pass
    assert session.undo() == "both propagation"
    assert session.undo() == "prompt on 1"
    np.testing.assert_array_equal(labels(session), before)
    assert session.frames_to_do("both") == 0
    for _ in session.propagate(everything=True):
        pass
    np.testing.assert_array_equal(labels(session), before)


def test_history_is_bounded() -> None:
    history = History(most_steps=5, most_bytes=20_000)
    rng = np.random.default_rng(0)
    plane = np.zeros((64, 64), np.uint16)
    for k in range(12):
        history.begin(f"step {k}", {})
        after = rng.integers(0, 60_000, plane.shape, np.uint16)
        history.note(0, plane, after)
        plane = after
    assert history.n_bytes <= 20_000
    assert 1 <= len(history.done) <= 5
    assert history.done[-1].name == "step 11"
    files = list(next(iter(history.done))._path.parent.iterdir())
    assert len(files) == len(history.done)
    history.close()


def test_a_full_disk_costs_the_undo_only(
    two: Session, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(History, "_append", full)
    two.remove_object(2)
    assert not (labels(two) == 2).any()
    assert "cannot be undone" in caplog.text
    two.undo()
    assert two.object_ids == [1, 2]
