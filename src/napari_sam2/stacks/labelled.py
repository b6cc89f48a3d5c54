"""Labels with the image they belong to: what every export is made from."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam2.stacks.errors import StackError
from napari_sam2.stacks.exports import known_steps
from napari_sam2.stacks.labels_store import LabelsArray, LabelsStore
from napari_sam2.stacks.source import array_source
from napari_sam2.stacks.stack import Stack
from napari_sam2.stacks.tiff_writing import Steps

__all__ = ["LabelledStack", "Track", "compact", "find_tracks"]

# Ids below this are found by counting, which is faster than sorting.
COUNTED_IDS = 2**20


class LabelledStack:
    """Some objects in some frames of labels, and the image.

    Parameters
    ----------
    labels : LabelsStore, Stack or array of int, (T, Y, X)
        Object ids, 0 for background. Read one frame at a time.
    image : Stack, optional
        Of the same (T, Y, X).
    objects : sequence of int, optional
        Ids of these objects only; the others count as background.
    frames : range, optional
        These frames only; all by default.
    axes : str, optional
        ``"TYX"`` or ``"ZYX"``; as the image or the labels say by default.
    scale : (t, y, x), optional
        Size of a step along each axis; as the image or the labels say by default.
    units : (t, y, x), optional
        Units of `scale`.

    Attributes
    ----------
    image : Stack or None
        As given.
    objects : tuple of int or None
        As given, sorted.
    frames : range
        Which frames of the labels.
    axes, scale, units
        As found.

    Raises
    ------
    StackError
        When these are no labels, or do not fit the image or the frames.
    """

    def __init__(
        self,
        labels: "LabelsStore | LabelsArray | Stack",
        image: Stack | None = None,
        *,
        objects: Sequence[int] | None = None,
        frames: range | None = None,
        axes: str | None = None,
        scale: Sequence[float] | None = None,
        units: Sequence[str] | None = None,
    ) -> None:
        self._read, shape, self._dtype = _reader(labels)
        if image is not None and image.shape != shape:
            raise StackError(
                f"Labels of (t, y, x) = {shape} do not belong to an image of "
                f"{image.shape}; give the image they were made from."
            )
        self.image = image
        self.objects = _checked_objects(objects)
        self.frames = _checked_frames(frames, shape[0])
        self.height, self.width = shape[1:]
        known = image or (labels if isinstance(labels, Stack) else None)
        deep = known is not None and known.followed == "Z"
        self.axes = axes or ("ZYX" if deep else "TYX")
        self.scale = tuple(scale or (known.scale if known else (1.0,) * 3))
        self.units = tuple(units or (known.units if known else ("pixel",) * 3))
        self._seen: set[int] = set()

    @property
    def n_frames(self) -> int:
        """How many frames are looked at."""
        return len(self.frames)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(T, Y, X) of what is looked at."""
        return self.n_frames, self.height, self.width

    @property
    def dtype(self) -> np.dtype[Any]:
        """Kind of the ids."""
        return self._dtype

    @property
    def steps(self) -> Steps:
        """Size of a step along each axis and its unit; empty where none is known."""
        if set(self.units) == {"pixel"} and set(self.scale) == {1.0}:
            return {}
        return known_steps(self.axes, self.scale, self.units)

    def plane(self, index: int) -> NDArray[Any]:
        """Read the ids of one frame.

        Parameters
        ----------
        index : int
            0 to ``n_frames - 1``, counted in `frames`.

        Returns
        -------
        ndarray of int
            (Y, X), the chosen objects; the others are 0.

        Raises
        ------
        StackError
            When the frame cannot be read or has an id below 0.
        """
        plane: NDArray[Any] = self._read(self.frames[index])
        if plane.dtype.kind == "b":
            plane = plane.astype(np.uint8)
        if plane.dtype.kind == "i" and plane.min(initial=0) < 0:
            raise StackError(
                f"Frame {self.frames[index]} of the labels has an id of "
                f"{plane.min()}; ids are 1 or higher, and 0 is the background."
            )
        if self.objects is None:
            return plane
        ids, places = compact(plane)
        wanted = np.isin(ids, self.objects)
        self._seen.update(ids[wanted].tolist())
        kept: NDArray[Any] = np.where(wanted, ids, 0).astype(plane.dtype)[places]
        return kept

    def check_seen(self) -> None:
        """Say which of the chosen objects was in none of the frames read.

        Raises
        ------
        StackError
            If there is one.
        """
        missing = sorted(set(self.objects or ()) - self._seen)
        if missing:
            raise StackError(
                f"{'Object' if len(missing) == 1 else 'Objects'} "
                f"{', '.join(map(str, missing[:10]))} cannot be found in frames "
                f"{self.frames[0]} to {self.frames[-1]}; check the ids."
            )

    def picture(self) -> Stack:
        """Return the image.

        Raises
        ------
        StackError
            When there is none.
        """
        if self.image is None:
            raise StackError("This needs the image too; give it with the labels.")
        return self.image

    def __getitem__(self, index: tuple[Any, ...]) -> NDArray[Any]:
        """Read part of a frame, as of an array (T, Y, X)."""
        part: NDArray[Any] = self.plane(index[0])[index[1:]]
        return part


