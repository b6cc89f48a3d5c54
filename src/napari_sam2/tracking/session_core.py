"""What a session is made of, and how labels and journal are kept in step.

`session_walk`, `session_prompts`, `session_review` and `session` go on from here.
"""

from __future__ import annotations

import zlib
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2.stacks import LabelsStore, Stack, open_labels_store, open_stack
from napari_sam2.stacks.closing import Closing
from napari_sam2.tracking.engine import Engine
from napari_sam2.tracking.frames import FrameEncoder
from napari_sam2.tracking.lanes import choose_lanes
from napari_sam2.tracking.memory_bank import MemoryBank
from napari_sam2.tracking.prompts import PromptError
from napari_sam2.tracking.selection import make as make_selection
from napari_sam2.tracking.session_file import (
    SessionFolder,
    create_session,
    make_header,
)
from napari_sam2.tracking.state import SessionState
from napari_sam2.tracking.tracker import Tracker

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike

    from napari_sam2.model import SAM2
    from napari_sam2.stacks.labels_store import LabelsArray
    from napari_sam2.tracking.edits import PlaneEdit
    from napari_sam2.tracking.memory_bank import Retention
    from napari_sam2.tracking.objects import TrackedObject
    from napari_sam2.tracking.prompts import Prompt
    from napari_sam2.tracking.scores import ScoreTable
    from napari_sam2.tracking.timing import Timing

RECENT_CONDITIONING = 8
GPU_BATCH = 32
MEASURED_FRAMES = 20


class SessionCore(Closing):
    """Holds a stack, a model and labels; see `Session`."""

    def __init__(
        self,
        model: SAM2,
        stack: Stack | ArrayLike | str | Path,
        *,
        axes: str | None = None,
        contrast_limits: object = None,
        labels: LabelsStore | str | Path | None = None,
        path: str | Path | SessionFolder | None = None,
        retention: Retention = "recent",
        max_conditioning: int | None = None,
        meta_behaviour: bool = False,
        zoom: bool | None = None,
        non_overlapping_memory: bool = False,
        memory_selection: str = "default",
        lanes: int | None = None,
    ) -> None:
        if zoom is None:
            zoom = model.config.dense_prompts
        if retention not in ("recent", "all"):
            msg = f'retention must be "recent" or "all", not {retention!r}.'
            raise ValueError(msg)
        if path is not None and labels is not None:
            msg = "A session with a path keeps its labels there; leave labels out."
            raise ValueError(msg)
        if max_conditioning is None and retention == "recent":
            max_conditioning = RECENT_CONDITIONING
        self._owns_stack = not isinstance(stack, Stack)
        self.stack = open_stack(stack, axes=axes, contrast_limits=contrast_limits)
        self.model = model
        self._settings: dict[str, Any] = {
            "retention": retention,
            "max_conditioning": max_conditioning,
            "meta_behaviour": meta_behaviour,
            "zoom": zoom,
            "non_overlapping_memory": non_overlapping_memory,
            "memory_selection": memory_selection,
        }
        self._timing: Timing | None = None
        self._measured: deque[tuple[int, int, float]] = deque(maxlen=MEASURED_FRAMES)
        self._folder: SessionFolder | None = None
        self._owns_store = not isinstance(labels, LabelsStore)
        try:
            if isinstance(path, SessionFolder):
                self._folder = path
            elif path is not None:
                header = make_header(model, self.stack, self._settings)
                self._folder = create_session(path, header)
            self._store = self._labels_store(labels)
        except BaseException:
            if self._owns_stack:
                self.stack.close()
            raise
        self._state = SessionState(
            n_frames=self.stack.n_frames,
            new_bank=partial(
                MemoryBank,
                config=model.config,
                retention=retention,
                max_conditioning=max_conditioning,
                selection=make_selection(memory_selection),
            ),
        )
        self._store.on_write = self._state.history.note
        self._engine = Engine(
            frames=FrameEncoder(self.stack, model, zoom=zoom),
            tracker=Tracker(
                model,
                self.stack.shape,
                non_overlapping_memory=non_overlapping_memory,
            ),
            store=self._store,
            state=self._state,
            corrections_condition=not meta_behaviour,
            batch=GPU_BATCH if model.device.type == "cuda" else 1,
            lanes=choose_lanes(model) if lanes is None else lanes,
        )

    def _labels_store(self, labels: LabelsStore | str | Path | None) -> LabelsStore:
        if self._folder is not None:
            return self._folder.store
        if not isinstance(labels, LabelsStore):
            return open_labels_store(self.stack.shape, path=labels)
        if labels.shape != self.stack.shape:
            msg = (
                f"The labels have shape {labels.shape} but the stack "
                f"{self.stack.shape}; give labels of the stack's shape."
            )
            raise ValueError(msg)
        return labels

    @property
    def labels(self) -> LabelsArray:
        """(T, Y, X) labels, for a napari Labels layer; filled frame by frame."""
        return self._store.array

    @property
    def store(self) -> LabelsStore:
        """Where the labels are kept."""
        return self._store

    @property
    def path(self) -> Path | None:
        """The session's folder, or None if it has none."""
        return None if self._folder is None else self._folder.path

    @property
    def object_ids(self) -> list[int]:
        """Ids of all objects, in order."""
        return sorted(self._state.objects)

    @property
    def scores(self) -> ScoreTable:
        """What is known of every object in every frame: scores, confidence, flags."""
        return self._state.scores

    @property
    def prompts(self) -> list[Prompt]:
        """All prompts, by object and frame, in the order in which they were given."""
        return [
            prompt
            for found in self._sorted()
            for frame_idx in found.prompted_frames
            for prompt in found.prompts[frame_idx]
        ]

    def bank(self, object_id: int) -> MemoryBank:
        """Return what is remembered of an object, to look at.

        Raises
        ------
        KeyError
            If there is no such object.
        """
        return self._state.get(object_id).bank

    def _edit(
        self, frames: Sequence[int], edit: PlaneEdit, *, last: bool = True
    ) -> None:
        """Change label planes, so that a crash in between can be made good."""
        for t in frames:
            before = self._store.read(t)
            after = edit(before)
            if not np.array_equal(before, after):
                if self._folder is not None:
                    checksum = zlib.crc32(np.ascontiguousarray(after).tobytes())
                    self._log({"do": "plane", "t": t, "crc": checksum})
                self._store.write(t, after, before=before)
        if last:
            self._log({"do": "done"})

    def _log(self, entry: dict[str, Any]) -> None:
        if self._folder is not None:
            self._folder.write(entry)

    def close(self) -> None:
        """Let go of the stack's file and of temporary labels made here."""
        self._engine.frames.clear()
        self._state.objects.clear()
        self._state.history.close()
        self._store.on_write = self._store.mirror = None
        if self._folder is not None:
            self._folder.close()
            self._folder = None  # a generator that is closed later writes nothing
        if self._owns_store:
            self._store.close()
        if self._owns_stack:
            self.stack.close()

    def _sorted(self) -> list[TrackedObject]:
        return [self._state.objects[i] for i in self.object_ids]

    def _chosen(self, object_ids: Iterable[int] | None) -> list[TrackedObject]:
        wanted = self.object_ids if object_ids is None else sorted(set(object_ids))
        unknown = [i for i in wanted if i not in self._state.objects]
        if unknown:
            msg = f"Object {unknown[0]} has no prompt; click on it in some frame first."
            raise PromptError(msg)
        if not wanted:
            msg = "No object has a prompt; click on one in some frame first."
            raise PromptError(msg)
        return [self._state.objects[i] for i in wanted]
