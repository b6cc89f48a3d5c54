"""From a stack to what the network sees, and no frame encoded twice in a row.

Shapes: S picture side, (Y, X) frame.

A frame is resized to S x S as a float, bilinearly and, when shrinking, with
antialiasing, as SAM 2's image predictor does; it never passes through 8 bits.
(Meta's video predictor resizes 8-bit frames bicubically instead.)
"""

from __future__ import annotations

import itertools
from collections import OrderedDict, deque
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import torch
from torch.nn import functional as F

from napari_sam2.model.sam2 import normalise
from napari_sam2.stacks import FrameReadError
from napari_sam2.tracking.flow import motion_between
from napari_sam2.tracking.windows import whole

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from concurrent.futures import Executor, Future

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from napari_sam2.model import SAM2, ImageFeatures
    from napari_sam2.stacks import Stack
    from napari_sam2.tracking.flow import Motion
    from napari_sam2.tracking.windows import Window

    Pixels: TypeAlias = Tensor | NDArray[Any]

T = TypeVar("T")

CACHE_BYTES = 24 * 2**20
CACHE_FRAMES = 4
READ_AHEAD = 2
STORED_FRAMES = 2  # the frame in work and its neighbour
KEPT_MOTIONS = 32


def to_pixels(frame: NDArray[np.float32], side: int) -> Tensor:
    """Resize and normalise one frame for the network.

    Parameters
    ----------
    frame
        (Y, X, 3) or, grey, (Y, X, 1) in [0, 1].
    side
        S.

    Returns
    -------
    Tensor
        (1, 3, S, S) float32 on the CPU.
    """
    return fit(torch.from_numpy(frame).permute(2, 0, 1)[None], side)


def fit(x: Tensor, side: int) -> Tensor:
    """Resize (1, 3 or 1, Y, X) in [0, 1] to (1, 3, S, S) and normalise it."""
    return normalise(resize(x, side))


def resize(x: Tensor, side: int) -> Tensor:
    """Resize (1, 3 or 1, Y, X) to (1, 3 or 1, S, S)."""
    if x.shape[-2:] != (side, side):
        x = F.interpolate(
            x, size=(side, side), mode="bilinear", align_corners=False, antialias=True
        )
    return x


