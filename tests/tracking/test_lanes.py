"""Objects side by side: the same answers, no thread left behind, errors seen."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from napari_sam2.tracking.frames import with_next
from napari_sam2.tracking.lanes import choose_lanes, evenly, fair_share, open_lanes

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sam2.model import SAM2
    from napari_sam2.tracking import Session

    Open = Callable[..., Session]

PLACES = [(16, 20), (34, 50), (20, 44)]


def clicked(session: Session) -> Session:
    for i, (y, x) in enumerate(PLACES, start=1):
        session.add_box(i, 0, (y - 7, x - 7, y + 7, x + 7))
    return session


def lane_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if "sam2-lane" in t.name]


@pytest.mark.parametrize("zoom", [False, True])
def test_side_by_side_is_as_one_by_one(opened: Open, zoom: bool) -> None:
    found = []
    for lanes in (1, 3):
        session = clicked(opened(zoom=zoom, lanes=lanes))
        results = [r.scores for r in session.propagate("forward")]
        found.append((np.asarray(session.labels), results))
    (one, scores_one), (many, scores_many) = found
    assert one.max() > 0
    np.testing.assert_array_equal(one, many)
    for a, b in zip(scores_one, scores_many, strict=True):
        for i, score in a.items():
            assert b[i].iou == pytest.approx(score.iou, abs=1e-4)


def test_objects_computed_together_are_as_one_by_one(
    opened: Open, nano: SAM2, monkeypatch: pytest.MonkeyPatch
) -> None:
    together: list[int] = []
    decode = type(nano).decode

    def noted(self: SAM2, embedding: torch.Tensor, *args: object) -> object:
        together.append(len(embedding))
        return decode(self, embedding, *args)

    def run(lanes: int) -> np.ndarray:
        session = opened(zoom=False, lanes=lanes)
        for i in range(7):
            y, x = 8 + 5 * i, 54 - 7 * i
            # The later ones are prompted later, so their memories are fewer.
            session.add_box(i + 1, i // 4, (y - 4, x - 4, y + 4, x + 4))
        list(session.propagate("forward"))
        return np.asarray(session.labels)

    one = run(1)
    monkeypatch.setattr(type(nano), "decode", noted)
    many = run(2)
    assert max(together) > 1
    assert len(np.unique(one)) > 4
    assert np.mean(one != many) < 1e-3  # rounding may turn a pixel at a rim


def test_lanes_share_objects_evenly() -> None:
    assert [fair_share(n, 2) for n in (0, 1, 3, 4, 10, 50)] == [1, 1, 1, 2, 4, 5]
    assert evenly([3, 1, 4, 1, 5, 9, 2], 3) == [(3, 1), (4, 1, 5), (9, 2)]
    assert evenly([7], 5) == [(7,)]


def test_the_next_frame_is_encoded_once_and_meanwhile(
    opened: Open, nano: SAM2, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[str] = []
    encode = type(nano).encode_image

    def noted(self: SAM2, pixels: torch.Tensor) -> object:
        names.append(threading.current_thread().name)
        return encode(self, pixels)

    session = clicked(opened(zoom=False, lanes=2))
    session.preview(0)
    monkeypatch.setattr(type(nano), "encode_image", noted)
    frames = sum(1 for _ in session.propagate("forward"))
    assert len(names) == frames - 1  # the first was encoded for the preview
    assert all("sam2-lane" in name for name in names)


def test_stopping_leaves_no_thread_and_the_next_run_is_whole(opened: Open) -> None:
    whole = clicked(opened(lanes=2))
    list(whole.propagate("forward"))
    session = clicked(opened(lanes=2))
    walk = session.propagate("forward")
    next(walk)
    next(walk)
    walk.close()
    assert lane_threads() == []
    list(session.propagate("forward"))
    np.testing.assert_array_equal(session.labels, whole.labels)


def test_too_little_memory_is_said_in_one_sentence(
    opened: Open, nano: SAM2, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = clicked(opened(lanes=2))
    session.preview(0)

    def full(*_: object, **__: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(type(nano), "condition_on_memory", full)
    walk = session.propagate("forward")
    with pytest.raises(MemoryError, match="choose a smaller model"):
        list(walk)
    assert lane_threads() == []


def test_the_callers_threads_stay_as_they_are() -> None:
    before = torch.get_num_threads()
    with open_lanes(2) as lanes:
        assert len(lane_threads()) == 2
        assert set(lanes.map(lambda _: torch.get_num_threads(), range(6))) == {1}
        assert torch.get_num_threads() == before
        inherited: list[int] = []
        late = threading.Thread(
            target=lambda: inherited.append(torch.get_num_threads())
        )
        late.start()
        late.join()
        assert inherited == [before]


def test_lanes_are_for_small_networks_on_cpus(
    nano: SAM2, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 6)
    assert choose_lanes(nano) == 6
    large = type("Large", (), {"device": nano.device})()
    large.config = replace(nano.config, image_size=1024)
    assert choose_lanes(large) == 1


def test_items_come_with_the_next_one() -> None:
    assert list(with_next("abc")) == [("a", "b"), ("b", "c"), ("c", None)]
    assert list(with_next("")) == []
