"""Random fields: blur and interpolation against plain scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_sam2.training import textures


@pytest.mark.parametrize("sigma", [1.0, 2.0, 6.0])
def test_blur_is_gaussian_with_mirrored_border(sigma: float) -> None:
    image = np.random.default_rng(0).random((64, 96), np.float32)
    wanted = ndimage.gaussian_filter(image, sigma, mode="reflect", truncate=6)
    found = textures.blur(image, sigma)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, atol=0.003)


def test_tiny_blur_changes_nothing() -> None:
    image = np.random.default_rng(0).random((16, 16), np.float32)
    assert textures.blur(image, 0.1) is image


def test_upsample_meets_its_nodes() -> None:
    grid = np.random.default_rng(1).standard_normal((5, 5), np.float32)
    field = textures.upsample(grid, 65)
    assert field.shape == (65, 65)
    # With 65 samples every 16th one lies on a node; splines smooth a little.
    assert np.corrcoef(field[::16, ::16].ravel(), grid.ravel())[0, 1] > 0.97


def test_bank_has_like_contrast_and_wraps() -> None:
    for tile in textures.texture_bank():
        assert tile.shape == (textures.TILE, textures.TILE)
        assert abs(float(tile.mean())) < 0.2
        assert 0.2 < float(tile.std()) < 1.1
    y = np.array([[0.0, -1.0]], np.float32)
    x = np.array([[3.0, 515.0]], np.float32)
    found = textures.read_texture(tile, y, x)
    np.testing.assert_array_equal(found, [[tile[0, 3], tile[-1, 3]]])
