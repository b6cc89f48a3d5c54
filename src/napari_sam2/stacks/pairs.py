"""Images and their label images, found by their names."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_sam2.stacks.clips import Clip
from napari_sam2.stacks.errors import StackError
from napari_sam2.stacks.files import FRAME_ENDINGS
from napari_sam2.stacks.label_images import LabelFile
from napari_sam2.stacks.stack import Stack, open_stack
from napari_sam2.stacks.zarr_source import looks_like_zarr

__all__ = ["Pair", "Pairs", "find_pairs", "match_pairs", "open_fitting", "shared_name"]

# Alone, or behind the name: movie.tif and labels.tif, a_movie.tif and a-labels.tif.
IMAGE_WORDS = r"(?:^|[_-])(?:image|img|volume|movie|raw)s?$"
LABEL_WORDS = r"(?:^|[_-])(?:label|mask|seg|cp_mask|gt)s?$"
SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Pair:
    """An image and its labels.

    Attributes
    ----------
    name : str
        What their names have in common; empty for ``movie.tif`` and ``labels.tif``.
    image, labels : Path
        Anything that `open_stack` opens.
    """

    name: str
    image: Path
    labels: Path

    def open(self) -> Clip:
        """Open both, without reading their frames.

        Raises
        ------
        StackError
            When one cannot be read, or they are not of one shape.
        """
        labels = LabelFile(self.labels)
        try:
            image = open_fitting(self.image, labels.shape)
        except BaseException:
            labels.close()
            raise
        return Clip(name=self.name or image.name, image=image, labels=labels)


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


def open_fitting(path: Path, shape: tuple[int, ...]) -> Stack:
    """Open an image with the axes that make it fit its labels.

    Parameters
    ----------
    path : Path
        Anything that `open_stack` opens.
    shape : (T, Y, X)
        Of the labels.

    Raises
    ------
    StackError
        When it cannot be read or does not fit.
    """
    found = None
    for axes in (None, "TYX"):
        try:
            stack = open_stack(path, axes=axes)
        except StackError:
            if axes is None:
                raise
            continue
        if stack.shape == shape:
            return stack
        found = found or stack.shape
        stack.close()
    raise StackError(
        f"Frames (T, Y, X) are {found} but labels {shape}; give labels of the same "
        "pixels."
    )


def find_pairs(images: str | Path, labels: str | Path | None = None) -> Pairs:
    """Find images and their label images.

    Parameters
    ----------
    images : path
        A folder of images; or of both, such as ``cell7_image.tif`` (or ``cell7.tif``)
        and ``cell7_labels.tif``; or of a folder ``images`` and a folder ``labels``.
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
    found = match_pairs(images, labels)
    if not found.pairs:
        where = images if labels is None else f"{images} and {labels}"
        raise StackError(
            f"No image in {where} has labels of the same name, such as a.tif in each "
            "folder, or a_image.tif and a_labels.tif in one."
        )
    return found


def match_pairs(images: str | Path, labels: str | Path | None = None) -> Pairs:
    """Do what `find_pairs` does, but find nothing wrong in finding no pair."""
    place = Path(images).expanduser()
    found = _pictures(place)
    if labels is not None:
        return _matched(found, _pictures(Path(labels).expanduser()))
    of_labels = [f for f in found if re.search(LABEL_WORDS, _stem(f), re.IGNORECASE)]
    pairs = _matched([f for f in found if f not in of_labels], of_labels)
    if not pairs.pairs:
        folders = sorted(f for f in place.iterdir() if f.is_dir())
        two = [
            next((f for f in folders if re.search(words, f.name, re.IGNORECASE)), None)
            for words in (rf"^{IMAGE_WORDS}", rf"^{LABEL_WORDS}")
        ]
        if two[0] is not None and two[1] is not None:
            return match_pairs(two[0], two[1])
    return pairs


def shared_name(path: Path) -> str:
    """Return a file's name without its ending and the word that says what it is."""
    stem = _stem(path)
    for words in (IMAGE_WORDS, LABEL_WORDS):
        shorter = re.sub(words, "", stem, flags=re.IGNORECASE)
        if shorter != stem:
            return shorter
    return stem


def _matched(images: Sequence[Path], labels: Sequence[Path]) -> Pairs:
    by_image, by_labels = _by_name(images), _by_name(labels)
    names = sorted(by_image.keys() & by_labels.keys())
    for alike in (*map(by_image.get, names), *map(by_labels.get, names)):
        if alike is not None and len(alike) > 1:
            raise StackError(
                f"{alike[0].name} and {alike[1].name} in {alike[0].parent} have the "
                "same name up to their ends; rename or move one."
            )
    return Pairs(
        pairs=tuple(
            Pair(name=n, image=by_image[n][0], labels=by_labels[n][0]) for n in names
        ),
        without_labels=_alone(by_image, by_labels),
        without_image=_alone(by_labels, by_image),
    )


def _alone(
    ours: dict[str, list[Path]], theirs: dict[str, list[Path]]
) -> tuple[Path, ...]:
    return tuple(p for name, paths in ours.items() if name not in theirs for p in paths)


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
    return path.stem.removesuffix(".ome")


def _by_name(paths: Sequence[Path]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in paths:
        found.setdefault(shared_name(path), []).append(path)
    return found
