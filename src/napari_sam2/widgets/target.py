"""Which pixels to follow: an Image layer, one axis of it, the others held."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari.layers import Image, Labels, Layer
    from napari.viewer import Viewer

# Names of axes that are held; T, Z, C, S, Y and X mean something to a stack.
_HELD_LETTERS = "ABDEFGHIJKLMNOPQRUVW"
_TIME_WORDS = ("t", "time", "frame", "frames")
_DEPTH_WORDS = ("z", "depth", "plane", "slice")
_CHANNEL_WORDS = ("c", "channel", "channels")


class TargetError(ValueError):
    """The layer cannot be followed like this; the message says what to do."""


Limits = tuple[float, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class Colour:
    """What is shown as green or blue where a target is red.

    Attributes
    ----------
    data : array-like
        Of the target's shape.
    name : str
        The layer's name.
    contrast_limits : (low, high)
        The layer's.
    level : int or None
        As in `Target`.
    """

    data: Any
    name: str
    contrast_limits: Limits
    level: int | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Target:
    """A stack of frames inside the data of an Image layer.

    Attributes
    ----------
    data : array-like
        The layer's data; of several resolutions the finest.
    name : str
        The layer's name.
    shape : tuple of int
        Of `data`, without colours.
    followed : int or None
        The axis that frames are counted along; None for a single picture.
    held : tuple of int
        Index along every axis of `shape`; only those of axes that are neither
        followed nor Y, X mean something.
    axes : str
        Letters for `napari_sam2.open_stack`.
    contrast_limits : tuple of float or None
        The layer's; None for colour pictures.
    found_at : mapping
        What finds the layer again another day, see `napari_sam2.widgets.image_origin`.
    colours : tuple of Colour
        Green, or green and blue; none where the layer is alone.
    level : int or None
        Which of the layer's resolutions `data` is; None where it has one.
    """

    data: Any
    name: str
    shape: tuple[int, ...]
    followed: int | None
    held: tuple[int, ...]
    axes: str
    contrast_limits: Limits | None
    found_at: Mapping[str, Any] = field(default_factory=dict)
    colours: tuple[Colour, ...] = ()
    level: int | None = None

    @property
    def limits(self) -> tuple[Limits | None, ...]:
        """The contrast limits of the layer and of its colours."""
        return self.contrast_limits, *(c.contrast_limits for c in self.colours)

    def with_limits(self, limits: Sequence[Limits | None]) -> Target:
        """Return the same frames under other contrast limits, see `limits`."""
        first, *rest = limits
        colours = [
            replace(colour, contrast_limits=pair)
            for colour, pair in zip(self.colours, rest, strict=True)
            if pair is not None
        ]
        return replace(self, contrast_limits=first, colours=tuple(colours))

    @property
    def fixed(self) -> dict[str, int]:
        """Positions of the axes that are held, by their letters."""
        kept = {self.followed, len(self.shape) - 2, len(self.shape) - 1}
        return {
            self.axes[axis]: position
            for axis, position in enumerate(self.held)
            if axis not in kept
        }

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for targets that give the same frames."""
        fixed = tuple(self.fixed.items())
        colours = tuple(id(colour.data) for colour in self.colours)
        return id(self.data), self.followed, fixed, self.axes, self.limits, colours

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return 1 if self.followed is None else self.shape[self.followed]

    def index(self, frame_idx: int) -> tuple[int, ...]:
        """Index of a frame in `data`, one integer for each axis but Y and X."""
        where = list(self.held[:-2])
        if self.followed is not None:
            where[self.followed] = frame_idx
        return tuple(where)

    def frame_of(self, position: Sequence[float]) -> int | None:
        """Return the frame that holds a position in `data`; None if none does."""
        nearest = [round(float(p)) for p in position]
        for axis, (at, length) in enumerate(zip(nearest, self.shape, strict=True)):
            if not 0 <= at < length:
                return None
            kept = axis == self.followed or axis >= len(self.shape) - 2
            if not kept and at != self.held[axis]:
                return None
        return 0 if self.followed is None else nearest[self.followed]

    def holds(self, position: Sequence[float]) -> bool:
        """Whether a position in `data` lies inside the picture, on any frame."""
        pairs = zip(position, self.shape, strict=True)
        return all(0 <= round(float(at)) < length for at, length in pairs)


def pixel_shape(layer: Image | Labels) -> tuple[int, ...]:
    """Return the shape of a layer's finest data, without colours."""
    data = layer.data[0] if layer.multiscale else layer.data
    return tuple(int(n) for n in data.shape[: layer.ndim])


