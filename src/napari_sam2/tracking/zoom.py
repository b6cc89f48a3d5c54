"""Which window an object is looked at through, and when it moves.

`windows` has the geometry; here prompts, answers and memories decide.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from napari_sam2.stacks import FrameReadError
from napari_sam2.tracking.masks import patch_from_logits
from napari_sam2.tracking.objects import UNTRACKED
from napari_sam2.tracking.parts import Parts
from napari_sam2.tracking.prompts import BoxPrompt, MaskPrompt, PointPrompt
from napari_sam2.tracking.scouting import Look, Scout, all_inside
from napari_sam2.tracking.windows import (
    Extent,
    Window,
    extent,
    follow,
    whole,
    window_around,
    window_for,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sam2.tracking.masks import Patch
    from napari_sam2.tracking.memory_bank import FrameMemory
    from napari_sam2.tracking.objects import TrackedObject
    from napari_sam2.tracking.prompts import Prompt


@dataclass(kw_only=True)
class Zoom(Parts):
    """Chooses windows for the objects of one session.

    Attributes
    ----------
    scout
        Looks for the windows of clicked objects.
    """

    scout: Scout = field(init=False)

    def __post_init__(self) -> None:
        """Share what reads and what looks with the scout."""
        self.scout = Scout(frames=self.frames, tracker=self.tracker)

    @property
    def shape(self) -> tuple[int, int]:
        """(Y, X) of the frames."""
        return self.tracker.frame_shape

    def for_prompts(
        self,
        found: TrackedObject,
        frame_idx: int,
        held: FrameMemory | None,
        *,
        refines: bool = False,
    ) -> Look:
        """Choose where to look for an object's prompts in a frame.

        Parameters
        ----------
        found
            The object.
        frame_idx
            The frame.
        held
            The answer that the new prompts refine, or None.
        refines
            Whether they refine one, be it in the labels only.

        Returns
        -------
        Look
            Clicks alone are looked at anew with every click, since a click beside
            the object can show that the first window was the wrong one.

        Raises
        ------
        FrameReadError
            If the frame has to be read and cannot be.
        """
        if not self.frames.zoom:
            return Look(window=whole(self.shape))
        prompts = found.said(frame_idx)
        if found.tracked[frame_idx] == UNTRACKED and all(
            isinstance(prompt, PointPrompt) for prompt in prompts
        ):
            before = found.looks.get(frame_idx)
            look = self.scout.look(frame_idx, prompts)
            found.looks[frame_idx] = look
            return replace(look, afresh=before not in (None, look))
        seen = None
        if refines and held is None:  # its memory was dropped, its label is there
            seen = extent(self.store.read(frame_idx) == found.object_id)
        return Look(window=self._known(prompts, held, seen))

    def _known(
        self, prompts: Sequence[Prompt], held: FrameMemory | None, seen: Extent | None
    ) -> Window:
        """Choose the window where a box, a mask or an earlier answer says where."""
        last = prompts[-1]
        if isinstance(last, MaskPrompt):
            return self._around(_mask_extent(last))
        box = next((p for p in reversed(prompts) if isinstance(p, BoxPrompt)), None)
        window = whole(self.shape)
        if held is not None:
            window = held.window
        elif seen is not None:
            window = self._around(seen)
        elif box is not None:
            window = self._around(_box_extent(box))
        return window if all_inside(window, prompts) else whole(self.shape)

    def _around(self, found: Extent | None) -> Window:
        return whole(self.shape) if found is None else window_for(found, self.shape)

    def place(self, found: TrackedObject, frame_idx: int, *, reverse: bool) -> None:
        """Choose where to look for an object in a frame that starts a walk."""
        if not self.frames.zoom:
            return
        past = frame_idx + 1 if reverse else frame_idx - 1
        seen = None
        if 0 <= past < self.tracker.n_frames and found.tracked[past]:
            seen = extent(self.store.read(past) == found.object_id)
        if seen is not None:
            found.window = window_for(seen, self.shape)
            return
        nearest = min(found.bank.conditioning, key=lambda t: abs(t - frame_idx))
        found.window = found.bank.conditioning[nearest].window

    def move(self, found: TrackedObject, memory: FrameMemory, drawn: Patch) -> bool:
        """Let the window follow the object's latest mask; say whether it moved."""
        if not self.frames.zoom:
            return False
        seen = patch_extent(drawn)
        before = found.window
        found.window = (
            memory.window if seen is None else follow(memory.window, seen, self.shape)
        )
        return found.window != before

    def looks_at(self, found: TrackedObject, frame_idx: int) -> Window:
        """Say which part of a frame is looked at for an object.

        That is where it was looked for last, or else where its labels, in this frame or
        the next, put the window.
        """
        if not self.frames.zoom:
            return whole(self.shape)
        held = found.bank.at(frame_idx)
        if held is not None:
            return held.window
        if frame_idx in found.looks:
            return found.looks[frame_idx].window
        for t in (frame_idx, frame_idx - 1, frame_idx + 1):
            if 0 <= t < self.tracker.n_frames and found.tracked[t]:
                seen = extent(self.store.read(t) == found.object_id)
                if seen is not None:
                    return window_for(seen, self.shape)
        return found.window or whole(self.shape)

    def rescale(self, found: TrackedObject) -> None:
        """Make prompted frames' memories again at the scale of the object's window."""
        if not self.frames.zoom or found.window is None:
            return
        side = found.window.shape
        for frame_idx, held in list(found.bank.conditioning.items()):
            if held.spatial_window.shape == side:
                continue
            patch = memory_patch(held)
            seen = patch_extent(patch)
            if seen is None:
                continue
            window = whole(self.shape)
            if side != self.shape:
                window = window_around(seen.centre, side[0], self.shape)
            try:
                features = self.frames.features(frame_idx, window=window)
            except FrameReadError:
                continue
            mask = patch.mask(self.shape)
            made = self.tracker.remake(frame_idx, window, features, mask)
            found.bank.conditioning[frame_idx] = replace(
                held, spatial=made.spatial, spatial_window=window
            )


def memory_patch(memory: FrameMemory) -> Patch:
    """Return a kept answer at the frame's resolution, where it is.

    Raises
    ------
    RuntimeError
        If the answer was dropped already.
    """
    if memory.mask_logits is None:
        msg = f"The answer in frame {memory.frame_idx} was dropped before it was used."
        raise RuntimeError(msg)
    low_res = memory.mask_logits[0, 0].float().cpu().numpy()
    window = memory.window
    patch = patch_from_logits(low_res, window.shape)
    y, x = patch.corner
    return replace(patch, corner=(y + window.y, x + window.x))


def patch_extent(patch: Patch) -> Extent | None:
    """Return the tight box of what a patch draws, or None if that is nothing."""
    seen = extent(patch.logits > 0) if patch.logits.size else None
    if seen is None:
        return None
    y, x = patch.corner
    return Extent(
        top=seen.top + y,
        left=seen.left + x,
        bottom=seen.bottom + y,
        right=seen.right + x,
    )


def _mask_extent(prompt: MaskPrompt) -> Extent | None:
    (y, x), (h, w) = prompt.corner, prompt.size
    return Extent(top=y, left=x, bottom=y + h, right=x + w) if h and w else None


def _box_extent(prompt: BoxPrompt) -> Extent:
    y, x, y2, x2 = prompt.box
    return Extent(top=int(y), left=int(x), bottom=round(y2), right=round(x2))
