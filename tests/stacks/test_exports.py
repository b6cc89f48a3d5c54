import errno

import dask.array as da
import numpy as np
import pytest
import tifffile
import zarr

from napari_sam2.stacks import (
    ExportError,
    StackError,
    open_labels_store,
    open_stack,
    save_labels,
    tiff_writing,
)

LABELS = np.random.default_rng(0).integers(0, 900, (5, 40, 50)).astype(np.uint16)
STEPS = {"scale": (30.0, 0.5, 0.25), "units": ("second", "micrometer", "micrometer")}


def load(path):
    return zarr.open(path)[:] if path.suffix == ".zarr" else tifffile.imread(path)


class Failing:
    """Labels whose fourth frame cannot be had."""

    shape, dtype = (5, 40, 50), np.dtype(np.uint16)

    def __init__(self, error):
        self.error = error

    def __getitem__(self, index):
        if index[0] == 3:
            raise self.error
        return LABELS[index]


@pytest.mark.parametrize("name", ["out.tif", "out.TIFF", "out.ome.tif", "out.zarr"])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda a: a,
        zarr.array,
        lambda a: da.from_array(a, chunks=(1, 40, 50)),
        lambda a: a.astype(np.int64),
    ],
    ids=["numpy", "zarr", "dask", "int64"],
)
def test_labels_come_back(tmp_path, name, wrap):
    path = tmp_path / "made" / name
    assert save_labels(wrap(LABELS), path) == path
    back = load(path)
    assert (back.shape, back.dtype) == (LABELS.shape, np.uint16)
    assert np.array_equal(back, LABELS)
    assert [p.name for p in path.parent.iterdir()] == [name]


@pytest.mark.parametrize("name", ["out.tif", "out.ome.tif", "out.zarr"])
def test_a_store_with_steps(tmp_path, name):
    with open_labels_store(LABELS.shape) as store:
        for t, plane in enumerate(LABELS):
            store.write(t, plane)
        path = save_labels(store, tmp_path / name, **STEPS)
    with open_stack(path) as stack:
        assert stack.axes == "TYX"
        assert stack.scale == pytest.approx(STEPS["scale"])
        assert stack.units == STEPS["units"]


def test_depth_and_its_step(tmp_path):
    steps = {"scale": (2.0, 0.5, 0.5), "units": ("micrometer",) * 3}
    for name in ("out.tif", "out.ome.tif", "out.zarr"):
        path = save_labels(LABELS, tmp_path / name, axes="ZYX", **steps)
        with open_stack(path) as stack:
            assert stack.axes == "ZYX"
            assert stack.scale == pytest.approx(steps["scale"])


@pytest.mark.parametrize("name", ["out.tif", "out.ome.tif", "out.zarr"])
def test_large_ids_are_kept(tmp_path, name):
    labels = LABELS.astype(np.uint32)
    labels[4, 3, 2] = 70_000
    back = load(save_labels(labels, tmp_path / name))
    assert back.dtype == np.uint32
    assert np.array_equal(back, labels)


def test_one_frame_keeps_its_three_axes(tmp_path):
    for name in ("out.tif", "out.zarr"):
        back = load(save_labels(LABELS[:1] > 5, tmp_path / name))
        assert (back.shape, back.dtype) == ((1, 40, 50), np.uint16)


def test_imagej_opens_it_as_a_hyperstack(tmp_path):
    with tifffile.TiffFile(save_labels(LABELS, tmp_path / "out.tif")) as tiff:
        assert tiff.is_imagej
        assert tiff.imagej_metadata["frames"] == 5
    with tifffile.TiffFile(save_labels(LABELS, tmp_path / "out.ome.tif")) as tiff:
        assert tiff.is_ome
        assert 'SizeT="5"' in tiff.ome_metadata