def stack_axes(layer: Image | Labels) -> list[tuple[int, str]]:
    """Return the axes that can be followed, the likeliest first, with a description.

    Axes of length one are left out; a single picture has none.
    """
    shape = pixel_shape(layer)
    axes = [axis for axis in range(len(shape) - 2) if shape[axis] > 1]
    words = [str(label).lower() for label in layer.axis_labels]

    def likelihood(axis: int) -> int:
        lists = (_TIME_WORDS, _DEPTH_WORDS)
        if words[axis] in _CHANNEL_WORDS:
            return len(lists) + 1
        return next((i for i, names in enumerate(lists) if words[axis] in names), 2)

    return [
        (axis, f"{_describe(words[axis], axis)}, {shape[axis]} steps")
        for axis in sorted(axes, key=likelihood)
    ]


def current_index(layer: Layer, viewer: Viewer) -> tuple[int, ...]:
    """Return where the sliders stand, as an index into the layer's data."""
    layer_point = layer.world_to_data(viewer.dims.point)
    return tuple(round(float(p)) for p in layer_point)


def make_target(layer: Image | Labels, viewer: Viewer, followed: int | None) -> Target:
    """Describe the stack that the user looks at.

    Parameters
    ----------
    layer : Image or Labels
        Its last two axes are the pictures.
    viewer : Viewer
        Its sliders hold the axes that are not followed.
    followed : int or None
        Axis of the layer's data; None for a single picture.

    Raises
    ------
    TargetError
        If the sliders stand outside the layer on an axis that is held.
    """
    shape = pixel_shape(layer)
    held = current_index(layer, viewer)
    for axis, (at, length) in enumerate(zip(held[:-2], shape[:-2], strict=True)):
        if axis != followed and not 0 <= at < length:
            name = axis_name(layer, axis)
            raise TargetError(
                f"The slider of the {name} stands where {layer.name!r} has no picture; "
                "move it to where you see the image."
            )
    return Target(
        data=layer.data[0] if layer.multiscale else layer.data,
        name=str(layer.name),
        shape=shape,
        followed=followed,
        held=held,
        axes=_letters(layer, followed),
        contrast_limits=contrast_limits(layer),
    )


def _letters(layer: Image | Labels, followed: int | None) -> str:
    """Name the axes so that a stack follows `followed`: as T, or as Z where it is."""
    words = [str(label).lower() for label in layer.axis_labels]
    spare = iter(_HELD_LETTERS)
    letters = [next(spare) for _ in range(layer.ndim - 2)]
    if followed is not None:
        depth = words[followed] in _DEPTH_WORDS
        letters[followed] = "Z" if depth else "T"
        for axis, word in enumerate(words[:-2]):
            if axis != followed and word in (_TIME_WORDS if depth else _DEPTH_WORDS):
                letters[axis] = "T" if depth else "Z"
    named = "".join(letters)
    if named.count("T") > 1 or named.count("Z") > 1:  # "t" and "time" at once
        named = "".join(
            letter if axis == followed else _HELD_LETTERS[axis]
            for axis, letter in enumerate(letters)
        )
    return f"{named}YX{'C' if coloured(layer) else ''}"


def axis_name(layer: Image | Labels, axis: int) -> str:
    """Return what to call an axis of a layer: "time axis", "second axis"."""
    return _describe(str(layer.axis_labels[axis]).lower(), axis)


def _describe(word: str, axis: int) -> str:
    """Name an axis as the user knows it; napari calls unnamed ones "-3"."""
    if word in _TIME_WORDS:
        return "time axis"
    if word in _DEPTH_WORDS:
        return "depth (z) axis"
    if word in _CHANNEL_WORDS:
        return "channel axis"
    ordinal = ("first", "second", "third", "fourth", "fifth")
    unnamed = not word or word.removeprefix("axis ").lstrip("-").isdigit()
    place = ordinal[axis] if axis < len(ordinal) else f"{axis + 1}th"
    return f"{place} axis" if unnamed else f"{word} axis"


def coloured(layer: Image | Labels) -> bool:
    """Whether a layer's last axis is its colours, which Labels have not."""
    return bool(getattr(layer, "rgb", False))


def contrast_limits(layer: Image | Labels) -> Limits | None:
    """Return what is shown as black and white; None for colours and labels."""
    limits = getattr(layer, "contrast_limits", None)
    if limits is None or coloured(layer):
        return None
    low, high = limits
    return float(low), float(high)
