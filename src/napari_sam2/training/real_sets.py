"""Read the public sets that train and validate, and divide them.

What is held aside for validation is decided by name, not by chance: about 15 % of
dsb2018, two stills, one plant volume, the last slices of the neuropil.

Folders, each optional: dsb2018 (`*_image.png`, `*_labels.png`), usiigaci_stills
(`*_image.tif`, `*_labels.tif`), plant_nuclei_3d (`*_volume.tif`, `*_labels.tif`),
fibsem_medulla (`volume.tif`, `labels.tif`), davis_train_240p (`<clip>/frames`,
`<clip>/masks`). Anything else in the folder is left alone.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from skimage import io

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

Split = Literal["train", "val"]

VAL_STILLS = ("set37", "set45")
VAL_PLANT = "1136"
FIBSEM_VAL_SLICES = 30
FIBSEM_GAP = 5


@dataclass(frozen=True, kw_only=True)
class RealItem:
    """One picture, volume or film with its labels.

    Attributes
    ----------
    source
        Name of the set (its folder).
    name
        Name within the set.
    image
        (T, h, w) or (T, h, w, 3) uint8; T is 1 for a picture.
    labels
        (T, h, w) uint16, 0 background.
    isotropic
        True when T is a spatial axis that may be swapped with the others.
    """

    source: str
    name: str
    image: NDArray[np.uint8]
    labels: NDArray[np.uint16]
    isotropic: bool = False


def read_sets(folder: Path, split: Split) -> Iterator[RealItem]:
    """Read what of the known sets is in a folder and belongs to a split.

    Parameters
    ----------
    folder
        Holds the sets' folders; a missing one is left out.
    split
        "train" or "val".
    """
    yield from _read_pairs(folder / "dsb2018", ".png", split)
    yield from _read_pairs(folder / "usiigaci_stills", ".tif", split)
    yield from _read_plant(folder / "plant_nuclei_3d", split)
    yield from _read_fibsem(folder / "fibsem_medulla", split)
    yield from _read_davis(folder / "davis_train_240p", split)


def held_aside(name: str) -> bool:
    """Whether a dsb2018 picture belongs to validation (about 15 %, by its name)."""
    digest = hashlib.sha256(name.encode()).digest()
    return digest[0] % 100 < 15


def to_uint8(image: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Stretch to 8 bits between robust percentiles (0.1 and 99.9) of the whole.

    Parameters
    ----------
    image
        Any shape and numeric dtype.
    """
    values = image.astype(np.float32)
    low, high = np.percentile(
        values.ravel()[:: max(values.size // 500_000, 1)], (0.1, 99.9)
    )
    scaled = (values - np.float32(low)) / np.float32(max(float(high - low), 1e-6))
    return np.asarray(np.rint(np.clip(scaled, 0, 1) * 255), dtype=np.uint8)


def _labels(path: Path) -> NDArray[np.uint16]:
    return np.asarray(io.imread(path), dtype=np.uint16)


def _read_pairs(folder: Path, suffix: str, split: Split) -> Iterator[RealItem]:
    """Single pictures stored as `NAME_image` and `NAME_labels`."""
    for path in sorted(folder.glob(f"*_image{suffix}")):
        name = path.name.removesuffix(f"_image{suffix}")
        val = (
            name in VAL_STILLS if folder.name == "usiigaci_stills" else held_aside(name)
        )
        if val != (split == "val"):
            continue
        image = np.asarray(io.imread(path))
        if image.ndim == 3:
            image = image[..., :3]
            if (image == image[..., :1]).all():
                image = image[..., 0]
        labels = _labels(path.with_name(f"{name}_labels{suffix}"))
        yield RealItem(
            source=folder.name,
            name=name,
            image=to_uint8(image)[None],
            labels=labels[None],
        )


def _read_plant(folder: Path, split: Split) -> Iterator[RealItem]:
    for path in sorted(folder.glob("*_volume.tif")):
        name = path.name.removesuffix("_volume.tif")
        if (name == VAL_PLANT) == (split == "val"):
            yield RealItem(
                source=folder.name,
                name=name,
                image=to_uint8(io.imread(path)),
                labels=_labels(path.with_name(f"{name}_labels.tif")),
                isotropic=True,
            )


def _read_fibsem(folder: Path, split: Split) -> Iterator[RealItem]:
    path = folder / "volume.tif"
    if not path.exists():
        return
    image, labels = to_uint8(io.imread(path)), _labels(folder / "labels.tif")
    first = max(len(image) - FIBSEM_VAL_SLICES, 1)
    part = (
        slice(first, None) if split == "val" else slice(0, max(first - FIBSEM_GAP, 1))
    )
    yield RealItem(
        source=folder.name,
        name=f"slices {part.start} to {part.stop or len(image)}",
        image=image[part],
        labels=labels[part],
        isotropic=True,
    )


def _read_davis(folder: Path, split: Split) -> Iterator[RealItem]:
    if split == "val":
        return
    for clip in sorted(path for path in folder.glob("*") if path.is_dir()):
        frames = [io.imread(path) for path in sorted((clip / "frames").glob("*"))]
        masks = [io.imread(path) for path in sorted((clip / "masks").glob("*"))]
        yield RealItem(
            source=folder.name,
            name=clip.name,
            image=np.stack(frames).astype(np.uint8)[..., :3],
            labels=np.stack([mask > 0 for mask in masks]).astype(np.uint16),
        )