class FrameEncoder:
    """Reads and encodes frames of a stack; keeps the latest answers.

    Parameters
    ----------
    stack
        Where frames come from.
    model
        Whose image encoder is used.
    zoom
        Whether parts of frames will be asked for.
    cache_bytes
        How much to keep.
    cache_frames
        How many of the latest frames to keep even if they are larger than that.
    """

    def __init__(
        self,
        stack: Stack,
        model: SAM2,
        *,
        zoom: bool = False,
        cache_bytes: int = CACHE_BYTES,
        cache_frames: int = CACHE_FRAMES,
    ) -> None:
        self.stack = stack
        self.model = model
        self.cache_bytes = cache_bytes
        self.cache_frames = max(cache_frames, 1)
        self.zoom = zoom
        self.whole = whole((stack.height, stack.width))
        self._cache: OrderedDict[tuple[int, Window], ImageFeatures] = OrderedDict()
        self._coming: dict[tuple[int, Window], Future[ImageFeatures]] = {}
        self._held = 0
        self._stored: OrderedDict[int, NDArray[Any]] = OrderedDict()
        self._motions: OrderedDict[tuple[int, int, Window], Motion] = OrderedDict()

    def pixels(self, frame_idx: int) -> Pixels:
        """Read one frame; safe in a reader thread.

        Returns
        -------
        Tensor or ndarray
            (1, 3, S, S) float32, normalised; with zoom the frame as stored, (Y, X) or
            (Y, X, C): of a large one only what is looked at is turned into floats.

        Raises
        ------
        FrameReadError
            If the frame cannot be read.
        """
        if self.zoom:
            return self.stack.read_raw(frame_idx)
        return to_pixels(self.stack.read(frame_idx), self.model.config.image_size)

    @torch.inference_mode()
    def features(
        self,
        frame_idx: int,
        pixels: Pixels | None = None,
        *,
        window: Window | None = None,
    ) -> ImageFeatures:
        """Encode one frame or a part of it, or return the kept answer.

        Parameters
        ----------
        frame_idx
            Which frame.
        pixels
            The frame as `pixels` gives it, if it was read before.
        window
            The part to look at; None for the whole frame.

        Raises
        ------
        FrameReadError
            If the frame has to be read and cannot be.
        """
        window = window or self.whole
        key = frame_idx, window
        found = self._cache.get(key)
        if found is not None:
            self._cache.move_to_end(key)
            return found
        coming = self._coming.pop(key, None)
        if coming is not None:
            features = coming.result()
        else:
            if pixels is None:
                pixels = self._read(frame_idx)
            features = self._encode(pixels, window)
        self._cache[key] = features
        self._held += features.nbytes
        while self._held > self.cache_bytes and len(self._cache) > self.cache_frames:
            _, dropped = self._cache.popitem(last=False)
            self._held -= dropped.nbytes
        return features

    @torch.inference_mode()
    def _encode(self, pixels: Pixels, window: Window) -> ImageFeatures:
        if not isinstance(pixels, torch.Tensor):
            part = self.stack.scaled(pixels[window.place])
            pixels = to_pixels(part, self.model.config.image_size)
        return self.model.encode_image(
            pixels.to(device=self.model.device, dtype=self.model.dtype)
        )

    def encode_ahead(
        self,
        lanes: Executor,
        frame_idx: int,
        pixels: Pixels,
        windows: Iterable[Window],
    ) -> None:
        """Begin to encode what `features` will be asked for; the last frame counts.

        Parameters
        ----------
        lanes
            Where to encode.
        frame_idx, pixels
            The frame as `pixels` gives it.
        windows
            The parts that will be looked at.
        """
        wanted = dict.fromkeys((frame_idx, window) for window in windows)
        for key in [key for key in self._coming if key not in wanted]:
            self._coming.pop(key).cancel()
        for key in wanted:
            if key not in self._cache and key not in self._coming:
                self._coming[key] = lanes.submit(self._encode, pixels, key[1])

    def keep(self, frame_idx: int, pixels: Pixels) -> None:
        """Keep a frame that was read, if it is as stored: parts of it are wanted."""
        if not isinstance(pixels, torch.Tensor):
            self._stored[frame_idx] = pixels
            self._stored.move_to_end(frame_idx)
            while len(self._stored) > STORED_FRAMES:
                self._stored.popitem(last=False)

    def picture(self, frame_idx: int, window: Window) -> NDArray[np.float32]:
        """Return a part of a frame, (Y, X, 1 or 3) in [0, 1].

        Raises
        ------
        FrameReadError
            If the frame has to be read and cannot be.
        """
        if frame_idx not in self._stored:
            self.keep(frame_idx, self.stack.read_raw(frame_idx))
        return self.stack.scaled(self._stored[frame_idx][window.place])

    def seen(self, frame_idx: int, window: Window) -> NDArray[np.float32]:
        """Return the picture that the network gets of a part of a frame.

        Returns
        -------
        ndarray of float32
            (S, S, 3) in [0, 1], as it is before it is normalised.

        Raises
        ------
        FrameReadError
            If the frame has to be read and cannot be.
        """
        if self.zoom:
            part = self.picture(frame_idx, window)
        else:
            part = self.stack.read(frame_idx)[window.place]
        x = torch.from_numpy(part).permute(2, 0, 1)[None]  # (1, 3 or 1, Y, X)
        small = resize(x, self.model.config.image_size)
        shown = small[0].expand(3, -1, -1).permute(1, 2, 0)  # (S, S, 3)
        found: NDArray[np.float32] = shown.contiguous().numpy()
        return found

    def motion(self, before: int, now: int, window: Window) -> Motion:
        """Return how a part of the picture moved between two frames.

        Objects that are looked at through one window share the answer.

        Raises
        ------
        FrameReadError
            If a frame has to be read and cannot be.
        """
        key = before, now, window
        if key not in self._motions:
            self._motions[key] = motion_between(
                self.picture(before, window),
                self.picture(now, window),
                self.model.config.low_res_size,
            )
            while len(self._motions) > KEPT_MOTIONS:
                self._motions.popitem(last=False)
        return self._motions[key]

    def _read(self, frame_idx: int) -> Pixels:
        """Read a frame; with zoom keep it."""
        if self.zoom and frame_idx in self._stored:
            return self._stored[frame_idx]
        pixels = self.pixels(frame_idx)
        self.keep(frame_idx, pixels)
        return pixels

    def is_kept(self, frame_idx: int) -> bool:
        """Whether `features` of the whole frame would answer without reading."""
        return (frame_idx, self.whole) in self._cache

    def finish_ahead(self) -> None:
        """Wait until nothing is encoded ahead any more."""
        wait([*self._coming.values()])

    def expect_nothing(self) -> None:
        """Drop what `encode_ahead` began: it will not be asked for."""
        for coming in self._coming.values():
            coming.cancel()
        self._coming.clear()

    def clear(self) -> None:
        """Forget all answers."""
        self.expect_nothing()
        self._cache.clear()
        self._held = 0
        self._stored.clear()
        self._motions.clear()


def read_ahead(
    load: Callable[[int], T], frames: Iterable[int], *, depth: int = READ_AHEAD
) -> Generator[tuple[int, T | FrameReadError]]:
    """Load frames in a thread, at most `depth` ahead of the one being used.

    Closing the generator stops the thread after the frame it is reading.

    Parameters
    ----------
    load
        Called in the reader thread with one frame index after the other.
    frames
        Which frames, in order.
    depth
        How many may wait.

    Yields
    ------
    frame_idx, loaded
        What `load` returned, or the `FrameReadError` it raised; any other error
        is raised at the frame it belongs to.
    """
    remaining = iter(frames)
    pool = ThreadPoolExecutor(1, thread_name_prefix="napari-sam2-reader")
    pending: deque[tuple[int, Future[T]]] = deque()

    def ask(count: int) -> None:
        for frame in itertools.islice(remaining, count):
            pending.append((frame, pool.submit(load, frame)))

    try:
        ask(depth)
        while pending:
            frame_idx, future = pending.popleft()
            try:
                loaded: T | FrameReadError = future.result()
            except FrameReadError as error:
                loaded = error
            ask(1)
            yield frame_idx, loaded
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def with_next(items: Iterable[T]) -> Iterator[tuple[T, T | None]]:
    """Yield each item with the one after it, the last one with None."""
    before: list[T] = []
    for item in items:
        if before:
            yield before.pop(), item
        before.append(item)
    if before:
        yield before.pop(), None
