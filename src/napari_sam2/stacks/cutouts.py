"""Parts of the picture by their labels: masks, cut-outs, another background."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2.stacks.errors import StackError
from napari_sam2.stacks.exports import planes_file, write_planes
from napari_sam2.stacks.labelled import LabelledStack, Track, find_tracks
from napari_sam2.stacks.writing import Progress, staged_folders, written_beside

__all__ = ["write_background", "write_cutouts", "write_mask"]

MARGIN = 1.25  # of a cut-out's side over the object's


def write_mask(stack: LabelledStack, path: str | Path) -> Progress:
    """Write 1 on the chosen objects and 0 elsewhere, a frame a step.

    Parameters
    ----------
    stack : LabelledStack
        Labels, with the objects chosen.
    path : path
        ``.tif``, ``.ome.tif`` or ``.zarr``, of uint8; replaced at the end.

    Yields
    ------
    (int, int)
        Frames done, and of how many.

    Returns
    -------
    Path
        What was written.

    Raises
    ------
    StackError
        When the ending is another, or an object is in no frame.
    ExportError
        When writing fails; what was there is untouched.
    """

    def mask(index: int) -> NDArray[np.uint8]:
        return (stack.plane(index) > 0).astype(np.uint8)

    return write_planes(
        Path(path).expanduser(),
        mask,
        stack.shape,
        np.dtype(np.uint8),
        stack.axes,
        stack.steps,
        check=stack.check_seen,
    )


def write_background(
    stack: LabelledStack, path: str | Path, *, value: float | Sequence[float] = 0
) -> Progress:
    """Write the image with all but the chosen objects set to one value.

    Parameters
    ----------
    stack : LabelledStack
        Labels with their image, whose stored numbers and type are kept.
    path : path
        ``.tif``, ``.ome.tif`` or ``.zarr``; replaced at the end.
    value : number or one a channel
        Grey level or colour, in stored numbers.

    Yields
    ------
    (int, int)
        Frames done, and of how many.

    Returns
    -------
    Path
        What was written.

    Raises
    ------
    StackError
        When the value does not fit the image, or an object is in no frame.
    ExportError
        When writing fails; what was there is untouched.
    """
    image = stack.picture()
    fill = _fill(value, stack)
    axes, shape = _with_channels(stack, stack.shape)

    def frame(index: int) -> NDArray[Any]:
        raw = image.read_raw(stack.frames[index])
        raw[stack.plane(index) == 0] = fill
        return _channels_first(raw)

    return write_planes(
        Path(path).expanduser(),
        frame,
        shape,
        image.dtype,
        axes,
        stack.steps,
        check=stack.check_seen,
    )


def write_cutouts(
    stack: LabelledStack,
    path: str | Path,
    *,
    size: int | None = None,
    blank: bool = False,
    value: float | Sequence[float] = 0,
) -> Progress:
    """Write a crop of the image that follows each object.

    It has the object's centre in its middle and the same size in all frames, from
    the first to the last frame the object is in; where it is away the crop stays.

    Parameters
    ----------
    stack : LabelledStack
        Labels with their image, whose stored numbers and type are kept.
    path : path
        ``.tif``, ``.ome.tif`` or ``.zarr`` for one object; else a folder, of
        ``object_0001.tif`` and so on. Replaced at the end.
    size : int, optional
        Side of the square in pixels; a quarter more than the object's largest by
        default.
    blank : bool
        Whether to set what is not the object to `value` as well.
    value : number or one a channel
        What lies beyond the image, in stored numbers.

    Yields
    ------
    (int, int)
        Steps done, and of how many.

    Returns
    -------
    Path
        The file or folder written.

    Raises
    ------
    StackError
        When there is no object, or several for one file.
    ExportError
        When writing fails; what was there is untouched.
    """
    place = Path(path).expanduser()
    stack.picture()
    fill = _fill(value, stack)
    if size is not None and size < 1:
        raise StackError(f"A cut-out cannot be {size} pixels wide; give 1 or more.")
    tracks = yield from find_tracks(stack, of=2 * stack.n_frames)
    # Looking was half of the work, whatever number of crops follows.
    done = total = sum(t.frames[-1] - t.frames[0] + 1 for t in tracks.values())
    one_file = place.suffix.lower() in (".tif", ".tiff", ".zarr")
    if not tracks or (one_file and len(tracks) > 1):
        raise StackError(
            f"There are {len(tracks)} objects for {place.name}; choose one, or give a "
            "folder for several."
        )
    if one_file:
        (track,) = tracks.values()
        with written_beside(place) as unfinished:
            for frame in _crops(stack, track, unfinished, size, blank, fill):
                yield done + frame, 2 * total
        return place
    with staged_folders(place.parent, {place.name: r"object_\d+\.tif"}) as part:
        (part / place.name).mkdir()
        for track in tracks.values():
            file = part / place.name / f"object_{track.object_id:04d}.tif"
            for frame in _crops(stack, track, file, size, blank, fill):
                yield done + frame, 2 * total
            done += track.frames[-1] - track.frames[0] + 1
    return place


def _crops(
    stack: LabelledStack,
    track: Track,
    path: Path,
    size: int | None,
    blank: bool,
    fill: NDArray[Any],
) -> Iterator[int]:
    """Write one object's crops; yields how many are done."""
    image = stack.picture()
    side = size or _side(track)
    first, last = track.frames[0], track.frames[-1]
    axes, shape = _with_channels(stack, (last - first + 1, side, side))
    boxes = dict(zip(track.frames, track.boxes, strict=True))
    box = track.boxes[0]
    with planes_file(path, shape, image.dtype, axes, stack.steps) as put:
        for index in range(first, last + 1):
            box = boxes.get(index, box)
            frame = image.read_raw(stack.frames[index])
            if blank:
                frame[stack.plane(index) != track.object_id] = fill
            put(_channels_first(_crop(frame, box, side, fill)))
            yield index - first + 1


