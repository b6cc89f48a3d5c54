"""What was followed along one axis, repeated at every position of another.

In a movie of volumes cells are clicked in one volume and followed through its planes.
Each cell's mask in the plane where it was clicked is then followed in time, and from
it, in every other volume, the cell is followed through the planes again. All labels are
in one array.
"""

from __future__ import annotations

import contextlib
import zlib
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2.stacks import LabelsStore, StackError, open_labels_store
from napari_sam2.stacks.closing import Closing
from napari_sam2.stacks.labels_store import HeldFrames
from napari_sam2.tracking.carrying import carried_keys, carried_planes, masks_key
from napari_sam2.tracking.planning import check_frames
from napari_sam2.tracking.prompts import MaskPrompt, PromptError
from napari_sam2.tracking.repetition_books import RepetitionBooks, RepetitionSteps
from napari_sam2.tracking.repetition_folder import RepetitionFolder, Walk
from napari_sam2.tracking.repetition_scores import OVER
from napari_sam2.tracking.results import PlaneResult
from napari_sam2.tracking.session import Session

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Generator, Iterable, Mapping

    from numpy.typing import NDArray

    from napari_sam2.stacks import Stack
    from napari_sam2.stacks.labels_store import LabelsArray
    from napari_sam2.tracking.planning import Direction
    from napari_sam2.tracking.repetition_folder import Keys
    from napari_sam2.tracking.repetition_scores import RepetitionScores
    from napari_sam2.tracking.review import ObjectReview
    from napari_sam2.tracking.scores import ScoreTable


