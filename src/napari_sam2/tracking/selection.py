"""Other ways of choosing an object's mask and memories, without any training.

The paper's way, the best predicted IoU and first in, first out, is the default and in
`memory_bank`. A bank whose `selection` is set asks that instead, one object at a time.
What was tried and what it brought is in ``docs/memory.md``.

Shapes: s side of the low-resolution masks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from scipy import ndimage

from napari_sam2.tracking.motion import expect, overlap

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sam2.model import ImageFeatures
    from napari_sam2.model.mask_decoder import DecoderOutput
    from napari_sam2.tracking.flow import Carried
    from napari_sam2.tracking.memory_bank import FrameMemory, MemoryBank, Recall
    from napari_sam2.tracking.motion import Box
    from napari_sam2.tracking.tracker import Tracker
    from napari_sam2.tracking.windows import Window

DEFAULT = "default"


@dataclass(frozen=True, kw_only=True)
class Search:
    """One frame in which one object is looked for.

    Attributes
    ----------
    tracker
        Runs the network.
    frame_idx, window, features
        The frame, and the part of it that the features cover.
    previous
        The answer in the neighbouring frame, or None.
    reverse
        Whether time runs backwards.
    """

    tracker: Tracker
    frame_idx: int
    window: Window
    features: ImageFeatures
    previous: Carried | None
    reverse: bool

    def recall(self, bank: MemoryBank) -> Recall:
        """Return what the frame is conditioned on by default."""
        return bank.recall(
            self.frame_idx,
            reverse=self.reverse,
            n_frames=self.tracker.n_frames,
            window=self.window,
        )

    def propose(self, recall: Recall) -> DecoderOutput:
        """Find the object, with all four masks."""
        return self.tracker.propose(self.features, recall, self.previous)

    def decide(self, raw: DecoderOutput, choice: int) -> FrameMemory:
        """Answer with one of the four masks."""
        return self.tracker.decide(
            self.frame_idx, self.window, self.features, raw, choice, self.previous
        )


class MemorySelection(Protocol):
    """A way of choosing one object's masks and memories."""

    def look_up(self, bank: MemoryBank, search: Search) -> FrameMemory:
        """Find the object in a frame; remembers nothing.

        Parameters
        ----------
        bank
            The object's memories.
        search
            The frame.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class MotionConfig:
    """Numbers of the motion-aware choice.

    Attributes
    ----------
    weight
        Share of motion in a mask's score, in [0, 1] (SAMURAI, section 5.1: 0.15).
    steady_frames
        Frames in a row that have to be as expected before motion counts. SAMURAI
        waits for 15; the bank keeps the masks of six.
    steady_overlap
        Overlap of found with expected box from which on a frame is as expected.
    """

    weight: float = 0.15
    steady_frames: int = 5
    steady_overlap: float = 0.3


@dataclass(frozen=True, kw_only=True)
class MotionAware:
    """Among the three ambiguous masks, prefer the one where the object should be.

    SAMURAI (arXiv 2411.11922), section 4.1. It keeps nothing of its own: the boxes
    are those of the bank's last masks, so that memories made again after a
    correction, or in a session opened again, serve as well as the first ones.

    Parameters
    ----------
    config
        See `MotionConfig`.
    """

    config: MotionConfig = MotionConfig()

    def look_up(self, bank: MemoryBank, search: Search) -> FrameMemory:
        """Find the object in a frame; see `MemorySelection.look_up`."""
        raw = search.propose(search.recall(bank))
        expected = self._expected(bank, search)
        ious = raw.iou_scores[0].float().tolist()
        scores = {k: ious[k] for k in range(1, len(ious))}
        if expected is not None:
            masks = raw.masks[0].float().cpu().numpy()
            share = self.config.weight
            for k, iou in scores.items():
                box = mask_box(masks[k], search.window)
                near = 0.0 if box is None else overlap(expected, box)
                scores[k] = share * near + (1 - share) * iou
        return search.decide(raw, max(scores, key=lambda k: scores[k]))

    def _expected(self, bank: MemoryBank, search: Search) -> Box | None:
        """Return where the object is expected, if it moved steadily so far."""
        boxes: list[Box | None] = []
        for t in bank.kept(search.frame_idx, reverse=search.reverse):
            memory = bank.at(t)
            if memory is None or memory.mask_logits is None:
                break
            boxes.append(memory_box(memory))
        found, steady = expect(boxes[::-1], least_overlap=self.config.steady_overlap)
        return found if steady >= self.config.steady_frames else None


def memory_box(memory: FrameMemory) -> Box | None:
    """Return where in the frame a remembered mask is, or None if it is absent."""
    if memory.mask_logits is None or not memory.seen:
        return None
    return mask_box(memory.mask_logits[0, 0].float().cpu().numpy(), memory.window)


def mask_box(logits: NDArray[np.float32], window: Window) -> Box | None:
    """Return the box of a mask's largest connected piece, in pixels of the frame.

    Parameters
    ----------
    logits
        (s, s) mask logits.
    window
        The part of the frame that they cover.
    """
    pieces, count = ndimage.label(logits > 0)
    if not count:
        return None
    largest = int(np.bincount(pieces.ravel())[1:].argmax())
    rows, cols = ndimage.find_objects(pieces)[largest]
    y_scale = window.height / logits.shape[0]
    x_scale = window.width / logits.shape[1]
    return (
        window.y + (rows.start + rows.stop) / 2 * y_scale,
        window.x + (cols.start + cols.stop) / 2 * x_scale,
        (rows.stop - rows.start) * y_scale,
        (cols.stop - cols.start) * x_scale,
    )


STRATEGIES: dict[str, type[MotionAware]] = {"motion": MotionAware}


def make(name: str) -> MemorySelection | None:
    """Make what a bank needs to choose in a named way; None for the default.

    Parameters
    ----------
    name
        "default", the paper's, or one of `STRATEGIES`.

    Raises
    ------
    ValueError
        If there is no such way.
    """
    if name == DEFAULT:
        return None
    if name not in STRATEGIES:
        known = ", ".join(f'"{way}"' for way in (DEFAULT, *STRATEGIES))
        msg = f"There is no memory selection {name!r}; choose one of {known}."
        raise ValueError(msg)
    return STRATEGIES[name]()
