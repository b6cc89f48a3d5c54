"""Transmitted light does in synthetic pictures what it does in a microscope."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from napari_sam2.training import shapes, stains
from napari_sam2.training.optics import Look, Style, draw_look
from napari_sam2.training.scenes import draw_blobs


def scene(seed: int, style: Style, *, flat: bool = True) -> tuple[Look, shapes.Buffers]:
    """Return a look and what it shows; flat: without texture and uneven light."""
    rng = np.random.default_rng(seed)
    drawn = draw_blobs(rng, "nuclei", 128, 1)
    look = draw_look(rng, drawn, "nuclei", style=style)
    if flat:
        p = look.p.copy()
        p[6] = 0
        p[4] = 0.0
        skins = tuple(replace(skin, strength=0.0) for skin in look.skins)
        look = replace(look, p=p, skins=skins, nucleus_gain=0.0)
    return look, drawn.at(0)


def disk() -> shapes.Buffers:
    """Return an object by itself, 20 px in radius."""
    y, x = np.mgrid[:96, :96].astype(np.float32)
    one = np.ones(1, np.float32)
    blobs = shapes.Blobs(
        number=np.ones(1, np.int32),
        centre=np.full((1, 2), 48, np.float32),
        angle=0 * one,
        axes=np.full((1, 2), 20, np.float32),
        bend=0 * one,
        lift=0 * one,
        table=np.ones((1, shapes.ANGLES), np.float32),
    )
    return shapes.paint_blobs(blobs, y, x, overlap=True, boxes=blobs.centre)


def below(look: Look, defocus: float) -> Look:
    """Return the look with all objects so far below the focal plane."""
    return replace(look, defocus=np.full_like(look.defocus, defocus))


@pytest.mark.parametrize("seed", range(6))
def test_in_focus_bright_field_only_absorbs(seed: int) -> None:
    look, buffers = scene(seed, "brightfield")
    image = below(look, 0).render(buffers, 1)
    inside = buffers.index > 0
    np.testing.assert_allclose(image[~inside], 1, atol=1e-5)
    assert (image[inside] <= 1).all()
    assert image[inside].mean() < 0.99
    # The thicker, the darker.
    thick = replace(look, gain=2 * look.gain)
    twice = below(thick, 0).render(buffers, 1)
    np.testing.assert_allclose(twice, image**2, rtol=1e-4)


def test_bright_field_objects_are_darker_than_their_background_on_average() -> None:
    differences = []
    for seed in range(40):
        look, buffers = scene(seed, "brightfield", flat=False)
        image, inside = look.render(buffers, 1), buffers.index > 0
        assert image.min() >= 0
        if inside.any() and not inside.all():
            differences.append(image[inside].mean() - image[~inside].mean())
    assert np.mean(np.array(differences) < 0) > 0.75
    assert np.mean(differences) < -0.05


@pytest.mark.parametrize("seed", range(4))
def test_rims_change_sign_on_the_other_side_of_the_focus(seed: int) -> None:
    look, _ = scene(seed, "brightfield")
    look, buffers = replace(look, radius=20.0), disk()
    focus = below(look, 0).render(buffers, 1)
    inside = buffers.index > 0
    without = ndimage.binary_dilation(inside, iterations=2) & ~inside
    under = below(look, 0.5).render(buffers, 1) - focus
    over = below(look, -0.5).render(buffers, 1) - focus
    assert under[without].mean() < -0.001 < 0.001 < over[without].mean()
    # The light that is missing there is within.
    assert over[inside].mean() < 0 < under[inside].mean()
    np.testing.assert_allclose(under[without], -over[without], atol=0.02)
    # The plane of a stack that travels does the same.
    lower = replace(buffers, z=0.5 * look.radius)
    np.testing.assert_allclose(
        below(look, 0).render(lower, 1), under + focus, atol=1e-5
    )


def test_bright_field_light_is_uneven() -> None:
    spread = []
    for seed in range(20):
        look, buffers = scene(seed, "brightfield", flat=False)
        empty = replace(buffers, index=0 * buffers.index, depth=0 * buffers.depth)
        smooth = ndimage.gaussian_filter(look.render(empty, 1), 12)
        spread.append(np.ptp(smooth) / smooth.max())
    assert max(spread) > 0.2
    assert min(spread) < 0.05


def test_dyes_absorb_as_beer_and_lambert_say() -> None:
    look, buffers = scene(3, "stain")
    once = look.render(buffers, 1)
    twice = replace(look, gain=2 * look.gain).render(buffers, 1)
    np.testing.assert_allclose(twice, once**2, rtol=1e-3)
    np.testing.assert_allclose(once[buffers.index == 0], 1, atol=1e-5)


def test_haematoxylin_is_blue_and_dab_brown() -> None:
    look, buffers = scene(4, "stain")
    blue, brown = np.array(stains.HAEMATOXYLIN), np.array(stains.DAB)
    dyes = np.stack([0 * blue, blue, 0 * blue, brown]).astype(np.float32)
    positive = np.arange(len(look.gain)) % 2 == 1
    image = replace(look, dyes=dyes, positive=positive).render(buffers, 1)
    inside = buffers.index > 0
    marked = positive[buffers.index] & inside
    red, _, blue_light = image[marked].mean(0)
    assert red > blue_light
    red, _, blue_light = image[inside & ~marked].mean(0)
    assert blue_light > red


def test_dyes_vary_about_the_common_ones() -> None:
    rng = np.random.default_rng(0)
    drawn = np.stack([stains.draw_stains(rng, "nuclei") for _ in range(300)])
    assert drawn.shape == (300, 4, 3)
    assert drawn.min() >= 0
    assert drawn.std(axis=0).min() > 0.1
    like = np.array(stains.HAEMATOXYLIN)
    cosine = drawn[:, 1] @ like / np.linalg.norm(drawn[:, 1], axis=1)
    assert np.mean(cosine / np.linalg.norm(like) > 0.95) > 0.6
