"""Fast random fields for synthetic pictures: noise, blur, tileable textures.

Everything here is linear: a smooth field is a coarse
random grid multiplied by two cached interpolation matrices, and a Gaussian blur
is a product in Fourier space, so a 256 x 256 field costs below 1 ms.

Shapes: H rows, W columns, n grid nodes a side.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy import fft, ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Field = NDArray[np.float32]

TILE = 512
"""Side of a tile of the texture bank, px; a power of two, so that it wraps by &."""

_ONE_THREAD = 2**18
_WIDEST_PAD = 64
_BANK_SEED = 20240917


@lru_cache(maxsize=256)
def _interpolation(n: int, size: int) -> Field:
    """Cubic B-spline weights from n grid nodes to `size` samples, (size, n)."""
    identity = np.eye(n, dtype=np.float32)
    position = np.linspace(0, n - 1, size)
    columns = [
        ndimage.map_coordinates(row, [position], order=3, mode="nearest")
        for row in identity
    ]
    return np.ascontiguousarray(np.stack(columns, axis=1), dtype=np.float32)


@lru_cache(maxsize=256)
def _transfer(rows: int, columns: int, sigma: float) -> Field:
    """Fourier transform of a Gaussian, (rows, columns // 2 + 1)."""
    fy, fx = fft.fftfreq(rows), fft.rfftfreq(columns)
    decay = -2 * (np.pi * sigma) ** 2
    gain = np.exp(decay * fy**2)[:, None] * np.exp(decay * fx**2)[None]
    return np.asarray(gain, dtype=np.float32)


def _product(a: Field, b: Field) -> Field:
    """Matrix product in pieces so small that BLAS keeps to one thread.

    Threads for products this small cost far more than they give as soon as
    something else, such as the training itself, uses the other cores.
    """
    rows = max(_ONE_THREAD // (a.shape[1] * b.shape[1]), 1)
    rows = math.gcd(a.shape[0], 1 << (rows.bit_length() - 1))
    pieces = a.reshape(-1, rows, a.shape[1])
    product = np.matmul(pieces, b).reshape(a.shape[0], b.shape[1])
    return np.asarray(product, dtype=np.float32)


def upsample(grid: Field, size: int) -> Field:
    """Interpolate a square coarse grid smoothly to `size` x `size`.

    Parameters
    ----------
    grid
        (n, n) float32 values at the nodes; the outer nodes lie on the border.
    size
        Side of the result in pixels.

    Returns
    -------
    numpy.ndarray
        (size, size) float32.
    """
    weights = _interpolation(grid.shape[0], size)
    return _product(_product(weights, grid), weights.T)


def smooth_noise(rng: np.random.Generator, size: int, nodes: int) -> Field:
    """Smooth random field of about unit deviation with `nodes` nodes a side."""
    return upsample(rng.standard_normal((nodes, nodes), np.float32), size)


def blur(image: Field, sigma: float) -> Field:
    """Gaussian blur of a 2-D image, mirrored at its border.

    Parameters
    ----------
    image
        (H, W) float32.
    sigma
        Standard deviation in pixels (rounded to eighths, to units from 5 px on);
        below 0.2 px the image is returned as it is.
    """
    if sigma < 0.2:
        return image
    sigma = round(sigma * 8) / 8 if sigma < 5 else float(round(sigma))
    height, width = image.shape
    pad = min(math.ceil(3 * sigma), _WIDEST_PAD, height - 1, width - 1)
    rows = fft.next_fast_len(height + 2 * pad, real=True)
    columns = fft.next_fast_len(width + 2 * pad, real=True)
    border = ((pad, rows - height - pad), (pad, columns - width - pad))
    spectrum = fft.rfft2(np.pad(image, border, mode="symmetric"))
    spectrum *= _transfer(rows, columns, sigma)
    soft = fft.irfft2(spectrum, s=(rows, columns))
    return np.asarray(soft[pad : pad + height, pad : pad + width], dtype=np.float32)


def _standard(tile: NDArray[np.floating]) -> Field:
    centred = tile - tile.mean()
    scaled = np.clip(centred / (centred.std() + 1e-6), -3, 3)
    return np.asarray(scaled, dtype=np.float32)


def _spectrum_noise(rng: np.random.Generator, gain: NDArray[np.floating]) -> Field:
    white = fft.rfft2(rng.standard_normal((TILE, TILE)))
    return _standard(fft.irfft2(white * gain, s=(TILE, TILE)))


@lru_cache(maxsize=1)
def texture_bank() -> tuple[Field, ...]:
    """Tileable textures, (TILE, TILE) float32 in [-3, 3], about zero mean.

    The bank is the same in every process (a fixed seed); variety comes from
    which tile, where in it, at which scale, contrast and sign it is read.
    Order: power laws, band passes, granules, ridges, fibres, cells.
    """
    rng = np.random.default_rng(_BANK_SEED)
    fy = fft.fftfreq(TILE)[:, None]
    fx = fft.rfftfreq(TILE)[None]
    f = np.hypot(fy, fx)
    f[0, 0] = 1.0
    tiles = [_spectrum_noise(rng, f**-beta) for beta in (0.5, 1.0, 1.5, 2.0)]
    for wavelength in (4.0, 7.0, 12.0, 24.0):
        gain = np.exp(-0.5 * (np.log(f * wavelength) / 0.35) ** 2)
        band = _spectrum_noise(rng, gain)
        tiles.append(band)
        tiles.append(_standard(np.maximum(band - 1.3, 0) ** 0.7))
        tiles.append(_standard(-np.abs(band)))
        dots = ndimage.maximum_filter(band, 3, mode="wrap")
        tiles.append(_standard(np.clip((dots - 2.6) * 4, 0, 1)))
    ridge = np.hypot(fy * 4, fx)
    ridge[0, 0] = 1.0
    tiles.append(_spectrum_noise(rng, np.exp(-0.5 * (np.log(ridge * 9) / 0.4) ** 2)))
    return tuple(tiles)


@lru_cache(maxsize=1)
def organelle_tiles() -> tuple[Field, Field]:
    """Two independent smooth tiles with bumps about 24 px apart; see `optics`."""
    rng = np.random.default_rng(_BANK_SEED + 1)
    f = np.hypot(fft.fftfreq(TILE)[:, None], fft.rfftfreq(TILE)[None])
    f[0, 0] = 1.0
    gain = np.exp(-0.5 * (np.log(f * 40) / 0.3) ** 2)
    return _spectrum_noise(rng, gain), _spectrum_noise(rng, gain)


def read_texture(tile: Field, y: Field, x: Field) -> Field:
    """Read a tile at pixel coordinates (any range; it wraps)."""
    iy = y.astype(np.int32) & (TILE - 1)
    ix = x.astype(np.int32) & (TILE - 1)
    return np.asarray(tile.ravel()[iy * TILE + ix], dtype=np.float32)
