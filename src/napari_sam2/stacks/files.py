"""From a path to a source: which reader opens what, .npy files and images."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from napari_sam2.stacks.errors import FrameReadError, StackError
from napari_sam2.stacks.source import (
    Index,
    Info,
    Source,
    array_source,
    short_name,
)
from napari_sam2.stacks.tiff_source import TiffSource
from napari_sam2.stacks.zarr_source import looks_like_zarr, open_zarr

__all__ = [
    "FolderSource",
    "ImageSource",
    "NpySource",
    "image_files",
    "open_file",
    "open_source",
    "path_of",
]

TIFF_ENDINGS = (".tif", ".tiff", ".btf", ".tf8", ".lsm")
IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
FRAME_ENDINGS = TIFF_ENDINGS + IMAGE_ENDINGS
KNOWN = "TIFF, OME-TIFF, zarr, OME-Zarr, .npy, PNG, JPEG or a folder of images"


def open_file(path: Path) -> Source:
    """Open whatever lies at a path.

    Parameters
    ----------
    path : Path
        A file, a folder, or a pattern with ``*`` in its last part.

    Returns
    -------
    Source
        Pixels are not read yet.

    Raises
    ------
    StackError
        When there is nothing, or nothing that can be read.
    """
    path = path.expanduser()
    try:
        if path.is_dir():
            return open_zarr(path) if looks_like_zarr(path) else _open_folder(path)
        if not path.exists():
            return _open_pattern(path)
        if path.stat().st_size == 0:
            raise StackError(f"{path.name} is empty; copy or export it again.")
        ending = path.suffix.lower()
        if ending in TIFF_ENDINGS:
            return TiffSource(path)
        if ending == ".npy":
            return NpySource(path)
        if ending in IMAGE_ENDINGS:
            return ImageSource(path)
    except OSError as error:
        raise StackError(
            f"{path} could not be opened ({error.strerror or error}); check the path "
            "and your right to read it."
        ) from error
    raise StackError(f"{path.name} is of a kind that is not read here; give {KNOWN}.")


def open_source(source: Any, name: str = "the array") -> Source:
    """Open a path, or wrap an array under a name; see `open_file`, `array_source`."""
    if isinstance(source, str | Path):
        return open_file(Path(source))
    return array_source(source, name=name)


def path_of(source: Any) -> Path | None:
    """Return the whole path of what `open_source` opens; None of an array."""
    if isinstance(source, str | Path):
        return Path(source).expanduser().absolute()
    return None


class NpySource:
    """An array saved by numpy, mapped for the length of one read.

    Parameters
    ----------
    path : Path
        A ``.npy`` file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            mapped = self._map()
        except (ValueError, EOFError) as error:
            raise StackError(
                f"{path.name} is not a whole .npy array of numbers "
                f"({str(error).rstrip('.')}); save it again with numpy.save."
            ) from error
        self.shape = mapped.shape
        self.dtype = mapped.dtype.newbyteorder("=")
        self.info = Info(name=short_name(path))

    def read(self, index: Index) -> NDArray[Any]:
        """Read the part at `index`."""
        return np.array(self._map()[index], dtype=self.dtype)

    def close(self) -> None:
        """Nothing: the file is open only while it is read."""

    def _map(self) -> NDArray[Any]:
        mapped: NDArray[Any] = np.load(self._path, mmap_mode="r", allow_pickle=False)
        if not isinstance(mapped, np.memmap):
            raise ValueError("it is an archive")  # noqa: TRY004 - see __init__
        return mapped


