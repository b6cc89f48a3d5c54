"""Random appearance of real pictures and clips: tone, colour, focus, noise.

A `Retouch` is drawn once a clip, so that frames share it; noise and a slight
flicker are fresh in every frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sam2.training import textures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Field = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Retouch:
    """Tone and sensor of a sample.

    Attributes
    ----------
    window
        Percentiles of the first frame that become 0 and 1, or None.
    gamma, contrast, brightness
        value -> (value ** gamma - 0.5) * contrast + 0.5 + brightness.
    invert
        Show the negative.
    mix
        (3, 3) float32 from source to shown colour.
    sigma
        Blur in px.
    noise, shot
        Deviation of added noise, constant and at full signal.
    shade
        (H, W, 1) float32 factor, or None.
    flicker
        Deviation of the brightness factor from frame to frame.
    """

    window: tuple[float, float] | None
    gamma: float
    contrast: float
    brightness: float
    invert: bool
    mix: Field
    sigma: float
    noise: float
    shot: float
    shade: Field | None
    flicker: float

    def apply(self, rng: np.random.Generator, frames: Sequence[Field] | Field) -> Field:
        """Retouch frames.

        Parameters
        ----------
        rng
            Source of noise and flicker.
        frames
            T arrays (H, W) or (H, W, 3), float32 in [0, 1].

        Returns
        -------
        numpy.ndarray
            (T, H, W, 3) float32 in [0, 1].
        """
        low, high = np.float32(0), np.float32(1)
        sample = frames[0][::3, ::3]
        if self.window is not None:
            low, high = np.percentile(sample, self.window).astype(np.float32)
        extent = np.maximum(high - low, np.float32(0.05))
        # Noise is drawn for a picture that uses its range; a flat one gets less.
        calm = min(1.0, 6 * float(sample.std() / extent) + 0.05)
        return np.stack(
            [self._one(rng, (frame - low) / extent, calm) for frame in frames]
        )

    def _one(self, rng: np.random.Generator, frame: Field, calm: float) -> Field:
        planes = frame[..., None] if frame.ndim == 2 else frame
        if planes.shape[-1] == 3:
            planes = planes @ self.mix
        if self.sigma > 0.2:
            soft = [
                textures.blur(np.ascontiguousarray(planes[..., c]), self.sigma)
                for c in range(planes.shape[-1])
            ]
            planes = np.stack(soft, axis=-1)
        value = np.clip(planes, 0, 1) ** np.float32(self.gamma)
        value = (value - np.float32(0.5)) * np.float32(self.contrast)
        value += np.float32(0.5 + self.brightness)
        if self.shade is not None:
            value = value * self.shade
        if self.flicker:
            value = value * np.float32(1 + rng.normal(0, self.flicker))
        if self.noise + self.shot > 0:
            noise = rng.standard_normal(value.shape, np.float32) * np.float32(calm)
            root = np.sqrt(np.maximum(value, 0)) * np.float32(self.shot)
            value = value + noise * (root + np.float32(self.noise))
        value = np.clip(value, 0, 1)
        if self.invert:
            value = 1 - value
        if value.shape[-1] == 1:
            value = value * self.mix.sum(axis=0)
        return np.ascontiguousarray(np.clip(value, 0, 1), dtype=np.float32)


def _mix(rng: np.random.Generator) -> Field:
    """Colour matrix: as it is, grey, tinted, or channels shuffled."""
    kind = rng.random()
    if kind < 0.55:
        return np.eye(3, dtype=np.float32)
    if kind < 0.8:
        weight = rng.dirichlet(np.full(3, 3.0))
        return np.repeat(weight[:, None], 3, axis=1).astype(np.float32)
    if kind < 0.92:
        return np.diag(rng.uniform(0.3, 1, 3)).astype(np.float32)
    return np.eye(3, dtype=np.float32)[rng.permutation(3)]


def draw_retouch(rng: np.random.Generator, size: int) -> Retouch:
    """Draw an appearance; about a third of them leave the tones nearly alone."""
    strength = 0.25 if rng.random() < 0.3 else 1.0
    noisy = rng.random() < 0.35
    shade = None
    if rng.random() < 0.2 * strength:
        field = 1 + 0.2 * textures.smooth_noise(rng, size, 3)
        shade = np.clip(field, 0.3, 1.6)[..., None]
    window = None
    if rng.random() < 0.5:
        window = (float(rng.uniform(0, 1.5)), float(rng.uniform(97.5, 100)))
    return Retouch(
        window=window,
        gamma=float(np.exp(rng.normal(0, 0.35 * strength))),
        contrast=float(np.exp(rng.normal(0, 0.3 * strength))),
        brightness=float(rng.normal(0, 0.08 * strength)),
        invert=bool(rng.random() < 0.3),
        mix=_mix(rng),
        sigma=float(rng.uniform(0.3, 1.6)) if rng.random() < 0.25 else 0.0,
        noise=float(rng.uniform(0, 0.1)) * noisy,
        shot=float(rng.uniform(0, 0.15)) * noisy,
        shade=shade,
        flicker=float(rng.uniform(0, 0.04)) * (rng.random() < 0.4),
    )
