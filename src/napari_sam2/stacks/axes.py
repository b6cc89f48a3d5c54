"""Which axis of an array is followed, which are fixed, and where a frame lies.

Axes are named by letters, one a dimension: T time, Z depth, C channel, Y rows,
X columns. S, TIFF's samples, is a channel as well. Any other letter names an
axis that has to be fixed before the stack can be followed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam2.stacks.errors import StackError

__all__ = ["Layout", "guess_axes", "plan_layout", "resolve_axes"]

FOLLOWED = "TZ"  # in order of preference
# What a file says when it does not know: tifffile's Q (other) and I (sequence).
UNNAMED = "QI"
LENGTH_ONE = "_"  # a dimension of length one that nobody named


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How to cut frame ``t`` out of an array.

    Attributes
    ----------
    axes : str
        One letter a dimension of the array.
    shape : tuple of int
        The array's shape.
    followed : str or None
        ``"T"`` or ``"Z"``; None when the array is one frame.
    fixed : mapping of str to int
        Where every other axis but Y, X and the channels is held.
    channel : str or None
        The letter of the channel axis, if frames have one.
    channels : tuple of int or None
        The chosen channels; None for all of them.
    """

    axes: str
    shape: tuple[int, ...]
    followed: str | None
    fixed: Mapping[str, int]
    channel: str | None
    channels: tuple[int, ...] | None

    def length(self, letter: str) -> int:
        """Length of the axis called `letter`; 1 where there is none."""
        at = self.axes.find(letter)
        return self.shape[at] if at >= 0 else 1

    @property
    def n_frames(self) -> int:
        """Number of frames along the followed axis."""
        return self.length(self.followed) if self.followed else 1

    @property
    def n_channels(self) -> int:
        """Number of channels a frame is read with; 1 without a channel axis."""
        if self.channel is None:
            return 1
        return len(self.channels) if self.channels else self.length(self.channel)

    def index(self, frame_idx: int) -> tuple[int | slice, ...]:
        """Index of frame `frame_idx` in the array: an int or full slice an axis."""
        where: list[int | slice] = []
        for letter in self.axes:
            if letter == self.followed:
                where.append(frame_idx)
            elif letter in ("Y", "X", self.channel):
                where.append(slice(None))
            else:
                where.append(self.fixed.get(letter, 0))
        return tuple(where)

    def position(self, frame_idx: int, letters: str) -> tuple[int, ...]:
        """Where frame `frame_idx` lies along some of the axes that are not its own."""
        return tuple(
            frame_idx if letter == self.followed else self.fixed.get(letter, 0)
            for letter in letters
        )

    def to_frame(self, cut: NDArray[np.generic]) -> NDArray[np.generic]:
        """Turn what `index` cut out into (Y, X) or (Y, X, C)."""
        kept = [a for a in self.axes if a in ("Y", "X", self.channel)]
        order = ["Y", "X"] + ([self.channel] if self.channel else [])
        frame = cut.transpose([kept.index(letter) for letter in order])
        if self.channels is not None:
            frame = frame[..., list(self.channels)]
        return frame


def guess_axes(shape: Sequence[int]) -> str:
    """Name the axes of an array that does not say what they are.

    Parameters
    ----------
    shape : sequence of int
        Of two to four axes; a last axis of 3 or 4 is taken for RGB(A).

    Returns
    -------
    str
        ``"YX"``, ``"TYX"``, ``"YXC"`` or ``"TYXC"``.

    Raises
    ------
    StackError
        When the shape could mean several things.
    """
    coloured = len(shape) >= 3 and shape[-1] in (3, 4)
    guess = {2: "YX", 3: "YXC" if coloured else "TYX", 4: "TYXC" if coloured else ""}
    axes = guess.get(len(shape), "")
    if not axes:
        raise StackError(
            f"An array of shape {_show(shape)} does not say what its axes are; "
            "name them, for example axes='TZYX' or axes='TCYX'."
        )
    return axes


def resolve_axes(
    shape: Sequence[int], *, given: str | None = None, known: str | None = None
) -> str:
    """Settle on one letter a dimension.

    Parameters
    ----------
    shape : sequence of int
        The array's shape.
    given : str, optional
        What the caller says; it wins. Axes of length one may be left out.
    known : str, optional
        What the file's metadata says.

    Returns
    -------
    str
        Upper-case letters, as many as `shape` is long.

    Raises
    ------
    StackError
        When the letters do not fit the shape.
    """
    if given is not None:
        return _fit_given(given, shape, known)
    if known is None:
        return _guess_leaving_out_ones(shape)
    axes = known.upper()
    if "S" in axes and "C" not in axes:
        axes = axes.replace("S", "C")
    for letter in UNNAMED:
        free = next((a for a in FOLLOWED if a not in axes), None)
        if letter in axes and free == "T":
            axes = axes.replace(letter, "T", 1)
    if len(set(axes.replace(LENGTH_ONE, ""))) < len(axes.replace(LENGTH_ONE, "")):
        return _guess_leaving_out_ones(shape)
    _check_letters(axes, shape)
    return axes


