"""What is segmented: an Image layer at one of its resolutions, and its colours.

To the rest of the panel a `Picture` is like an Image layer of one resolution, whose
pixels are those of the chosen level.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.transforms import Affine

from napari_sam2.widgets.image_origin import describe
from napari_sam2.widgets.target import (
    Colour,
    TargetError,
    contrast_limits,
    make_target,
    pixel_shape,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image, Layer
    from napari.viewer import Viewer
    from numpy.typing import NDArray

    from napari_sam2.widgets.target import Limits, Target

    Vector = Sequence[float] | NDArray[np.float64]


class Picture:
    """An Image layer at one level, red where other layers are green and blue.

    Parameters
    ----------
    layer : Image
        The layer.
    level : int
        Of its resolutions, 0 is the finest.
    others : sequence of Image
        Up to two more layers of the same frames.
    """

    multiscale = False

    def __init__(
        self, layer: Image, level: int = 0, others: Sequence[Image] = ()
    ) -> None:
        self.layer, self.level, self.others = layer, level, tuple(others)

    def leave_out(self, layer: Layer) -> bool:
        """Do without a layer that was green or blue; say whether it was."""
        before = self.others
        self.others = tuple(other for other in before if other != layer)
        return len(self.others) < len(before)

    def above(self, viewer: Viewer) -> int:
        """Return the index in the layer list at which a layer lies right upon it."""
        layers = viewer.layers
        ours = [y for y in (self.layer, *self.others) if y in layers]
        return max((layers.index(y) + 1 for y in ours), default=len(layers))

    @property
    def data(self) -> Any:
        """The pixels of the level."""
        layer = self.layer
        if not layer.multiscale:
            return layer.data
        return layer.data[min(self.level, len(layer.data) - 1)]

    @property
    def known_level(self) -> int | None:
        """The level; None where the layer has but one."""
        return self.level if self.layer.multiscale else None

    @property
    def name(self) -> str:
        """What the layer is called."""
        return str(self.layer.name)

    @property
    def ndim(self) -> int:
        """Number of axes, without colours."""
        return int(self.layer.ndim)

    @property
    def rgb(self) -> bool:
        """Whether the layer has colours of its own."""
        return bool(self.layer.rgb)

    @property
    def axis_labels(self) -> Any:
        """The layer's."""
        return self.layer.axis_labels

    @property
    def units(self) -> Any:
        """The layer's."""
        return self.layer.units

    @property
    def contrast_limits(self) -> tuple[float, float]:
        """The layer's."""
        low, high = self.layer.contrast_limits
        return float(low), float(high)

    @property
    def limits(self) -> tuple[Limits | None, ...]:
        """The contrast limits as they are shown now, see `Target.limits`."""
        return tuple(contrast_limits(layer) for layer in (self.layer, *self.others))

    @property
    def step(self) -> NDArray[np.float64]:
        """Pixels of the finest level that one of this level is long, by axis."""
        if not self.layer.multiscale:
            return np.ones(self.ndim)
        return np.asarray(self.layer.downsample_factors[self.level], np.float64)

    @property
    def scale(self) -> NDArray[np.float64]:
        """How long a pixel of the level is in the world, by axis."""
        scale: NDArray[np.float64] = self.layer.scale * self.step
        return scale

    def world_to_data(self, position: Vector) -> NDArray[np.float64]:
        """Bring a position in the world to pixels of the level, centres at integers."""
        finest = np.asarray(self.layer.world_to_data(position))
        return (finest + 0.5) / self.step - 0.5

    def data_to_world(self, position: Vector) -> NDArray[np.float64]:
        """Bring a position in pixels of the level to the world."""
        finest = (np.asarray(position) + 0.5) * self.step - 0.5
        return np.asarray(self.layer.data_to_world(finest))

    def placement(
        self, step: Vector | None = None, first: Vector | None = None
    ) -> dict[str, Any]:
        """Return what a new layer needs to lie exactly on the picture, or on a part.

        Parameters
        ----------
        step : sequence of float, optional
            Pixels of the level that one of the new layer's is long, by axis; 1 by
            default.
        first : sequence of float, optional
            Where the centre of the new layer's first pixel lies; by default where its
            edges are those of the picture.

        Returns
        -------
        dict
            Arguments for ``viewer.add_image`` and its like.
        """
        layer = self.layer
        size = np.ones(self.ndim) if step is None else np.asarray(step)
        begin = (size - 1) / 2 if first is None else np.asarray(first)
        inside = Affine(
            scale=layer.scale,
            translate=layer.translate,
            rotate=layer.rotate,
            shear=layer.shear,
        )
        return {
            "scale": self.scale * size,
            "translate": inside((begin + 0.5) * self.step - 0.5),
            "rotate": layer.rotate,
            "shear": layer.shear,
            "affine": layer.affine.affine_matrix,
            "units": layer.units,
            "axis_labels": layer.axis_labels,
        }


def levels_of(layer: Image | None) -> list[str]:
    """Describe the resolutions of a layer, the finest first; none where it has one."""
    if layer is None or not layer.multiscale:
        return []
    shapes = [data.shape[: layer.ndim] for data in layer.data]
    return [
        f"{level}: {shape[-2]} × {shape[-1]} pixels{'' if level else ', the finest'}"
        for level, shape in enumerate(shapes)
    ]


def picture_target(picture: Picture, viewer: Viewer, followed: int | None) -> Target:
    """Describe the stack that the user looks at, colours included; see `make_target`.

    Raises
    ------
    TargetError
        If the sliders stand outside, or the colours do not fit; says what to do.
    """
    others = [Picture(layer, picture.level) for layer in picture.others]
    for other in others:
        check_alike(picture, other)
    target = make_target(picture, viewer, followed)
    colours = tuple(
        Colour(
            data=other.data,
            name=other.name,
            contrast_limits=other.contrast_limits,
            level=other.known_level,
        )
        for other in others
    )
    held = (np.array(target.held) + 0.5) * picture.step - 0.5
    return replace(
        target,
        colours=colours,
        level=picture.known_level,
        found_at=describe(picture.layer, followed, [round(at) for at in held]),
    )


def check_alike(first: Picture, other: Picture) -> None:
    """See that two layers show the same frames in the same place.

    Raises
    ------
    TargetError
        If not; the message says what to do.
    """
    ours, theirs = pixel_shape(first), pixel_shape(other)
    if other.rgb or first.rgb:
        colourful = (other if other.rgb else first).name
        raise TargetError(
            f"{colourful!r} has colours of its own; take grey layers for red, green "
            "and blue."
        )
    if ours != theirs:
        raise TargetError(
            f"Red, green and blue must have one shape, but {first.name!r} is "
            f"{_size(ours)} and {other.name!r} {_size(theirs)}; take layers of the "
            "same frames."
        )
    corners = [np.zeros(len(ours)), *np.diag(ours)]
    if not all(
        np.allclose(first.data_to_world(at), other.data_to_world(at)) for at in corners
    ):
        raise TargetError(
            f"{other.name!r} lies elsewhere than {first.name!r}: scale or translate "
            "differ; take layers of the same place, or give them the same."
        )


def _size(shape: Sequence[int]) -> str:
    return "×".join(str(n) for n in shape)
