"""Memories made again from labels: those that were dropped, or of another day.

The image encoder sees the frame and the memory encoder the stored label plane
(paper, section 4, memory encoder); so no memory has to be kept for longer than the
next few frames need it.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_sam2.stacks import FrameReadError
from napari_sam2.tracking.parts import Parts
from napari_sam2.tracking.windows import extent, window_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sam2.tracking.objects import TrackedObject
    from napari_sam2.tracking.windows import Window


@dataclass(kw_only=True)
class Remaker(Parts):
    """Makes the memories of a session's objects again."""

    def window(self, found: TrackedObject) -> Window:
        """Return where an object is looked at now."""
        return found.window or self.frames.whole

    def recent(
        self,
        objects: Sequence[TrackedObject],
        frame_idx: int,
        *,
        reverse: bool,
        depth: int | None = None,
        stale_too: bool = False,
    ) -> None:
        """Make recent memories again that were dropped.

        Parameters
        ----------
        objects
            Whose memories; those that keep all need none.
        frame_idx
            The frame about to be tracked or refined.
        reverse
            Whether time runs backwards.
        depth
            How many frames back; None for all that memory attention reaches.
        stale_too
            Whether labels that wait to be tracked again will do.
        """
        if not self.frames.zoom:
            objects = [o for o in objects if o.bank.retention == "recent"]
        if not objects:
            return
        reach = objects[0].bank.reach(frame_idx, reverse=reverse)[:depth]
        for past in reversed(reach):  # the nearest last: it is kept longest
            if not 0 <= past < self.tracker.n_frames:
                continue
            lacking = [
                o
                for o in objects
                if o.tracked[past]
                and (stale_too or not o.stale[past])
                and self._lacks(o, past)
            ]
            if not lacking:
                continue
            with contextlib.suppress(FrameReadError):  # then it is simply missing
                plane = self.store.read(past)
                for found in lacking:
                    window = self.window(found)
                    features = self.frames.features(past, window=window)
                    mask = plane == found.object_id
                    memory = self.tracker.remake(past, window, features, mask)
                    held = found.bank.at(past)
                    if held is not None:
                        memory = replace(memory, pointer=held.pointer)
                    found.bank.add(memory, conditioning=False)

    def _lacks(self, found: TrackedObject, frame_idx: int) -> bool:
        if frame_idx in found.bank.conditioning:
            return False
        held = found.bank.at(frame_idx)
        return held is None or not held.covers(self.window(found))

    def conditioning(self, found: TrackedObject, frame_idx: int) -> bool:
        """Make the memory of an answered prompt again; False if its mask is not there.

        Raises
        ------
        FrameReadError
            If the frame cannot be read.
        """
        mask = self.store.read(frame_idx) == found.object_id
        seen = extent(mask)
        if seen is None:
            return False
        window = self.frames.whole
        if self.frames.zoom:
            window = window_for(seen, self.tracker.frame_shape)
        features = self.frames.features(frame_idx, window=window)
        memory = self.tracker.remake(frame_idx, window, features, mask, prompted=True)
        found.bank.add(memory, conditioning=True)
        return True
