"""Which window, and which mask, answers the clicks on an object not looked for yet.

Its size is not known then: the first click is tried in windows of all sizes, and what
comes out is scored by what a mask of one object looks like and by all clicks.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from napari_sam2.tracking.prompts import BoxPrompt, PointPrompt
from napari_sam2.tracking.windows import Window, whole, window_around, window_sides

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from napari_sam2.tracking.frames import FrameEncoder
    from napari_sam2.tracking.prompts import Prompt
    from napari_sam2.tracking.tracker import Tracker

# How a first click chooses among windows and masks; fitted on training pictures.
EDGE_COST = 0.7
SMALL_COST = 1.0
SMALL_SHARE = 0.12
MISS_COST = 5.0

KEPT_CANDIDATES = 64  # of 64 KiB each: first clicks on about ten objects


@dataclass(frozen=True, kw_only=True)
class Look:
    """Where and how to look for an object's prompts in a frame.

    Attributes
    ----------
    window
        The part of the frame.
    choice
        Which of the four masks answers a first click; None leaves it to the
        network.
    afresh
        Whether earlier answers in the frame were looked for elsewhere, so that
        all its prompts have to be answered again.
    """

    window: Window
    choice: int | None = None
    afresh: bool = False


@dataclass(kw_only=True)
class Scout:
    """Looks for the windows of clicked objects.

    Attributes
    ----------
    frames
        Reads and encodes frames.
    tracker
        Runs the network.
    kept
        The masks that first clicks gave in windows, so that a further click only
        chooses among them anew.
    """

    frames: FrameEncoder
    tracker: Tracker
    kept: OrderedDict[tuple[int, Window, Prompt], tuple[Tensor, Tensor]] = field(
        default_factory=OrderedDict
    )

    def look(self, frame_idx: int, prompts: Sequence[Prompt]) -> Look:
        """Look at the first click through windows of all sizes; take the best.

        Parameters
        ----------
        frame_idx
            The frame.
        prompts
            Clicks, in the order in which they were given.

        Raises
        ------
        FrameReadError
            If the frame has to be read and cannot be.
        """
        shape = self.tracker.frame_shape
        clicks = _clicks(prompts)
        best = -math.inf
        look = Look(window=whole(shape))
        for window in scouted_windows(prompts, shape):
            logits, ious = self._candidates(frame_idx, window, prompts[0])
            scores = zoom_scores(logits, ious, window, shape, clicks)
            index = int(scores.argmax())
            if float(scores[index]) > best:
                best = float(scores[index])
                look = Look(window=window, choice=index)
        return look

    def _candidates(
        self, frame_idx: int, window: Window, first: Prompt
    ) -> tuple[Tensor, Tensor]:
        """Return the masks that a first click gives in a window, kept or made."""
        key = frame_idx, window, first
        found = self.kept.get(key)
        if found is None:
            features = self.frames.features(frame_idx, window=window)
            found = self.tracker.candidates(window, features, [first])
            self.kept[key] = found
            while len(self.kept) > KEPT_CANDIDATES:
                self.kept.popitem(last=False)
        self.kept.move_to_end(key)
        return found


def scouted_windows(
    prompts: Sequence[Prompt], shape: tuple[int, int]
) -> Iterator[Window]:
    """Yield the windows of all sizes through which clicks are looked at.

    A window lies around the first click, and stays while it holds all prompts, so
    that further clicks need no picture of their own. One that does not is replaced by
    one around the middle of all clicks on the object, or left out. Only the prompts
    count, not when they were answered.

    Parameters
    ----------
    prompts
        Clicks, in the order in which they were given.
    shape
        (Y, X) of the frame.

    Yields
    ------
    Window
        Smallest first, the whole frame last; none for clicks beside the object only.
    """
    if not any(label for _, label in _clicks(prompts)):
        return
    for side in window_sides(shape):
        window = None
        for end in range(1, len(prompts) + 1):
            given = prompts[:end]
            hits = [point for point, label in _clicks(given) if label]
            if hits and (window is None or not all_inside(window, given)):
                y, x = (sum(axis) / len(hits) for axis in zip(*hits, strict=True))
                window = window_around((y, x), side, shape)
        if window is not None and all_inside(window, prompts):
            yield window
    yield whole(shape)


def _clicks(prompts: Sequence[Prompt]) -> list[tuple[tuple[float, float], int]]:
    """Return ((y, x), label) of all clicks."""
    return [
        (point, label)
        for prompt in prompts
        if isinstance(prompt, PointPrompt)
        for point, label in zip(prompt.points, prompt.labels, strict=True)
    ]


def zoom_scores(
    logits: Tensor,
    ious: Tensor,
    window: Window,
    shape: tuple[int, int],
    clicks: Sequence[tuple[tuple[float, float], int]],
) -> Tensor:
    """Score candidate masks for clicks, comparable between windows.

    Parameters
    ----------
    logits, ious
        (4, s, s) mask logits and (4,) predicted IoU in [0, 1].
    window, shape
        Where the masks lie, and (Y, X) of the frame.
    clicks
        ((y, x), label): 1 the mask should hold, 0 it should leave out.

    Returns
    -------
    Tensor
        (4,) the logarithm of predicted IoU times stability, less costs for a mask
        cut off by the window, much smaller than it, or beside the clicks.
    """
    inside = logits > 0
    outer = (logits > -1).flatten(1).sum(1).clamp(min=1)
    stability = ((logits > 1).flatten(1).sum(1) / outer).clamp(min=0.05)
    share = inside.flatten(1).float().mean(1).clamp(min=1e-6).sqrt()
    cut = torch.zeros(len(logits), dtype=torch.bool, device=logits.device)
    if window.y > 0:
        cut |= inside[:, 0].any(1)
    if window.x > 0:
        cut |= inside[:, :, 0].any(1)
    if window.y + window.height < shape[0]:
        cut |= inside[:, -1].any(1)
    if window.x + window.width < shape[1]:
        cut |= inside[:, :, -1].any(1)
    side = logits.shape[-1]
    missed = torch.zeros(len(logits), device=logits.device)
    for (y, x), label in clicks:
        row = min(int((y - window.y + 0.5) * side / window.height), side - 1)
        col = min(int((x - window.x + 0.5) * side / window.width), side - 1)
        missed += (inside[:, row, col] != bool(label)).float() / len(clicks)
    return (
        ious.clamp(min=1e-3).log()
        + stability.log()
        - EDGE_COST * cut.float()
        - SMALL_COST * (SMALL_SHARE / share).log().clamp(min=0)
        - MISS_COST * missed
    )


def all_inside(window: Window, prompts: Sequence[Prompt]) -> bool:
    """Whether all clicks and boxes lie in a window."""
    for prompt in prompts:
        if isinstance(prompt, PointPrompt):
            if not all(window.holds(point) for point in prompt.points):
                return False
        elif isinstance(prompt, BoxPrompt):
            y, x, y2, x2 = prompt.box
            if not (window.holds((y, x)) and window.holds((y2 - 1, x2 - 1))):
                return False
    return True