def plan_layout(
    axes: str,
    shape: Sequence[int],
    *,
    fixed: Mapping[str, int] | None = None,
    channels: Sequence[int] | None = None,
    follow: str | None = None,
) -> Layout:
    """Choose the followed axis and hold the others.

    Parameters
    ----------
    axes : str
        One letter a dimension, as `resolve_axes` gives.
    shape : sequence of int
        The array's shape.
    fixed : mapping of str to int, optional
        Positions at which axes are held, for example ``{"Z": 3}``.
    channels : sequence of int, optional
        Up to three channels, shown to the network as red, green and blue.
    follow : str, optional
        The axis to follow, whatever it is called.

    Returns
    -------
    Layout
        Unless `follow` says otherwise, the first of T and Z that is longer than one
        and not fixed is followed.

    Raises
    ------
    StackError
        When an axis is left over, or a position lies outside the array.
    """
    held = _check_fixed(fixed or {}, axes, shape)
    length = dict(zip(axes, shape, strict=True))
    free = [a for a in FOLLOWED if a in length and a not in held]
    followed = next((a for a in free if length[a] > 1), free[0] if free else None)
    if follow is not None:
        followed = follow
    channel = next((a for a in "SC" if a in length and a not in held), None)
    for letter in axes:
        if letter in ("Y", "X", followed, channel) or letter in held:
            continue
        if length[letter] > 1:
            raise StackError(
                f"Axis {letter} of this {axes} stack has {length[letter]} positions "
                f"and {followed or 'no other axis'} is followed; say which one to "
                f"use, for example fixed={{'{letter}': 0}}."
            )
        held[letter] = 0
    if min(shape) < 1:
        raise StackError(f"A stack of shape {_show(shape)} has no pixels.")
    return Layout(
        axes=axes,
        shape=tuple(shape),
        followed=followed,
        fixed=held,
        channel=channel,
        channels=_check_channels(channels, channel, axes, length),
    )


def _check_fixed(
    fixed: Mapping[str, int], axes: str, shape: Sequence[int]
) -> dict[str, int]:
    held: dict[str, int] = {}
    for name, position in fixed.items():
        letter = name.upper()
        if letter in ("Y", "X") or letter not in axes:
            raise StackError(
                f"fixed names the axis {name!r}; this {axes} stack can be fixed "
                f"along {_listed([a for a in axes if a not in 'YX_']) or 'none'}."
            )
        length = shape[axes.index(letter)]
        if not -length <= position < length:
            raise StackError(
                f"fixed={{'{letter}': {position}}} lies outside axis {letter}, "
                f"which has positions 0 to {length - 1}."
            )
        held[letter] = int(position) % length
    return held


def _check_channels(
    channels: Sequence[int] | None,
    channel: str | None,
    axes: str,
    length: Mapping[str, int],
) -> tuple[int, ...] | None:
    n_channels = length[channel] if channel else 1
    if channels is None:
        # Four channels are RGBA only where files keep them so: last.
        if channel and n_channels > 3 and not (n_channels == 4 and axes[-1] == channel):
            raise StackError(
                f"This {axes} stack has {n_channels} channels and the network takes "
                "up to three; choose, for example channels=(0, 1, 2)."
            )
        return None
    chosen = tuple(int(c) for c in channels)
    if channel is None:
        raise StackError(
            f"channels={_show(chosen)} was given, but this {axes} stack has no "
            "channel axis; leave it out or name the axis with axes=."
        )
    if not 1 <= len(chosen) <= 3 or not all(
        -n_channels <= c < n_channels for c in chosen
    ):
        raise StackError(
            f"channels={_show(chosen)} must be one to three of the channels 0 to "
            f"{n_channels - 1}."
        )
    return tuple(c % n_channels for c in chosen)


def _fit_given(given: str, shape: Sequence[int], known: str | None) -> str:
    axes = given.strip().upper()
    if "S" in axes and "C" not in axes:
        axes = axes.replace("S", "C")
    if len(axes) != len(shape):
        long = [at for at, n in enumerate(shape) if n != 1]
        if len(axes) != len(long):
            says = f" (its file calls them {known})" if known else ""
            raise StackError(
                f"axes={given!r} names {len(axes)} axes, but the array has "
                f"{len(shape)}, of lengths {_show(shape)}{says}; give one letter each."
            )
        letters = [LENGTH_ONE] * len(shape)
        for at, letter in zip(long, axes, strict=True):
            letters[at] = letter
        axes = "".join(letters)
    _check_letters(axes, shape)
    return axes


def _check_letters(axes: str, shape: Sequence[int]) -> None:
    named = axes.replace(LENGTH_ONE, "")
    if not named.isalpha() or len(set(named)) != len(named):
        raise StackError(
            f"axes={named!r} must be different letters, one a dimension of "
            f"{_show(shape)}: T time, Z depth, C channel, Y rows, X columns."
        )
    if len(axes) != len(shape) or "Y" not in named or "X" not in named:
        raise StackError(
            f"axes={named!r} must name Y and X among the dimensions {_show(shape)}; "
            "give one letter each, for example axes='TYX'."
        )


def _guess_leaving_out_ones(shape: Sequence[int]) -> str:
    try:
        return guess_axes(shape)
    except StackError:
        # (1, 1, 40, 512, 512) is a movie; only leading ones may go unnamed.
        ones = next((at for at, n in enumerate(shape) if n != 1), len(shape))
        if ones == 0 or len(shape) - ones < 2:
            raise
        return LENGTH_ONE * ones + guess_axes(shape[ones:])


def _listed(letters: Sequence[str]) -> str:
    return ", ".join(letters)


def _show(numbers: Sequence[int]) -> str:
    return "(" + ", ".join(str(int(n)) for n in numbers) + ")"
