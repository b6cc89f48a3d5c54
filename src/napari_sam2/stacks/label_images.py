"""Label images in files: whole numbers, one an object, 0 where nothing is."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from napari_sam2.stacks.clips import FrameLabels
from napari_sam2.stacks.errors import StackError
from napari_sam2.stacks.files import open_file
from napari_sam2.stacks.source import Source, array_source

__all__ = ["LabelFile", "read_numbers"]


class LabelFile(FrameLabels):
    """Labels in one file: of a picture, which is one frame, a movie or a volume.

    Parameters
    ----------
    path : Path
        Anything `open_file` opens. Of a PNG with a palette its numbers count, not
        its colours.

    Raises
    ------
    StackError
        When it cannot be read, has colours or is not of whole numbers.
    """

    def __init__(self, path: Path) -> None:
        self._source: Source
        if path.suffix.lower() == ".png":
            self._source = array_source(read_numbers(path)[0], name=path.name)
        else:
            self._source = open_file(path)
        lengths, dtype = self._source.shape, self._source.dtype
        self._long = [at for at, n in enumerate(lengths) if n > 1]
        shape = tuple(lengths[at] for at in self._long)
        if dtype.kind not in "biu" or (len(shape) == 3 and shape[2] <= 4):
            self.close()
            raise StackError(
                f"{path.name} is no label image ({shape}, {dtype}): give whole numbers "
                "without colours."
            )
        if len(shape) not in (2, 3):
            self.close()
            raise StackError(
                f"{path.name} is {lengths}; labels must be (Y, X) or (T, Y, X)."
            )
        self.shape = (1, *shape)[-3:]
        self.dtype = np.dtype(np.uint8) if dtype.kind == "b" else dtype

    def plane(self, frame_idx: int) -> NDArray[Any]:
        """Read one frame, (Y, X).

        Raises
        ------
        StackError
            When it cannot be read.
        """
        index: list[int | slice] = [0] * len(self._source.shape)
        for at in self._long[-2:]:
            index[at] = slice(None)
        for at in self._long[:-2]:
            index[at] = frame_idx
        plane: NDArray[Any] = self._source.read(tuple(index)).astype(
            self.dtype, copy=False
        )
        return plane

    def close(self) -> None:
        """Let go of the file."""
        self._source.close()


def read_numbers(path: Path) -> tuple[NDArray[Any], str]:
    """Read the numbers that a picture stores, a palette's places for its colours.

    Parameters
    ----------
    path : Path
        A PNG, for example.

    Returns
    -------
    numbers : ndarray
        (Y, X), or (Y, X, C) of a picture without a palette.
    mode : str
        Pillow's name for the kind of picture; ``"P"`` has a palette.

    Raises
    ------
    StackError
        When it is no picture.
    """
    try:
        with Image.open(path) as picture:
            return np.array(picture), picture.mode
    except (OSError, SyntaxError, UnidentifiedImageError) as error:
        raise StackError(f"{path.name} is not a readable picture ({error}).") from error
