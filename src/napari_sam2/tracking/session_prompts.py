"""Prompts of a session: clicks, boxes and masks, given and taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sam2.tracking.edits import relabelling
from napari_sam2.tracking.prompt_checks import check_prompt, points_prompt
from napari_sam2.tracking.prompt_json import prompt_to_json
from napari_sam2.tracking.prompts import BoxPrompt, MaskPrompt, PromptError
from napari_sam2.tracking.session_core import SessionCore

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from napari_sam2.tracking.prompts import Prompt


class PromptedSession(SessionCore):
    """A session that takes prompts; see `Session`."""

    def add_points(
        self,
        object_id: int,
        frame: int,
        points: ArrayLike,
        labels: ArrayLike = 1,
        *,
        replace: bool = False,
    ) -> None:
        """Click on an object, or beside it.

        Clicks refine the answer to earlier prompts in the frame, and what was
        tracked there.

        Parameters
        ----------
        object_id
            The object's value in the labels, from 1; a new one makes an object.
        frame
            Frame of the stack.
        points
            (N, 2) floats (y, x) in pixels, pixel centres at integers.
        labels
            (N,) 1 on the object, 0 beside it; one number for all.
        replace
            Forget what was said about the object in this frame before.

        Raises
        ------
        PromptError
            If the frame, a point, a label or the id cannot be used, or the object
            is locked in the frame.
        """
        prompt = points_prompt(object_id, frame, points, labels)
        self.add_prompt(prompt, replace=replace)

    def add_box(self, object_id: int, frame: int, box: ArrayLike) -> None:
        """Draw a box around an object; it replaces an earlier one in the frame.

        Parameters
        ----------
        object_id, frame
            As in `add_points`.
        box
            (y, x, y2, x2): rows y <= r < y2, columns x <= c < x2.

        Raises
        ------
        PromptError
            As in `add_points`.
        """
        edges = np.asarray(box, dtype=np.float64).reshape(-1).tolist()
        if len(edges) != 4:
            msg = f"A box is (y, x, y2, x2), four numbers, not {len(edges)}."
            raise PromptError(msg)
        y, x, y2, x2 = edges
        self.add_prompt(
            BoxPrompt(object_id=object_id, frame_idx=frame, box=(y, x, y2, x2))
        )

    def add_mask(self, object_id: int, frame: int, mask: ArrayLike) -> None:
        """Give an object's mask; it replaces what was said in the frame before.

        Parameters
        ----------
        object_id, frame
            As in `add_points`.
        mask
            (Y, X) bool; all False says that the object is not in the frame.

        Raises
        ------
        PromptError
            As in `add_points`, or for a mask of another shape.
        """
        self.add_prompt(MaskPrompt.from_array(object_id, frame, mask))

    def add_prompt(self, prompt: Prompt, *, replace: bool = False) -> None:
        """Add a prompt made elsewhere, for example by `read_prompts_csv`.

        Raises
        ------
        PromptError
            If it cannot be used on this stack.
        """
        check_prompt(prompt, self.stack.shape, int(np.iinfo(self._store.dtype).max))
        self._state.add_prompt(prompt, replace=replace)
        entry = {"do": "prompt", "prompt": prompt_to_json(prompt)}
        self._log({**entry, "replace": True} if replace else entry)

    def clear_prompts(self, object_id: int, frame: int) -> None:
        """Forget what was said about an object in a frame, and its pixels there.

        An object without any prompt left is forgotten; its labels in other frames
        stay.

        Raises
        ------
        KeyError
            If there is no such object.
        """
        if self._state.clear_prompts(object_id, frame):
            self._log({"do": "clear", "object": object_id, "frame": frame})
            self._edit([frame], relabelling({object_id: 0}))

    def remove_object(self, object_id: int) -> None:
        """Forget an object and take its pixels out of all frames.

        Raises
        ------
        KeyError
            If there is no such object.
        """
        frames = self._state.remove(object_id)
        self._log({"do": "remove", "object": object_id})
        self._edit(frames, relabelling({object_id: 0}))
