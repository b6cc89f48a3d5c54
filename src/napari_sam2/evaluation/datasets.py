"""Find labelled pictures and movies in a folder by looking.

Understood are pairs of files (``cells_image.png`` and ``cells_labels.png``, a movie and
its labels), two folders with the same names (``images`` and ``labels`` or ``masks``),
DAVIS folders (``JPEGImages`` and ``Annotations``, or ``frames`` and ``masks`` of one
clip), Cell Tracking Challenge folders (``01`` and ``01_GT``), SA-V annotations with
their video, and folders of these.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from napari_sam2.evaluation.movies import LabelledMovie
from napari_sam2.evaluation.pictures import LabelledPicture
from napari_sam2.stacks import StackError
from napari_sam2.stacks.ctc import CtcClip, ctc_movies, read_ctc
from napari_sam2.stacks.davis import davis_clips, read_davis
from napari_sam2.stacks.files import open_file
from napari_sam2.stacks.pairs import match_pairs
from napari_sam2.stacks.sav import find_sav, read_sav_clip
from napari_sam2.stacks.source import short_name
from napari_sam2.stacks.zarr_source import looks_like_zarr

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from napari_sam2.stacks.clips import Clip

T = TypeVar("T")

DEPTH = 3
UNDERSTOOD = (
    "pairs like cells_image.tif and cells_labels.tif, folders images and labels, "
    "DAVIS or Cell Tracking Challenge folders, or SA-V annotations with their frames"
)


@dataclass(frozen=True, kw_only=True)
class LabelledFiles:
    """A picture or a movie and its labels, not opened yet.

    Attributes
    ----------
    name
        What to call it.
    open
        Opens it without reading its frames. Raises StackError, if something is missing
        or does not fit.
    image, labels
        Where they are, if either alone stands for both.
    markers
        Whether the labels only mark which object is which.
    """

    name: str
    open: Callable[[], Clip]
    image: Path | None = None
    labels: Path | None = None
    markers: bool = False

    def read_picture(self) -> LabelledPicture:
        """Read the labels; the pixels are read when they are used.

        Raises
        ------
        StackError
            When it is no picture with labels of its size.
        """
        movie = self.read_movie()
        return LabelledPicture(
            name=self.name, image=movie.image, labels=movie.labels[0], axes=movie.axes
        )

    def read_movie(self) -> LabelledMovie:
        """Read the labels; the pixels are read when they are used.

        Raises
        ------
        StackError
            When it is no movie with labels of its shape.
        """
        with self.open() as clip:
            image, labels = clip.picture(), clip.labels
            axes = image.opened_as["axes"]
            missing = sorted({*range(labels.shape[0])} - {*labels.annotated})
            if missing:
                raise StackError(
                    f"{len(missing)} of {labels.shape[0]} frames have no labels, such "
                    f"as frame {missing[0]}; give labels of all frames."
                )
            parents, outlines = {}, None
            if isinstance(clip, CtcClip):
                parents, of_frames = clip.parents, clip.outlines
                outlines = {}
                if of_frames is not None:
                    outlines = {t: of_frames.plane(t) for t in of_frames.annotated}
            return LabelledMovie(
                name=self.name,
                image=image.path or image,
                labels=labels[:],
                axes=axes if isinstance(axes, str) else None,
                parents=parents,
                outlines=outlines,
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
    StackError
        When nothing with labels is found; the message says what is understood.
    """
    if not path.exists():
        raise FileNotFoundError(f"There is no file or folder {path}.")
    alone = path.is_file() or looks_like_zarr(path)
    folder = path.resolve().parent if alone else path.resolve()
    found = list(_look(folder, ""))
    if alone:
        found = [f for f in found if path.resolve() in (f.image, f.labels)]
    if not found:
        raise StackError(f"{path} holds nothing with labels; give {UNDERSTOOD}.")
    name = path.stem if alone else folder.name
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


def _look(folder: Path, prefix: str, depth: int = 0) -> Iterator[LabelledFiles]:
    """Yield what a folder holds or, if nothing, what its folders hold."""
    found = [
        *_challenge(folder, prefix),
        *_davis(folder, prefix),
        *_sav(folder, prefix),
        *_pairs(folder, prefix),
    ]
    if not found and depth < DEPTH:
        for inner in sorted(f for f in folder.iterdir() if f.is_dir()):
            if not inner.name.startswith(".") and not looks_like_zarr(inner):
                found += _look(inner, f"{prefix}{inner.name}/", depth + 1)
    yield from found


def _challenge(folder: Path, prefix: str) -> Iterator[LabelledFiles]:
    for movie in ctc_movies(folder):
        yield LabelledFiles(
            name=f"{prefix}{movie}", open=partial(read_ctc, folder, movie), markers=True
        )


def _davis(folder: Path, prefix: str) -> Iterator[LabelledFiles]:
    for clip in davis_clips(folder, framed=True):
        reader = partial(read_davis, folder, clip)
        yield LabelledFiles(name=_called(prefix, clip), open=reader)


def _sav(folder: Path, prefix: str) -> Iterator[LabelledFiles]:
    for name, (annotation, video) in find_sav(folder).items():
        yield LabelledFiles(
            name=_called(prefix, name),
            open=partial(read_sav_clip, annotation, video),
            image=video,
            labels=annotation,
        )


def _pairs(folder: Path, prefix: str) -> Iterator[LabelledFiles]:
    for pair in match_pairs(folder).pairs:
        yield LabelledFiles(
            name=_called(prefix, pair.name) or short_name(pair.image),
            open=pair.open,
            image=pair.image,
            labels=pair.labels,
        )


def _called(prefix: str, name: str) -> str:
    """Name what is in a folder, not twice if it is called as the folder is."""
    twice = f"/{prefix}".endswith(f"/{name}/")
    return prefix.rstrip("/") if twice or not name else f"{prefix}{name}"


def _is_picture(files: LabelledFiles) -> bool:
    """Whether the labels are one plane; nothing but the shape is looked at."""
    if files.labels is None or files.labels.suffix.lower() == ".json":
        return False
    source = open_file(files.labels)
    try:
        lengths = [n for n in source.shape if n > 1]
        return len(lengths) <= 2 or source.info.axes == "YXC"
    finally:
        source.close()
