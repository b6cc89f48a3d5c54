from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_sam2.model.sam2 import PIXEL_MEAN, PIXEL_STD
from napari_sam2.stacks import FrameReadError, open_stack
from napari_sam2.tracking.frames import FrameEncoder, read_ahead, to_pixels
from napari_sam2.tracking.windows import Window

if TYPE_CHECKING:
    import torch

    from napari_sam2.model import SAM2


def grey(pixels: torch.Tensor) -> np.ndarray:
    return (pixels[0, 0] * PIXEL_STD[0] + PIXEL_MEAN[0]).numpy()


def test_a_frame_of_the_right_size_is_only_normalised() -> None:
    frame = np.random.default_rng(0).random((32, 32, 3), np.float32)
    pixels = to_pixels(frame, 32)
    assert pixels.shape == (1, 3, 32, 32)
    np.testing.assert_allclose(grey(pixels), frame[..., 0], atol=1e-6)


def test_shrinking_averages() -> None:
    """A fine checkerboard becomes grey, not a moiré."""
    board = (np.indices((256, 256)).sum(0) % 2).astype(np.float32)
    pixels = to_pixels(np.repeat(board[..., None], 3, 2), 64)
    assert np.abs(grey(pixels) - 0.5).max() < 0.05


def test_a_sixteen_bit_ramp_keeps_its_grey_levels() -> None:
    ramp = np.linspace(0, 4000, 256).astype(np.uint16)
    image = np.broadcast_to(ramp, (2, 256, 256))
    with open_stack(image, axes="TYX") as stack:
        levels = np.unique(to_pixels(stack.read(0), 256)[0, 0].numpy())
    assert len(levels) >= 200


@pytest.mark.parametrize("channels", [None, 1, 2, 3])
def test_a_window_is_scaled_as_the_whole_frame_is(
    nano: SAM2, channels: int | None
) -> None:
    rng = np.random.default_rng(0)
    shape = (2, 40, 50) if channels is None else (2, 40, 50, channels)
    image = rng.integers(0, 4000, shape, np.uint16)
    axes = "TYX" if channels is None else "TYXC"
    window = Window(y=8, x=4, height=24, width=24)
    with open_stack(image, axes=axes) as stack:
        seen = []
        nano_encode = nano.encode_image

        def spied(pixels: torch.Tensor) -> object:
            seen.append(pixels)
            return nano_encode(pixels)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(nano, "encode_image", spied)
            FrameEncoder(stack, nano, zoom=True).features(1, window=window)
        whole = stack.read(1)[8:32, 4:28]
    np.testing.assert_allclose(
        seen[0].numpy(), to_pixels(whole, nano.config.image_size).numpy(), atol=1e-6
    )


def test_features_are_kept_within_a_budget(nano: SAM2, movie: np.ndarray) -> None:
    stack = open_stack(movie, axes="TYX", contrast_limits=(0, 255))
    one = FrameEncoder(stack, nano).features(0).nbytes
    frames = FrameEncoder(stack, nano, cache_bytes=2 * one, cache_frames=1)
    first = frames.features(0)
    frames.features(1)
    assert frames.features(0) is first
    frames.features(2)
    assert [frames.is_kept(t) for t in range(3)] == [True, False, True]
    small = FrameEncoder(stack, nano, cache_bytes=1, cache_frames=1)
    assert small.features(3) is small.features(3)  # the latest is always kept
    frames.clear()
    assert not frames.is_kept(0)


def test_reading_ahead_keeps_order_and_is_bounded() -> None:
    asked: list[int] = []

    def load(t: int) -> int:
        asked.append(t)
        return t * 10

    reader = read_ahead(load, iter(range(8)), depth=2)
    assert next(reader) == (0, 0)
    time.sleep(0.05)
    assert max(asked) <= 2
    assert list(reader) == [(t, t * 10) for t in range(1, 8)]


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_an_unreadable_frame_comes_in_its_place(depth: int) -> None:
    def load(t: int) -> int:
        if t == 2:
            raise FrameReadError("broken")
        return t

    loaded = list(read_ahead(load, range(4), depth=depth))
    assert [t for t, _ in loaded] == [0, 1, 2, 3]
    assert isinstance(loaded[2][1], FrameReadError)
    assert loaded[3] == (3, 3)


def test_other_errors_are_raised_where_they_belong() -> None:
    def load(t: int) -> int:
        if t == 1:
            raise MemoryError
        return t

    reader = read_ahead(load, range(3))
    assert next(reader) == (0, 0)
    with pytest.raises(MemoryError):
        next(reader)


def test_closing_ends_the_thread() -> None:
    read = []

    def load(t: int) -> int:
        read.append(t)
        time.sleep(0.01)
        return t

    reader = read_ahead(load, range(1000))
    next(reader)
    assert any("napari-sam2-reader" in t.name for t in threading.enumerate())
    reader.close()
    assert not any("napari-sam2-reader" in t.name for t in threading.enumerate())
    assert len(read) <= 4
