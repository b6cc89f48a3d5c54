"""Other ways of choosing masks: with random weights, or with scripted answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from napari_sam2.model import preset
from napari_sam2.model.mask_decoder import DecoderOutput
from napari_sam2.tracking import selection
from napari_sam2.tracking.memory_bank import FrameMemory, MemoryBank
from napari_sam2.tracking.selection import MotionAware, MotionConfig, Search
from napari_sam2.tracking.windows import Window, whole

if TYPE_CHECKING:
    from napari_sam2.tracking import Session
    from napari_sam2.tracking.memory_bank import Recall

Open = "Callable[..., Session]"
FRAME = whole((64, 64))
N = 14


def square(y: int, x: int) -> torch.Tensor:
    """(64, 64) logits of ±8: a square of 10 px around (y, x)."""
    logits = torch.full((64, 64), -8.0)
    logits[y - 5 : y + 5, x - 5 : x + 5] = 8
    return logits


def memory(t: int, x: int | None) -> FrameMemory:
    """Return the memory of a square in row 30, or of its absence."""
    logits = torch.full((64, 64), -1024.0) if x is None else square(30, x)
    return FrameMemory(
        frame_idx=t,
        pointer=torch.zeros(1, 2),
        spatial=torch.zeros(1, 1, 1, 1, dtype=torch.bfloat16),
        mask_logits=logits[None, None],
        object_score=-1.0 if x is None else 1.0,
        iou=0.5,
        window=FRAME,
        spatial_window=FRAME,
    )


def filled(places: list[int | None], *, first: int = 0) -> MemoryBank:
    """Return a bank of successive frames, the first of which was prompted."""
    bank = MemoryBank(config=preset("nano"))
    for t, x in enumerate(places, start=first):
        bank.add(memory(t, x), conditioning=t == first)
    return bank


@dataclass(frozen=True, kw_only=True)
class Scripted(Search):
    """A frame in which the network sees a look-alike far away and scores it best."""

    def recall(self, bank: MemoryBank) -> Recall:
        return bank.recall(
            self.frame_idx, reverse=self.reverse, n_frames=99, window=self.window
        )

    def propose(self, recall: Recall) -> DecoderOutput:
        masks = [square(30, 30), square(10, 54), square(30, 34), square(50, 10)]
        return DecoderOutput(
            masks=torch.stack(masks)[None],
            iou_scores=torch.tensor([[0.99, 0.80, 0.75, 0.1]]),
            tokens=torch.zeros(1, 4, 2),
            object_score_logits=torch.ones(1, 1),
        )

    def decide(self, raw: DecoderOutput, choice: int) -> Any:
        return choice


def choice(
    bank: MemoryBank, t: int, config: MotionConfig | None = None, **given: bool
) -> Any:
    nothing: Any = None
    search = Scripted(
        tracker=nothing,
        frame_idx=t,
        window=FRAME,
        features=nothing,
        previous=None,
        reverse=given.get("reverse", False),
    )
    return MotionAware(config=config or MotionConfig()).look_up(bank, search)


def test_a_look_alike_far_away_loses_to_the_mask_where_the_object_should_be() -> None:
    moving: list[int | None] = [22, 24, 26, 28, 30, 32]
    # 0.85 x 0.80 against 0.85 x 0.75 + 0.15 x an overlap of nearly 1.
    assert choice(filled(moving), 6) == 2
    # The same backwards: the frames after it are its past.
    assert choice(filled(moving[::-1], first=7), 6, reverse=True) == 2
    # However few memories are attended to.
    few = filled(moving)
    few.config = replace(few.config, recent_memories=1)
    assert choice(few, 6) == 2
    no_motion = MotionConfig(weight=0)
    assert choice(filled(moving), 6, no_motion) == 1


@pytest.mark.parametrize(
    "places",
    [
        [26, 28, 30, 32],  # too few frames
        [22, 24, 26, None, 30, 32],  # absent for a frame
        [22, 24, 58, 28, 30, 32],  # jumped
        [None] * 6,
    ],
)
def test_motion_counts_only_while_it_is_steady(places: list[int | None]) -> None:
    assert choice(filled(places), len(places)) == 1


def test_the_unambiguous_mask_is_not_among_the_candidates() -> None:
    assert choice(filled([30] * 6), 6, MotionConfig(weight=1)) == 2


def test_boxes_are_of_the_largest_piece_and_of_the_frame() -> None:
    logits = np.full((64, 64), -1, np.float32)
    logits[10:20, 30:50] = 1
    logits[60:62, 60:62] = 1
    window = Window(y=100, x=200, height=128, width=64)
    assert selection.mask_box(logits, window) == (130, 240, 20, 20)
    assert selection.mask_box(np.full((64, 64), -1, np.float32), window) is None


def test_ways_are_known_by_name() -> None:
    assert selection.make("default") is None
    for name in selection.STRATEGIES:
        assert selection.make(name) is not None
    with pytest.raises(ValueError, match='"default", "motion"'):
        selection.make("samurai")


def followed(session: Session, way: selection.MemorySelection | None) -> np.ndarray:
    """Follow two objects in both directions with a correction between."""
    for object_id, t, y, x in ((1, 4, 20, 28), (2, 6, 34, 44)):
        session.add_points(object_id, t, [(y, x)], [1])
        session.bank(object_id).selection = way
    for _ in session.propagate("both"):
        pass
    session.add_points(1, 9, [(25, 38)], [0])
    for _ in session.propagate("both"):
        pass
    return np.array(session.labels)


def test_without_motion_answers_are_the_defaults_bit_for_bit(opened: Open) -> None:
    """So the way through candidates is that of the default."""
    way = MotionAware(config=MotionConfig(weight=0))
    chosen, default = opened(lanes=1), opened(lanes=1)
    np.testing.assert_array_equal(followed(chosen, way), followed(default, None))
    assert default.bank(1).selection is None
    for object_id in (1, 2):
        banks = [s.bank(object_id).recent for s in (chosen, default)]
        assert list(banks[0]) == list(banks[1])
        for mine, other in zip(*(bank.values() for bank in banks), strict=True):
            assert (mine.iou, mine.object_score) == (other.iou, other.object_score)
            assert torch.equal(mine.pointer, other.pointer)


@pytest.mark.parametrize("retention", ["recent", "all"])
def test_memory_stays_bounded_and_corrections_stay(
    opened: Open, retention: str
) -> None:
    session = opened(retention=retention)
    labels = followed(session, selection.make("motion"))
    assert labels.shape[0] == N
    bank = session.bank(1)
    assert sorted(bank.conditioning) == [4, 9]
    if retention == "recent":
        spatial = [m for m in bank.recent.values() if m.spatial is not None]
        assert len(spatial) <= 6
        assert len(bank.recent) <= 16
