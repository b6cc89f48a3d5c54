"""A clip as data sets have it: frames in one folder, label images in others."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2.stacks.errors import FrameReadError, StackError
from napari_sam2.stacks.files import FolderSource
from napari_sam2.stacks.stack import Stack

__all__ = ["Clip", "LabelImages", "folder_stack"]


class LabelImages:
    """Labels (T, Y, X) in one image a frame, read when it is asked for.

    It is an array to `open_stack`, `save_labels` and the like.

    Parameters
    ----------
    files : mapping of int to Path
        By frame; frames without one have no labels.
    n_frames : int
        How many frames there are.
    read : callable
        Reads a file as (Y, X) whole numbers.

    Attributes
    ----------
    shape : (T, Y, X)
        Y and X are those of the first file.
    dtype : dtype
        That of the first file.
    annotated : tuple of int
        Frames that have a file.
    """

    def __init__(
        self,
        files: Mapping[int, Path],
        n_frames: int,
        read: Callable[[Path], NDArray[Any]],
    ) -> None:
        if not files:
            raise StackError("There is no label image; check the folder.")
        self._files, self._read = dict(files), read
        self.annotated = tuple(sorted(self._files))
        first = read(self._files[self.annotated[0]])
        self.shape = (n_frames, *first.shape)
        self.dtype = first.dtype

    def plane(self, frame_idx: int) -> NDArray[Any]:
        """Read one frame, (Y, X).

        Raises
        ------
        FrameReadError
            When its file cannot be read or is of another size.
        """
        path = self._files.get(frame_idx)
        if path is None:
            return np.zeros(self.shape[1:], self.dtype)
        try:
            plane = self._read(path)
        except (OSError, ValueError) as error:
            reason = str(error).strip().split("\n")[0].rstrip(".")
            raise FrameReadError(
                f"The labels of frame {frame_idx}, {path.name}, could not be read "
                f"({reason}); get the file again."
            ) from error
        if plane.shape != self.shape[1:]:
            raise FrameReadError(
                f"The labels of frame {frame_idx}, {path.name}, are of "
                f"{plane.shape} pixels, the first ones of {self.shape[1:]}; leave in "
                "the folder only label images of one size."
            )
        cast: NDArray[Any] = plane.astype(self.dtype, copy=False)
        return cast

    def __getitem__(self, index: Any) -> NDArray[Any]:
        """Cut out a part, as of an array (T, Y, X)."""
        index = index if isinstance(index, tuple) else (index,)
        which, inside = index[0], index[1:]
        if isinstance(which, slice):
            numbers = range(*which.indices(self.shape[0]))
            return np.stack([self.plane(t)[inside] for t in numbers])
        part: NDArray[Any] = self.plane(which)[inside]
        return part


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A movie with its labels.

    Attributes
    ----------
    name : str
        What the data set calls it.
    image : Stack or None
        The movie, if its frames are there.
    labels : LabelImages
        Of the same frames.
    """

    name: str
    image: Stack | None
    labels: LabelImages


def folder_stack(files: Sequence[Path], name: str) -> Stack:
    """Open image files, one a frame, as a movie.

    Raises
    ------
    StackError
        When the first is no image.
    """
    return Stack(FolderSource(files, name), path=files[0].parent.absolute())