class ImageSource:
    """One PNG, JPEG or other picture.

    Parameters
    ----------
    path : Path
        Anything Pillow reads; only the first of several pictures is used.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        first = self._load()
        self.shape = first.shape
        self.dtype = first.dtype
        self.info = Info(
            name=short_name(path),
            axes="YXC" if first.ndim == 3 else "YX",
            coloured=first.ndim == 3,
        )

    def read(self, index: Index) -> NDArray[Any]:
        """Read the part at `index`."""
        return self._load()[index]

    def close(self) -> None:
        """Nothing: the file is open only while it is read."""

    def _load(self) -> NDArray[Any]:
        try:
            with Image.open(self._path) as picture:
                if picture.mode == "P":
                    transparent = "transparency" in picture.info
                    return np.array(picture.convert("RGBA" if transparent else "RGB"))
                if picture.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
                    return np.array(picture.convert("RGB"))
                if picture.mode in ("LA", "La"):
                    return np.array(picture.getchannel(0))
                return np.array(picture)
        except (OSError, SyntaxError, ValueError, UnidentifiedImageError) as error:
            reason = str(error).strip().split("\n")[0] or type(error).__name__
            raise StackError(
                f"{self._path.name} is not a readable picture ({reason}); copy or "
                "export it again."
            ) from error


class FolderSource:
    """Files of one shape and type, one a frame, in natural order.

    Parameters
    ----------
    files : sequence of Path
        At least one; the first one's shape and type hold for all.
    name : str
        What to call them together.
    """

    def __init__(self, files: Sequence[Path], name: str) -> None:
        self._files = tuple(files)
        first = _open_one(self._files[0])
        try:
            self.shape: tuple[int, ...] = (len(self._files), *first.shape)
            self.dtype = first.dtype
            axes = first.info.axes
            leading = (
                "TPQ" if axes is None else "".join(a for a in "TPQ" if a not in axes)
            )
            self.info = Info(
                name=name,
                axes=None if axes is None else leading[0] + axes,
                scale=first.info.scale,
                units=first.info.units,
                coloured=first.info.coloured,
            )
        finally:
            first.close()

    def read(self, index: Index) -> NDArray[Any]:
        """Read the part at `index`: only the files it touches."""
        which, inside = index[0], index[1:]
        if isinstance(which, slice):
            numbers = range(*which.indices(len(self._files)))
            return np.stack([self._read_one(n, inside) for n in numbers])
        return self._read_one(which, inside)

    def close(self) -> None:
        """Nothing: each file is open only while it is read."""

    def _read_one(self, number: int, inside: Index) -> NDArray[Any]:
        path = self._files[number]
        try:
            source = _open_one(path)
        except OSError as error:
            raise FrameReadError(
                f"Frame {number} could not be read: {path.name}: "
                f"{error.strerror or error}; put the file back or open the folder "
                "again."
            ) from error
        try:
            if source.shape != self.shape[1:] or source.dtype != self.dtype:
                raise FrameReadError(
                    f"Frame {number}, {path.name}, is {_kind(source)}, the first one "
                    f"{_size(self.shape[1:])} {self.dtype}; leave in the folder only "
                    "pictures of one kind."
                )
            return source.read(inside)
        finally:
            source.close()


def image_files(folder: Path) -> list[Path]:
    """List the frames in a folder: its pictures of the commonest ending.

    Returns
    -------
    list of Path
        In natural order (frame 9 before frame 10); hidden files are left out.
    """
    found = [
        entry
        for entry in folder.iterdir()
        if entry.suffix.lower() in FRAME_ENDINGS
        and not entry.name.startswith(".")
        and entry.is_file()
    ]
    counts = Counter(_family(entry) for entry in found)
    if not counts:
        return []
    commonest = counts.most_common(1)[0][0]
    return sorted((e for e in found if _family(e) == commonest), key=_natural)


def _open_folder(folder: Path) -> Source:
    files = image_files(folder)
    if not files:
        raise StackError(
            f"The folder {folder.name} holds neither pictures nor a zarr array; "
            f"give {KNOWN}."
        )
    return FolderSource(files, folder.name)


def _open_pattern(path: Path) -> Source:
    if "://" in str(path) or ":/" in str(path)[2:]:
        raise StackError(f"{path} is an address; download it and give the file.")
    if "*" not in path.name:
        raise StackError(f"{path} does not exist; check the path.")
    found = [
        e for e in path.parent.glob(path.name) if e.suffix.lower() in FRAME_ENDINGS
    ]
    if not found:
        raise StackError(f"No picture matches {path}; check the pattern.")
    return FolderSource(sorted(found, key=_natural), path.parent.name or path.name)


def _open_one(path: Path) -> Source:
    opener: Callable[[Path], Source] = (
        TiffSource if path.suffix.lower() in TIFF_ENDINGS else ImageSource
    )
    return opener(path)


def _natural(path: Path) -> list[tuple[int, int, str]]:
    pieces = re.split(r"(\d+)", path.name.lower())
    return [(0, int(p), "") if p.isdecimal() else (1, 0, p) for p in pieces if p]


def _family(path: Path) -> str:
    ending = path.suffix.lower()
    return {".jpeg": ".jpg", ".tiff": ".tif"}.get(ending, ending)


def _size(shape: Sequence[int]) -> str:
    return "×".join(str(n) for n in shape)


def _kind(source: Source) -> str:
    return f"{_size(source.shape)} {source.dtype}"
