"""Pictures of the same frames, one a channel, read as one source."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2.stacks.axes import resolve_axes
from napari_sam2.stacks.errors import StackError
from napari_sam2.stacks.files import open_source
from napari_sam2.stacks.source import Info

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sam2.stacks.source import Index, Source

__all__ = ["MOST_CHANNELS", "ChannelsSource", "open_channels"]

MOST_CHANNELS = 3


class ChannelsSource:
    """Sources of one shape, put together along a first axis C; nothing is copied.

    A frame is read from each of them when it is asked for.

    Parameters
    ----------
    sources : sequence of Source
        One to three, without channels of their own: red, green and blue.
    axes : str, optional
        One letter a dimension of each of them; by default what they say, else a
        guess.

    Raises
    ------
    StackError
        When they are too many, differ in shape or in the size of a pixel, or have
        channels themselves.
    """

    def __init__(self, sources: Sequence[Source], *, axes: str | None = None) -> None:
        if not 1 <= len(sources) <= MOST_CHANNELS:
            raise StackError(
                f"{len(sources)} pictures were given as channels and the network takes "
                "up to three: red, green and blue; choose among them."
            )
        first = sources[0]
        known = next((s.info.axes for s in sources if s.info.axes), None)
        letters = resolve_axes(first.shape, given=axes, known=known)
        if "C" in letters:
            raise StackError(
                f"{first.info.name} has channels already ({letters}); give pictures "
                "without, or choose among its channels by their numbers."
            )
        for other in sources[1:]:
            _check_alike(first, other)
        self._sources = tuple(sources)
        self.shape: tuple[int, ...] = (len(sources), *first.shape)
        self.dtype: np.dtype[Any] = np.result_type(*(s.dtype for s in sources))
        self.info = Info(
            name=first.info.name,
            axes=f"C{letters}",
            scale=first.info.scale,
            units=first.info.units,
        )

    def read(self, index: Index) -> NDArray[Any]:
        """Read the part at `index` of each channel that it names."""
        which = self._sources[index[0]]
        if not isinstance(which, tuple):
            return np.asarray(which.read(index[1:]), dtype=self.dtype)
        parts = [source.read(index[1:]) for source in which]
        return np.stack(parts, dtype=self.dtype)

    def close(self) -> None:
        """Let go of the files of all channels."""
        for source in self._sources:
            source.close()


def open_channels(sources: Sequence[Any], *, axes: str | None = None) -> ChannelsSource:
    """Open paths and arrays as the channels of one source.

    Raises
    ------
    StackError
        When one cannot be opened, or they do not go together.
    """
    opened: list[Source] = []
    try:
        for number, source in enumerate(sources, start=1):
            opened.append(open_source(source, name=f"array {number}"))
        return ChannelsSource(opened, axes=axes)
    except BaseException:
        for source in opened:
            source.close()
        raise


def _check_alike(first: Source, other: Source) -> None:
    if other.shape != first.shape:
        raise StackError(
            f"Channels must have one shape, but {first.info.name} is "
            f"{_size(first.shape)} and {other.info.name} {_size(other.shape)}; give "
            "pictures of the same frames."
        )
    here, there = first.info.scale, other.info.scale
    for letter in here.keys() & there.keys():
        if not math.isclose(here[letter], there[letter], rel_tol=1e-4):
            raise StackError(
                f"Channels must have one pixel size, but a step along {letter} is "
                f"{here[letter]:g} in {first.info.name} and {there[letter]:g} in "
                f"{other.info.name}; give pictures of the same frames."
            )


def _size(shape: Sequence[int]) -> str:
    return "×".join(str(n) for n in shape)
