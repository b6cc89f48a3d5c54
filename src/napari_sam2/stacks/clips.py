"""A clip as data sets have it: frames in one folder, label images in others."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2.stacks.closing import Closing
from napari_sam2.stacks.errors import FrameReadError, StackError
from napari_sam2.stacks.files import FolderSource
from napari_sam2.stacks.stack import Stack

__all__ = ["Clip", "FrameLabels", "LabelImages", "folder_stack"]


class FrameLabels(Closing):
    """Labels (T, Y, X) that are read a frame at a time, when they are asked for.

    They are an array to `open_stack`, `save_labels` and the like.

    Attributes
    ----------
    shape : (T, Y, X)
        Their size.
    dtype : dtype
        Kind of the ids.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def annotated(self) -> tuple[int, ...]:
        """Frames that somebody has looked at."""
        return tuple(range(self.shape[0]))

    @abstractmethod
    def plane(self, frame_idx: int) -> NDArray[Any]:
        """Read one frame, (Y, X)."""

    def __getitem__(self, index: Any) -> NDArray[Any]:
        """Cut out a part, as of an array (T, Y, X)."""
        index = index if isinstance(index, tuple) else (index,)
        which, inside = index[0], index[1:]
        if isinstance(which, slice):
            numbers = range(*which.indices(self.shape[0]))
            return np.stack([self.plane(t)[inside] for t in numbers])
        part: NDArray[Any] = self.plane(which)[inside]
        return part

    def close(self) -> None:
        """Let go of a file that is held open; here none is."""


class LabelImages(FrameLabels):
    """Labels in one image a frame.

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
    """

    def __init__(
        self,
        files: Mapping[int, Path],
        n_frames: int,
        read: Callable[[Path], NDArray[Any]],
    ) -> None:
        if not files:
            raise StackError("There is no label image; check the folder.")
        self._files, self._read = dict(sorted(files.items())), read
        first = read(next(iter(self._files.values())))
        self.shape = (n_frames, *first.shape)
        self.dtype = first.dtype

    @property
    def annotated(self) -> tuple[int, ...]:
        """Frames that have a file."""
        return tuple(self._files)

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


@dataclass(frozen=True, kw_only=True)
class Clip(Closing):
    """A movie, or a picture (one frame), with its labels.

    Attributes
    ----------
    name : str
        What the data set calls it.
    image : Stack or None
        The movie, if its frames are there.
    labels : FrameLabels
        Of the same frames.
    """

    name: str
    image: Stack | None
    labels: FrameLabels

    @property
    def outlined(self) -> FrameLabels:
        """Labels that show where objects end."""
        return self.labels

    def picture(self) -> Stack:
        """Return the image.

        Raises
        ------
        StackError
            When there is none.
        """
        if self.image is None:
            raise StackError(f"{self.name} has labels and no frames; add its frames.")
        return self.image

    def close(self) -> None:
        """Let go of the files."""
        self.labels.close()
        if self.image is not None:
            self.image.close()


def folder_stack(files: Sequence[Path], name: str) -> Stack:
    """Open image files, one a frame, as a movie.

    Raises
    ------
    StackError
        When the first is no image.
    """
    return Stack(FolderSource(files, name), path=files[0].parent.absolute())
