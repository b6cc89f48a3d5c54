"""A movie or a volume, one faithful frame at a time."""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from napari_sam2.stacks.axes import LENGTH_ONE, plan_layout, resolve_axes
from napari_sam2.stacks.channels import open_channels
from napari_sam2.stacks.closing import Closing
from napari_sam2.stacks.errors import FrameReadError, StackError
from napari_sam2.stacks.files import open_source, path_of
from napari_sam2.stacks.intensity import (
    Limits,
    check_dtype,
    check_limits,
    sample_limits,
    to_planes,
    to_rgb,
)
from napari_sam2.stacks.source import Source

__all__ = ["Stack", "open_stack"]


class Stack(Closing):
    """Frames along time or depth, read when asked for.

    Made by `open_stack`, or of several pictures by `from_channels`. Reading is safe
    from several threads. Use it in a ``with`` statement, or call `close`, to let go of
    its file.

    Parameters
    ----------
    source : Source
        Where pixels come from.
    axes, contrast_limits, fixed, channels
        As `open_stack` takes them.
    path : Path, optional
        The file or folder that the source reads.
    follow : str, optional
        The axis to follow; T or else Z by default.

    Attributes
    ----------
    path : Path or None
        As given.
    opened_as : dict
        The axes, fixed positions and channels that were asked for, to ask for again.

    Raises
    ------
    StackError
        When the axes or the numbers cannot be followed.
    """

    def __init__(
        self,
        source: Source,
        *,
        axes: str | None = None,
        contrast_limits: object = None,
        fixed: Mapping[str, int] | None = None,
        channels: Sequence[int] | None = None,
        path: Path | None = None,
        follow: str | None = None,
    ) -> None:
        check_dtype(source.dtype)
        self._source = source
        self.path = path
        self.opened_as: dict[str, Any] = {
            "axes": axes,
            "fixed": dict(fixed) if fixed else None,
            "channels": list(channels) if channels else None,
        }
        letters = resolve_axes(source.shape, given=axes, known=source.info.axes)
        self.layout = plan_layout(
            letters, source.shape, fixed=fixed, channels=channels, follow=follow
        )
        self._lock = threading.Lock()
        self._limits: Limits | None = None
        if contrast_limits is not None:
            self._limits = check_limits(contrast_limits, self.n_channels)

    @classmethod
    def from_channels(
        cls,
        sources: Sequence[Any],
        *,
        axes: str | None = None,
        contrast_limits: object = None,
        fixed: Mapping[str, int] | None = None,
    ) -> Self:
        """Show the network up to three pictures of the same frames in colour.

        Nothing is copied: a frame is read from each picture when it is asked for.

        Parameters
        ----------
        sources : sequence of paths or array-likes
            Red, green and blue, of one shape and without channels of their own, as
            `open_stack` takes them.
        axes : str, optional
            One letter a dimension of each of them, such as ``"TYX"``.
        contrast_limits : (low, high) or one pair a channel, optional
            Robust percentiles of each channel by default.
        fixed : mapping of str to int, optional
            Positions at which axes are held.

        Raises
        ------
        StackError
            When shapes or pixel sizes differ; one sentence.
        """
        together = open_channels(sources, axes=axes)
        try:
            stack = cls(together, contrast_limits=contrast_limits, fixed=fixed)
        except BaseException:
            together.close()
            raise
        paths = [path_of(source) for source in sources]
        if None not in paths:
            stack.path, others = paths[0], [str(path) for path in paths[1:]]
            stack.opened_as |= {"axes": axes, "channels": others}
        return stack

    def turned(self, follow: str, fixed: Mapping[str, int]) -> Self:
        """Follow another axis of the same pixels, under the same contrast.

        Parameters
        ----------
        follow : str
            Letter of the axis.
        fixed : mapping of str to int
            Where other axes are held; those not named stay where they are.

        Returns
        -------
        Stack
            Reads from this one's source: do not close it while this one is used.
        """
        held = {**self.layout.fixed, **fixed}
        return type(self)(
            self._source,
            axes=self.axes,
            contrast_limits=self.contrast_limits,
            fixed={a: at for a, at in held.items() if a not in (follow, LENGTH_ONE)},
            channels=self.layout.channels,
            follow=follow,
        )

    @property
    def name(self) -> str:
        """What to call the stack: its file's name without the ending."""
        return self._source.info.name

    @property
    def axes(self) -> str:
        """Letters of the source's axes, for example ``"TCYX"``."""
        return self.layout.axes.replace(LENGTH_ONE, "")

    @property
    def followed(self) -> str | None:
        """The axis frames are counted along, ``"T"`` or ``"Z"``."""
        return self.layout.followed

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return self.layout.n_frames

    @property
    def height(self) -> int:
        """Rows of a frame."""
        return self.layout.length("Y")

    @property
    def width(self) -> int:
        """Columns of a frame."""
        return self.layout.length("X")

    @property
    def n_channels(self) -> int:
        """Channels of a frame as `read_raw` gives it; 1 for grey."""
        return self.layout.n_channels

    @property
    def shape(self) -> tuple[int, int, int]:
        """(T, Y, X), whatever the followed axis is called."""
        return self.n_frames, self.height, self.width

    @property
    def dtype(self) -> np.dtype[Any]:
        """Kind of the stored numbers."""
        return self._source.dtype

    @property
    def scale(self) -> tuple[float, float, float]:
        """Size of a step along (t, y, x), 1 where unknown."""
        known = self._source.info.scale
        t, y, x = (known.get(a, 1.0) for a in (self.followed or "T", "Y", "X"))
        return t, y, x

    @property
    def units(self) -> tuple[str, str, str]:
        """Units of `scale`, "pixel" where unknown."""
        known = self._source.info.units
        t, y, x = (known.get(a, "pixel") for a in (self.followed or "T", "Y", "X"))
        return t, y, x

    @property
    def contrast_limits(self) -> Limits:
        """(low, high) a channel, the same for all frames.

        Unless given, found on first use from at most 12 frames spread over the
        stack: their 0.1 and 99.9 percentiles.

        Raises
        ------
        FrameReadError
            When none of these frames can be read.
        """
        with self._lock:
            if self._limits is None:
                self._limits = sample_limits(
                    self.read_raw, self.n_frames, coloured=self._coloured()
                )
            return self._limits

    def read_raw(self, frame_idx: int) -> NDArray[Any]:
        """Read one frame as stored.

        Parameters
        ----------
        frame_idx : int
            0 to ``n_frames - 1``.

        Returns
        -------
        ndarray
            (Y, X), or (Y, X, C) if the stack has channels; an array of its own.

        Raises
        ------
        IndexError
            When there is no such frame.
        FrameReadError
            When the frame is damaged or its file has gone.
        """
        if not 0 <= frame_idx < self.n_frames:
            raise IndexError(
                f"Frame {frame_idx} does not exist; {self.name} has frames 0 to "
                f"{self.n_frames - 1}."
            )
        try:
            cut = self._source.read(self.layout.index(int(frame_idx)))
        except (MemoryError, FrameReadError):
            raise
        except StackError as error:
            raise FrameReadError(f"Frame {frame_idx}: {error}") from error
        except Exception as error:
            # Arrays come from anywhere and fail in their own ways.
            reason = str(error).strip().split("\n")[0] or type(error).__name__
            raise FrameReadError(
                f"Frame {frame_idx} of {self.name} could not be read ({reason}); "
                "check the file, or leave the frame out."
            ) from error
        return np.ascontiguousarray(self.layout.to_frame(cut))

    def read(self, frame_idx: int) -> NDArray[np.float32]:
        """Read one frame as the network sees it.

        Parameters
        ----------
        frame_idx : int
            0 to ``n_frames - 1``.

        Returns
        -------
        ndarray of float32
            (Y, X, 3) in [0, 1] by `contrast_limits`; grey is repeated, two
            channels are red and green, NaN and infinities are 0.

        Raises
        ------
        IndexError
            When there is no such frame.
        FrameReadError
            When the frame is damaged or its file has gone.
        """
        raw = self.read_raw(frame_idx)
        return to_rgb(raw, self.contrast_limits)

    def scaled(self, raw: NDArray[Any]) -> NDArray[np.float32]:
        """Scale a frame of `read_raw`, or a part of one, as `read` does.

        Returns
        -------
        ndarray of float32
            (Y, X, 1) for one channel, else (Y, X, 3), in [0, 1].

        Raises
        ------
        FrameReadError
            When `contrast_limits` have to be found and no frame can be read.
        """
        return to_planes(raw, self.contrast_limits)

    def close(self) -> None:
        """Let go of the file; arrays that were given stay open."""
        self._source.close()

    def __len__(self) -> int:
        """Count the frames."""
        return self.n_frames

    def __repr__(self) -> str:
        """Say what it is in one line."""
        return (
            f"Stack({self.name!r}, axes={self.axes!r}, shape={self.shape}, "
            f"dtype={self.dtype}, channels={self.n_channels})"
        )

    def _coloured(self) -> bool:
        if self.layout.channels is not None or self.layout.channel is None:
            return False
        last = self.layout.axes[-1] == self.layout.channel
        return self._source.info.coloured or (last and self.n_channels in (3, 4))