def test_what_does_not_fit_classic_tiff_becomes_bigtiff(tmp_path, monkeypatch):
    monkeypatch.setattr(tiff_writing, "CLASSIC_TIFF_BYTES", 1000)
    with tifffile.TiffFile(save_labels(LABELS, tmp_path / "out.tif")) as tiff:
        assert tiff.is_bigtiff
        assert np.array_equal(tiff.asarray(), LABELS)


@pytest.mark.parametrize(
    "labels",
    [
        LABELS.astype(np.float32),
        LABELS[0],
        LABELS.astype(np.int32) - 1,
        LABELS.astype(np.uint64) + 2**32,
    ],
    ids=["float", "two axes", "negative", "too large"],
)
def test_no_labels(tmp_path, labels):
    with pytest.raises(StackError):
        save_labels(labels, tmp_path / "out.tif")
    assert list(tmp_path.iterdir()) == []


def test_wrong_words(tmp_path):
    with pytest.raises(StackError, match=r"out\.png"):
        save_labels(LABELS, tmp_path / "out.png")
    with pytest.raises(StackError, match="YXT"):
        save_labels(LABELS, tmp_path / "out.tif", axes="YXT")
    with pytest.raises(StackError, match="one entry for each axis of TYX"):
        save_labels(LABELS, tmp_path / "out.tif", scale=(1, 1))


@pytest.mark.parametrize("name", ["out.tif", "out.ome.tif", "out.zarr"])
@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), ExportError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
    ids=["full", "interrupted"],
)
@pytest.mark.parametrize("before", [True, False])
def test_whole_or_not_at_all(tmp_path, name, error, raised, before):
    path = tmp_path / name
    if before:
        save_labels(LABELS // 2, path)
    with pytest.raises(raised):
        save_labels(Failing(error), path)
    assert [p.name for p in tmp_path.iterdir()] == ([name] if before else [])
    if before:
        assert np.array_equal(load(path), LABELS // 2)
        save_labels(LABELS, path)
        assert np.array_equal(load(path), LABELS)


@pytest.mark.parametrize("name", ["out.tif", "out.zarr"])
def test_a_file_that_may_not_grow(tmp_path, name):
    """A real refusal by the system, in the middle of writing."""
    import resource  # POSIX only

    path = tmp_path / name
    save_labels(LABELS // 2, path)
    noise = np.random.default_rng(1).integers(0, 60000, (5, 200, 200))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, hard))
    try:
        with pytest.raises(ExportError, match="nothing was changed") as caught:
            save_labels(noise.astype(np.uint16), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert np.array_equal(load(path), LABELS // 2)


def test_saving_a_store_onto_itself_keeps_it(tmp_path):
    path = tmp_path / "out.zarr"
    with open_labels_store(LABELS.shape, path=path) as store:
        for t, plane in enumerate(LABELS):
            store.write(t, plane)
        assert save_labels(store, path) == path
        assert save_labels(store.array, tmp_path / "." / "out.zarr")
    assert np.array_equal(load(path), LABELS)


def test_a_folder_of_something_else_is_not_replaced(tmp_path):
    for name in ("out.zarr", "out.tif"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.txt").write_text("keep me")
        with pytest.raises(StackError, match="choose another name"):
            save_labels(LABELS, tmp_path / name)
        assert (tmp_path / name / "mine.txt").read_text() == "keep me"
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError):
        save_labels(LABELS, tmp_path / "file" / "out.tif")


def test_one_frame_at_a_time(tmp_path):
    class Huge:
        shape, dtype = (50, 512, 512), np.dtype(np.uint16)

        def __init__(self):
            self.asked = []

        def __getitem__(self, index):
            self.asked.append(index[0])
            return np.full((512, 512), index[0], np.uint16)

    import tracemalloc

    for name in ("out.tif", "out.zarr"):
        huge = Huge()
        tracemalloc.start()
        save_labels(huge, tmp_path / name)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert huge.asked == list(range(50))
        assert peak < 8 * 512 * 512 * 2
