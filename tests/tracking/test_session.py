"""Prompts, propagation, corrections: with random weights, but real arithmetic."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from napari_sam2.stacks import FrameReadError, open_labels_store, open_stack
from napari_sam2.tracking import PromptError, Session

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sam2.model import SAM2

Open = "Callable[..., Session]"
N, HEIGHT, WIDTH = 14, 48, 64


def frames_of(session: Session, *args: Any, **kwargs: Any) -> list[int]:
    return [r.frame_idx for r in session.propagate(*args, **kwargs)]


def disc(y: int, x: int, radius: int = 8) -> np.ndarray:
    yy, xx = np.mgrid[:HEIGHT, :WIDTH]
    return (yy - y) ** 2 + (xx - x) ** 2 < radius**2


def test_results_and_labels_agree(opened: Open) -> None:
    session = opened()
    session.add_points(1, 0, [(16, 20)], [1])
    session.add_box(7, 0, (26, 42, 42, 58))
    for t, result in enumerate(session.propagate()):
        assert result.frame_idx == t
        assert result.error is None
        assert result.labels.dtype == np.uint16
        # Written before it is yielded.
        np.testing.assert_array_equal(session.labels[t], result.labels)
        assert set(np.unique(result.labels)) <= {0, 1, 7}
        assert sorted(result.scores) == [1, 7]
        for object_id, score in result.scores.items():
            assert score.area == np.count_nonzero(result.labels == object_id)
            assert 0 <= score.iou <= 1
            assert 0 < score.object_score <= 1
            assert score.prompted == (t == 0)
    assert t == N - 1
    assert any((session.labels[t] == i).any() for t in range(N) for i in (1, 7))


def test_directions(opened: Open) -> None:
    session = opened()
    session.add_points(1, 5, [(16, 20)], [1])
    again = {"everything": True}
    assert frames_of(session, "forward", **again) == list(range(5, N))
    assert frames_of(session, "backward", **again) == [5, 4, 3, 2, 1, 0]
    assert frames_of(session, "both", **again) == [*range(5, N), 4, 3, 2, 1, 0]
    assert frames_of(session, "both", frames=range(3, 8), **again) == [5, 6, 7, 4, 3]
    assert frames_of(session, frames=[9, 7, 7], **again) == [7, 9]
    assert frames_of(session, frames=range(3), **again) == []


def test_what_is_up_to_date_is_not_done_again(opened: Open) -> None:
    session = opened()
    session.add_points(1, 5, [(16, 20)], [1])
    assert session.frames_to_do("both") == N
    assert frames_of(session, frames=range(8)) == [5, 6, 7]
    assert frames_of(session) == list(range(8, N))
    assert session.frames_to_do() == 0
    assert session.stale(1) == [0, 1, 2, 3, 4]
    assert frames_of(session, "both") == [4, 3, 2, 1, 0]
    assert session.frames_to_do("both") == 0
    assert session.frames_to_do("both", everything=True) == N
    assert frames_of(session) == []


def test_objects_begin_at_their_own_frames(opened: Open) -> None:
    session = opened()
    session.add_mask(1, 3, disc(16, 20))
    session.add_mask(2, 8, disc(34, 42))
    forward = {r.frame_idx: sorted(r.scores) for r in session.propagate()}
    assert forward == {t: [1] if t < 8 else [1, 2] for t in range(3, N)}
    assert not any((session.labels[t] == 2).any() for t in range(8))
    again = session.propagate("backward", everything=True)
    back = {r.frame_idx: sorted(r.scores) for r in again}
    assert back == {t: [2] if t > 3 else [1, 2] for t in range(9)}
    again = session.propagate("both", everything=True)
    both = [(r.frame_idx, sorted(r.scores)) for r in again]
    seen = {i: sorted(t for t, ids in both if i in ids) for i in (1, 2)}
    assert seen == {1: list(range(N)), 2: list(range(N))}


def test_a_mask_prompt_is_kept_exactly(opened: Open) -> None:
    session = opened()
    session.add_mask(3, 4, disc(20, 30))
    preview = session.preview(4)
    np.testing.assert_array_equal(preview.labels == 3, disc(20, 30))
    for _ in session.propagate("both"):
        pass
    np.testing.assert_array_equal(session.labels[4] == 3, disc(20, 30))


def test_an_empty_mask_says_that_the_object_is_absent(opened: Open) -> None:
    session = opened()
    session.add_mask(1, 0, disc(16, 20))
    session.add_mask(1, 6, np.zeros((HEIGHT, WIDTH), bool))
    results = list(session.propagate())
    assert results[6].scores[1].area == 0
    assert results[6].scores[1].object_score < 0.01


def test_clicks_accumulate_whether_or_not_they_are_looked_at(opened: Open) -> None:
    looked, blind = opened(), opened()
    clicks = [((16, 20), 1), ((30, 50), 0), ((18, 24), 1)]
    for point, label in clicks:
        looked.add_points(1, 0, [point], [label])
        looked.preview(0)
        blind.add_points(1, 0, [point], [label])
    a, b = looked.preview(0), blind.preview(0)
    np.testing.assert_array_equal(a.labels, b.labels)
    assert a.scores == b.scores
    one = opened()
    one.add_points(1, 0, [clicks[0][0]], [1])
    assert one.preview(0).scores != a.scores


def test_replacing_starts_anew(opened: Open) -> None:
    changed, fresh = opened(), opened()
    changed.add_points(1, 0, [(40, 40)], [1])
    changed.preview(0)
    for session in (changed, fresh):
        session.add_points(1, 0, [(16, 20)], [1], replace=True)
    assert changed.preview(0).scores == fresh.preview(0).scores
    assert len(changed.prompts) == 1


def test_a_correction_stays(opened: Open) -> None:
    session = opened()
    session.add_points(1, 0, [(16, 20)], [1])
    before = {r.frame_idx: r.labels for r in session.propagate()}
    session.add_mask(1, 6, disc(22, 32))
    session.add_points(1, 9, [(25, 38)], [0])
    corrected = session.preview(9).labels
    assert not np.array_equal(corrected, before[9])
    after = {r.frame_idx: r for r in session.propagate()}
    assert list(after) == list(range(6, N))  # from the correction on
    np.testing.assert_array_equal(after[9].labels, corrected)
    np.testing.assert_array_equal(after[6].labels == 1, disc(22, 32))
    assert [t for t in after if after[t].scores[1].prompted] == [6, 9]
    assert sorted(session.bank(1).conditioning) == [0, 6, 9]
    assert not np.array_equal(after[7].labels, before[7])


def test_metas_behaviour_loses_it(opened: Open) -> None:
    session = opened(meta_behaviour=True, retention="all")
    session.add_points(1, 0, [(16, 20)], [1])
    before = {r.frame_idx: r.labels for r in session.propagate()}
    session.add_points(1, 9, [(25, 38)], [0])
    session.preview(9)
    after = {r.frame_idx: r.labels for r in session.propagate()}
    np.testing.assert_array_equal(after[9], before[9])


def test_a_new_object_after_propagation_leaves_the_others(opened: Open) -> None:
    session = opened()
    session.add_mask(1, 0, disc(16, 20))
    for _ in session.propagate():
        pass
    alone = np.array(session.labels)
    session.add_mask(2, 4, disc(34, 46, 5))
    results = list(session.propagate(object_ids=[2]))
    assert [sorted(r.scores) for r in results] == [[2]] * (N - 4)
    new = np.array(session.labels)
    free = new != 2
    np.testing.assert_array_equal(new[free], alone[free])


def test_frames_are_encoded_once_for_all_objects(
    opened: Open, nano: SAM2, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    encode = type(nano).encode_image

    def counted(self: SAM2, pixels: Any) -> Any:
        calls.append(len(pixels))
        return encode(self, pixels)

    monkeypatch.setattr(type(nano), "encode_image", counted)
    session = opened()
    for i in range(1, 5):
        session.add_points(i, 0, [(10 * i, 12 * i)], [1])
    for _ in session.propagate():
        pass
    assert calls == [1] * N


def test_closing_stops_and_leaves_everything_in_place(opened: Open) -> None:
    whole, broken = opened(), opened()
    for session in (whole, broken):
        session.add_points(1, 0, [(16, 20)], [1])
    for _ in whole.propagate():
        pass
    running = broken.propagate()
    for _ in range(4):
        last = next(running)
    running.close()
    assert last.frame_idx == 3
    assert not np.array(broken.labels[4:]).any()
    assert sorted(broken.bank(1).recent) == [1, 2, 3]
    assert frames_of(broken, frames=range(4, N)) == list(range(4, N))
    np.testing.assert_array_equal(np.array(broken.labels), np.array(whole.labels))


def test_closing_before_the_first_frame_does_nothing(opened: Open) -> None:
    session = opened()
    session.add_points(1, 0, [(16, 20)], [1])
    session.propagate().close()
    assert not np.array(session.labels).any()
    assert frames_of(session) == list(range(N))


class Broken:
    """A movie in which some frames cannot be read."""

    def __init__(self, movie: np.ndarray, frames: set[int]) -> None:
        self.movie, self.frames = movie, frames
        self.shape, self.dtype, self.ndim = movie.shape, movie.dtype, movie.ndim

    def __getitem__(self, key: Any) -> np.ndarray:
        first = key[0] if isinstance(key, tuple) else key
        if first in self.frames:
            raise OSError("bad sector")
        return self.movie[key]


def test_an_unreadable_frame_is_reported_and_passed(
    opened: Open, movie: np.ndarray
) -> None:
    session = opened(Broken(movie, {5}))
    session.add_points(1, 0, [(16, 20)], [1])
    results = list(session.propagate())
    assert [r.frame_idx for r in results] == list(range(N))
    assert [r.frame_idx for r in results if r.error] == [5]
    assert "bad sector" in results[5].error
    assert results[5].scores == {}
    assert sorted(results[6].scores) == [1]
    with pytest.raises(FrameReadError, match="bad sector"):
        session.preview(5)


def test_an_unreadable_prompted_frame(opened: Open, movie: np.ndarray) -> None:
    session = opened(Broken(movie, {5}))
    session.add_points(1, 5, [(16, 20)], [1])
    with pytest.raises(FrameReadError, match="bad sector"):
        next(session.propagate())
    session.add_points(1, 0, [(16, 20)], [1])
    results = list(session.propagate())
    assert [r.frame_idx for r in results if r.error] == [5]


def test_removing_an_object(opened: Open) -> None:
    session = opened()
    session.add_mask(1, 0, disc(16, 20))
    session.add_mask(2, 0, disc(34, 48))
    for _ in session.propagate():
        pass
    session.remove_object(1)
    assert session.object_ids == [2]
    assert set(np.unique(session.labels)) <= {0, 2}
    with pytest.raises(KeyError, match="no object 1; prompted objects: 2"):
        session.remove_object(1)
    assert session.frames_to_do() == 0
    assert all(sorted(r.scores) == [2] for r in session.propagate(everything=True))


def test_clearing_prompts(opened: Open) -> None:
    session = opened()
    session.add_mask(1, 0, disc(16, 20))
    session.add_mask(1, 6, disc(40, 50))
    session.preview(6)
    session.clear_prompts(1, 6)
    assert not np.array(session.labels[6]).any()
    assert sorted(r.frame_idx for r in session.propagate() if r.scores[1].prompted) == [
        0
    ]
    session.clear_prompts(1, 3)  # nothing there
    session.clear_prompts(1, 0)
    assert session.object_ids == []
    with pytest.raises(PromptError, match="No object has a prompt"):
        session.propagate()
    session.remove_object(1)  # what it has drawn is still known
    assert not np.array(session.labels).any()


def test_asking_for_what_is_not_there_fails_at_once(opened: Open) -> None:
    session = opened()
    session.add_points(1, 0, [(16, 20)], [1])
    with pytest.raises(PromptError, match="Object 9 has no prompt"):
        session.propagate(object_ids=[1, 9])
    with pytest.raises(IndexError, match="Frame 14 does not exist"):
        session.propagate(frames=range(20))
    with pytest.raises(ValueError, match="forward, backward or both, not 'sideways'"):
        session.propagate("sideways")
    with pytest.raises(IndexError, match="Frame -1 does not exist"):
        session.preview(-1)
    with pytest.raises(PromptError, match="four numbers"):
        session.add_box(1, 0, (1, 2, 3))
    with pytest.raises(PromptError, match="from 1 to 65535"):
        session.add_points(65536, 0, [(1, 1)], [1])
    assert session.object_ids == [1]


def test_looking_ahead_writes_nothing(opened: Open) -> None:
    session = opened()
    empty = session.preview(2)
    assert empty.scores == {}
    session.add_mask(1, 0, disc(16, 20))
    ahead = session.preview(1)
    assert sorted(ahead.scores) == [1]
    assert not np.array(session.labels).any()
    assert sorted(session.bank(1).recent) == []


def test_older_memories_are_made_again(opened: Open, movie: np.ndarray) -> None:
    long = np.concatenate([movie] * 3)
    everything, recent = opened(long, retention="all"), opened(long)
    for session in (everything, recent):
        session.add_mask(1, 0, disc(16, 20))
        for _ in session.propagate():
            pass
        session.add_mask(1, 12, disc(16, 30))
    np.testing.assert_array_equal(np.array(everything.labels), np.array(recent.labels))
    assert recent.bank(1).at(11) is None
    next(recent.propagate(frames=range(12, 16)))
    # Frames before the correction wait to be tracked again: they tell nothing ...
    assert recent.bank(1).at(11) is None
    # ... until they were.
    for session in (everything, recent):
        for _ in session.propagate(everything=True):
            pass
        next(session.propagate(frames=range(12, 16), everything=True))
    assert all(recent.bank(1).at(t).spatial is not None for t in range(6, 12))
    # They are those of a painted mask that looks like the label, but for its rim.
    made = recent.bank(1).at(7)
    painted = opened(long)
    label = np.array(recent.labels[7]) == 1
    painted.add_mask(1, 7, label)
    painted.add_mask(2, 7, ~label)
    painted.preview(7)
    wanted, wrong = painted.bank(1).at(7), painted.bank(2).at(7)
    np.testing.assert_allclose(made.pointer, wanted.pointer, atol=1e-5)
    near = (made.spatial - wanted.spatial).float().abs().mean()
    assert near < 0.25 * (made.spatial - wrong.spatial).float().abs().mean()


def test_memory_of_an_object_is_bounded(opened: Open, movie: np.ndarray) -> None:
    session = opened(np.concatenate([movie] * 3))
    session.add_points(1, 0, [(16, 20)], [1])
    for _ in session.propagate():
        pass
    bank = session.bank(1)
    assert len(bank.recent) == 16
    assert sum(m.spatial is not None for m in bank.recent.values()) == 6


@pytest.mark.parametrize("kind", ["nano", "tiny"])
def test_objects_together_are_as_one_by_one(
    opened: Open, kind: str, request: pytest.FixtureRequest
) -> None:
    model = request.getfixturevalue(kind)
    one, many = opened(model=model), opened(model=model)
    many._engine.batch = 3
    for session in (one, many):
        for i in range(1, 5):
            session.add_points(i, 0, [(10 * i, 12 * i)], [1])
        session.add_mask(5, 2, disc(30, 30))
    for a, b in zip(
        one.propagate(frames=range(6)), many.propagate(frames=range(6)), strict=True
    ):
        assert np.count_nonzero(a.labels != b.labels) <= 3
        assert a.scores.keys() == b.scores.keys()
        for i, score in a.scores.items():
            assert score.iou == pytest.approx(b.scores[i].iou, abs=1e-4)


def test_only_nano_is_given_its_previous_mask(
    opened: Open, nano: SAM2, tiny: SAM2
) -> None:
    for model, given in ((nano, True), (tiny, False)):
        session = opened(model=model)
        session.add_mask(1, 0, disc(16, 20))
        tracker = session._engine.tracker
        seen = []
        decode = tracker.decode

        def spied(*args: Any, decode: Any = decode, seen: Any = seen) -> Any:
            seen.append(args[2][0])
            return decode(*args)

        tracker.decode = spied
        for _ in session.propagate(frames=range(4)):
            pass
        assert [logits is not None for logits in seen] == [given] * 3


def test_labels_can_be_kept_on_disk(
    opened: Open, nano: SAM2, movie: np.ndarray, tmp_path: Path
) -> None:
    with opened(labels=tmp_path / "labels.zarr") as session:
        session.add_mask(1, 0, disc(16, 20))
        next(session.propagate())
    with open_labels_store(movie.shape, path=tmp_path / "labels.zarr") as store:
        np.testing.assert_array_equal(store.read(0) == 1, disc(16, 20))
    with (
        open_labels_store((3, 4, 5)) as store,
        pytest.raises(ValueError, match="shape"),
    ):
        Session(nano, movie, axes="TYX", labels=store)
    wide = open_labels_store(movie.shape, dtype=np.uint32)
    session = opened(labels=wide)
    session.add_mask(100_000, 0, disc(16, 20))
    assert (session.preview(0).labels == 100_000).any()


def test_retention_is_checked(nano: SAM2, movie: np.ndarray) -> None:
    with pytest.raises(ValueError, match='"recent" or "all"'):
        Session(nano, movie, axes="TYX", retention="some")


@pytest.mark.parametrize(
    "stack",
    [
        np.full((3, 20, 20), 7, np.uint8),
        np.full((2, 8, 300), np.nan, np.float32),
        np.zeros((1, 33, 21), bool),
        np.arange(4, dtype=np.int16).reshape(4, 1, 1),
        np.random.default_rng(0).integers(0, 4000, (3, 40, 30, 3), np.uint16),
    ],
    ids=["constant", "nan", "one frame", "one pixel", "colour"],
)
def test_odd_stacks(nano: SAM2, stack: np.ndarray) -> None:
    with Session(nano, stack, axes="TYXC"[: stack.ndim]) as session:
        session.add_points(1, 0, [(0, 0)], [1])
        results = list(session.propagate("both"))
        assert [r.frame_idx for r in results] == list(range(len(stack)))
        assert session.labels.shape == stack.shape[:3]


def test_two_sessions_at_once_do_not_meet(opened: Open, movie: np.ndarray) -> None:
    alone = opened()
    alone.add_points(1, 0, [(16, 20)], [1])
    wanted = [r.labels for r in alone.propagate()]
    stack = open_stack(movie, axes="TYX", contrast_limits=(0, 255))
    first, second = opened(stack), opened(stack)
    first.add_points(1, 0, [(16, 20)], [1])
    second.add_points(1, 2, [(34, 46)], [1])
    other = second.propagate("both")
    for t, result in enumerate(first.propagate()):
        next(other, None)
        np.testing.assert_array_equal(result.labels, wanted[t])


def test_taking_an_object_back_while_propagating(opened: Open) -> None:
    session = opened()
    session.add_mask(1, 0, disc(16, 20))
    session.add_mask(2, 0, disc(34, 48))
    running = session.propagate()
    next(running)
    session.remove_object(1)
    assert all(sorted(r.scores) == [2] for r in running)
    assert set(np.unique(session.labels)) <= {0, 2}


def test_refining_a_tracked_frame_goes_on_from_its_mask(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = opened()
    session.add_points(1, 0, [(16, 20)], [1])
    for _ in session.propagate():
        pass
    asked = []
    answer = session._engine.tracker.answer

    def spied(*args: Any, **kwargs: Any) -> Any:
        asked.append(kwargs)
        return answer(*args, **kwargs)

    monkeypatch.setattr(session._engine.tracker, "answer", spied)
    session.add_points(1, 3, [(19, 26)], [1])  # its memory was dropped: from the label
    session.add_points(1, 12, [(28, 44)], [1])  # still at hand
    session.add_box(1, 8, (10, 10, 30, 30))  # a box does not refine
    for frame_idx in (3, 12, 8):
        session.preview(frame_idx)
    assert [a["logits"] is not None for a in asked] == [True, True, False]
    assert all(a["recall"].memories for a in asked)
    assert all(a["previous"] is not None for a in asked)


def test_half_precision(opened: Open, nano: SAM2) -> None:
    model = copy.deepcopy(nano).to(torch.bfloat16)
    session, exact = opened(model=model), opened()
    for each in (session, exact):
        each.add_mask(1, 0, disc(16, 20))
        each.add_points(2, 1, [(34, 47)], [1])
    for a, b in zip(session.propagate(), exact.propagate(), strict=True):
        assert a.scores.keys() == b.scores.keys()
    assert a.scores[1].iou == pytest.approx(b.scores[1].iou, abs=0.1)
