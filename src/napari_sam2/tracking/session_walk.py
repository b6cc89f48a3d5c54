"""A session's walk through the stack: one frame at once, or frame by frame."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from napari_sam2.tracking.objects import BACKWARD
from napari_sam2.tracking.planning import check_frames, plan_passes
from napari_sam2.tracking.session_core import SessionCore

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from napari_sam2.tracking.objects import TrackedObject
    from napari_sam2.tracking.planning import Direction, Pass
    from napari_sam2.tracking.results import FrameResult


class WalkingSession(SessionCore):
    """A session that previews and propagates; see `Session`."""

    def preview(self, frame: int) -> FrameResult:
        """Answer the prompts in a frame, at once.

        The answers are written to the labels. Where no object is prompted, those
        with prompts elsewhere are looked up from memory instead, and nothing is
        written.

        Parameters
        ----------
        frame
            Frame of the stack.

        Raises
        ------
        IndexError
            If there is no such frame.
        FrameReadError
            If the frame cannot be read.
        """
        check_frames([frame], self.stack.n_frames)
        prompted = [o for o in self._sorted() if o.said(frame)]
        if prompted:
            failed = self._engine.settle(prompted, [frame])
            if failed:
                raise failed[frame]
            answers = {o.object_id: o.bank.at(frame) for o in prompted}
            known = {i: memory for i, memory in answers.items() if memory is not None}
            result = self._engine.canvas.draw(frame, known)
            self._state.previewed(frame, result.scores)
            self._log({"do": "preview", "frame": frame, "scores": _rows(result)})
            return result
        self._engine.settle(self._sorted())
        self._engine.enter(self._sorted(), frame, reverse=False)
        others = [o for o in self._sorted() if o.bank.conditioning]
        found = self._engine.look_up(others, frame, reverse=False)
        return self._engine.canvas.compose(frame, found)

    def propagate(
        self,
        direction: Direction = "forward",
        frames: Iterable[int] | None = None,
        object_ids: Iterable[int] | None = None,
        *,
        everything: bool = False,
    ) -> Generator[FrameResult, None, None]:
        """Segment frame after frame, those that are not up to date.

        After a correction that is the corrected object alone, from the corrected
        frame to the next prompted or locked one. Each frame's labels are written
        before it is yielded. Closing the generator stops within a frame and leaves
        everything yielded so far in place.

        Parameters
        ----------
        direction
            "forward" from prompted frames to the next, "backward" likewise, or
            "both": forward, and backward where only that is left to do. In "both" a
            frame comes twice if it is reached from both sides.
        frames
            Only these frames, for example ``range(100, 200)``.
        object_ids
            Only these objects; the others' labels stay, except where a new answer
            covers them.
        everything
            Redo what is up to date as well.

        Returns
        -------
        generator of FrameResult
            A frame that cannot be read has `error` set, and tracking goes on.

        Raises
        ------
        PromptError
            If nothing, or one of the objects asked for, has no prompt.
        IndexError
            If one of the frames does not exist.
        FrameReadError
            When the only prompted frame of an object cannot be read.
        """
        objects, passes = self._plan(direction, frames, object_ids, everything)
        asked = {
            "direction": direction,
            "frames": None if frames is None else sorted({*map(int, frames)}),
            "objects": [o.object_id for o in objects],
            "everything": everything,
        }
        return self._run(objects, passes, asked)

    def frames_to_do(
        self,
        direction: Direction = "forward",
        frames: Iterable[int] | None = None,
        object_ids: Iterable[int] | None = None,
        *,
        everything: bool = False,
    ) -> int:
        """Return how many results `propagate` would yield; 0 if all is up to date."""
        _, passes = self._plan(direction, frames, object_ids, everything)
        return sum(len(walk.frames) for walk in passes)

    def _plan(
        self,
        direction: Direction,
        frames: Iterable[int] | None,
        object_ids: Iterable[int] | None,
        everything: bool,
    ) -> tuple[list[TrackedObject], list[Pass]]:
        objects = self._chosen(object_ids)
        meta = bool(self._settings["meta_behaviour"])
        return objects, plan_passes(
            objects,
            direction,
            check_frames(frames, self.stack.n_frames),
            everything=everything or meta,
            before_prompts=meta,
        )

    def _run(
        self, objects: list[TrackedObject], passes: list[Pass], asked: dict[str, Any]
    ) -> Generator[FrameResult, None, None]:
        """Keep the books of a propagation: undo and journal."""
        if not any(walk.frames for walk in passes):
            return
        ids = asked["objects"]
        name = f"{asked['direction']} propagation"
        step = self._state.begin(name, ids)
        self._log({"do": "propagate", **asked})
        with contextlib.closing(self._engine.run(objects, passes)) as running:
            while True:
                began = time.perf_counter()
                result = next(running, None)
                if result is None:
                    self._log({"do": "done"})  # it was not stopped before its end
                    break
                self._measure(result, time.perf_counter() - began)
                reverse = any(
                    self._state.objects[i].tracked[result.frame_idx] == BACKWARD
                    for i in result.scores
                )
                self._log(
                    {
                        "do": "frame",
                        "t": result.frame_idx,
                        "scores": _rows(result),
                        "back": reverse,
                    }
                )
                yield result
                if step not in self._state.history.done[-1:]:
                    # Something else was done meanwhile, and is undone by itself.
                    alive = [i for i in ids if i in self._state.objects]
                    step = self._state.begin(name, alive)
                    self._log({"do": "continue", "objects": alive})

    def _measure(self, result: FrameResult, seconds: float) -> None:
        """Keep how long a frame took, for estimates."""
        count = sum(not score.prompted for score in result.scores.values())
        if count:
            found = [self._state.objects.get(i) for i in result.scores]
            windows = {o.window for o in found if o is not None}
            self._measured.append((count, len(windows), seconds))


def _rows(result: FrameResult) -> dict[int, list[float]]:
    return {i: score.to_row() for i, score in result.scores.items()}
