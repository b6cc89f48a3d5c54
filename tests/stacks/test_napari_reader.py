import time

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from napari_sam2.stacks import StackError, napari_reader
from napari_sam2.stacks.napari_reader import get_reader
from napari_sam2.stacks.tiff_source import TiffSource

MOVIE = np.random.default_rng(0).integers(0, 4000, (6, 40, 50)).astype(np.uint16)


def read_one(path):
    reader = get_reader(path)
    assert reader is not None
    ((data, options, kind),) = reader(path)
    assert kind == "image"
    return data, options


@pytest.fixture
def pages_read(monkeypatch):
    read = []
    for name in ("_read_page", "_read_mapped"):
        real = getattr(TiffSource, name)

        def counting(self, what, real=real):
            read.append(what)
            return real(self, what)

        monkeypatch.setattr(TiffSource, name, counting)
    return read


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_tiff_is_lazy(tmp_path, pages_read, compression):
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, MOVIE, compression=compression)
    data, options = read_one(str(path))
    assert (data.shape, data.dtype) == (MOVIE.shape, np.uint16)
    assert data.chunksize == (1, 40, 50)
    assert options == {"name": "movie", "axis_labels": ("t", "y", "x")}
    assert pages_read == []
    assert np.array_equal(data[4].compute(), MOVIE[4])
    assert len(pages_read) == 1
    assert np.array_equal(data[1:3, 5:9].compute(), MOVIE[1:3, 5:9])
    assert np.array_equal(data.compute(), MOVIE)


def test_ome_tiff_channels_scale_and_units(tmp_path):
    data = np.arange(3 * 4 * 2 * 20 * 30, dtype=np.uint16).reshape(3, 4, 2, 20, 30)
    path = tmp_path / "cells.ome.tif"
    metadata = {
        "axes": "TZCYX",
        "PhysicalSizeX": 0.25,
        "PhysicalSizeY": 0.5,
        "PhysicalSizeZ": 2,
        "TimeIncrement": 5,
    }
    tifffile.imwrite(path, data, metadata=metadata, compression="zlib")
    array, options = read_one(str(path))
    assert array.chunksize == (1, 1, 1, 20, 30)
    assert options == {
        "name": "cells",
        "axis_labels": ("t", "z", "y", "x"),
        "scale": (5.0, 2.0, 0.5, 0.25),
        "units": ("second", "micrometer", "micrometer", "micrometer"),
        "channel_axis": 2,
    }
    assert np.array_equal(array[2, 3].compute(), data[2, 3])


def test_colour(tmp_path):
    movie = np.random.default_rng(1).integers(0, 255, (4, 20, 30, 3)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "rgb.tif", movie, photometric="rgb")
    array, options = read_one(str(tmp_path / "rgb.tif"))
    assert options == {"name": "rgb", "axis_labels": ("t", "y", "x"), "rgb": True}
    assert array.chunksize == (1, 20, 30, 3)
    planar = np.moveaxis(movie, -1, 1)
    tifffile.imwrite(
        tmp_path / "planar.tif", planar, photometric="rgb", planarconfig="separate"
    )
    array, options = read_one(str(tmp_path / "planar.tif"))
    assert options["rgb"]
    assert np.array_equal(array[2].compute(), movie[2])


def test_folder_and_list_of_files(tmp_path):
    for t, plane in enumerate(MOVIE):
        Image.fromarray(plane).save(tmp_path / f"{t}.png")
    array, options = read_one(str(tmp_path))
    assert options["axis_labels"] == ("t", "y", "x")
    assert np.array_equal(array[3].compute(), MOVIE[3])
    array, _ = read_one([str(tmp_path / "4.png"), str(tmp_path / "2.png")])
    assert np.array_equal(array.compute(), MOVIE[[4, 2]])


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_ome_zarr_levels(tmp_path, zarr_format):
    path = tmp_path / "cells.zarr"
    group = zarr.open_group(path, mode="w", zarr_format=zarr_format)
    for name, part in (("0", MOVIE), ("1", MOVIE[:, ::2, ::2])):
        group.create_array(
            name, shape=part.shape, dtype="u2", chunks=(1, *part.shape[1:])
        )[:] = part
    multiscale = {
        "axes": [
            {"name": "t", "type": "time", "unit": "second"},
            {"name": "y", "type": "space", "unit": "micrometer"},
            {"name": "x", "type": "space", "unit": "micrometer"},
        ],
        "datasets": [
            {
                "path": name,
                "coordinateTransformations": [
                    {"type": "scale", "scale": [1, step, step]}
                ],
            }
            for name, step in (("0", 0.5), ("1", 1.0))
        ],
        "coordinateTransformations": [{"type": "scale", "scale": [60, 1, 1]}],
    }
    if zarr_format == 2:
        group.attrs["multiscales"] = [multiscale | {"version": "0.4"}]
    else:
        group.attrs["ome"] = {"version": "0.5", "multiscales": [multiscale]}
    levels, options = read_one(str(path))
    assert [level.shape for level in levels] == [(6, 40, 50), (6, 20, 25)]
    assert options == {
        "name": "cells",
        "axis_labels": ("t", "y", "x"),
        "scale": (60.0, 0.5, 0.5),
        "units": ("second", "micrometer", "micrometer"),
        "multiscale": True,
    }
    assert np.array_equal(levels[1][3].compute(), MOVIE[3, ::2, ::2])


