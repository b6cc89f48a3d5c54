import threading
import tracemalloc

import dask
import dask.array as da
import numpy as np
import pytest
import zarr

from napari_sam2.stacks import FrameReadError, Stack, StackError, open_stack

MOVIE = np.arange(5 * 8 * 9, dtype=np.uint16).reshape(5, 8, 9)


class Counting:
    """A huge array that makes its frames up and counts them."""

    def __init__(self, shape, dtype=np.uint16):
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self.asked = []

    def __getitem__(self, index):
        self.asked.append(index)
        kept = [n for n, i in zip(self.shape, index, strict=True) if i == slice(None)]
        return np.full(kept, index[0] % 60000, self.dtype)


def as_h5py_like(array):
    class Dataset:
        shape, dtype = array.shape, array.dtype

        def __getitem__(self, index):
            return array[index]

    return Dataset()


@pytest.mark.parametrize(
    "wrap",
    [
        lambda a: a,
        lambda a: da.from_array(a, chunks=(2, 4, 4)),
        lambda a: zarr.array(a),
        as_h5py_like,
        lambda a: a.astype(">u2"),
        lambda a: [a, a[:, ::2, ::2]],
    ],
    ids=["numpy", "dask", "zarr", "h5py", "big-endian", "multiscale"],
)
def test_any_array_is_the_same_stack(wrap):
    stack = open_stack(wrap(MOVIE))
    assert stack.shape == (5, 8, 9)
    assert (stack.n_frames, stack.height, stack.width) == (5, 8, 9)
    assert len(stack) == 5
    assert stack.axes == "TYX"
    assert stack.dtype == np.uint16
    assert stack.dtype.isnative
    for t in range(5):
        assert np.array_equal(stack.read_raw(t), MOVIE[t])
    assert "TYX" in repr(stack)


def test_frames_are_copies():
    movie = MOVIE.copy()
    stack = open_stack(movie)
    stack.read_raw(1)[:] = 0
    stack.read(1)[:] = 0
    assert np.array_equal(movie, MOVIE)


def test_a_stack_is_given_back():
    stack = open_stack(MOVIE)
    assert open_stack(stack) is stack


def test_fixed_axes_and_channels():
    data = np.arange(4 * 3 * 5 * 8 * 9, dtype=np.uint16).reshape(4, 3, 5, 8, 9)
    stack = open_stack(data, axes="TZCYX", fixed={"Z": 2}, channels=(4, 0))
    assert stack.shape == (4, 8, 9)
    assert stack.n_channels == 2
    raw = stack.read_raw(3)
    assert np.array_equal(raw[..., 0], data[3, 2, 4])
    assert np.array_equal(raw[..., 1], data[3, 2, 0])
    depth = open_stack(data, axes="TZCYX", fixed={"T": 1, "C": 3})
    assert depth.followed == "Z"
    assert np.array_equal(depth.read_raw(2), data[1, 2, 3])


def test_one_picture_is_a_stack_of_one():
    stack = open_stack(MOVIE[0])
    assert stack.shape == (1, 8, 9)
    assert np.array_equal(stack.read_raw(0), MOVIE[0])
    colour = open_stack(np.zeros((8, 9, 3), np.uint8))
    assert colour.shape == (1, 8, 9)
    assert colour.read(0).shape == (8, 9, 3)


def test_dimension_names_of_the_array_are_used():
    class Labelled:
        dims = ("z", "channel", "y", "x")
        shape, dtype = (4, 2, 8, 9), np.dtype(np.uint8)

        def __getitem__(self, index):
            return np.zeros((4, 2, 8, 9), np.uint8)[index]

    stack = open_stack(Labelled())
    assert stack.axes == "ZCYX"
    assert stack.followed == "Z"


@pytest.mark.parametrize("frame_idx", [-1, 5, 10**9])
def test_no_such_frame(frame_idx):
    with pytest.raises(IndexError, match="frames 0 to 4"):
        open_stack(MOVIE).read(frame_idx)


@pytest.mark.parametrize("thing", [None, 7, [MOVIE[0], MOVIE[1]], {"a": 1}, object()])
def test_no_array(thing):
    with pytest.raises(StackError, match="neither a path nor an array"):
        open_stack(thing)


def test_a_frame_that_fails_says_so_in_one_sentence():
    class Broken(Counting):
        def __getitem__(self, index):
            if index[0] == 2:
                raise RuntimeError("chunk 2 is bad\nlong trace")
            return super().__getitem__(index)

    stack = open_stack(Broken((4, 8, 8)))
    with pytest.raises(FrameReadError, match=r"Frame 2 .*chunk 2 is bad") as caught:
        stack.read(2)
    assert "\n" not in str(caught.value)
    assert stack.read(3).shape == (8, 8, 3)


def test_opening_reads_nothing_and_reading_reads_one_frame():
    array = Counting((100_000, 1024, 1024))
    stack = open_stack(array, contrast_limits=(0, 100))
    assert array.asked == []
    stack.read(77_000)
    assert array.asked == [(77_000, slice(None), slice(None))]


def test_limits_are_sampled_once_even_from_many_threads():
    array = Counting((1000, 32, 32))
    stack = open_stack(array)
    threads = [
        threading.Thread(target=stack.read, args=(t,)) for t in range(0, 1000, 100)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(array.asked) == 12 + 10
    assert stack.contrast_limits[0][1] == pytest.approx(999)


def test_memory_does_not_grow_with_the_frames():
    stack = open_stack(Counting((5000, 128, 128)))
    stack.read(0)
    tracemalloc.start()
    try:
        for t in range(20):
            stack.read(t)
        before = tracemalloc.get_traced_memory()[0]
        for t in range(20, 300):
            stack.read(t)
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    # The test's own list of what was asked grows by well under this.
    assert after - before < 200_000


def test_dask_reads_on_this_thread_only_the_one_frame():
    asked = []

    def make(block_info=None):
        t = block_info[None]["chunk-location"][0]
        asked.append((t, threading.current_thread()))
        return np.full((1, 16, 16), t, np.uint16)

    array = da.map_blocks(
        make, chunks=((1,) * 50, (16,), (16,)), dtype=np.uint16, meta=np.empty((0,) * 3)
    )
    asked.clear()
    with dask.config.set(scheduler="threads"):
        assert open_stack(array).read_raw(31)[0, 0] == 31
    assert asked == [(31, threading.current_thread())]


def test_scale_without_metadata():
    stack = open_stack(MOVIE)
    assert stack.scale == (1.0, 1.0, 1.0)
    assert stack.units == ("pixel", "pixel", "pixel")


def test_closing_leaves_the_array_alone():
    with open_stack(MOVIE) as stack:
        assert isinstance(stack, Stack)
    assert MOVIE[0, 0, 1] == 1