@dataclass(kw_only=True)
class Track:
    """Where one object is.

    Attributes
    ----------
    object_id : int
        Which.
    frames : list of int
        Frames with at least a pixel of it, counted in the stack's `frames`.
    boxes : list of (y, x, y2, x2)
        Its bounding box in each, y2 and x2 not in it.
    """

    object_id: int
    frames: list[int] = field(default_factory=list)
    boxes: list[tuple[int, int, int, int]] = field(default_factory=list)


def find_tracks(
    stack: LabelledStack, *, of: int | None = None
) -> Generator[tuple[int, int], None, dict[int, Track]]:
    """Look through all frames for objects, one frame a step.

    Parameters
    ----------
    stack : LabelledStack
        Which.
    of : int, optional
        How many steps there are, if others follow.

    Yields
    ------
    (int, int)
        Frames looked at, and of how many.

    Returns
    -------
    dict of int to Track
        By object id, in order of the ids.

    Raises
    ------
    StackError
        When a frame cannot be read, or a chosen object is in none of them.
    """
    tracks: dict[int, Track] = {}
    for index in range(stack.n_frames):
        ids, places = compact(stack.plane(index))
        boxes = ndimage.find_objects(places, max_label=len(ids) - 1)
        for object_id, box in zip(ids[1:].tolist(), boxes, strict=True):
            rows, columns = box
            track = tracks.setdefault(object_id, Track(object_id=object_id))
            track.frames.append(index)
            track.boxes.append((rows.start, columns.start, rows.stop, columns.stop))
        yield index + 1, of or stack.n_frames
    stack.check_seen()
    return dict(sorted(tracks.items()))


def compact(plane: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """Renumber the ids of a plane without gaps.

    Parameters
    ----------
    plane : ndarray of int
        (Y, X), ids of 0 or higher.

    Returns
    -------
    ids : ndarray of int
        (N,), sorted; the first is 0 whether it is there or not.
    places : ndarray of int32
        (Y, X), ``ids[places]`` is the plane.
    """
    highest = int(plane.max(initial=0))
    if highest < COUNTED_IDS:
        there = np.zeros(highest + 1, bool)
        there[plane.ravel()] = True
        there[0] = True
        ids = np.flatnonzero(there)
        numbers = np.cumsum(there, dtype=np.int32) - np.int32(1)
        return ids, numbers[plane]
    ids = np.union1d(np.zeros(1, plane.dtype), plane)
    return ids, np.searchsorted(ids, plane).astype(np.int32)


def _reader(labels: Any) -> tuple[Any, tuple[int, int, int], np.dtype[Any]]:
    """Return a function that reads a plane, the shape (T, Y, X) and the type."""
    if isinstance(labels, Stack):
        shape, dtype, channels = labels.shape, labels.dtype, labels.n_channels
        read = labels.read_raw
    else:
        array = labels.array if isinstance(labels, LabelsStore) else labels
        source = array_source(array)
        shape, dtype, channels = source.shape, source.dtype, 1  # type: ignore[assignment]

        def read(frame_idx: int) -> NDArray[Any]:
            return source.read((frame_idx, slice(None), slice(None)))

    if len(shape) != 3 or 0 in shape or dtype.kind not in "biu" or channels != 1:
        raise StackError(
            f"An image of shape {shape} and type {dtype} with {channels} channels is "
            "no label stack; give whole numbers of shape (T, Y, X)."
        )
    return read, shape, dtype


def _checked_objects(objects: Sequence[int] | None) -> tuple[int, ...] | None:
    if objects is None:
        return None
    chosen = tuple(sorted({int(i) for i in objects}))
    if not chosen or chosen[0] < 1:
        raise StackError("Object ids are 1 or higher; name at least one.")
    return chosen


def _checked_frames(frames: range | None, n_frames: int) -> range:
    chosen = range(n_frames) if frames is None else frames
    if not len(chosen) or not 0 <= min(chosen) <= max(chosen) < n_frames:
        raise StackError(
            f"Frames {chosen.start} to {chosen.stop - 1} are not all among the "
            f"labels' frames 0 to {n_frames - 1}; choose others."
        )
    return chosen
