from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from napari_sam2.tracking.lookup import without_overlaps

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_sam2.model import SAM2
    from napari_sam2.tracking import Session

    Open = Callable[..., Session]


def planes(*rows: Sequence[float]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float32)[:, None, None]


def test_every_place_is_left_to_the_surest_object() -> None:
    logits = planes([3, 1, -2, 5, -1024], [2, 4, -3, 5, -20], [9, -1, -1, 0, -30])
    expected = planes(
        [-10, -10, -10, 5, -1024], [-10, 4, -10, -10, -20], [9, -10, -1, -10, -30]
    )
    torch.testing.assert_close(without_overlaps(logits), expected)
    torch.testing.assert_close(without_overlaps(logits[:1]), logits[:1])


def three(session: Session) -> Session:
    """Prompt three objects, two of which overlap."""
    for i, (y, x) in enumerate([(16, 20), (18, 26), (34, 50)], start=1):
        mask = np.zeros((48, 64), bool)
        mask[y - 8 : y + 8, x - 8 : x + 8] = True
        session.add_mask(i, 0, mask)
    return session


def memories(session: Session, frame_idx: int) -> list[torch.Tensor]:
    found = [session.bank(i).at(frame_idx) for i in session.object_ids]
    return [memory.spatial.float() for memory in found]


def test_what_is_remembered_does_not_overlap_if_asked_for(
    opened: Open, tiny: SAM2
) -> None:
    given = []
    encode = tiny.encode_memory
    sessions = [three(opened(model=tiny)) for _ in range(2)]
    sessions[1]._engine.tracker.non_overlapping_memory = True
    sessions[1]._engine.batch = 2
    results = []
    for session in sessions:
        walk = session.propagate(frames=range(2))
        next(walk)
        masks: list[torch.Tensor] = []

        def spied(*args: object, masks: object = masks, **kwargs: object) -> object:
            masks.append(args[1])
            return encode(*args, **kwargs)

        tiny.encode_memory = spied
        try:
            results.append(next(walk))
        finally:
            del tiny.encode_memory
        given.append(torch.cat(masks))
    overlapping, apart = given
    assert ((overlapping > 0).sum(0) > 1).any()
    assert ((apart > 0).sum(0) <= 1).all()
    torch.testing.assert_close(apart, without_overlaps(overlapping))
    # The answers of the frame are the same; only what later frames see differs.
    np.testing.assert_array_equal(results[0].labels, results[1].labels)
    plain, kept = (memories(session, 1) for session in sessions)
    changed = [not torch.equal(a, b) for a, b in zip(plain, kept, strict=True)]
    touched = [not torch.equal(a, b) for a, b in zip(overlapping, apart, strict=True)]
    assert changed == touched


@pytest.mark.parametrize("name", ["nano", "tiny"])
def test_too_large_batches_are_made_smaller_and_stay_so(
    opened: Open, request: pytest.FixtureRequest, name: str
) -> None:
    model = request.getfixturevalue(name)
    one_by_one = three(opened(model=model, zoom=False))
    expected = [r.labels for r in one_by_one.propagate(frames=range(4))]

    session = three(opened(model=model, zoom=False))
    session._engine.batch = 32
    tracker = session._engine.tracker
    decode = tracker.decode
    sizes = []

    def cramped(features: object, recalls: list, previous: object) -> object:
        sizes.append(len(recalls))
        if len(recalls) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return decode(features, recalls, previous)

    tracker.decode = cramped
    found = [r.labels for r in session.propagate(frames=range(4))]
    np.testing.assert_array_equal(found, expected)
    assert sizes == [3, *[1] * 9]
    assert session._engine.batch == 1


def test_many_windows_are_encoded_once_a_frame(opened: Open, nano: SAM2) -> None:
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (3, 480, 480), np.uint8)
    session = opened(frames, zoom=True)
    session._engine.frames.cache_bytes = 0
    session._engine.frames.cache_frames = 1
    for i in range(8):
        mask = np.zeros((480, 480), bool)
        y, x = 100 * (i // 4) + 60, 110 * (i % 4) + 60
        mask[y : y + 20, x : x + 20] = True
        session.add_mask(i + 1, 0, mask)
    walk = session.propagate()
    next(walk)
    encoded = []
    encode = nano.encode_image
    nano.encode_image = lambda pixels: encoded.append(1) or encode(pixels)
    try:
        next(walk)
    finally:
        del nano.encode_image
    windows = {session.bank(i + 1).at(1).window for i in range(8)}
    assert len(windows) > 4
    assert len(encoded) == len(windows)
