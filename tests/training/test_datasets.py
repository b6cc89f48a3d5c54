"""Real sets: what is loaded, what is held aside, and the samples drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import ndimage
from skimage import io

from napari_sam2.training.datasets import RealPictures
from napari_sam2.training.real_sets import held_aside, to_uint8

if TYPE_CHECKING:
    from pathlib import Path


def scattered(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Return labels (uint16) of a few balls."""
    seeds = np.zeros(shape, np.int32)
    for k in range(1, 9):
        seeds[tuple(rng.integers(0, n) for n in shape)] = k
    away, nearest = ndimage.distance_transform_edt(seeds == 0, return_indices=True)
    return np.where(away < 12, seeds[tuple(nearest)], 0).astype(np.uint16)


def save(path: Path, array: np.ndarray) -> None:
    """Write an image and make its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    io.imsave(path, array, check_contrast=False)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder laid out like the real sets; grey says where a pixel is from."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for k in range(40):
        labels = scattered(rng, (120, 140))
        image = np.where(labels > 0, 200, 20).astype(np.uint8)
        if k % 3 == 0:
            image = np.stack([image, image // 2, image // 3], axis=-1)
        save(folder / "dsb2018" / f"pic{k}_image.png", image)
        save(folder / "dsb2018" / f"pic{k}_labels.png", labels)
    for name in ("set01", "set09", "set37", "set45"):
        labels = scattered(rng, (300, 310))
        image = (labels * 900 + rng.integers(0, 200, labels.shape)).astype(np.uint16)
        save(folder / "usiigaci_stills" / f"{name}_image.tif", image)
        save(folder / "usiigaci_stills" / f"{name}_labels.tif", labels)
    for name in ("1135", "1136"):
        labels = scattered(rng, (40, 44, 48))
        save(folder / "plant_nuclei_3d" / f"{name}_labels.tif", labels)
        volume = (labels > 0).astype(np.uint8) * 90
        save(folder / "plant_nuclei_3d" / f"{name}_volume.tif", volume)
    # Slice number as grey value, so that the split can be read off the pixels.
    ramp = np.broadcast_to(np.arange(60, dtype=np.uint8)[:, None, None], (60, 64, 64))
    save(folder / "fibsem_medulla" / "volume.tif", np.ascontiguousarray(ramp))
    save(folder / "fibsem_medulla" / "labels.tif", scattered(rng, (60, 64, 64)) + 1)
    for t in range(6):
        mask = np.zeros((80, 120), bool)
        mask[20:60, 10 + 8 * t : 50 + 8 * t] = True
        frame = np.repeat(mask[..., None] * np.uint8(180) + np.uint8(30), 3, axis=2)
        clip = folder / "davis_train_240p" / "walk"
        save(clip / "frames" / f"{t:05d}.jpg", frame)
        save(clip / "masks" / f"{t:05d}.png", mask.astype(np.uint8) * 255)
    save(folder / "t98g_movie" / "movie.tif", np.zeros((3, 40, 40), np.uint16))
    return folder


@pytest.fixture(scope="module")
def train(data_dir: Path) -> RealPictures:
    """Load the training part once."""
    return RealPictures(data_dir, "train")


@pytest.fixture(scope="module")
def val(data_dir: Path) -> RealPictures:
    """Load the validation part once."""
    return RealPictures(data_dir, "val")


def test_nothing_is_in_both_splits(train: RealPictures, val: RealPictures) -> None:
    names = [{(i.source, i.name) for i in part.items} for part in (train, val)]
    assert not names[0] & names[1]
    sources = [{source for source, _ in part} for part in names]
    assert "davis_train_240p" in sources[0]
    assert "davis_train_240p" not in sources[1]
    assert not any("t98g" in source for part in sources for source in part)
    assert {n for s, n in names[1] if s == "usiigaci_stills"} == {"set37", "set45"}
    assert {n for s, n in names[1] if s == "plant_nuclei_3d"} == {"1136"}
    pictures = {n for part in names for s, n in part if s == "dsb2018"}
    assert pictures == {f"pic{k}" for k in range(40)}


def test_held_aside_is_about_a_seventh() -> None:
    share = np.mean([held_aside(f"{k:012x}") for k in range(4000)])
    assert 0.11 < share < 0.2


def test_slices_keep_a_gap(train: RealPictures, val: RealPictures) -> None:
    def slices(part: RealPictures) -> np.ndarray:
        (item,) = (i for i in part.items if i.source == "fibsem_medulla")
        return item.image[:, 0, 0].astype(int)

    # 60 slices 0..59 stretched to 0..255: about 4.3 grey levels a slice.
    assert len(slices(val)) == 30
    assert len(slices(train)) == 25
    gap = (slices(val).min() - slices(train).max()) / (255 / 59)
    assert gap == pytest.approx(6, abs=0.5)


@pytest.mark.parametrize("split", ["train", "val"])
def test_picture_has_the_promised_form(
    split: str, request: pytest.FixtureRequest
) -> None:
    pictures: RealPictures = request.getfixturevalue(split)
    rng = np.random.default_rng(1)
    for _ in range(25):
        image, labels = pictures.sample_picture(rng, 64)
        assert image.shape == (64, 64, 3)
        assert image.dtype == np.float32
        assert image.min() >= 0
        assert image.max() <= 1
        assert labels.shape == (64, 64)
        assert labels.dtype == np.int32
        areas = np.bincount(labels.ravel())[1:]
        assert len(areas) >= 1
        assert areas.min() >= 12


@pytest.mark.parametrize("split", ["train", "val"])
def test_clip_has_the_promised_form(split: str, request: pytest.FixtureRequest) -> None:
    pictures: RealPictures = request.getfixturevalue(split)
    rng = np.random.default_rng(2)
    same = []
    for _ in range(25):
        frames, labels = pictures.sample_clip(rng, 64, 8)
        assert frames.shape == (8, 64, 64, 3)
        assert frames.dtype == np.float32
        assert frames.min() >= 0
        assert frames.max() <= 1
        assert labels.shape == (8, 64, 64)
        assert labels.dtype == np.int32
        assert labels[0].any()
        ids = np.unique(labels[labels > 0])
        np.testing.assert_array_equal(ids, np.arange(1, len(ids) + 1))
        both = (labels[0] > 0) & (labels[1] > 0)
        if both.any():
            same.append((labels[0] == labels[1])[both].mean())
    assert np.mean(same) > 0.85


def test_same_seed_same_sample(train: RealPictures) -> None:
    first = train.sample_clip(np.random.default_rng(3), 64, 4)
    again = train.sample_clip(np.random.default_rng(3), 64, 4)
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])


def test_labels_stay_on_their_pixels(data_dir: Path) -> None:
    # In these pictures grey is a function of the label; whatever the crop, warp
    # and tone, the two must still separate (an inverted one separates as well).
    pictures = RealPictures(data_dir)
    rng = np.random.default_rng(4)
    for item in pictures.items:
        if item.source != "dsb2018":
            continue
        pictures._choose = lambda _rng, _share, item=item: item  # type: ignore[method-assign]
        image, labels = pictures.sample_picture(rng, 96)
        grey = image.mean(axis=2)
        inside = ndimage.binary_erosion(labels > 0, iterations=3, border_value=1)
        outside = ndimage.binary_erosion(labels == 0, iterations=6, border_value=1)
        if inside.sum() < 30 or outside.sum() < 30:
            continue
        middle = (np.median(grey[inside]) + np.median(grey[outside])) / 2
        brighter = np.median(grey[inside]) > middle
        wrong = [
            (grey[inside] > middle) != brighter,
            (grey[outside] > middle) == brighter,
        ]
        assert np.concatenate(wrong).mean() < 0.1


def test_to_uint8_uses_the_range() -> None:
    ramp = np.linspace(0, 4000, 10_000).astype(np.uint16)
    shown = to_uint8(ramp)
    assert len(np.unique(shown)) == 256
    assert to_uint8(np.zeros(10)).max() == 0


def test_an_empty_folder_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="dsb2018"):
        RealPictures(tmp_path)
