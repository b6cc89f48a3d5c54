"""Images and their label images, found by their names."""

import re
from dataclasses import dataclass
from pathlib import Path

from napari_sam2.stacks.errors import StackError
from napari_sam2.stacks.files import FRAME_ENDINGS
from napari_sam2.stacks.zarr_source import looks_like_zarr

__all__ = ["Pair", "Pairs", "find_pairs"]

IMAGE_WORDS = r"_(?:image|img|volume|movie|raw)s?"
LABEL_WORDS = r"_(?:label|mask|seg|cp_mask|gt)s?"
SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Pair:
    """An image and its labels.

    Attributes
    ----------
    name : str
        What their names have in common.
    image, labels : Path
        Anything that `open_stack` opens.
    """

    name: str
    image: Path
    labels: Path


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """What was found.

    Attributes
    ----------
    pairs : tuple of Pair
        In order of their names.
    without_labels, without_image : tuple of Path
        What has no partner.
    """

    pairs: tuple[Pair, ...]
    without_labels: tuple[Path, ...]
    without_image: tuple[Path, ...]

    @property
    def missing(self) -> str:
        """What has no partner, in one sentence; empty if nothing."""
        parts = [
            f"{len(paths)} {what} ({', '.join(p.name for p in paths[:SHOWN])}"
            f"{', …' if len(paths) > SHOWN else ''})"
            for paths, what in (
                (self.without_labels, "without labels"),
                (self.without_image, "labels without an image"),
            )
            if paths
        ]
        return f"Left out: {', '.join(parts)}." if parts else ""


def find_pairs(images: str | Path, labels: str | Path | None = None) -> Pairs:
    """Find images and their label images.

    Parameters
    ----------
    images : path
        A folder of images; or of both, such as ``cell7_image.tif`` (or ``cell7.tif``)
        and ``cell7_labels.tif``.
    labels : path, optional
        A folder of label images that are called as the images are; ``_image``,
        ``_labels``, ``_masks`` and the like at the end do not count.

    Returns
    -------
    Pairs
        And what has no partner.

    Raises
    ------
    StackError
        When a folder is missing, there is no pair, or two files have the same name.
    """
    place = Path(images).expanduser()
    if labels is None:
        found = _pictures(place)
        of_labels = [f for f in found if re.search(f"{LABEL_WORDS}$", _stem(f))]
        of_images = [f for f in found if f not in of_labels]
        where = str(place)
    else:
        of_images, of_labels = _pictures(place), _pictures(Path(labels).expanduser())
        where = f"{place} and {labels}"
    by_image, by_labels = _by_name(of_images), _by_name(of_labels)
    names = sorted(by_image.keys() & by_labels.keys())
    if not names:
        raise StackError(
            f"No image in {where} has labels of the same name, such as a.tif in each "
            "folder, or a_image.tif and a_labels.tif in one."
        )
    return Pairs(
        pairs=tuple(
            Pair(name=n, image=by_image[n], labels=by_labels[n]) for n in names
        ),
        without_labels=tuple(p for n, p in by_image.items() if n not in by_labels),
        without_image=tuple(p for n, p in by_labels.items() if n not in by_image),
    )


def _pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise StackError(f"{folder} is not a folder; check the path.")
    return sorted(
        f
        for f in folder.iterdir()
        if not f.name.startswith(".")
        and (
            (f.is_file() and f.suffix.lower() in (*FRAME_ENDINGS, ".npy"))
            or (f.is_dir() and looks_like_zarr(f))
        )
    )


def _stem(path: Path) -> str:
    name = path.name[: -len(path.suffix)]
    return name.removesuffix(".ome")


def _by_name(paths: list[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in paths:
        name = re.sub(f"(?:{IMAGE_WORDS}|{LABEL_WORDS})$", "", _stem(path))
        if name in found:
            raise StackError(
                f"{found[name].name} and {path.name} in {path.parent} have the same "
                "name up to their ends; rename or move one."
            )
        found[name] = path
    return found