def open_stack(
    source: Any,
    *,
    axes: str | None = None,
    contrast_limits: object = None,
    fixed: Mapping[str, int] | None = None,
    channels: Sequence[int] | Sequence[str | Path] | None = None,
) -> Stack:
    """Open a movie or a volume without reading its frames.

    Parameters
    ----------
    source : path, Stack or array-like
        TIFF, OME-TIFF, zarr, OME-Zarr, .npy, an image, a folder of images, a
        pattern such as ``"run1/*_image.png"``; or an array with shape, dtype and
        indexing (numpy, dask, zarr, h5py, the data of a napari layer). A Stack
        is given back as it is.
    axes : str, optional
        One letter a dimension, such as ``"TYX"``, ``"ZYX"``, ``"TCYX"`` or
        ``"YXC"``. From metadata, else guessed, by default.
    contrast_limits : (low, high) or one pair a channel, optional
        What the network sees as black and white, in stored numbers; robust
        percentiles of the whole stack by default.
    fixed : mapping of str to int, optional
        ``{"Z": 3}`` follows time at depth 3, ``{"T": 0}`` depth at time 0.
    channels : sequence of int or of paths, optional
        Up to three channels, used as red, green and blue. Or one or two more files
        of the same shape, which are green and blue while `source` is red, see
        `Stack.from_channels`.

    Returns
    -------
    Stack
        Close it, or use it in a ``with`` statement, when it is a file's.

    Raises
    ------
    StackError
        One sentence that says what is wrong and what to do.
    """
    if isinstance(source, Stack):
        return source
    files = [c for c in channels or () if isinstance(c, str | Path)]
    numbers = [c for c in channels or () if not isinstance(c, str | Path)]
    if files and numbers:
        raise StackError(
            f"channels={list(channels or ())!r} must be numbers of channels or files, "
            "not both."
        )
    if files:
        return Stack.from_channels(
            [source, *files], axes=axes, contrast_limits=contrast_limits, fixed=fixed
        )
    opened = open_source(source)
    try:
        return Stack(
            opened,
            axes=axes,
            contrast_limits=contrast_limits,
            fixed=fixed,
            channels=numbers or None,
            path=path_of(source),
        )
    except BaseException:
        opened.close()
        raise
