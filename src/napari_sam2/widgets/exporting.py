"""An export as it runs in its thread: a picture of the labels first, then the file.

The labels are read once, before anything is written: what is painted or followed
meanwhile is not in the file, and never half in it. Nothing of Qt in here.
"""

from __future__ import annotations

import csv
import itertools
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_sam2.stacks import StackError, export, open_labels_store
from napari_sam2.stacks.labelled import LabelledStack, compact
from napari_sam2.stacks.overlay import draw_overlay, shown_size
from napari_sam2.widgets.engine_parts import open_target
from napari_sam2.widgets.labels_volume import lock_of

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sam2.stacks import LabelsStore, Stack
    from napari_sam2.widgets.target import Target

PREVIEW_ROWS = 5
PREVIEW_SIDE = 512  # pixels


@dataclass(frozen=True, kw_only=True, eq=False)
class ExportTask:
    """What is to be written, of what, where.

    Attributes
    ----------
    kind : str
        A key of `napari_sam2.stacks.EXPORTS`.
    labels : Target
        The frames of a Labels layer.
    image : Target or None
        The same frames of an Image layer.
    objects : tuple of int or None
        These only; None: all.
    frames : range
        Which frames.
    path : Path
        A file, or a folder.
    scale, units : (t, y, x)
        Size of a step along each axis, and in what.
    options : mapping
        What the kind takes besides.
    """

    kind: str
    labels: Target
    image: Target | None
    objects: tuple[int, ...] | None
    frames: range
    path: Path
    scale: tuple[float, float, float]
    units: tuple[str, str, str]
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def axes(self) -> str:
        """What the frames are counted along, as exports name it."""
        followed = self.labels.followed
        deep = followed is not None and self.labels.axes[followed] == "Z"
        return "ZYX" if deep else "TYX"


@dataclass(frozen=True, kw_only=True)
class Step:
    """How far it is: first the labels are read, then the file is written."""

    phase: Literal["reading", "writing"]
    done: int
    of: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Written:
    """The end of an export.

    Attributes
    ----------
    path : Path
        What is there now.
    cells, frames : int
        How many are in it.
    rows : list of list of str
        The first rows of a table, its names before them; empty for other kinds.
    picture : ndarray of uint8 or None
        (Y, X, 3), what it looks like, where it is to be looked at.
    """

    path: Path
    cells: int
    frames: int
    rows: list[list[str]] = field(default_factory=list)
    picture: NDArray[np.uint8] | None = None


def write(task: ExportTask) -> Generator[Step | Written, None, None]:
    """Write a file, a frame a step; the last answer says what was written.

    Closing the generator, and any error, leave what was at the path untouched.

    Raises
    ------
    StackError, ExportError
        One sentence that says what is wrong and what to do.
    """
    with closing(_open_copy(task)) as labels:
        cells = yield from _copy_labels(task, labels)
        image = None if task.image is None else open_target(task.image)
        try:
            path = yield from _write_file(task, labels, image)
            yield Written(
                path=path,
                cells=len(cells),
                frames=len(task.frames),
                rows=_first_rows(path),
                picture=_picture(task, labels, image),
            )
        finally:
            if image is not None:
                image.close()


def _open_copy(task: ExportTask) -> LabelsStore:
    """Make room for the labels, in memory or in a temporary file."""
    kind = np.dtype(task.labels.data.dtype)
    if kind.kind not in "biu":
        raise StackError(f"{task.labels.name} holds no whole numbers, so no labels.")
    shape = (task.labels.n_frames, *task.labels.shape[-2:])
    return open_labels_store(shape, dtype=f"u{kind.itemsize}")


def _copy_labels(task: ExportTask, to: LabelsStore) -> Generator[Step, None, set[int]]:
    """Read the chosen frames; return which of the chosen cells are in them."""
    array, cells = task.labels.data, set()
    for done, frame_idx in enumerate(task.frames, start=1):
        with lock_of(array):
            plane = np.array(array[task.labels.index(frame_idx)])
        if plane.dtype.kind == "i" and plane.min(initial=0) < 0:
            raise StackError(
                f"Frame {frame_idx} of {task.labels.name} has a label of "
                f"{plane.min()}; labels are 1 or higher, and 0 is the background."
            )
        to.write(frame_idx, plane)
        cells.update(compact(plane)[0][1:].tolist())
        yield Step(phase="reading", done=done, of=len(task.frames))
    if task.objects is not None:
        missing = sorted(set(task.objects) - cells)
        if missing:
            raise StackError(
                f"Cell {missing[0]} is in none of these frames; check the numbers."
            )
        return set(task.objects)
    if not cells:
        raise StackError(
            "There is no cell in these frames yet; click on one and follow it first."
        )
    return cells


def _write_file(
    task: ExportTask, labels: LabelsStore, image: Stack | None
) -> Generator[Step, None, Path]:
    work = export(
        task.kind,
        labels,
        task.path,
        image=image,
        objects=task.objects,
        frames=task.frames,
        axes=task.axes,
        scale=task.scale,
        units=task.units,
        **task.options,
    )
    with closing(work):
        while True:
            try:
                done, of = next(work)
            except StopIteration as end:
                path: Path = end.value
                return path
            yield Step(phase="writing", done=done, of=of)


def _first_rows(path: Path) -> list[list[str]]:
    """Read the head of a table, its names first; nothing of other files."""
    if path.suffix.lower() != ".csv":
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(itertools.islice(csv.reader(file), PREVIEW_ROWS + 1))


def _picture(
    task: ExportTask, labels: LabelsStore, image: Stack | None
) -> NDArray[np.uint8] | None:
    """Show a plot as it is, and a movie by a frame of its middle."""
    if task.kind == "plot":
        from PIL import Image

        with Image.open(task.path) as plot:
            return np.asarray(plot.convert("RGB"))
    if task.kind != "overlay" or image is None:
        return None
    stack = LabelledStack(labels, objects=task.objects, frames=task.frames)
    middle = len(task.frames) // 2
    height, width = shown_size(stack.height, stack.width)
    smaller = min(1, PREVIEW_SIDE / max(height, width))
    return draw_overlay(
        image.read(task.frames[middle]),
        stack.plane(middle),
        size=(round(height * smaller), round(width * smaller)),
        opacity=task.options.get("opacity", 0.3),
        numbers=task.options.get("numbers", True),
    )