class Repetition(Closing):
    """A session's objects, followed at every position of a further axis.

    It can be stopped and gone on with: parts that are up to date are not done again.
    If the session is kept in a folder, so is this, and goes on after a crash. Use it in
    a ``with`` statement, or call `close`.

    Parameters
    ----------
    session
        With its prompts; its stack holds the further axis at one position. What it has
        found there is taken as it is: propagate it first.
    over
        Letter of the axis to repeat over, such as ``"T"``.
    labels
        Where labels go, (..., Y, X); by default they are made here.
    axes
        Letters of `labels`' axes.
    lock
        Held while labels are read or written, if others use them.

    Attributes
    ----------
    labels
        All labels, in the order of the image's axes.
    axes
        Their letters, such as ``"TZYX"``.
    over
        Letter of the axis that it is repeated over.

    Raises
    ------
    StackError
        If there is no such axis, or it is not held.
    SessionFileError
        If something else lies where labels are kept, or another process has them open.
    """

    def __init__(
        self,
        session: Session,
        over: str,
        *,
        labels: LabelsArray | None = None,
        axes: str | None = None,
        lock: threading.Lock | None = None,
    ) -> None:
        layout = session.stack.layout
        self.over = over.upper()
        if layout.followed is None or self.over not in layout.fixed:
            known = [a for a in layout.fixed if a.isalpha()]
            raise StackError(
                f"Nothing can be repeated over {over!r}: the {session.stack.axes} "
                f"stack follows {layout.followed or 'no axis'} and holds "
                f"{', '.join(known) or 'no other'}; hold the axis to repeat over, for "
                f"example with fixed={{'{self.over}': 0}}."
            )
        self._session, self._follow = session, layout.followed
        self._at = layout.fixed[self.over]
        self._n_over, self._n_frames = layout.length(self.over), layout.n_frames
        self._lock = lock
        pair = "".join(a for a in layout.axes if a in (self.over, self._follow))
        self.axes = axes or f"{pair}YX"
        shape = tuple(layout.length(a) for a in f"{pair}YX")
        dtype = session.store.dtype
        self._make_folder = partial(
            RepetitionFolder, over=self.over, axes=f"{pair}YX", shape=shape, dtype=dtype
        )
        self._folder: RepetitionFolder | None = None
        if session.path is not None:
            self._folder = self._make_folder(session.path)
        self._books = RepetitionBooks(self._n_over, self._n_frames, self._folder)
        self._steps = RepetitionSteps(self._books)
        kept = np.zeros(shape, dtype) if self._folder is None else self._folder.array
        self.labels: LabelsArray = kept if labels is None else labels

    @property
    def scores(self) -> RepetitionScores:
        """How sure each plane is."""
        return self._books.scores

    @property
    def walk(self) -> Walk | None:
        """How the latest run that was not taken back goes through volumes, if any."""
        return self._books.walk

    def frames_to_do(
        self,
        direction: Direction = "both",
        frames: Iterable[int] | None = None,
        *,
        everything: bool = False,
    ) -> int:
        """Return how many planes `run` would do; 0 if all is up to date.

        A plane that is followed over the axis first, and in its volume then, is two.
        """
        slices, walk = carried_planes(self._session), self._walk(direction, frames)
        todo = self._todo(self._keys(slices, walk), everything=everything)
        carried = sum(f"{self._follow}{z}" in todo for z in slices) * self._n_over
        volumes = sum(f"{self.over}{t}" in todo for t in self._others())
        return carried + volumes * len(walk.frames or range(self._n_frames))

    def run(
        self,
        direction: Direction = "both",
        frames: Iterable[int] | None = None,
        *,
        everything: bool = False,
    ) -> Generator[PlaneResult, None, None]:
        """Follow all objects everywhere; each plane is written before it is yielded.

        Closing the generator stops within a frame; what is done stays, and the part
        that was cut off is done anew the next time.

        Parameters
        ----------
        direction, frames
            As in `Session.propagate`, in every volume.
        everything
            Redo what is up to date as well.

        Raises
        ------
        PromptError
            If no object is found in a plane where it was prompted.
        FrameReadError
            When a plane that is begun from cannot be read.
        """
        self._go_along()
        slices, walk = carried_planes(self._session), self._walk(direction, frames)
        if not slices:
            msg = "No cell is found where it was prompted; there is nothing to repeat."
            raise PromptError(msg)
        with self._steps.one(f"repetition over {self.over}"):
            self._books.walk = walk
            self.copy_base()
            self.scores.keep_carried({i for ids in slices.values() for i in ids})
            keys = self._keys(slices, walk)
            todo = self._todo(keys, everything=everything)
            for z, ids in slices.items():
                if (name := f"{self._follow}{z}") in todo:
                    yield from self._carry(z, ids)
                    self._books.done(**{name: keys[name]})
            for t in self._others():
                if (name := f"{self.over}{t}") in todo:
                    yield from self._volume(t, slices, walk)
                    masks = f"{name} masks"
                    self._books.done(**{name: keys[name], masks: keys[masks]})

    def remove_object(self, object_id: int) -> None:
        """Take an object out of all other volumes; `turn` brings it back.

        What the session has of it is the session's own. Do this before
        `Session.remove_object`, and the other objects stay up to date.
        """
        self._go_along()
        slices = carried_planes(self._session)
        rest = {z: [i for i in ids if i != object_id] for z, ids in slices.items()}
        rest = {z: ids for z, ids in rest.items() if ids}
        with self._steps.one(f"delete {object_id}"):
            for t in self._others():
                found = self.scores.reviews(t).get(object_id)
                if found is not None:
                    frames = np.flatnonzero(found.area > 0).tolist()
                    self._store(self._volume_stack(t)).erase([object_id], frames)
                    self.scores.begin_volume(t, [object_id])
            self.scores.keep_carried(self.scores.now.planes.keys() - {object_id})
            walk = self.walk or self._walk("both", None)
            self._books.rename(self._keys(slices, walk), self._keys(rest, walk))
            self._books.keep_all()

    def copy_base(self) -> None:
        """Have the session's own labels among all labels; `run` does so first."""
        base = self._store(self._session.stack)
        base.on_write = None  # the session itself takes them back
        for z in range(len(base)):
            base.write(z, self._session.store.read(z))

    @property
    def undoable(self) -> int:
        """How many runs and removals `turn` could take back, one after the other."""
        return self._steps.undoable

    def turn(self, *, undo: bool) -> str | None:
        """Take the latest run or removal back, or do again what was taken back.

        Returns
        -------
        str or None
            What it was, in words; None if there is nothing.
        """
        self._go_along()

        def apply(flat: int, turned: Callable[[NDArray[Any]], NDArray[Any]]) -> None:
            t, z = divmod(flat, self._n_frames)
            store = self._store(self._volume_stack(t))
            store.on_write = None
            store.write(z, turned(store.read(z)))

        return self._steps.turn(apply, np.dtype(self.labels.dtype), undo=undo)

    def reviews(self, at: int) -> dict[int, ObjectReview]:
        """Return what is known of each object in all frames of a volume.

        Where the session itself is that is what it says. Elsewhere nobody prompted or
        locked; what is to be repeated again is outdated.

        Parameters
        ----------
        at
            Position along `over`.
        """
        session = self._session
        if at == self._at:
            return {i: session.review(i) for i in session.object_ids}
        masks = masks_key(carried_keys(session, carried_planes(session)))
        same = self._books.keys.get(f"{self.over}{at} masks") == masks
        return self.scores.reviews(at, outdated=() if same else None)

    def copy_kept(self) -> None:
        """Have in `labels` what was kept on disk before, as after a crash."""
        if self._folder is None or self._folder.array is self.labels:
            return
        for t in self._others():
            stack = self._volume_stack(t)
            store = self._store(stack)
            store.mirror = store.on_write = None
            self._folder.store(stack).copy_to(store)

    def close(self) -> None:
        """Forget what could be taken back; labels stay."""
        self._steps.close()
        if self._folder is not None:
            self._folder.close()

    def _go_along(self) -> None:
        """Go on in another folder if the session does."""
        before, path = self._folder, self._session.path
        if before is not None and path is not None and path != before.session:
            self._folder = self._books.folder = self._make_folder(path)
            if self.labels is before.array:
                self.labels = self._folder.array
            before.close()

    def _others(self) -> list[int]:
        """Positions that are repeated at, those next to the first one first."""
        others = [t for t in range(self._n_over) if t != self._at]
        return sorted(others, key=lambda t: abs(t - self._at))

    def _walk(self, direction: Direction, frames: Iterable[int] | None) -> Walk:
        return Walk(direction=direction, frames=check_frames(frames, self._n_frames))

    def _keys(self, slices: Mapping[int, list[int]], walk: Walk) -> Keys:
        """Return what all parts are to be made from, as checksums."""
        carried = carried_keys(self._session, slices)
        keys = {f"{self._follow}{z}": key for z, key in carried.items()}
        masks = masks_key(carried)
        made_from = masks, walk.direction, walk.frames
        every = zlib.crc32(repr(made_from).encode())
        for t in self._others():
            keys |= {f"{self.over}{t}": every, f"{self.over}{t} masks": masks}
        return keys

    def _todo(self, keys: Keys, *, everything: bool) -> set[str]:
        """Return the names of parts that are made from something else, or of all."""
        done = self._books.keys
        return {name for name in keys if everything or done.get(name) != keys[name]}

    def _carry(self, z: int, ids: Iterable[int]) -> Generator[PlaneResult, None, None]:
        """Follow masks of one plane over the further axis."""
        plane = self._session.store.read(z)
        stack = self._session.stack.turned(self.over, {self._follow: z})
        masks = [MaskPrompt.from_array(i, self._at, plane == i) for i in ids]
        table = self.scores.begin_over(z, ids)
        try:
            yield from self._follow_masks(stack, masks, Walk(direction="both"), table)
        finally:
            self._books.keep_scores(OVER)

    def _volume(
        self, t: int, slices: Mapping[int, list[int]], walk: Walk
    ) -> Generator[PlaneResult, None, None]:
        """Follow what was carried to another volume through its planes."""
        stack = self._volume_stack(t)
        store = self._store(stack)
        carried = {i for ids in slices.values() for i in ids}
        # Objects that an earlier run found here, and that are no more.
        absent = [i for i in self.scores.drawn_at(t) if i not in carried]
        masks = []
        for z, ids in slices.items():
            plane = store.read(z)
            for object_id in ids:
                mask = plane == object_id
                if mask.any():
                    masks.append(MaskPrompt.from_array(object_id, z, mask))
                else:
                    absent.append(object_id)
        table = self.scores.begin_volume(t, absent)
        if absent:  # an earlier run may have seen them here
            store.erase(absent)
        try:
            if masks:
                yield from self._follow_masks(stack, masks, walk, table)
        finally:
            self._books.keep_scores(str(t))

    def _follow_masks(
        self,
        stack: Stack,
        masks: list[MaskPrompt],
        walk: Walk,
        table: ScoreTable,
    ) -> Generator[PlaneResult, None, None]:
        session, store = self._session, self._store(stack)
        with open_labels_store(stack.shape, dtype=self.labels.dtype) as own:
            store.copy_to(own)
            own.mirror = store
            with Session(session.model, stack, labels=own, **session._settings) as sub:
                for mask in masks:
                    sub.add_prompt(mask)
                seen: set[int] = set()
                running = sub.propagate(walk.direction, walk.frames)
                with contextlib.closing(running) as results:
                    for result in results:
                        t, letters = result.frame_idx, self.axes[:-2]
                        table.take_from(sub.scores, t, result.scores)
                        place = stack.layout.position(t, letters)
                        yield PlaneResult(place=place, result=result, again=t in seen)
                        seen.add(t)

    def _volume_stack(self, t: int) -> Stack:
        return self._session.stack.turned(self._follow, {self.over: t})

    def _store(self, stack: Stack) -> LabelsStore:
        """Return where a stack's labels go; what is written there can be taken back."""
        layout = stack.layout
        frames: Any = HeldFrames(
            self.labels,
            lambda frame: layout.position(frame, self.axes[:-2]),
            stack.n_frames,
        )
        store = LabelsStore(frames, lock=self._lock)

        def note(frame: int, before: Any, after: Any) -> None:
            t, z = layout.position(frame, self.over + self._follow)
            self._steps.note(t * self._n_frames + z, before, after)

        store.on_write = note
        if self._folder is not None and self._folder.array is not self.labels:
            store.mirror = self._folder.store(stack)
        return store
