"""Stacks: where planes cut a scene, and how much of its neighbours each one shows.

The point spread of a microscope is longer along z than in the plane, and a section
cut for an electron microscope shows all of its own thickness. Both are a blur along z
of pictures that were drawn in infinitely thin planes. The labels stay those of the
thin planes.

Shapes: T slices that are shown, S >= T planes that are drawn, H rows, W columns.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sam2.training.camera import Camera

    Field = NDArray[np.float32]

_REACH = 1.2
"""How far beyond the outer slices a plane is drawn, in deviations of the blur."""
_NEGLIGIBLE = 0.01


@dataclass(frozen=True, kw_only=True)
class Slices:
    """A plane's way through a stack.

    Attributes
    ----------
    planes
        (S,) float32, ascending positions of the planes to draw, in slices; among them
        0, 1 .. T - 1, those that are shown.
    n_frames
        T.
    step
        From slice to slice, in typical radii of an object; its sign is the direction.
    axial
        Standard deviation of the blur along z, in slices; 0 for none.
    flatness
        How many times wider the blur is along z than in the plane, at least.
    """

    planes: Field
    n_frames: int
    step: float
    axial: float
    flatness: float

    @property
    def aligned(self) -> bool:
        """Whether the slices may not shift against each other: they mix."""
        return self.axial > 0

    @property
    def travel(self) -> Field:
        """(S,) how far the planes are from the middle of the stack, in radii."""
        middle = (self.n_frames - 1) / 2
        return np.asarray(self.step * (self.planes - middle), dtype=np.float32)

    def shown(self, planes: Sequence[NDArray[np.generic]]) -> list[NDArray[np.generic]]:
        """Take the T slices from something that there is for every plane."""
        beyond = (len(self.planes) - self.n_frames) // 2
        return list(planes[beyond : beyond + self.n_frames])

    def weights(self) -> Field:
        """(T, S) how much each plane gives to each blurred slice; rows sum to 1.

        A plane stands for all that is nearer to it than to its neighbours.
        """
        gaps = np.diff(self.planes)
        thickness = 0.5 * (np.append(gaps, gaps[-1]) + np.insert(gaps, 0, gaps[0]))
        away = np.arange(self.n_frames)[:, None] - self.planes
        weight = np.exp(-0.5 * (away / self.axial) ** 2) * thickness
        return np.asarray(weight / weight.sum(1, keepdims=True), dtype=np.float32)

    def blur(self, images: Sequence[Field]) -> list[Field]:
        """Blur along z.

        Parameters
        ----------
        images
            S pictures, (H, W) or (H, W, 3) float32, one a plane.

        Returns
        -------
        list of numpy.ndarray
            T pictures.
        """
        if not self.axial:
            return list(images)
        blurred = []
        for row in self.weights():
            mixed = np.zeros_like(images[0])
            for weight, image in zip(row, images, strict=True):
                if weight > _NEGLIGIBLE:
                    mixed += weight * image
            blurred.append(mixed / row[row > _NEGLIGIBLE].sum())
        return blurred

    def sharpen(self, camera: Camera, radius: float) -> Camera:
        """Limit the blur in the plane, so that it is narrower than along z.

        Parameters
        ----------
        camera
            Its `focus` is the blur in the plane, px.
        radius
            Typical radius of an object in px.
        """
        if not self.axial:
            return camera
        axial = self.axial * abs(self.step) * radius
        widest = np.float32(axial / self.flatness)
        return replace(camera, focus=np.minimum(camera.focus, widest))


def draw_slices(rng: np.random.Generator, n_frames: int, *, sections: bool) -> Slices:
    """Draw the spacing of a stack's slices and their blur along z.

    Parameters
    ----------
    rng
        Source of all randomness.
    n_frames
        T; a single slice is blurred less often, because its neighbours have to be
        drawn for it alone.
    sections
        Whether each slice is a section of tissue seen by an electron microscope,
        which reaches no further than half way to its neighbours, or seen by light.
    """
    step = float(rng.uniform(0.03, 0.3) * rng.choice([-1, 1]))
    if sections:
        axial = float(rng.uniform(0.4, 0.7))
    else:
        axial = float(rng.uniform(0.1, 0.5)) / abs(step)
    often = 0.5 if sections else 0.7
    if n_frames == 1:
        often = 0.0 if sections else 0.2
    axial *= bool(rng.random() < often)
    planes = np.arange(n_frames, dtype=np.float32)
    if axial:
        beyond = max(1.0, _REACH * axial)
        planes = np.concatenate([[-beyond], planes, [n_frames - 1 + beyond]])
    return Slices(
        planes=planes.astype(np.float32),
        n_frames=n_frames,
        step=step,
        axial=axial,
        flatness=float(rng.uniform(1.8, 5.0)),
    )
