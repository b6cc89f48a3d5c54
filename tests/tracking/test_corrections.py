"""A correction is redone as far as it reaches, and no further; locks stop it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sam2.tracking import PromptError
from napari_sam2.tracking.memory_bank import MemoryBank
from napari_sam2.tracking.objects import (
    FRESH,
    FROM_AFTER,
    FROM_BEFORE,
    FROM_BOTH,
    TrackedObject,
)
from napari_sam2.tracking.planning import plan_passes
from napari_sam2.tracking.prompts import MaskPrompt, PointPrompt

if TYPE_CHECKING:
    from napari_sam2.model import SAM2
    from napari_sam2.tracking import Session

Open = "Callable[..., Session]"
N, HEIGHT, WIDTH = 14, 48, 64


def disc(y: int, x: int, radius: int = 8) -> np.ndarray:
    yy, xx = np.mgrid[:HEIGHT, :WIDTH]
    return (yy - y) ** 2 + (xx - x) ** 2 < radius**2


def frames_of(session: Session, *args: Any, **kwargs: Any) -> list[int]:
    return [r.frame_idx for r in session.propagate(*args, **kwargs)]


def click(frame_idx: int) -> PointPrompt:
    return PointPrompt(
        object_id=1, frame_idx=frame_idx, points=((16, 20),), labels=(1,)
    )


def tracked(nano: SAM2, anchors: list[int]) -> TrackedObject:
    """Return an object that is up to date everywhere."""
    found = TrackedObject.new(1, MemoryBank(config=nano.config), N)
    for t in anchors:
        found.add_prompt(click(t), replace=False)
    found.stale[:] = FRESH
    return found


def test_a_change_reaches_to_the_neighbours(nano: SAM2) -> None:
    found = tracked(nano, [2, 10])
    found.add_prompt(click(6), replace=False)
    wanted = [FRESH] * 3 + [FROM_AFTER] * 3 + [FROM_BOTH] + [FROM_BEFORE] * 3
    assert found.stale.tolist() == wanted + [FRESH] * 4
    found.clear_prompts(6)
    assert found.stale.tolist() == [FRESH] * 3 + [FROM_BOTH] * 7 + [FRESH] * 4
    first = tracked(nano, [2, 10])
    first.add_prompt(click(2), replace=False)
    wanted = [FROM_AFTER] * 2 + [FROM_BOTH] + [FROM_BEFORE] * 7
    assert first.stale.tolist() == wanted + [FRESH] * 4


def test_walks_begin_at_what_changed(nano: SAM2) -> None:
    found = tracked(nano, [2, 10])
    found.add_prompt(click(6), replace=False)

    def walks(direction: str) -> list[tuple[int, ...]]:
        return [p.frames for p in plan_passes([found], direction, range(N))]

    assert walks("forward") == [(6, 7, 8, 9)]
    assert walks("backward") == [(6, 5, 4, 3)]
    assert walks("both") == [(6, 7, 8, 9), (5, 4, 3)]


@settings(max_examples=60, deadline=None)
@given(
    anchors=st.sets(st.integers(0, N - 1), min_size=1, max_size=5),
    changed=st.integers(0, N - 1),
    clear=st.booleans(),
)
def test_both_directions_leave_nothing_stale_and_nothing_twice(
    nano: SAM2, anchors: set[int], changed: int, clear: bool
) -> None:
    found = tracked(nano, sorted(anchors))
    if clear and len(anchors) > 1:
        changed = max(anchors)
        found.clear_prompts(changed)
    else:
        found.add_prompt(click(changed), replace=False)
    stale = set(np.flatnonzero(found.stale).tolist())
    passes = plan_passes([found], "both", range(N))
    walked = [t for p in passes for t in p.frames]
    assert sorted(walked) == sorted(stale)
    low = max((t for t in found.anchors if t < changed), default=-1)
    high = min((t for t in found.anchors if t > changed), default=N)
    assert stale == set(range(low + 1, high))


def test_only_the_corrected_object_is_redone(opened: Open) -> None:
    session = opened()
    session.add_mask(1, 0, disc(16, 20))
    session.add_mask(2, 0, disc(34, 48))
    for _ in session.propagate():
        pass
    session.add_points(1, 7, [(20, 30)], [1])
    results = list(session.propagate("both"))
    assert [r.frame_idx for r in results] == [*range(7, N), *range(6, 0, -1)]
    assert all(sorted(r.scores) == [1] for r in results)


def test_an_interrupted_redo_goes_on_where_it_stopped(opened: Open) -> None:
    session, straight = opened(), opened()
    for each in (session, straight):
        each.add_mask(1, 0, disc(16, 20))
        for _ in each.propagate():
            pass
        each.add_mask(1, 5, disc(24, 34))
    running = session.propagate()
    assert [next(running).frame_idx for _ in range(3)] == [5, 6, 7]
    running.close()
    assert session.stale(1) == [1, 2, 3, 4, *range(8, N)]
    assert frames_of(session) == list(range(8, N))
    for _ in straight.propagate():
        pass
    np.testing.assert_array_equal(np.array(session.labels), np.array(straight.labels))


def test_locked_frames_stay_and_stop_a_correction(opened: Open) -> None:
    session = opened()
    session.add_mask(1, 0, disc(16, 20))
    for _ in session.propagate():
        pass
    session.labels[8] = np.where(disc(40, 12, 6), 1, 0)  # edited by hand
    before = np.array(session.labels)
    session.lock(1, [8, 9])
    assert session.locked(1) == [8, 9]
    assert session.frames_to_do("both") == 0  # locking changes nothing
    session.add_mask(1, 4, disc(30, 30))
    assert frames_of(session, "both") == [4, 5, 6, 7, 3, 2, 1]
    after = np.array(session.labels)
    np.testing.assert_array_equal(after[8:], before[8:])
    with pytest.raises(PromptError, match="locked in frame 8; unlock it"):
        session.add_points(1, 8, [(4, 4)], [1])
    # They feed memory as painted masks do, even when everything is done again.
    for _ in session.propagate(everything=True):
        pass
    assert {0, 4, 8, 9} == set(session.bank(1).conditioning)
    np.testing.assert_array_equal(np.array(session.labels)[8:10], before[8:10])
    session.unlock(1, 8)
    assert session.locked(1) == [9]
    assert session.stale(1) == [5, 6, 7, 8]
    assert frames_of(session) == [5, 6, 7, 8]


def test_other_objects_do_not_cover_what_is_locked(opened: Open) -> None:
    session = opened()
    session.add_mask(1, 0, disc(16, 20))
    for _ in session.propagate():
        pass
    session.labels[3:6] = np.where(disc(24, 32), 1, 0)
    session.lock(1, range(3, 6))
    session.add_mask(2, 2, disc(24, 32))  # the same place
    for _ in session.propagate(object_ids=[2]):
        pass
    for t in range(3, 6):
        np.testing.assert_array_equal(np.array(session.labels[t]) == 1, disc(24, 32))


def test_many_locked_frames_cost_no_memory(opened: Open, movie: np.ndarray) -> None:
    long = np.concatenate([movie] * 3)
    session = opened(long)
    session.add_mask(1, 0, disc(16, 20))
    for _ in session.propagate(frames=range(30)):
        pass
    session.lock(1, range(1, 30))
    for _ in session.propagate():
        pass
    kept = session.bank(1).conditioning
    assert 0 in kept
    assert max(kept) == 29
    assert len(kept) <= 9  # the prompt and the eight nearest
    with pytest.raises(IndexError, match="Frame 99"):
        session.lock(1, 99)
    with pytest.raises(KeyError, match="no object 5"):
        session.lock(5, 0)


def test_locking_where_the_object_is_not_keeps_it_absent(opened: Open) -> None:
    session = opened()
    session.add_mask(1, 0, disc(16, 20))
    session.preview(0)
    session.lock(1, 3)
    for _ in session.propagate("both"):
        pass
    assert not (np.array(session.labels[3]) == 1).any()
    assert session.stale(1) == []


def test_an_object_may_be_only_locked(opened: Open) -> None:
    session = opened()
    session.add_mask(1, 2, disc(16, 20))
    session.preview(2)
    session.lock(1, 2)
    session.clear_prompts(1, 2)
    session.labels[2] = np.where(disc(16, 20), 1, 0)
    assert session.object_ids == [1]
    assert frames_of(session, "both") == [*range(3, N), 1, 0]
    session.unlock(1, 2)
    assert session.object_ids == []


def test_masks_have_the_frames_shape(opened: Open) -> None:
    mask = MaskPrompt.from_array(1, 0, np.ones((HEIGHT, WIDTH + 1), bool))
    with pytest.raises(PromptError, match="shape"):
        opened().add_prompt(mask)
