import threading
from pathlib import Path

import numpy as np
import pytest
import zarr

from napari_sam2.stacks import StackError, labels_store, open_labels_store

PLANE = np.arange(20, dtype=np.uint16).reshape(4, 5)


@pytest.fixture(params=["memory", "temporary", "path"])
def store(request, tmp_path, monkeypatch):
    path = None
    if request.param == "temporary":
        monkeypatch.setattr(labels_store, "IN_MEMORY_BYTES", 1)
    elif request.param == "path":
        path = tmp_path / "new" / "labels.zarr"
    with open_labels_store((3, 4, 5), path=path) as opened:
        yield opened


def test_what_is_written_is_read(store):
    assert (store.shape, store.dtype, len(store)) == ((3, 4, 5), np.uint16, 3)
    assert not store.read(1).any()
    store.write(1, PLANE)
    assert np.array_equal(store.read(1), PLANE)
    assert not store.read(0).any()
    assert np.array_equal(np.asarray(store.array[1]), PLANE)
    store.array[1, 2, 3] = 77  # a dab of paint
    assert store.read(1)[2, 3] == 77
    store.read(1)[:] = 0
    assert store.read(1)[2, 3] == 77


def test_other_whole_numbers_are_taken_if_they_fit(store):
    store.write(0, PLANE.astype(np.int64))
    store.write(1, PLANE > 3)
    assert store.read(0).dtype == np.uint16
    assert store.read(1).max() == 1
    for wrong in (PLANE.astype(np.int32) - 1, PLANE.astype(np.int64) + 65535):
        with pytest.raises(ValueError, match="uint32"):
            store.write(0, wrong)
    with pytest.raises(ValueError, match="whole numbers"):
        store.write(0, PLANE.astype(float))
    assert np.array_equal(store.read(0), PLANE)


def test_wrong_frames_and_shapes(store):
    with pytest.raises(ValueError, match=r"\(4, 6\)"):
        store.write(0, np.zeros((4, 6), np.uint16))
    for frame_idx in (-1, 3):
        with pytest.raises(IndexError, match="0 to 2"):
            store.write(frame_idx, PLANE)
        with pytest.raises(IndexError, match="0 to 2"):
            store.read(frame_idx)


def test_small_in_memory_large_in_a_folder_that_goes():
    with open_labels_store((3, 4, 5)) as small:
        assert isinstance(small.array, np.ndarray)
    # Nothing is written yet, so this costs no disk.
    with open_labels_store((100_000, 2048, 2048)) as large:
        assert isinstance(large.array, zarr.Array)
        assert large.array.chunks == (1, 2048, 2048)
        folder = Path(large.array.store.root)
        large.write(99_999, np.full((2048, 2048), 7, np.uint16))
        assert large.read(99_999)[5, 5] == 7
        chunks = [f for f in folder.rglob("*") if f.is_file()]
        assert len(chunks) == 2  # the metadata and the one frame
    assert not folder.exists()


def test_a_path_is_continued_after_a_crash(tmp_path):
    path = tmp_path / "labels.zarr"
    open_labels_store((3, 4, 5), path=path).write(2, PLANE)
    again = open_labels_store((3, 4, 5), path=path)
    assert again.path == path
    assert np.array_equal(again.read(2), PLANE)
    again.close()
    assert path.exists()


def test_places_that_hold_something_else(tmp_path):
    path = tmp_path / "labels.zarr"
    open_labels_store((3, 4, 5), path=path).close()
    with pytest.raises(StackError, match="something else"):
        open_labels_store((4, 4, 5), path=path)
    with pytest.raises(StackError, match="something else"):
        open_labels_store((3, 4, 5), path=path, dtype=np.uint32)
    with pytest.raises(StackError, match="another ending"):
        open_labels_store((3, 4, 5), path=tmp_path / "labels.tif")
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / "mine.txt").write_text("keep me")
    with pytest.raises(StackError, match="cannot hold labels"):
        open_labels_store((3, 4, 5), path=tmp_path / "a.zarr")
    assert (tmp_path / "a.zarr" / "mine.txt").read_text() == "keep me"
    (tmp_path / "file").write_text("")
    with pytest.raises(StackError, match="cannot hold labels"):
        open_labels_store((3, 4, 5), path=tmp_path / "file" / "b.zarr")


@pytest.mark.parametrize(
    ("shape", "dtype"), [((4, 5), "u2"), ((0, 4, 5), "u2"), ((3, 4, 5), "f4")]
)
def test_no_labels(shape, dtype):
    with pytest.raises(StackError, match="T, Y, X"):
        open_labels_store(shape, dtype=dtype)


def test_writing_from_several_threads(store):
    def write(t):
        for _ in range(10):
            store.write(t, np.full((4, 5), t + 1, np.uint16))

    threads = [threading.Thread(target=write, args=(t,)) for t in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [int(store.read(t)[0, 0]) for t in range(3)] == [1, 2, 3]
