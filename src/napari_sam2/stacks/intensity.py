"""From stored numbers to what the network sees, the same way for every frame.

One range a channel holds for the whole stack, so a dim frame stays dim and a
bleaching movie bleaches. Arithmetic is in floating point from the stored number
on: nothing passes through 8 bits.

Legend: Y rows, X columns, C channels.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2.stacks.errors import FrameReadError, StackError

__all__ = ["Limits", "check_dtype", "check_limits", "sample_limits", "to_rgb"]

Limits = tuple[tuple[float, float], ...]

N_SAMPLE_FRAMES = 12
PIXELS_PER_FRAME = 1 << 16
# Leaves out hot pixels and dead ones, keeps a cell of 0.2 % of the picture.
PERCENTILES = (0.1, 99.9)


def check_dtype(dtype: np.dtype[np.generic]) -> None:
    """Refuse numbers that have no brightness.

    Raises
    ------
    StackError
        For complex, object, string and structured arrays.
    """
    if dtype.kind not in "biuf":
        raise StackError(
            f"An array of {dtype} has no intensity; give integers, floats or bool "
            "(of complex numbers, the magnitude)."
        )


def check_limits(limits: object, n_channels: int) -> Limits:
    """Bring a given contrast range into the form (low, high) a channel.

    Parameters
    ----------
    limits : (low, high), or one such pair a channel
        In the units of the stored numbers.
    n_channels : int
        How many pairs to return; one pair serves every channel.

    Returns
    -------
    tuple of (float, float)
        One pair a channel.

    Raises
    ------
    StackError
        When a pair is not two finite rising numbers, or the count is wrong.
    """
    try:
        pairs = np.asarray(limits, dtype=np.float64)
    except (TypeError, ValueError):
        pairs = np.empty(0)
    if pairs.shape == (2,):
        pairs = np.tile(pairs, (n_channels, 1))
    elif pairs.shape == (2 * n_channels,):  # one after the other, as they are typed
        pairs = pairs.reshape(n_channels, 2)
    if pairs.shape != (n_channels, 2):
        raise StackError(
            f"contrast_limits={limits!r} must be (low, high), or one such pair for "
            f"each of the {n_channels} channels."
        )
    with np.errstate(all="ignore"):
        width = pairs[:, 1] - pairs[:, 0]
    if not np.isfinite(width).all() or not (width > 0).all():
        raise StackError(
            f"contrast_limits={limits!r} must be finite and rise from low to high."
        )
    return tuple((float(low), float(high)) for low, high in pairs)


def sample_limits(
    read_raw: Callable[[int], NDArray[Any]],
    n_frames: int,
    *,
    coloured: bool,
) -> Limits:
    """Estimate the contrast range of a stack from a few of its frames.

    Parameters
    ----------
    read_raw : callable
        Frame index to (Y, X) or (Y, X, C) as stored.
    n_frames : int
        Frames in the stack; at most 12, spread evenly, are read.
    coloured : bool
        Whether channels are the red, green and blue of one picture. They then
        share one range, which keeps the hues.

    Returns
    -------
    tuple of (float, float)
        The 0.1 and 99.9 percentiles of the finite values, a pair a channel.
        8-bit colour that already spans half its range is left at (0, 255).

    Raises
    ------
    FrameReadError
        When none of the sampled frames can be read.
    """
    samples: list[NDArray[Any]] = []
    failure: FrameReadError | None = None
    for frame_idx in _spread(n_frames, N_SAMPLE_FRAMES):
        try:
            frame = read_raw(frame_idx)
        except FrameReadError as error:
            failure = error  # the others still tell the range
            continue
        step = max(1, math.isqrt(frame.shape[0] * frame.shape[1] // PIXELS_PER_FRAME))
        frame = frame[::step, ::step]
        samples.append(frame.reshape(-1, frame.shape[2] if frame.ndim == 3 else 1))
    if failure is not None and not samples:
        raise failure
    values = np.concatenate(samples)  # (N, C)
    n_channels = values.shape[1]
    if not coloured:
        return tuple(_robust_range(values[:, c]) for c in range(n_channels))
    low, high = _robust_range(values[:, :3])  # opacity is no brightness
    if values.dtype == np.uint8 and high - low >= 128:
        low, high = 0.0, 255.0
    return tuple((low, high) for _ in range(n_channels))


def to_rgb(raw: NDArray[np.generic], limits: Limits) -> NDArray[np.float32]:
    """Scale a frame to what the network sees.

    Parameters
    ----------
    raw : ndarray
        (Y, X), or (Y, X, C) with up to four channels; the fourth is opacity and
        is left out.
    limits : tuple of (float, float)
        What becomes 0 and 1, a pair a channel.

    Returns
    -------
    ndarray of float32
        (Y, X, 3) in [0, 1]. One channel is repeated; of two, blue stays 0. NaN
        and infinities become 0.
    """
    scaled = to_planes(raw, limits)
    return scaled if scaled.shape[-1] == 3 else np.repeat(scaled, 3, axis=-1)


def to_planes(raw: NDArray[np.generic], limits: Limits) -> NDArray[np.float32]:
    """Scale a frame, or a part of one, as `to_rgb` does; grey is not repeated.

    Returns
    -------
    ndarray of float32
        (Y, X, 1) or (Y, X, 3) in [0, 1].
    """
    planes = raw[..., np.newaxis] if raw.ndim == 2 else raw  # (Y, X, C)
    n_channels = min(planes.shape[2], 3)
    shown = np.zeros((*planes.shape[:2], 1 if n_channels == 1 else 3), np.float32)
    for c in range(n_channels):
        shown[..., c] = _scale(planes[..., c], *limits[c])
    return shown


def _scale(plane: NDArray[Any], low: float, high: float) -> NDArray[Any]:
    # float32 holds 16-bit numbers exactly; wider ones are shifted in float64.
    wide = plane.dtype.itemsize > 2
    work: NDArray[Any] = plane.astype(np.float64 if wide else np.float32)
    if plane.dtype.kind == "f":
        work[~np.isfinite(work)] = low
    with np.errstate(over="ignore"):  # beyond the range is clipped, however far
        work -= low
        work /= high - low
    np.clip(work, 0, 1, out=work)
    return work


def _robust_range(values: NDArray[np.generic]) -> tuple[float, float]:
    if values.dtype == np.bool_:
        return 0.0, 1.0
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return 0.0, 1.0
    # A range wider than half of float64's would overflow in high - low.
    widest = float(np.finfo(np.float64).max) / 4
    finite = np.clip(finite.astype(np.float64), -widest, widest)
    low, high = (float(p) for p in np.percentile(finite, PERCENTILES))
    if low == high:  # nearly all background: what is left is the picture
        low, high = float(finite.min()), float(finite.max())
    if low == high:  # constant: black, whatever the number
        high = float(np.nextafter(low, np.inf)) if low + 1 == low else low + 1
    return low, high


def _spread(n_frames: int, count: int) -> Sequence[int]:
    evenly = np.linspace(0, n_frames - 1, min(n_frames, count))
    return [int(f) for f in np.unique(evenly.round())]