def _side(track: Track) -> int:
    largest = max(max(y2 - y, x2 - x) for y, x, y2, x2 in track.boxes)
    return 2 * round(MARGIN * largest / 2 + 0.5)


def _crop(
    frame: NDArray[Any], box: tuple[int, int, int, int], side: int, fill: NDArray[Any]
) -> NDArray[Any]:
    """Cut a square around a box's centre, with `fill` beyond the frame."""
    y, x, y2, x2 = box
    top, left = (y + y2 - side) // 2, (x + x2 - side) // 2
    crop = np.empty((side, side, *frame.shape[2:]), frame.dtype)
    crop[:] = fill
    height, width = frame.shape[:2]
    rows = slice(max(top, 0), max(min(top + side, height), 0))
    columns = slice(max(left, 0), max(min(left + side, width), 0))
    crop[
        rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
    ] = frame[rows, columns]
    return crop


def _fill(value: float | Sequence[float], stack: LabelledStack) -> NDArray[Any]:
    """Return a grey level or colour in the image's type."""
    image = stack.picture()
    given = np.atleast_1d(np.asarray(value, float))
    if given.shape not in ((1,), (image.n_channels,)):
        raise StackError(
            f"A background of {len(given)} values does not fit an image of "
            f"{image.n_channels} channels; give one value, or one a channel."
        )
    kind = image.dtype
    if kind.kind in "iu":
        low, high = np.iinfo(kind).min, np.iinfo(kind).max
        if (given != np.rint(given)).any() or given.min() < low or given.max() > high:
            raise StackError(
                f"A background of {value} does not fit an image of {kind}; give a "
                f"whole number from {low} to {high}."
            )
    filled: NDArray[Any] = given.astype(kind)
    return filled if image.n_channels > 1 else filled[0]


def _with_channels(
    stack: LabelledStack, shape: tuple[int, int, int]
) -> tuple[str, tuple[int, ...]]:
    """Return the axes and the shape of what is written, channels second."""
    n_channels = stack.picture().n_channels
    if n_channels == 1:
        return stack.axes, shape
    return f"{stack.axes[0]}C{stack.axes[1:]}", (shape[0], n_channels, *shape[1:])


def _channels_first(frame: NDArray[Any]) -> NDArray[Any]:
    if frame.ndim == 2:
        return frame
    return frame[..., 0] if frame.shape[2] == 1 else np.moveaxis(frame, -1, 0)
