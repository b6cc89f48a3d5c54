"""Focus, illumination, sensor and display of synthetic pictures.

Shapes: T frames, H rows, W columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sam2.training import textures

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Field = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Camera:
    """Optics and sensor shared by the frames of a clip.

    Attributes
    ----------
    focus
        (T,) blur in px of each frame.
    shade, veil
        (H, W) uneven illumination (a factor) and stray light (added).
    shot, read
        Strength of noise growing with the root of the signal, and constant.
    grain
        Correlation length of the noise in px (0: white).
    window
        Low and high end of the display window as shares of the robust range.
    gamma, invert, tint
        Tone curve, negative, and colour of a grey image, (3,).
    """

    focus: Field
    shade: Field
    veil: Field
    shot: float
    read: float
    grain: float
    window: tuple[float, float]
    gamma: float
    invert: bool
    tint: Field

    def expose(self, rng: np.random.Generator, images: list[Field]) -> Field:
        """Turn rendered frames into pictures, (T, H, W, 3) float32 in [0, 1].

        The display window is one for the whole clip, as for a real stack.
        """
        low, high = np.percentile(images[0].ravel()[::7], [0.5, 99.5])
        extent = max(float(high - low), 1e-3)
        frames = []
        for t, image in enumerate(images):
            value = (image - np.float32(low)) / np.float32(extent)
            if value.ndim == 3:
                planes = [self._sensor(rng, value[..., c], t) for c in range(3)]
                frames.append(np.stack(planes, axis=-1))
            else:
                frames.append(self._sensor(rng, value, t)[..., None])
        first = frames[0][::3, ::3]
        low, high = np.percentile(first, [0.5, 99.5])
        extent = max(float(high - low), 1e-3)
        low, high = low - self.window[0] * extent, high + self.window[1] * extent
        tones = (np.stack(frames) - np.float32(low)) / np.float32(high - low)
        np.clip(tones, 0, 1, out=tones)
        if abs(self.gamma - 1) > 0.05:
            tones = tones ** np.float32(self.gamma)
        if self.invert:
            tones = 1 - tones
        if tones.shape[-1] == 1:
            tones = tones * self.tint
        return np.ascontiguousarray(tones, dtype=np.float32)

    def _sensor(self, rng: np.random.Generator, value: Field, t: int) -> Field:
        value = textures.blur(value, float(self.focus[t])) * self.shade + self.veil
        noise = rng.standard_normal(value.shape, np.float32)
        if self.grain > 0.3:
            noise = textures.blur(noise, self.grain) * np.float32(2.5 * self.grain)
        shot = np.float32(self.shot) * np.sqrt(np.maximum(value, 0))
        return value + noise * (shot + np.float32(self.read))


def draw_camera(
    rng: np.random.Generator, size: int, n_frames: int, *, noisy: bool
) -> Camera:
    """Draw the optics and the sensor of a clip; a noisy kind is noisy more often."""
    focus = rng.uniform(0, 1.2) + (rng.uniform(0, 2.5) if rng.random() < 0.2 else 0)
    breathing = np.exp(np.cumsum(rng.normal(0, 0.08, n_frames)))
    uneven = rng.uniform(0, 0.5) * (rng.random() < 0.6)
    veil = rng.uniform(0, 0.3) * (rng.random() < 0.4)
    grainy = rng.random() < (0.35 if noisy else 0.12)
    tint = np.ones(3)
    if rng.random() < 0.15:
        tint = rng.uniform(0.2, 1, 3)
    shade = 1 + uneven * 0.4 * textures.smooth_noise(rng, size, int(rng.integers(3, 5)))
    return Camera(
        focus=(focus * breathing).astype(np.float32),
        shade=np.maximum(shade, 0.2).astype(np.float32),
        veil=np.float32(veil) * textures.smooth_noise(rng, size, 4),
        shot=float(rng.uniform(0.08, 0.42) if grainy else rng.uniform(0, 0.1)),
        read=float(rng.uniform(0.02, 0.1) if grainy else rng.uniform(0, 0.04)),
        grain=float(rng.choice([0.0, 0.5, 0.9], p=[0.6, 0.25, 0.15])),
        window=(float(rng.uniform(-0.02, 0.25)), float(rng.uniform(-0.05, 0.5))),
        gamma=float(np.exp(rng.normal(0, 0.25))),
        invert=bool(rng.random() < 0.12),
        tint=tint.astype(np.float32),
    )
