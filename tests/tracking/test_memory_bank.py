from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from napari_sam2.model import preset
from napari_sam2.tracking.memory_bank import FrameMemory, MemoryBank, Retention
from napari_sam2.tracking.windows import Window, whole

CONFIG = preset("nano")
TOP = CONFIG.num_memories - 1
FRAME = whole((32, 32))


def memory(t: int, score: float = 1.0) -> FrameMemory:
    return FrameMemory(
        frame_idx=t,
        pointer=torch.zeros(1, 2),
        spatial=torch.zeros(1, 1, 1, 1, dtype=torch.bfloat16),
        mask_logits=torch.zeros(1, 1, 2, 2),
        object_score=score,
        iou=0.5,
        window=FRAME,
        spatial_window=FRAME,
    )


def filled(
    prompted: list[int],
    tracked: list[int],
    retention: Retention = "all",
    limit: int | None = None,
) -> MemoryBank:
    bank = MemoryBank(config=CONFIG, retention=retention, max_conditioning=limit)
    for t in prompted:
        bank.add(memory(t), conditioning=True)
    for t in tracked:
        bank.add(memory(t), conditioning=False)
    return bank


def rows(bank: MemoryBank, t: int, *, reverse: bool = False) -> dict[int, int]:
    recall = bank.recall(t, reverse=reverse, n_frames=100, window=FRAME)
    return {m.frame_idx: row for m, row in recall.memories}


def distances(bank: MemoryBank, t: int, *, reverse: bool = False) -> dict[int, int]:
    recall = bank.recall(t, reverse=reverse, n_frames=100, window=FRAME)
    return {m.frame_idx: d for m, d in recall.pointers}


def test_a_frame_sees_prompted_frames_and_six_before_it() -> None:
    bank = filled([0, 30], list(range(1, 30)))
    assert rows(bank, 20) == {0: TOP, 30: TOP, **{20 - t: t - 1 for t in range(1, 7)}}
    # Pointers: prompted frames of the past, and the fifteen frames before.
    assert distances(bank, 20) == {0: 20, **{20 - t: t for t in range(1, 16)}}


def test_backwards_the_future_is_the_past() -> None:
    bank = filled([30], list(range(21, 30)))
    assert rows(bank, 20, reverse=True) == {
        30: TOP,
        **{20 + t: t - 1 for t in range(1, 7)},
    }
    assert distances(bank, 20, reverse=True) == {
        30: 10,
        **{20 + t: t for t in range(1, 10)},
    }


def test_recent_memories_of_other_parts_of_the_frame_are_left_out() -> None:
    bank = filled([0], [1, 2, 3])
    elsewhere = Window(y=0, x=0, height=16, width=16)
    recall = bank.recall(4, reverse=False, n_frames=9, window=elsewhere)
    assert [m.frame_idx for m, _ in recall.memories] == [0]
    assert sorted(d for _, d in recall.pointers) == [1, 2, 3, 4]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("fewer", [0, 1, 3])
def test_fewer_memories_are_the_nearest_with_the_rows_they_had(
    fewer: int, reverse: bool
) -> None:
    bank = filled([0, 30], [*range(1, 30), *range(31, 40)])
    usual = rows(bank, 20, reverse=reverse)
    pointers = distances(bank, 20, reverse=reverse)
    bank.config = replace(CONFIG, recent_memories=fewer)
    nearest = {t for t, row in usual.items() if row < fewer}
    assert len(nearest) == fewer
    assert rows(bank, 20, reverse=reverse) == {
        t: row for t, row in usual.items() if row == TOP or t in nearest
    }
    assert set(bank.reach(20, reverse=reverse)) == nearest
    assert distances(bank, 20, reverse=reverse) == pointers


def test_masks_are_kept_whatever_is_attended_to() -> None:
    bank = filled([0], [], "recent")
    bank.config = replace(CONFIG, recent_memories=0)
    for t in range(1, 20):
        bank.add(memory(t), conditioning=False)
    held = [t for t, m in bank.recent.items() if m.mask_logits is not None]
    assert held[::-1] == bank.kept(20, reverse=False) == list(range(19, 13, -1))
    found = bank.neighbour(20, reverse=False)
    assert found is not None
    assert found.frame_idx == 19


def test_a_refined_frame_sees_itself() -> None:
    bank = filled([4], [])
    assert rows(bank, 4) == {4: TOP}
    assert distances(bank, 4) == {4: 0}


def test_short_stacks_have_fewer_pointers() -> None:
    bank = filled([0], list(range(1, 10)))
    recall = bank.recall(9, reverse=False, n_frames=4, window=FRAME)
    assert sorted(d for _, d in recall.pointers) == [1, 2, 3, 9]


def test_recent_retention_is_bounded_and_loses_nothing_in_reach() -> None:
    everything, recent = filled([0], []), filled([0], [], "recent")
    for t in range(1, 60):
        assert rows(recent, t) == rows(everything, t)
        assert distances(recent, t) == distances(everything, t)
        for bank in (everything, recent):
            bank.add(memory(t), conditioning=False)
    assert len(recent.recent) == CONFIG.max_pointers
    held = [m.frame_idx for m in recent.recent.values() if m.spatial is not None]
    assert held == list(range(54, 60))
    assert all(
        (m.mask_logits is None) == (m.spatial is None) for m in recent.recent.values()
    )


def test_the_closest_prompted_frames_are_chosen() -> None:
    bank = filled([0, 10, 19, 40, 50], [], limit=3)
    # The last one before, the next one after, then the nearest.
    assert {t for t, row in rows(bank, 20).items() if row == TOP} == {10, 19, 40}
    one = filled([0, 10, 30], [], limit=1)
    assert rows(one, 12) == {10: TOP}


def test_a_prompted_frame_left_out_still_counts_as_recent() -> None:
    bank = filled([10, 17, 19], [], limit=1)
    assert rows(bank, 20) == {19: TOP, 17: 2}
    assert distances(bank, 20) == {19: 1, 17: 3, 10: 10}


def test_a_frame_has_one_memory() -> None:
    bank = filled([], [3])
    bank.add(memory(3, 2.0), conditioning=True)
    assert not bank.recent
    bank.add(memory(3, 4.0), conditioning=False)
    assert not bank.conditioning
    assert bank.at(3).object_score == 4.0
    bank.forget(3)
    assert bank.at(3) is None


@pytest.mark.parametrize("reverse", [False, True])
def test_the_neighbour_is_the_nearest_in_the_past(reverse: bool) -> None:
    bank = filled([0, 20], [8, 12])
    found = bank.neighbour(10, reverse=reverse)
    assert found.frame_idx == (12 if reverse else 8)
    assert bank.neighbour(20 if reverse else 0, reverse=reverse) is None


def test_structure_tells_who_can_be_computed_together() -> None:
    first, second = filled([0], [1, 2]), filled([0], [1, 2])
    recalls = [
        b.recall(3, reverse=False, n_frames=9, window=FRAME) for b in (first, second)
    ]
    assert recalls[0].structure == recalls[1].structure
    other = filled([0, 1], [2]).recall(3, reverse=False, n_frames=9, window=FRAME)
    assert other.structure != recalls[0].structure
