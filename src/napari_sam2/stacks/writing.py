"""Files that are whole or not there: written beside their place, then renamed.

A crash, a full disk or a cancelled export leaves whatever was there before.
"""

import contextlib
import io
import os
import queue
import re
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from PIL import Image

from napari_sam2.stacks.errors import ExportError, StackError
from napari_sam2.stacks.zarr_source import is_zarr_array

__all__ = [
    "Progress",
    "fed",
    "finish",
    "picture_bytes",
    "save_picture",
    "staged_folders",
    "written_beside",
]

Progress: TypeAlias = Generator[tuple[int, int], None, Path]
"""Yields (steps done, of how many) and returns the path that was written."""

Item = TypeVar("Item")
Result = TypeVar("Result")
Put: TypeAlias = Callable[[Item], None]


def finish(work: Generator[Any, None, Result]) -> Result:
    """Run a generator to its end and return what it returns."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: Result = end.value
            return result


@contextlib.contextmanager
def written_beside(place: Path) -> Iterator[Path]:
    """Give a path to write to; it becomes `place` if nothing goes wrong.

    Parameters
    ----------
    place : Path
        A file, or a ``.zarr`` folder.

    Yields
    ------
    Path
        Of the same name, in a hidden folder beside.

    Raises
    ------
    StackError
        When `place` holds something that must not be replaced.
    ExportError
        When writing fails; `place` is as it was.
    """
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        _check_replaceable(place)
        with _beside(place) as unfinished:
            yield unfinished
            _flush_all(unfinished)
            _replace(unfinished, place)
    except OSError as error:
        raise _could_not_be_written(place, error) from error


def picture_bytes(picture: Image.Image, kind: str = "PNG", **options: int) -> bytes:
    """Return what a picture's file is to hold.

    Pillow itself does not notice a file that a full disk cut short.

    Parameters
    ----------
    picture : Image
        Which.
    kind : str
        Pillow's name of the format.
    **options
        Passed on to Pillow.
    """
    data = io.BytesIO()
    picture.save(data, kind, **options)
    return data.getvalue()


def save_picture(picture: Image.Image, place: Path) -> None:
    """Write a PNG beside its place and rename it; see `written_beside`.

    Raises
    ------
    ExportError
        When writing fails; `place` is as it was.
    """
    with written_beside(place) as unfinished:
        unfinished.write_bytes(picture_bytes(picture))


@contextlib.contextmanager
def staged_folders(root: Path, parts: dict[str, str]) -> Iterator[Path]:
    """Give a folder to fill; its `parts` are moved into `root` at the end.

    Parameters
    ----------
    root : Path
        Where they go; made if it is not there, and only then.
    parts : dict of str to str
        Folders inside `root`, each with a pattern of the file names it may hold.
        One that is there and holds nothing else is replaced. They are moved in
        this order; those that were not made are left out.

    Yields
    ------
    Path
        In it, the parts' folders are made by whoever fills them.

    Raises
    ------
    StackError
        When a folder that is there holds other files.
    ExportError
        When writing fails; `root` is as it was.
    """
    for part, pattern in parts.items():
        _check_own(root / part, pattern)
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        with _beside(root) as unfinished:
            unfinished.mkdir()
            yield unfinished
            _flush_all(unfinished)
            for part in parts:
                if (unfinished / part).exists():
                    (root / part).parent.mkdir(parents=True, exist_ok=True)
                    _replace(unfinished / part, root / part)
    except OSError as error:
        raise _could_not_be_written(root, error) from error


@contextlib.contextmanager
def fed(
    consume: Callable[[Iterator[Item]], object],
) -> Iterator[Callable[[Item], None]]:
    """Turn a function that pulls items into one that is given them, one by one.

    So that writing a file frame by frame can be a generator, although the library
    that writes asks for an iterator. It runs in a thread of its own, one item behind.

    Parameters
    ----------
    consume : callable
        Is called once, with an iterator.

    Yields
    ------
    callable
        Takes the next item; raises what `consume` raised.
    """
    waiting: queue.Queue[tuple[str, Any]] = queue.Queue(maxsize=1)

    def items() -> Iterator[Item]:
        while True:
            kind, item = waiting.get()
            if kind == "end":
                return
            if kind == "stop":
                raise _Stopped
            yield item

    with ThreadPoolExecutor(1, thread_name_prefix="napari-sam2-writing") as pool:
        work = pool.submit(consume, items())

        def put(kind: str, item: Any = None) -> None:
            while True:
                if work.done():
                    work.result()  # raises what went wrong
                    return
                with contextlib.suppress(queue.Full):
                    waiting.put((kind, item), timeout=0.05)
                    return

        try:
            yield lambda item: put("item", item)
        except BaseException:
            with contextlib.suppress(Exception):
                put("stop")
            raise
        put("end")
        work.result()


class _Stopped(Exception):
    """The caller gives no more items."""


def _could_not_be_written(place: Path, error: OSError) -> ExportError:
    """Say in one sentence that a place cannot be written."""
    return ExportError(
        f"{place} could not be written ({error.strerror or error}); nothing was "
        "changed there. Make room or choose another place."
    )


def _check_replaceable(place: Path) -> None:
    wants_folder = place.suffix.lower() == ".zarr"
    if place.exists() and (
        place.is_dir() != wants_folder or (wants_folder and not is_zarr_array(place))
    ):
        raise StackError(
            f"{place} is there and is not what would be written; choose another name."
        )


def _check_own(folder: Path, pattern: str) -> None:
    if not folder.exists():
        return
    others = (
        [folder.name]
        if not folder.is_dir()
        else [f.name for f in folder.iterdir() if not re.fullmatch(pattern, f.name)]
    )
    if others:
        raise StackError(
            f"{folder} is there and holds something else ({min(others)}); choose "
            "another folder."
        )


@contextlib.contextmanager
def _beside(place: Path) -> Iterator[Path]:
    """Give a path in the destination's folder that goes if it is not renamed."""
    folder = Path(
        tempfile.mkdtemp(prefix=f".{place.name}.", suffix=".part", dir=place.parent)
    )
    try:
        yield folder / place.name
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _replace(finished: Path, place: Path) -> None:
    if not finished.is_dir() or not place.exists():
        finished.replace(place)
    else:
        # A folder cannot be renamed onto another: step the old one aside first.
        aside = finished.with_name(f"{finished.name}.old")
        place.rename(aside)
        try:
            finished.rename(place)
        except OSError:
            aside.rename(place)
            raise
    if os.name == "posix":
        _flush(place.parent)


def _flush_all(path: Path) -> None:
    for file in path.rglob("*") if path.is_dir() else [path]:
        if file.is_file():
            _flush(file)


def _flush(path: Path) -> None:
    """Have the disk hold what was written before it gets its name."""
    # Windows flushes only what could be written, and no folders.
    handle = os.open(path, os.O_RDWR if path.is_file() else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
