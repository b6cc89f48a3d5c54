"""Prompts of a session, given and taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sam2.tracking.drawn_prompts import OutlinePrompt, ScribblePrompt
from napari_sam2.tracking.edits import relabelling
from napari_sam2.tracking.planning import check_frames
from napari_sam2.tracking.prompt_checks import check_prompt, points_prompt
from napari_sam2.tracking.prompt_json import prompt_to_json
from napari_sam2.tracking.prompts import BoxPrompt, MaskPrompt, PromptError
from napari_sam2.tracking.session_walk import WalkingSession

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import ArrayLike, NDArray

    from napari_sam2.tracking.prompts import Prompt


class PromptedSession(WalkingSession):
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

    def add_scribble(
        self, object_id: int, frame: int, path: ArrayLike, label: int = 1
    ) -> None:
        """Draw a line on an object, or beside it: a few clicks along it, in one.

        Parameters
        ----------
        object_id, frame
            As in `add_points`.
        path
            (N, 2) floats (y, x), from end to end; up to 8 points equally far from
            each other along it are what counts. Those beside the frame do not.
        label
            1 on the object, 0 beside it.

        Raises
        ------
        PromptError
            As in `add_points`, or if the path lies beside the frame.
        """
        shape = self.stack.shape[1:]
        self.add_prompt(ScribblePrompt.from_path(object_id, frame, path, label, shape))

    def add_polygon(self, object_id: int, frame: int, vertices: ArrayLike) -> None:
        """Draw an object's outline; what it holds is the mask, see `add_mask`.

        Parameters
        ----------
        object_id, frame
            As in `add_points`.
        vertices
            (N, 2) floats (y, x) in order, at least three.

        Raises
        ------
        PromptError
            As in `add_points`, or if no pixel's centre lies in the polygon.
        """
        self.add_outlines(object_id, frame, [("polygon", vertices, 1)])

    def add_ellipse(self, object_id: int, frame: int, corners: ArrayLike) -> None:
        """Draw an ellipse as an object's outline; what it holds is the mask.

        Parameters
        ----------
        object_id, frame
            As in `add_points`.
        corners
            (4, 2) floats (y, x): the corners, in order, of the rectangle that the
            ellipse touches.

        Raises
        ------
        PromptError
            As in `add_points`, or if no pixel's centre lies in the ellipse.
        """
        self.add_outlines(object_id, frame, [("ellipse", corners, 1)])

    def add_outlines(
        self,
        object_id: int,
        frame: int,
        outlines: Iterable[tuple[str, ArrayLike, int]],
    ) -> None:
        """Draw an object in several pieces, or with holes; together they are its mask.

        Parameters
        ----------
        object_id, frame
            As in `add_points`.
        outlines
            (kind, vertices, label) in the order in which they count: a "polygon" or an
            "ellipse" as in `add_polygon` and `add_ellipse`, whose pixels are added
            (label 1) or taken away (0).

        Raises
        ------
        PromptError
            As in `add_points`, or if an outline holds no pixel's centre, or the first
            takes away.
        """
        shape = self.stack.shape[1:]
        self.add_prompt(OutlinePrompt.from_outlines(object_id, frame, outlines, shape))

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
        self._check(prompt)
        self._state.add_prompt(prompt, replace=replace)
        entry = {"do": "prompt", "prompt": prompt_to_json(prompt)}
        self._log({**entry, "replace": True} if replace else entry)

    def _check(self, prompt: Prompt) -> None:
        largest = int(np.iinfo(self._store.dtype).max)
        check_prompt(prompt, self.stack.shape, largest)

    def suppose(
        self, object_id: int, frame: int, point: tuple[float, float], label: int = 1
    ) -> NDArray[np.bool_] | None:
        """Say what a click would give, without giving it; nothing is changed by it.

        Parameters
        ----------
        object_id, frame
            As in `add_points`.
        point
            (y, x) in pixels, pixel centres at integers.
        label
            1 on the object, 0 beside it.

        Returns
        -------
        ndarray or None
            (Y, X) bool, the object's mask as it would be before other objects are
            drawn over it; None where a click is refused, for the object is locked.

        Raises
        ------
        PromptError
            If the frame, the point, the label or the id cannot be used.
        FrameReadError
            If the frame cannot be read.
        """
        prompt = points_prompt(object_id, frame, point, label)
        self._check(prompt)
        found = self._state.spare(object_id)
        if frame in found.locked:
            return None
        return self._engine.suppose(found, prompt)

    def encode(self, frame: int) -> None:
        """Look at a frame, so that a click in it is answered soon.

        Raises
        ------
        IndexError
            If there is no such frame.
        FrameReadError
            If the frame cannot be read.
        """
        check_frames([frame], self.stack.n_frames)
        self._engine.frames.features(frame)

    def is_encoded(self, frame: int) -> bool:
        """Whether a frame was looked at lately, so that a click is answered soon."""
        return self._engine.frames.is_kept(frame)

    def finish_ahead(self) -> None:
        """Wait until nothing is computed ahead of what was asked for.

        Between two frames of `propagate`, for something else that needs every core for
        a moment, such as drawing them.
        """
        self._engine.frames.finish_ahead()

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
