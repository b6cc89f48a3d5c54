"""What can go wrong with a session, and what is left of it then."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_sam2.stacks import FrameReadError, StackError
from napari_sam2.tracking import PromptError, Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sam2.model import SAM2

N, HEIGHT, WIDTH = 14, 48, 64
Open = "Callable[..., Session]"


def disc(y: int, x: int, radius: int = 8) -> np.ndarray:
    yy, xx = np.mgrid[:HEIGHT, :WIDTH]
    return (yy - y) ** 2 + (xx - x) ** 2 < radius**2


PROMPTS: list[Callable[[Session], None]] = [
    lambda s: s.add_points(1, 0, [(16, 20)], [1]),
    lambda s: s.add_mask(2, 3, disc(34, 47)),
    lambda s: s.add_box(3, 1, (5, 5, 30, 30)),
    lambda s: s.add_points(4, 5, [(34, 43)], [1]),
]


@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    order=st.permutations(range(len(PROMPTS))),
    looked_at=st.sets(st.integers(0, 5), max_size=3),
)
def test_the_order_of_prompting_does_not_matter(
    nano: SAM2, movie: np.ndarray, order: list[int], looked_at: set[int]
) -> None:
    planes = []
    for chosen, previews in ((range(len(PROMPTS)), ()), (order, sorted(looked_at))):
        with Session(nano, movie, axes="TYX", contrast_limits=(0, 255)) as session:
            for i in chosen:
                PROMPTS[i](session)
            for t in previews:
                if any(p.frame_idx == t for p in session.prompts):
                    session.preview(t)
            for _ in session.propagate("both", frames=range(8)):
                pass
            planes.append(np.array(session.labels))
    np.testing.assert_array_equal(*planes)


class Movie:
    """A movie that may break: some frames cannot be read, some are odd."""

    def __init__(self, movie: np.ndarray, odd: dict[int, Any]) -> None:
        self.movie, self.odd = movie.astype(np.float32), odd
        self.shape, self.dtype, self.ndim = movie.shape, self.movie.dtype, 3

    def __getitem__(self, key: Any) -> np.ndarray:
        first, *rest = key if isinstance(key, tuple) else (key,)
        found = self.odd.get(first)
        if isinstance(found, Exception):
            raise found
        frame = (
            self.movie[first]
            if found is None
            else np.full_like(self.movie[first], found)
        )
        return frame[tuple(rest)] if rest else frame


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0.0])
def test_an_odd_frame_in_the_middle(
    opened: Open, movie: np.ndarray, value: float
) -> None:
    session = opened(Movie(movie, {5: value, 6: value}))
    session.add_points(1, 0, [(16, 20)], [1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results = list(session.propagate())
    assert [r.frame_idx for r in results] == list(range(N))
    assert all(np.isfinite(r.scores[1].iou) for r in results)


def test_an_unreadable_frame_can_be_done_later(opened: Open, movie: np.ndarray) -> None:
    shaky = Movie(movie, {5: OSError("bad sector")})
    session = opened(shaky)
    session.add_points(1, 0, [(16, 20)], [1])
    assert [r.frame_idx for r in session.propagate() if r.error] == [5]
    assert session.stale(1) == [5]
    with pytest.raises(FrameReadError, match="bad sector"):
        session.preview(5)
    shaky.odd.clear()
    assert [r.frame_idx for r in session.propagate()] == [5]
    assert session.stale(1) == []


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 300, 7), (3, 1, 200)])
def test_tiny_frames_and_a_single_one(nano: SAM2, shape: tuple[int, ...]) -> None:
    stack = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    with Session(nano, stack, axes="TYX") as session:
        session.add_points(1, 0, [(0, 0)], [1])
        session.add_box(2, shape[0] - 1, (0, 0, 1, 1))
        assert {r.frame_idx for r in session.propagate("both")} == set(range(shape[0]))
        assert session.frames_to_do("both") == 0


@pytest.mark.parametrize("shape", [(0, 48, 64), (3, 0, 64)])
def test_an_empty_stack_is_refused(nano: SAM2, shape: tuple[int, ...]) -> None:
    with pytest.raises(StackError, match="no pixels"):
        Session(nano, np.zeros(shape, np.uint8), axes="TYX")


def test_a_very_large_frame(nano: SAM2) -> None:
    """Of 4096 x 4096 only the parts that are looked at are turned to floats."""
    frame = np.zeros((4096, 4096), np.uint16)
    frame[2000:2040, 3000:3050] = 900
    movie = np.broadcast_to(frame, (3, *frame.shape))
    with Session(nano, movie, axes="TYX", contrast_limits=(0, 1000)) as session:
        mask = frame > 0
        session.add_mask(1, 0, mask)
        results = list(session.propagate())
        assert len(results) == 3
        np.testing.assert_array_equal(results[0].labels == 1, mask)


def test_nothing_prompted(opened: Open) -> None:
    session = opened()
    for call in (session.propagate, session.frames_to_do):
        with pytest.raises(PromptError, match="click on one in some frame first"):
            call()
    assert session.preview(3).scores == {}
    assert session.undo() is None


def test_five_hundred_objects(nano: SAM2, movie: np.ndarray) -> None:
    with Session(nano, movie[:2], axes="TYX", contrast_limits=(0, 255)) as session:
        places = [(y, x) for y in range(1, 48, 2) for x in range(1, 64, 3)][:500]
        for i, (y, x) in enumerate(places, start=1):
            mask = np.zeros((HEIGHT, WIDTH), bool)
            mask[y : y + 2, x : x + 3] = True
            session.add_mask(i, 0, mask)
        assert len(session.object_ids) == 500
        results = list(session.propagate())
        assert [len(r.scores) for r in results] == [500, 500]
        assert len(np.unique(results[0].labels)) == 501
        session.undo()
        assert not np.array(session.labels).any()


@pytest.mark.parametrize("after", range(5))
def test_cancelling_anywhere_loses_nothing(opened: Open, after: int) -> None:
    """Closed before the first frame, between passes, at a correction, at the end."""
    straight, session = opened(), opened()
    for each in (straight, session):
        each.add_mask(1, 3, disc(16, 26))
    for _ in straight.propagate("both"):
        pass
    stops = [0, 1, N - 4, N - 3, N]
    running = session.propagate("both")
    for _ in range(stops[after]):
        next(running)
    running.close()
    for _ in session.propagate("both"):
        pass
    assert session.frames_to_do("both") == 0
    np.testing.assert_array_equal(np.array(session.labels), np.array(straight.labels))


def test_an_error_in_the_network_leaves_what_was_done(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = opened()
    session.add_mask(1, 0, disc(16, 20))
    running = session.propagate()
    for _ in range(3):
        next(running)
    before = np.array(session.labels)

    def breaks(*_: Any, **__: Any) -> Any:
        raise RuntimeError("the device was lost")

    monkeypatch.setattr(session._engine.tracker, "decode", breaks)
    with pytest.raises(RuntimeError, match="device was lost"):
        next(running)
    monkeypatch.undo()
    np.testing.assert_array_equal(np.array(session.labels), before)
    assert session.stale(1) == list(range(3, N))
    assert len(list(session.propagate())) == N - 3
