import numpy as np
import pytest
import zarr

from napari_sam2.stacks import FrameReadError, StackError, open_stack

MOVIE = np.random.default_rng(0).integers(0, 4000, (6, 40, 50)).astype(np.uint16)


def write_ome(path, data, version, axes="tczyx", levels=2):
    """An OME-Zarr image: 0.4 on zarr 2, 0.5 on zarr 3."""
    types = {"t": "time", "c": "channel"}
    units = {"t": "second", "z": "micrometer", "y": "micrometer", "x": "micrometer"}
    group = zarr.open_group(path, mode="w", zarr_format=2 if version == "0.4" else 3)
    datasets = []
    for level in range(levels):
        step = 2**level
        part = data[..., ::step, ::step]
        chunks = (1,) * (part.ndim - 2) + part.shape[-2:]
        array = group.create_array(
            f"s{level}", shape=part.shape, dtype=part.dtype, chunks=chunks
        )
        array[:] = part
        scale = [
            {"t": 3.0, "z": 2.0}.get(a, 0.5 * step if a in "yx" else 1.0) for a in axes
        ]
        datasets.append(
            {
                "path": f"s{level}",
                "coordinateTransformations": [{"type": "scale", "scale": scale}],
            }
        )
    multiscale = {
        "axes": [
            {"name": a, "type": types.get(a, "space")}
            | ({"unit": units[a]} if a in units else {})
            for a in axes
        ],
        "datasets": datasets,
    }
    if version == "0.4":
        group.attrs["multiscales"] = [multiscale | {"version": "0.4"}]
    else:
        group.attrs["ome"] = {"version": "0.5", "multiscales": [multiscale]}


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_plain_array(tmp_path, zarr_format):
    path = tmp_path / "movie.zarr"
    array = zarr.create_array(
        path, shape=MOVIE.shape, dtype="u2", chunks=(1, 16, 16), zarr_format=zarr_format
    )
    array[:] = MOVIE
    with open_stack(path) as stack:
        assert (stack.name, stack.axes, stack.shape) == ("movie", "TYX", MOVIE.shape)
        for t in range(6):
            assert np.array_equal(stack.read_raw(t), MOVIE[t])


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr(tmp_path, version):
    path = tmp_path / "cells.ome.zarr"
    data = np.arange(3 * 2 * 4 * 8 * 10, dtype=np.uint16).reshape(3, 2, 4, 8, 10)
    write_ome(path, data, version)
    with open_stack(path, fixed={"Z": 1}) as stack:
        assert (stack.name, stack.axes, stack.shape) == ("cells", "TCZYX", (3, 8, 10))
        assert stack.scale == (3.0, 0.5, 0.5)
        assert stack.units == ("second", "micrometer", "micrometer")
        assert np.array_equal(stack.read_raw(2)[..., 1], data[2, 1, 1])
    with open_stack(path / "s1", axes="TCZYX", fixed={"Z": 1, "C": 0}) as stack:
        assert stack.shape == (3, 4, 5)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr_with_axes_of_length_one(tmp_path, version):
    path = tmp_path / "cells.zarr"
    write_ome(path, MOVIE[:, None, None], version)
    with open_stack(path) as stack:
        assert stack.shape == MOVIE.shape
        assert np.array_equal(stack.read_raw(5), MOVIE[5, :, :, None])
    with open_stack(path, axes="TYX") as stack:
        assert np.array_equal(stack.read_raw(5), MOVIE[5])


def test_dimension_names(tmp_path):
    path = tmp_path / "volume.zarr"
    zarr.create_array(
        path, shape=(4, 8, 9), dtype="u1", dimension_names=("z", "y", "x")
    )
    with open_stack(path) as stack:
        assert stack.axes == "ZYX"
    old = tmp_path / "old.zarr"
    array = zarr.create_array(old, shape=(4, 8, 9), dtype="u1", zarr_format=2)
    array.attrs["_ARRAY_DIMENSIONS"] = ["z", "y", "x"]
    with open_stack(old) as stack:
        assert stack.axes == "ZYX"


def test_groups(tmp_path):
    path = tmp_path / "raw.zarr"
    group = zarr.open_group(path, mode="w")
    with pytest.raises(StackError, match="without a multiscale image"):
        open_stack(path)
    group.create_array("data", shape=MOVIE.shape, dtype="u2")[:] = MOVIE
    with open_stack(path) as stack:
        assert stack.shape == MOVIE.shape
    group.create_array("more", shape=(1, 2, 3), dtype="u2")
    with pytest.raises(StackError, match="data, more"):
        open_stack(path)
    series = tmp_path / "converted.zarr"
    zarr.open_group(series, mode="w", zarr_format=2).attrs["bioformats2raw.layout"] = 3
    write_ome(series / "0", MOVIE, "0.4", axes="tyx")
    with open_stack(series) as stack:
        assert stack.shape == MOVIE.shape


def test_a_plate_asks_for_one_image(tmp_path):
    path = tmp_path / "plate.zarr"
    zarr.open_group(path, mode="w").attrs["ome"] = {"plate": {"wells": []}}
    with pytest.raises(StackError, match=r"plate\.zarr/A/1/0"):
        open_stack(path)


def test_broken_zarr(tmp_path):
    path = tmp_path / "movie.zarr"
    path.mkdir()
    (path / "zarr.json").write_text("{ not json")
    with pytest.raises(StackError, match="not a readable zarr") as caught:
        open_stack(path)
    assert "\n" not in str(caught.value)


def test_a_damaged_chunk_fails_alone(tmp_path):
    path = tmp_path / "movie.zarr"
    array = zarr.create_array(path, shape=MOVIE.shape, dtype="u2", chunks=(1, 40, 50))
    array[:] = MOVIE
    (path / "c/3/0/0").write_bytes(b"damaged")
    with open_stack(path) as stack:
        with pytest.raises(FrameReadError, match="Frame 3 of movie"):
            stack.read_raw(3)
        assert np.array_equal(stack.read_raw(4), MOVIE[4])