def test_axes_nobody_named_are_still_shown(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((2, 3, 4, 5, 6), np.uint8))
    array, options = read_one(str(tmp_path / "a.npy"))
    assert array.shape == (2, 3, 4, 5, 6)
    assert options == {"name": "a"}


def test_large_planes_of_zarr_keep_its_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr(napari_reader, "PLANE_BYTES", 100)
    path = tmp_path / "wide.zarr"
    zarr.create_array(path, shape=MOVIE.shape, dtype="u2", chunks=(1, 16, 32))
    array, _ = read_one(str(path))
    assert array.chunksize == (1, 16, 32)


def test_other_paths_are_left_to_others(tmp_path):
    (tmp_path / "notes.txt").write_text("text")
    for path in ("notes.txt", "nothing.tif", "."):
        assert get_reader(str(tmp_path / path)) is None
    assert get_reader([]) is None
    assert get_reader([str(tmp_path / "notes.txt")]) is None


def test_a_broken_file_says_so(tmp_path):
    path = tmp_path / "broken.tif"
    path.write_bytes(b"II*\0 but then nothing")
    reader = get_reader(str(path))
    with pytest.raises(StackError, match=r"broken\.tif"):
        reader(str(path))


def test_twenty_gigabytes_open_at_once(tmp_path, pages_read):
    path = tmp_path / "large.tif"
    # The pixels are a hole in the file: nothing is on the disk.
    tifffile.imwrite(path, shape=(10_000, 1024, 1024), dtype="u2", bigtiff=True)
    start = time.perf_counter()
    data, _ = read_one(str(path))
    assert time.perf_counter() - start < 2
    assert data.nbytes > 20e9
    assert pages_read == []
    assert not data[9_999].compute().any()
    assert len(pages_read) == 1


def test_napari_reads_a_frame_when_it_is_shown(tmp_path, pages_read):
    from napari.components import ViewerModel
    from napari.layers import Layer

    path = tmp_path / "movie.tif"
    tifffile.imwrite(
        path,
        np.repeat(MOVIE, 10, axis=0),
        imagej=True,
        metadata={"axes": "TYX", "finterval": 2.0, "unit": "um"},
        resolution=(4, 4),
    )
    ((data, options, kind),) = get_reader(str(path))(str(path))
    layer = Layer.create(data, options, kind)
    viewer = ViewerModel()
    viewer.add_layer(layer)
    assert layer.axis_labels == ("t", "y", "x")
    assert layer.scale.tolist() == [2.0, 0.25, 0.25]
    assert [str(u) for u in layer.units] == ["second", "micrometer", "micrometer"]
    assert len(pages_read) <= 2  # the first, for the thumbnail, and the shown one
    viewer.dims.set_current_step(0, 41)
    assert np.array_equal(layer._data_view, MOVIE[4])


def test_napari_splits_channels(tmp_path):
    from napari.components import ViewerModel

    path = tmp_path / "cells.ome.tif"
    data = np.arange(3 * 2 * 20 * 30, dtype=np.uint16).reshape(3, 2, 20, 30)
    metadata = {"axes": "TCYX", "PhysicalSizeX": 0.25, "PhysicalSizeY": 0.5}
    tifffile.imwrite(path, data, metadata=metadata)
    array, options = read_one(str(path))
    layers = ViewerModel().add_image(array, **options)
    assert [layer.data.shape for layer in layers] == [(3, 20, 30)] * 2
    assert layers[1].axis_labels == ("t", "y", "x")
    assert layers[1].scale.tolist() == [1.0, 0.5, 0.25]
    assert np.array_equal(np.asarray(layers[1].data[2]), data[2, 1])
