"""How a synthetic scene looks: the contrast mechanism of the microscope.

A look is drawn once a clip; `Look.render` turns the geometry of a frame into an
image. All looks read the same buffers: thickness comes from the depth inside an
object, texture from coordinates that travel with it.

Shapes: H, W; N objects (tables have N + 1 rows, row 0 is the background).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_sam2.training import stains, textures

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sam2.training.scenes import Kind, Scene
    from napari_sam2.training.shapes import Buffers

    Field = NDArray[np.float32]

Style = Literal[
    "fluorescence", "phase", "dic", "brightfield", "stain", "em", "patchwork"
]

STYLES: dict[Kind, dict[Style, float]] = {
    "nuclei": {
        "fluorescence": 6,
        "phase": 1,
        "dic": 1,
        "brightfield": 1,
        "stain": 3,
        "patchwork": 2,
    },
    "spread": {
        "fluorescence": 2,
        "phase": 7,
        "dic": 1.5,
        "brightfield": 2,
        "stain": 0.7,
        "patchwork": 1,
    },
    "branching": {
        "fluorescence": 4,
        "phase": 1.5,
        "dic": 0.5,
        "brightfield": 1,
        "stain": 1,
        "patchwork": 0.5,
    },
    "rods": {
        "fluorescence": 3,
        "phase": 3,
        "dic": 1,
        "brightfield": 1,
        "stain": 1,
        "patchwork": 1,
    },
    "vesicles": {
        "fluorescence": 4,
        "phase": 1,
        "dic": 1,
        "brightfield": 1.5,
        "em": 2,
        "patchwork": 1,
    },
    "tissue": {
        "fluorescence": 4,
        "phase": 2,
        "dic": 1,
        "brightfield": 1,
        "stain": 2,
        "patchwork": 1,
    },
    "neuropil": {"em": 8, "fluorescence": 0.7, "patchwork": 0.7},
}
"""With which microscopes a kind of object is seen, and how often."""


@dataclass(frozen=True, kw_only=True)
class Skin:
    """Randomness of a look: a tile of the texture bank and how it is read."""

    tile: Field
    scale: float
    y: Field
    x: Field
    strength: float

    def on_objects(self, b: Buffers) -> Field:
        """Texture that travels with each object, (H, W)."""
        return self.strength * textures.read_texture(
            self.tile,
            b.v * self.scale + self.y[b.index],
            b.u * self.scale + self.x[b.index],
        )

    def on_background(self, b: Buffers) -> Field:
        """Texture that travels with the scene, (H, W)."""
        return self.strength * textures.read_texture(
            self.tile, b.y * self.scale + self.y[0], b.x * self.scale + self.x[0]
        )


def _skin(rng: np.random.Generator, n: int, low: float, high: float) -> Skin:
    bank = textures.texture_bank()
    return Skin(
        tile=bank[int(rng.integers(len(bank)))],
        scale=float(rng.uniform(0.6, 1.8)),
        y=rng.uniform(0, textures.TILE, n + 1).astype(np.float32),
        x=rng.uniform(0, textures.TILE, n + 1).astype(np.float32),
        strength=float(rng.uniform(low, high) * rng.choice([-1, 1])),
    )


@dataclass(frozen=True, kw_only=True)
class Look:
    """Everything about the appearance of one clip.

    Attributes
    ----------
    style
        Contrast mechanism.
    gain
        (N + 1,) float32, brightness or thickness of each object, 0 first.
    skins
        Coarse and fine texture of the objects, and the background's.
    nucleus
        (N + 1, 2) float32 offset of an inner body in px, `nucleus_size` (N + 1,)
        its radius in px, and `nucleus_gain` (0: none).
    p
        (10,) float32 in [0, 1], what each style makes its parameters from.
    colours
        Patchwork: (3, 3) float32 colour of background, objects and inner bodies.
    dyes
        Stain: (4, 3) float32 absorbance of ground, objects, inner bodies, and of the
        objects that are `positive`, (N + 1,) bool.
    defocus
        Bright-field: (N + 1,) float32, how far each object lies below the focal plane
        (above: negative) when that is in the middle of the scene, in typical radii.
    """

    style: Style
    radius: float
    gain: Field
    skins: tuple[Skin, Skin, Skin]
    nucleus: Field
    nucleus_size: Field
    nucleus_gain: float
    p: Field
    colours: Field
    dyes: Field
    positive: NDArray[np.bool_]
    defocus: Field

    def render(self, b: Buffers, bleach: float) -> Field:
        """Image of a frame before the camera, (H, W) or (H, W, 3), any range.

        Parameters
        ----------
        b
            Geometry of the frame.
        bleach
            Share of the objects' signal left, in (0, 1].
        """
        return {
            "fluorescence": self._fluorescence,
            "phase": self._phase,
            "dic": self._dic,
            "brightfield": self._brightfield,
            "stain": self._stain,
            "em": self._em,
            "patchwork": self._patchwork,
        }[self.style](b, np.float32(bleach))

    def _inner(self, b: Buffers) -> Field:
        """Soft mask of the inner body (nucleus) of each object."""
        if self.nucleus_gain == 0:
            return np.zeros_like(b.depth)
        dv = b.v - self.nucleus[b.index, 0]
        du = (b.u - self.nucleus[b.index, 1]) * np.float32(0.75)
        away = np.sqrt(dv * dv + du * du)
        edge = np.clip(self.nucleus_size[b.index] - away, 0, 1.5) / 1.5
        return np.asarray(edge * (b.depth > 1), dtype=np.float32)

    def _texture(self, b: Buffers) -> Field:
        return self.skins[0].on_objects(b) + self.skins[1].on_objects(b)

    def _profile(self, b: Buffers) -> Field:
        """How the signal is distributed from rim to centre, about [0, 1]."""
        soft: Field = np.clip(b.depth * np.float32(0.8), 0, 1)
        width = np.float32(0.8 + 0.12 * self.radius * self.p[1])
        kind = self.p[0]
        if kind < 0.35:
            return soft
        if kind < 0.65:
            return np.asarray(soft * np.sqrt(np.clip(b.level, 0, 1)), np.float32)
        rim = np.exp(-((b.depth / width - 1) ** 2))
        inside = np.float32(0.6 * self.p[2] ** 2)
        return np.asarray(soft * (inside + (1 - inside) * rim), dtype=np.float32)

    def _fluorescence(self, b: Buffers, bleach: np.float32) -> Field:
        signal = self._profile(b) * self.gain[b.index]
        signal *= np.maximum(1 + self._texture(b), 0.1)
        signal += self._inner(b) * np.float32(self.nucleus_gain) * self.gain[b.index]
        haze = np.float32(0.5 * self.p[3] ** 2)
        if haze > 0.03:
            signal = signal + haze * textures.blur(signal, 4 + 0.6 * self.radius)
        ground = np.float32(0.02 + 0.35 * self.p[4] ** 3)
        return bleach * signal + ground * (1 + 0.7 * self.skins[2].on_background(b))

    def _thickness(self, b: Buffers) -> Field:
        edge = np.float32(1 + 2.5 * self.p[1])
        bulge = np.float32(0.3 + 0.6 * self.p[2]) * self.radius
        flat = np.float32(0.15 + 0.6 * self.p[3])
        height = flat * np.clip(b.depth / edge, 0, 1)
        height += (1 - flat) * np.clip(b.depth / bulge, 0, 1)
        height *= self.gain[b.index]
        rough = self._texture(b) + np.float32(self.nucleus_gain) * self._inner(b)
        return np.asarray(height * (1 + rough), dtype=np.float32)

    def _phase(self, b: Buffers, bleach: np.float32) -> Field:
        """Phase contrast: background minus (thickness minus its surroundings)."""
        height = self._thickness(b)
        # Edge line plus broad halo: two widths of the phase ring's blur.
        narrow = textures.blur(height, 1.2 + 3.0 * self.p[4])
        broad = textures.blur(height, 5 + 14 * self.p[5])
        image = height - np.float32(0.7) * narrow - np.float32(0.25) * broad
        ground = np.float32(0.12 * self.p[6]) * self.skins[2].on_background(b)
        return np.asarray(np.float32(0.3) * ground - image, dtype=np.float32)

    def _dic(self, b: Buffers, bleach: np.float32) -> Field:
        height = textures.blur(self._thickness(b), 0.8 + 1.5 * self.p[4])
        turn = 2 * np.pi * self.p[5]
        gy, gx = np.gradient(height)
        shear = np.float32(np.sin(turn)) * gy + np.float32(np.cos(turn)) * gx
        ground = np.float32(0.05 * self.p[6]) * self.skins[2].on_background(b)
        return shear + np.float32(0.15 * self.p[7]) * height + np.float32(0.3) * ground

    def _brightfield(self, b: Buffers, bleach: np.float32) -> Field:
        """Unstained objects in transmitted light: they absorb, and bend light a little.

        Out of focus, intensity changes with the curvature of the light's path through
        the objects, and on the other side of the focus the other way round (transport
        of intensity: Teague 1983): on one side rims are bright within and dark
        without, on the other dark within and bright without.
        """
        height = self._thickness(b)
        below = self.defocus[b.index] + np.float32(b.z / self.radius)
        bent = height * np.clip(below, -1, 1)
        width = 0.8 + 2.2 * self.p[4] ** 2
        # Differences of two blurs stand for the curvature.
        curved = textures.blur(bent, width) - textures.blur(bent, 1.7 * width)
        absorbed = np.exp(-np.float32(0.06 + 0.6 * self.p[5] ** 2) * height)
        image = absorbed * (1 + np.float32(0.3 + 1.4 * self.p[8]) * curved)
        dirt = np.float32(0.04 * self.p[6]) * self.skins[2].on_background(b)
        light = np.maximum(image + dirt, 0) * self._lamp(image.shape)
        return np.asarray(light, dtype=np.float32)

    def _lamp(self, shape: tuple[int, ...]) -> Field:
        """Light that is brightest somewhere and falls off from there, (H, W)."""
        y = np.linspace(0, 1, shape[0], dtype=np.float32) - self.p[7]
        x = np.linspace(0, 1, shape[1], dtype=np.float32) - self.p[9]
        fall = np.float32(0.35 * self.p[6] ** 2)
        return np.asarray(1 - fall * (y[:, None] ** 2 + x**2), dtype=np.float32)

    def _stain(self, b: Buffers, bleach: np.float32) -> Field:
        """Dyes that absorb, each its colours (Beer and Lambert), such as H&E or DAB."""
        density = self._profile(b) * self.gain[b.index] * (1 + self._texture(b))
        density = np.maximum(density, 0)
        inner = self._inner(b) * abs(self.nucleus_gain)
        matrix = np.float32(0.8 * self.p[4] ** 2) * np.clip(
            0.6 + self.skins[2].on_background(b), 0, 3
        )
        brown = density * self.positive[b.index]
        amount = np.stack([matrix, density - brown, inner, brown], axis=-1)
        light = np.exp(-amount @ self.dyes)
        return np.asarray(light * self._lamp(b.index.shape)[..., None], np.float32)

    def _em(self, b: Buffers, bleach: np.float32) -> Field:
        """Electron microscopy: dark membranes, organelles, granular cytoplasm."""
        width = np.float32(0.7 + 1.4 * self.p[0])
        # Two leaflets with a cleft between them, or one dark line.
        cleft = np.float32(max(3 * self.p[2] - 1.5, 0))
        membrane = np.exp(-(((b.depth - cleft) / width) ** 2)) * (b.index > 0)
        grey = np.float32(0.25) * (self.gain[b.index] - 1)
        fine = self._texture(b) * np.float32(0.25)
        body, shell = self._organelles(b, cleft + 2 * width)
        inner = self._inner(b) * np.float32(0.35 * np.sign(self.nucleus_gain))
        ground = np.float32(0.15) * self.skins[2].on_background(b) * (b.index == 0)
        depth = np.float32(0.3 + 0.3 * self.p[1])
        tone = np.float32(1.2 * self.p[4] - 0.85) * body
        lines = np.maximum(membrane, np.float32(0.8) * shell)
        image = 0.65 + grey + fine + inner + tone - depth * lines + ground
        return np.asarray(image, dtype=np.float32)

    def _organelles(self, b: Buffers, margin: np.float32) -> tuple[Field, Field]:
        """Bodies and their membranes: level sets of a field that turns with depth."""
        if self.p[3] < 0.25:
            nothing = np.zeros_like(b.depth)
            return nothing, nothing
        coarse, fine = textures.organelle_tiles()
        scale = np.float32(24 / (self.radius * (0.25 + 0.6 * self.p[5]) + 4))
        y, x = b.y * scale + self.skins[0].y[0], b.x * scale + self.skins[0].x[0]
        turn = np.float32(b.z * scale * 0.12)
        height = textures.read_texture(coarse, y, x) * np.cos(turn)
        height += textures.read_texture(fine, y, x) * np.sin(turn)
        height -= np.float32(0.5 + 0.9 * self.p[6])
        height = np.minimum(height, (b.depth - margin) * np.float32(0.6))
        shell = np.exp(-((height / np.float32(0.25 * scale)) ** 2)) * (b.depth > margin)
        return np.clip(height * 4, 0, 1), np.asarray(shell, dtype=np.float32)

    def _patchwork(self, b: Buffers, bleach: np.float32) -> Field:
        """Any textures and colours at all inside and outside (SynthSeg's idea)."""
        inside = (self.gain[b.index] - 1)[..., None] * self.colours[1]
        inside = inside + self.colours[2] * (0.5 + 0.3 * self._texture(b))[..., None]
        ground = 0.5 + 0.5 * self.skins[2].on_background(b)
        outside = self.colours[0] * ground[..., None]
        image = np.where((b.index > 0)[..., None], inside, outside)
        return np.asarray(image, dtype=np.float32)


def draw_look(
    rng: np.random.Generator, scene: Scene, kind: Kind, *, style: Style | None = None
) -> Look:
    """Draw an appearance that suits a kind of scene, or one of a given style."""
    options = STYLES[kind]
    if style is None:
        chance = np.array(list(options.values()))
        style = list(options)[int(rng.choice(len(options), p=chance / chance.sum()))]
    n = len(scene.labelled) - 1
    spread = rng.choice([0.1, 0.3, 0.6])
    gain = np.exp(rng.normal(0, spread, n + 1)).astype(np.float32)
    gain[0] = 1 if style in {"em", "patchwork"} else 0
    has_nucleus = kind in {"spread", "tissue", "neuropil"} or rng.random() < 0.2
    size = scene.radius * rng.uniform(0.15, 0.45)
    sizes = size * np.exp(rng.normal(0, 0.15 if kind != "neuropil" else 0.4, n + 1))
    sizes *= rng.random(n + 1) < (0.3 if kind == "neuropil" else 1.0)
    if style == "phase":
        # Rounded (dividing or dying) cells are far thicker than spread ones.
        gain[rng.random(n + 1) < 0.05] *= 3
    off = 0.9 if kind == "neuropil" else 0.35
    rough = 0.45 if style in {"phase", "dic", "brightfield", "stain"} else 0.3
    return Look(
        style=style,
        radius=float(scene.radius),
        gain=gain,
        skins=(
            _skin(rng, n, 0.0, rough),
            _skin(rng, n, 0.0, rough),
            _skin(rng, n, 0.0, 1.0),
        ),
        nucleus=rng.normal(0, off * size, (n + 1, 2)).astype(np.float32),
        nucleus_size=sizes.astype(np.float32),
        nucleus_gain=float(rng.normal(0, 0.5)) if has_nucleus else 0.0,
        p=rng.random(10).astype(np.float32),
        colours=stains.draw_colours(rng),
        dyes=stains.draw_stains(rng, kind),
        positive=rng.random(n + 1) < rng.random(),
        defocus=(rng.normal(0, 0.6) + rng.normal(0, 0.25, n + 1)).astype(np.float32),
    )
