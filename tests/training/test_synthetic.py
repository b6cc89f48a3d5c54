"""Synthetic pictures and clips: form, repeatability, and labels that fit."""

from __future__ import annotations

import typing
from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage

from napari_sam2.training.scenes import Kind, draw_blobs
from napari_sam2.training.synthetic import MIN_AREA, draw_clip, draw_picture, relabel

if typing.TYPE_CHECKING:
    from napari_sam2.training.optics import Style

KINDS = typing.get_args(Kind)


@pytest.mark.parametrize("kind", KINDS)
def test_picture_has_the_promised_form(kind: Kind) -> None:
    for seed in range(3):
        image, labels = draw_picture(np.random.default_rng(seed), 128, kind=kind)
        assert image.shape == (128, 128, 3)
        assert image.dtype == np.float32
        assert labels.shape == (128, 128)
        assert labels.dtype == np.int32
        assert np.isfinite(image).all()
        assert image.min() >= 0
        assert image.max() <= 1
        assert image.std() > 0.005
        areas = np.bincount(labels.ravel())[1:]
        assert len(areas) >= 1
        assert areas.min() >= MIN_AREA


def test_same_seed_same_picture() -> None:
    first = draw_clip(np.random.default_rng(5), 64, 3)
    again = draw_clip(np.random.default_rng(5), 64, 3)
    other = draw_clip(np.random.default_rng(6), 64, 3)
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])


@pytest.mark.parametrize("kind", KINDS)
def test_ids_stay_with_their_objects(kind: Kind) -> None:
    overlaps = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        frames, labels = draw_clip(rng, 128, 5, kind=kind)
        assert frames.shape == (5, 128, 128, 3)
        assert labels.shape == (5, 128, 128)
        assert frames.min() >= 0
        assert frames.max() <= 1
        assert labels[0].any()
        ids = np.unique(labels)
        np.testing.assert_array_equal(ids[ids > 0], np.arange(1, labels.max() + 1))
        for before, after in pairwise(labels):
            both = (before > 0) & (after > 0)
            if both.any():
                overlaps.append((before == after)[both].mean())
    assert np.mean(overlaps) > 0.6


def test_labels_follow_the_picture() -> None:
    # Where objects are, the picture differs from where they are not, or its
    # outlines do: the gradient is higher on outlines than elsewhere, on average.
    ratios = []
    for seed in range(25):
        image, labels = draw_picture(np.random.default_rng(seed), 128)
        grey = ndimage.gaussian_filter(image.mean(axis=2), 1)
        slope = np.hypot(*np.gradient(grey))
        edge = ndimage.morphological_gradient(labels, size=3) > 0
        if edge.any() and not edge.all():
            ratios.append(slope[edge].mean() / slope[~edge].mean())
    assert np.mean(np.array(ratios) > 1) > 0.75
    assert np.median(ratios) > 1.3


def test_daughters_get_new_ids() -> None:
    divided = 0
    for seed in range(40):
        scene = draw_blobs(np.random.default_rng(seed), "nuclei", 128, 6)
        n_first = int(scene.alive[0].sum())
        if scene.alive.shape[1] >= n_first + 2:
            parents = scene.alive[0] & ~scene.alive[-1]
            late = ~scene.alive[0] & scene.alive[-1]
            divided += bool(parents.any() and late.sum() >= 2)
    assert divided >= 5


def test_some_objects_shrivel_before_they_are_gone() -> None:
    halved = abrupt = 0
    for seed in range(60):
        scene = draw_blobs(np.random.default_rng(seed), "nuclei", 128, 8)
        dead = scene.alive[0] & ~scene.alive[-1]
        for k in np.flatnonzero(dead):
            last = np.flatnonzero(scene.alive[:, k])[-1]
            shrunk = scene.scale[last, k] / scene.scale[last - 1, k] if last else 1
            if scene.scale[last, k] < 0.7:
                halved += 1
            elif shrunk > 0.9:
                abrupt += 1
    assert halved >= 5
    assert abrupt >= 5


@pytest.mark.parametrize("style", ["brightfield", "stain", "fluorescence"])
def test_outlines_of_labels_are_outlines_in_the_picture(style: Style) -> None:
    ratios = []
    for seed in range(24):
        kind = ("nuclei", "spread", "tissue")[seed % 3]
        image, labels = draw_picture(
            np.random.default_rng(seed), 128, kind=kind, style=style
        )
        grey = ndimage.gaussian_filter(image.mean(axis=2), 1)
        slope = np.hypot(*np.gradient(grey))
        edge = ndimage.morphological_gradient(labels, size=3) > 0
        ratios.append(slope[edge].mean() / slope[~edge].mean())
    assert np.mean(np.array(ratios) > 1) > 0.75
    assert np.median(ratios) > 1.2


def test_a_stack_cuts_bodies_that_appear_grow_shrink_and_vanish() -> None:
    appear = vanish = grow = shrink = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        kind = ("nuclei", "vesicles", "tissue")[seed % 3]
        labels = draw_clip(rng, 128, 8, kind=kind, stack=True)[1]
        for k in range(1, labels.max() + 1):
            areas = (labels == k).sum((1, 2))
            appear += areas[0] == 0
            vanish += areas[-1] == 0
            grow += areas[-1] > 1.5 * areas[0] > 0
            shrink += areas[0] > 1.5 * areas[-1] > 0
    assert min(appear, vanish, grow, shrink) >= 20


def test_wrong_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 16"):
        draw_picture(np.random.default_rng(0), 100)
    with pytest.raises(ValueError, match="n_frames"):
        draw_clip(np.random.default_rng(0), 64, 0)


def test_relabel_drops_what_cannot_be_clicked() -> None:
    labels = np.zeros((2, 10, 10), np.int64)
    labels[0, :4, :4] = 9  # 16 px, kept
    labels[1, 0, :3] = 9  # a shred of 3 px, erased in this frame only
    labels[0, 6:, :2] = 4  # 8 px in every frame, dropped
    labels[1, 5:8, 5:9] = 12  # 12 px, kept
    wanted = np.zeros((2, 10, 10), np.int32)
    wanted[0, :4, :4] = 1
    wanted[1, 5:8, 5:9] = 2
    found = relabel(labels)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, wanted)
