"""Pictures to a movie file, one at a time: MP4, or GIF where ffmpeg is not there."""

import contextlib
import errno
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import GifImagePlugin, Image

from napari_sam2.stacks.errors import StackError

__all__ = ["movie_file"]

Picture: TypeAlias = NDArray[np.uint8]
Put: TypeAlias = Callable[[Picture], None]

MP4_QUALITY = 8  # of 10
NO_FFMPEG = (
    'Writing MP4 needs ffmpeg; pip install "napari-sam2[video]", or choose a name that '
    "ends in .gif."
)


def movie_file(
    path: Path, size: tuple[int, int], fps: float
) -> contextlib.AbstractContextManager[Put]:
    """Open a movie file to be given its pictures, one by one.

    Parameters
    ----------
    path : Path
        ``.mp4`` or ``.gif``.
    size : (height, width)
        Of the pictures; even numbers for MP4.
    fps : float
        Pictures a second.

    Returns
    -------
    context manager
        Gives a function that takes a picture, (Y, X, 3) uint8.

    Raises
    ------
    StackError
        When the ending is another, the speed is none, or ffmpeg is not there.
    """
    if not 0.1 <= fps <= 100:
        raise StackError(f"{fps} pictures a second cannot be shown; give 0.1 to 100.")
    ending = path.suffix.lower()
    if ending == ".gif":
        return _gif(path, fps)
    if ending != ".mp4":
        raise StackError(f"A movie is written as .mp4 or .gif, not as {path.name}.")
    try:
        import imageio_ffmpeg
    except ImportError as error:
        raise StackError(NO_FFMPEG) from error
    return _mp4(imageio_ffmpeg, path, size, fps)


@contextlib.contextmanager
def _mp4(ffmpeg: Any, path: Path, size: tuple[int, int], fps: float) -> Iterator[Put]:
    height, width = size
    writer = ffmpeg.write_frames(
        str(path),
        (width, height),
        fps=fps,
        quality=MP4_QUALITY,
        macro_block_size=2,
        ffmpeg_log_level="fatal",
    )
    n_given = 0

    def put(picture: Picture) -> None:
        nonlocal n_given
        writer.send(np.ascontiguousarray(picture))
        n_given += 1

    try:
        with contextlib.closing(writer):
            writer.send(None)
            yield put
        n_written, _ = ffmpeg.count_frames_and_secs(str(path))
    except (OSError, RuntimeError) as error:
        # ffmpeg's own words fill a page.
        raise OSError(errno.EIO, "ffmpeg stopped") from error
    if n_written != n_given:
        raise OSError(errno.EIO, f"ffmpeg wrote {n_written} of {n_given} pictures")


@contextlib.contextmanager
def _gif(path: Path, fps: float) -> Iterator[Put]:
    duration = 10 * max(2, round(100 / fps))  # ms; browsers slow down what is faster
    with path.open("wb") as file:
        begun = False

        def put(picture: Picture) -> None:
            nonlocal begun
            # Pillow's own writer would keep all pictures until the last one came.
            image = Image.fromarray(picture).quantize(
                method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE
            )
            if not begun:
                header, _ = GifImagePlugin.getheader(image.copy(), info={"loop": 0})
                file.write(b"".join(header))
                begun = True
            data = GifImagePlugin.getdata(
                image, duration=duration, include_color_table=True
            )
            file.write(b"".join(data))

        yield put
        file.write(b";")
