"""Find labelled pictures and movies in a folder by looking, and read them.

Understood are pairs of files (``cells_image.png`` and ``cells_labels.png``, a movie and
its labels), two folders with the same names (``images`` and ``labels`` or ``masks``),
DAVIS folders (``JPEGImages`` and ``Annotations``, or ``frames`` and ``masks`` of one
clip), Cell Tracking Challenge folders (``01`` and ``01_GT``), and folders of these.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from PIL import Image

from napari_sam2.evaluation.movies import LabelledMovie
from napari_sam2.evaluation.pictures import LabelledPicture
from napari_sam2.stacks import StackError, open_stack
from napari_sam2.stacks.files import FRAME_ENDINGS, image_files, open_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

T = TypeVar("T")

IMAGE_WORDS = ("image", "images", "img", "movie", "volume", "raw")
LABEL_WORDS = ("labels", "label", "cp_masks", "masks", "mask")
ENDINGS = (*FRAME_ENDINGS, ".npy")
DEPTH = 3
UNDERSTOOD = (
    "pairs like cells_image.tif and cells_labels.tif, folders images and labels, "
    "DAVIS or Cell Tracking Challenge folders"
)


class DataError(ValueError):
    """Labels and pixels that do not go together; the message says why."""


@dataclass(frozen=True, kw_only=True)
class LabelledFiles:
    """Where a picture or a movie and its labels are.

    Attributes
    ----------
    name
        What to call it.
    image
        A file or a folder of frames.
    labels
        One file, or one a frame.
    outlines
        Cell Tracking Challenge: by frame, the file of its segmented objects. `labels`
        are then markers of the tracks.
    tracks
        Cell Tracking Challenge: the table of tracks.
    """

    name: str
    image: Path
    labels: tuple[Path, ...]
    outlines: tuple[tuple[int, Path], ...] | None = None
    tracks: Path | None = None

    def read_picture(self) -> LabelledPicture:
        """Read the labels; the pixels are read when they are used.

        Raises
        ------
        DataError
            When it is no picture with labels of its size.
        """
        labels = read_labels(self.labels[0])
        self._check((1, *labels.shape))
        return LabelledPicture(name=self.name, image=self.image, labels=labels)

    def read_movie(self) -> LabelledMovie:
        """Read the labels; the pixels are read when they are used.

        Raises
        ------
        DataError
            When it is no movie with labels of its shape.
        """
        if len(self.labels) == 1:
            labels = read_labels(self.labels[0])
        else:
            planes = [read_labels(path) for path in self.labels]
            if len({plane.shape for plane in planes}) > 1:
                raise DataError("The labels differ in size from frame to frame.")
            labels = np.stack(planes)
        axes = self._check(labels.shape)
        parents = {} if self.tracks is None else read_parents(self.tracks)
        outlines = None
        if self.outlines is not None:
            outlines = {t: read_labels(path) for t, path in self.outlines}
        return LabelledMovie(
            name=self.name,
            image=self.image,
            labels=labels,
            axes=axes,
            parents=parents,
            outlines=outlines,
        )

    def _check(self, shape: tuple[int, ...]) -> str | None:
        """Say which axes make the image fit its labels, or that none do."""
        if len(shape) != 3:
            raise DataError(f"Labels must be (Y, X) or (T, Y, X), not {shape}.")
        sizes = []
        for axes in (None, "TYX"):
            try:
                with open_stack(self.image, axes=axes) as stack:
                    if stack.shape == shape:
                        return axes
                    sizes.append(stack.shape)
            except StackError:
                if axes is None:
                    raise
        raise DataError(
            f"Frames (T, Y, X) are {sizes[0]} but labels {shape}; give labels of the "
            "same pixels."
        )


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """What a folder holds.

    Attributes
    ----------
    name
        Of the folder.
    path
        Where it is.
    pictures, movies
        What can be evaluated.
    """

    name: str
    path: Path
    pictures: tuple[LabelledFiles, ...]
    movies: tuple[LabelledFiles, ...]

    def __str__(self) -> str:
        """Say what there is, e.g. ``"cells: 12 pictures and 1 movie with labels"``."""
        parts = [
            f"{len(files)} {word if len(files) == 1 else word + 's'}"
            for files, word in ((self.pictures, "picture"), (self.movies, "movie"))
            if files
        ]
        return f"{self.name}: {' and '.join(parts)} with labels"


def find_data(path: Path) -> DataSet:
    """Look what is in a folder.

    Parameters
    ----------
    path
        A folder, or a file that has its labels beside it.

    Raises
    ------
    FileNotFoundError
        When there is nothing at `path`.
    DataError
        When nothing with labels is found; the message says what is understood.
    """
    if not path.exists():
        raise FileNotFoundError(f"There is no file or folder {path}.")
    folder = path if path.is_dir() else path.parent
    found = list(_look(folder.resolve(), ""))
    if path.is_file():
        found = [f for f in found if path.resolve() in (f.image, *f.labels)]
    if not found:
        raise DataError(f"{path} holds nothing with labels; give {UNDERSTOOD}.")
    name = path.stem if path.is_file() else folder.resolve().name
    flat = [_is_picture(files) for files in found]
    return DataSet(
        name=name,
        path=path,
        pictures=tuple(f for f, one in zip(found, flat, strict=True) if one),
        movies=tuple(f for f, one in zip(found, flat, strict=True) if not one),
    )


def spread(items: Sequence[T], most: int | None) -> list[T]:
    """Return `most` of the items, evenly spread; all of them for None."""
    if most is None or len(items) <= most:
        return list(items)
    chosen = {round(k) for k in np.linspace(0, len(items) - 1, most)}
    return [items[k] for k in sorted(chosen)]


def read_labels(path: Path) -> NDArray[Any]:
    """Read a label image as it is stored, without axes of length 1.

    Raises
    ------
    DataError
        When it has colours or is not of whole numbers.
    StackError
        When it cannot be read.
    """
    if path.suffix.lower() == ".png":
        with Image.open(path) as picture:  # a palette's numbers, not its colours
            labels = np.array(picture)
    else:
        source = open_file(path)
        try:
            labels = source.read((slice(None),) * len(source.shape))
        finally:
            source.close()
    labels = labels.squeeze()
    if labels.dtype == np.bool_:
        return labels.astype(np.uint8)
    if labels.dtype.kind not in "iu" or (labels.ndim == 3 and labels.shape[2] <= 4):
        raise DataError(
            f"{path.name} is no label image ({labels.shape}, {labels.dtype}): give "
            "whole numbers without colours."
        )
    return labels


def read_parents(path: Path) -> dict[int, int]:
    """Read who descends from whom in a table of tracks (label, begin, end, parent).

    Raises
    ------
    DataError
        When a line is not of four whole numbers.
    """
    parents = {}
    for line in path.read_text().splitlines():
        if not re.fullmatch(r"(\s*\d+){4}\s*", line):
            if line.strip():
                raise DataError(f"{path.name}: {line!r} is not of four numbers.")
            continue
        label, _, _, parent = map(int, line.split())
        if parent:
            parents[label] = parent
    return parents


def _look(folder: Path, prefix: str, depth: int = 0) -> Iterator[LabelledFiles]:
    """Yield what a folder holds or, if nothing, what its folders hold."""
    found = [
        *_ctc(folder, prefix),
        *_davis(folder, prefix),
        *_pairs(_files(folder), _files(folder), prefix),
    ]
    if not found:
        found = [*_clip(folder, prefix or folder.name), *_two_folders(folder, prefix)]
    if not found and depth < DEPTH:
        for inner in sorted(f for f in folder.iterdir() if f.is_dir()):
            if not inner.name.startswith("."):
                found += _look(inner, f"{prefix}{inner.name}/", depth + 1)
    yield from found


def _files(folder: Path) -> list[Path]:
    return sorted(
        f
        for f in folder.iterdir()
        if f.suffix.lower() in ENDINGS and not f.name.startswith(".") and f.is_file()
    )


def _stem(path: Path) -> str:
    return path.stem.removesuffix(".ome")


def _without(stem: str, words: Iterable[str]) -> str | None:
    """Return a name without the word it ends with; None if it ends with none."""
    found = re.fullmatch(rf"(?:(.*?)[_-])?(?:{'|'.join(words)})", stem, re.IGNORECASE)
    return None if found is None else found[1] or ""


def _pairs(
    images: list[Path], labels: list[Path], prefix: str, *, apart: bool = False
) -> Iterator[LabelledFiles]:
    """Pair files by name; `apart`: labels lie elsewhere and need no word."""
    named: dict[str, Path] = {}
    for path in images:
        stem = _stem(path)
        key = _without(stem, IMAGE_WORDS)
        if key is not None:
            named[key] = path
        elif _without(stem, LABEL_WORDS) is None or apart:
            named.setdefault(stem, path)
    for path in labels:
        key = _without(_stem(path), LABEL_WORDS)
        if key is None and apart:
            key = _without(_stem(path), IMAGE_WORDS) or _stem(path)
        if key is not None and key in named:
            name = f"{prefix}{key}".rstrip("/") or _stem(named[key])
            yield LabelledFiles(name=name, image=named[key], labels=(path,))


def _two_folders(folder: Path, prefix: str) -> Iterator[LabelledFiles]:
    for images in (folder / word for word in IMAGE_WORDS):
        for labels in (folder / word for word in LABEL_WORDS):
            if images.is_dir() and labels.is_dir():
                yield from _pairs(_files(images), _files(labels), prefix, apart=True)


def _davis(folder: Path, prefix: str) -> Iterator[LabelledFiles]:
    frames, labels = folder / "JPEGImages", folder / "Annotations"
    if not frames.is_dir() or not labels.is_dir():
        return
    for size in ("480p", "Full-Resolution"):
        if (frames / size).is_dir() and (labels / size).is_dir():
            frames, labels = frames / size, labels / size
            break
    for clip in sorted(f for f in labels.iterdir() if f.is_dir()):
        yield from _frames(f"{prefix}{clip.name}", frames / clip.name, clip)


def _clip(folder: Path, name: str) -> Iterator[LabelledFiles]:
    """Return frames and masks of one clip."""
    for masks in (folder / word for word in LABEL_WORDS):
        if (folder / "frames").is_dir() and masks.is_dir():
            yield from _frames(name.rstrip("/"), folder / "frames", masks)


def _frames(name: str, frames: Path, masks: Path) -> Iterator[LabelledFiles]:
    if frames.is_dir() and (found := image_files(masks)):
        yield LabelledFiles(name=name, image=frames, labels=tuple(found))


def _ctc(folder: Path, prefix: str) -> Iterator[LabelledFiles]:
    for frames in sorted(folder.glob("[0-9][0-9]")):
        truth = frames.with_name(f"{frames.name}_GT")
        tracks = truth / "TRA" / "man_track.txt"
        if not frames.is_dir() or not tracks.is_file():
            continue
        outlines = [
            (int(found[1]), path)
            for path in sorted((truth / "SEG").glob("man_seg*.tif"))
            if (found := re.fullmatch(r"man_seg(\d+)", path.stem))
        ]
        yield LabelledFiles(
            name=f"{prefix}{frames.name}",
            image=frames,
            labels=tuple(sorted((truth / "TRA").glob("man_track*.tif"))),
            outlines=tuple(outlines),
            tracks=tracks,
        )


def _is_picture(files: LabelledFiles) -> bool:
    """Whether the labels are one plane; nothing but the shape is looked at."""
    if len(files.labels) > 1 or files.tracks is not None:
        return False
    source = open_file(files.labels[0])
    try:
        lengths = [n for n in source.shape if n > 1]
        return len(lengths) <= 2 or source.info.axes == "YXC"
    finally:
        source.close()
