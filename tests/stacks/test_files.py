import gc

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_sam2.stacks import FrameReadError, StackError, open_stack

MOVIE = np.random.default_rng(0).integers(0, 4000, (6, 40, 50)).astype(np.uint16)


def one_sentence(error):
    text = str(error.value)
    return "\n" not in text and 20 < len(text) < 300


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "zlib"},
        {"compression": "zlib", "predictor": True},
        {"imagej": True, "metadata": {"axes": "TYX"}},
        {"imagej": True, "metadata": {"axes": "TYX"}, "compression": "zlib"},
        {"bigtiff": True, "byteorder": ">"},
        {"compression": "zlib", "byteorder": ">", "tile": (16, 16)},
        {"compression": "zlib", "rowsperstrip": 7},
        {"ome": True, "metadata": {"axes": "TYX"}},
    ],
    ids=str,
)
def test_tiff_of_any_make(tmp_path, options):
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, MOVIE, **options)
    with open_stack(path) as stack:
        assert stack.name == "movie"
        assert (stack.axes, stack.shape, stack.dtype) == ("TYX", MOVIE.shape, np.uint16)
        for t in (5, 0, 3):
            assert np.array_equal(stack.read_raw(t), MOVIE[t])
        assert stack.read_raw(0).dtype.isnative


def test_tiff_without_any_metadata(tmp_path):
    path = tmp_path / "plain.TIFF"
    with tifffile.TiffWriter(path) as writer:
        for plane in MOVIE:
            writer.write(plane, contiguous=False, metadata=None, compression="zlib")
    with open_stack(str(path)) as stack:
        assert stack.axes == "TYX"
        assert np.array_equal(stack.read_raw(4), MOVIE[4])


def test_lzw_needs_nothing_more_to_be_installed(tmp_path, monkeypatch):
    def without_imagecodecs(page, **_):
        # What tifffile says when it is not there; here a test library brings it.
        raise ValueError(f"{page.compression!r} requires the 'imagecodecs' package")

    monkeypatch.setattr(tifffile.TiffPage, "asarray", without_imagecodecs)
    monkeypatch.setattr(tifffile.TiffFrame, "asarray", without_imagecodecs)
    path = tmp_path / "lzw.tif"
    first, *rest = [Image.fromarray(plane) for plane in MOVIE]
    first.save(path, save_all=True, append_images=rest, compression="tiff_lzw")
    with open_stack(path) as stack:
        assert np.array_equal(stack.read_raw(5), MOVIE[5])
        assert np.array_equal(stack.read_raw(1), MOVIE[1])


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_only_the_asked_page_is_read(tmp_path, compression, monkeypatch):
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, np.repeat(MOVIE, 20, axis=0), compression=compression)
    with open_stack(path) as stack:
        read = []
        real = tifffile.FileHandle.read_segments

        def counting(self, offsets, bytecounts, *args, **kwargs):
            read.append(sum(bytecounts))
            return real(self, offsets, bytecounts, *args, **kwargs)

        monkeypatch.setattr(tifffile.FileHandle, "read_segments", counting)
        assert np.array_equal(stack.read_raw(63), MOVIE[3])
    assert sum(read) <= MOVIE[3].nbytes


def test_ome_tiff_tzcyx(tmp_path):
    data = np.arange(3 * 4 * 2 * 20 * 30, dtype=np.uint16).reshape(3, 4, 2, 20, 30)
    path = tmp_path / "cells.ome.tif"
    metadata = {
        "axes": "TZCYX",
        "PhysicalSizeX": 0.25,
        "PhysicalSizeY": 0.5,
        "PhysicalSizeZ": 2000,
        "PhysicalSizeZUnit": "nm",
        "TimeIncrement": 5,
        "TimeIncrementUnit": "min",
    }
    tifffile.imwrite(path, data, metadata=metadata, compression="zlib")
    with pytest.raises(StackError, match=r"fixed=\{'Z': 0\}"):
        open_stack(path)
    with open_stack(path, fixed={"Z": 3}) as stack:
        assert (stack.name, stack.axes, stack.followed) == ("cells", "TZCYX", "T")
        assert stack.scale == (5.0, 0.5, 0.25)
        assert stack.units == ("minute", "micrometer", "micrometer")
        assert np.array_equal(stack.read_raw(2), np.moveaxis(data[2, 3], 0, -1))
    with open_stack(path, fixed={"T": 1}, channels=[1]) as stack:
        assert (stack.scale[0], stack.units[0]) == (2000.0, "nanometer")
        assert np.array_equal(stack.read_raw(2)[..., 0], data[1, 2, 1])


def test_ome_tiff_with_axes_of_length_one(tmp_path):
    path = tmp_path / "one.ome.tif"
    tifffile.imwrite(path, MOVIE[:, None, None], metadata={"axes": "TZCYX"})
    with open_stack(path) as stack:
        assert stack.shape == MOVIE.shape


def write_two_ome_files(folder):
    """Write an OME-TIFF series of four frames, two in each file."""
    names = ["urn:uuid:" + "1" * 8, "urn:uuid:" + "2" * 8]
    planes = "".join(
        f'<TiffData FirstT="{t}" IFD="{t % 2}" PlaneCount="1">'
        f'<UUID FileName="f{t // 2}.ome.tif">{names[t // 2]}</UUID></TiffData>'
        for t in range(4)
    )
    for i, name in enumerate(names):
        xml = (
            '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
            f'UUID="{name}"><Image ID="Image:0"><Pixels ID="Pixels:0" '
            'DimensionOrder="XYCZT" Type="uint16" SizeX="50" SizeY="40" SizeC="1" '
            f'SizeZ="1" SizeT="4"><Channel ID="Channel:0:0"/>{planes}'
            "</Pixels></Image></OME>"
        )
        with tifffile.TiffWriter(folder / f"f{i}.ome.tif") as writer:
            for k in range(2):
                writer.write(
                    MOVIE[2 * i + k],
                    contiguous=False,
                    metadata=None,
                    compression="zlib",
                    description=xml if k == 0 else None,
                )


def test_ome_tiff_of_several_files(tmp_path):
    write_two_ome_files(tmp_path)
    with open_stack(tmp_path / "f0.ome.tif") as stack:
        assert stack.n_frames == 4
        for t in (3, 0, 2, 1):
            assert np.array_equal(stack.read_raw(t), MOVIE[t])
    (tmp_path / "f1.ome.tif").unlink()
    with open_stack(tmp_path / "f0.ome.tif") as stack:
        assert np.array_equal(stack.read_raw(1), MOVIE[1])
        with pytest.raises(FrameReadError, match="put the other files"):
            stack.read_raw(3)
    gc.collect()


def test_imagej_scale(tmp_path):
    path = tmp_path / "ij.tif"
    metadata = {"axes": "TYX", "finterval": 30.0, "unit": "micron"}
    tifffile.imwrite(path, MOVIE, imagej=True, metadata=metadata, resolution=(4, 2))
    with open_stack(path) as stack:
        assert stack.scale == (30.0, 0.5, 0.25)
        assert stack.units == ("second", "micrometer", "micrometer")


def test_colour_tiff(tmp_path):
    movie = np.random.default_rng(1).integers(0, 255, (4, 20, 30, 3)).astype(np.uint8)
    path = tmp_path / "rgb.tif"
    tifffile.imwrite(path, movie, photometric="rgb", compression="zlib")
    with open_stack(path) as stack:
        assert stack.axes == "TYXC"
        assert np.array_equal(stack.read_raw(2), movie[2])
        assert stack.contrast_limits == ((0.0, 255.0),) * 3


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "zlib"},
        {"imagej": True, "metadata": {"axes": "TYX"}},
        {"imagej": True, "metadata": {"axes": "TYX"}, "compression": "zlib"},
        {"ome": True, "metadata": {"axes": "TYX"}},
        {"ome": True, "metadata": {"axes": "TYX"}, "compression": "zlib"},
    ],
    ids=str,
)
@pytest.mark.parametrize("part", [0.001, 0.02, 0.5, 0.9])
def test_truncated_tiff_is_one_sentence(tmp_path, options, part):
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, MOVIE, **options)
    whole = path.read_bytes()
    path.write_bytes(whole[: max(1, int(len(whole) * part))])
    with pytest.raises(StackError, match=r"movie\.tif") as caught:
        open_stack(path)
    assert one_sentence(caught)


def test_truncated_tiff_of_single_pages(tmp_path):
    path = tmp_path / "plain.tif"
    with tifffile.TiffWriter(path) as writer:
        for plane in MOVIE:
            writer.write(plane, contiguous=False, metadata=None)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * 0.6)])
    with pytest.raises(StackError, match="cut short") as caught:
        open_stack(path)
    assert one_sentence(caught)


def test_a_damaged_page_fails_alone(tmp_path):
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, MOVIE, compression="zlib")
    with tifffile.TiffFile(path) as tiff:
        at = tiff.pages[3].dataoffsets[0]
    damaged = bytearray(path.read_bytes())
    damaged[at : at + 40] = b"\xff" * 40
    path.write_bytes(damaged)
    with open_stack(path) as stack:
        with pytest.raises(FrameReadError, match="Frame 3 of movie") as caught:
            stack.read(3)
        assert one_sentence(caught)
        assert np.array_equal(stack.read_raw(4), MOVIE[4])


def test_reading_after_closing(tmp_path):
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, MOVIE, compression="zlib")
    stack = open_stack(path)
    stack.close()
    with pytest.raises(FrameReadError, match="closed"):
        stack.read(0)


def test_a_forgotten_stack_leaves_no_open_file(tmp_path):
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, MOVIE, compression="zlib")
    open_stack(path).read_raw(0)
    with pytest.raises(StackError):
        open_stack(path, axes="YX")
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(StackError):
        open_stack(path)
    gc.collect()  # an unclosed file would warn here, and warnings are errors


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, bool])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy(tmp_path, dtype, order):
    movie = (MOVIE % 2 if dtype is bool else MOVIE % 200).astype(dtype)
    np.save(tmp_path / "movie.npy", np.asarray(movie, order=order))
    with open_stack(tmp_path / "movie.npy") as stack:
        assert stack.shape == MOVIE.shape
        assert np.array_equal(stack.read_raw(4), movie[4])


def test_npy_that_is_none(tmp_path):
    path = tmp_path / "movie.npy"
    np.save(path, MOVIE)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(StackError, match=r"movie\.npy") as caught:
        open_stack(path)
    assert one_sentence(caught)
    np.save(path, np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(StackError, match=r"movie\.npy"):
        open_stack(path)
    path.write_bytes(b"hello, this is no array")
    with pytest.raises(StackError, match=r"movie\.npy"):
        open_stack(path)


@pytest.mark.parametrize("ending", [".png", ".tif"])
def test_folder_in_natural_order(tmp_path, ending):
    movie = np.repeat(MOVIE, 2, axis=0)
    for t, plane in enumerate(movie):
        path = tmp_path / f"frame{t + 1}{ending}"
        if ending == ".png":
            Image.fromarray(plane).save(path)
        else:
            tifffile.imwrite(path, plane)
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / ".hidden.png").write_text("neither")
    with open_stack(tmp_path) as stack:
        assert stack.name == tmp_path.name
        assert (stack.axes, stack.shape) == ("TYX", movie.shape)
        assert stack.dtype == np.uint16
        for t in (1, 9, 10, 11):
            assert np.array_equal(stack.read_raw(t), movie[t])


def test_folder_of_volumes(tmp_path):
    for t in range(3):
        tifffile.imwrite(
            tmp_path / f"t{t}.tif", MOVIE + t, imagej=True, metadata={"axes": "ZYX"}
        )
    with open_stack(tmp_path, fixed={"Z": 4}) as stack:
        assert (stack.axes, stack.n_frames) == ("TZYX", 3)
        assert np.array_equal(stack.read_raw(2), MOVIE[4] + 2)


def test_jpeg_folder_is_colour(tmp_path):
    for t in range(3):
        Image.new("RGB", (30, 20), (200, 20 * t, 0)).save(tmp_path / f"{t:05d}.jpg")
    with open_stack(tmp_path) as stack:
        assert (stack.axes, stack.shape) == ("TYXC", (3, 20, 30))
        assert np.allclose(stack.read_raw(1)[0, 0].astype(int), (200, 20, 0), atol=4)


def test_folder_with_an_odd_one(tmp_path):
    for t in range(4):
        Image.new("L", (30 if t != 2 else 31, 20), 9).save(tmp_path / f"{t}.png")
    (tmp_path / "3.png").write_bytes(b"no picture at all")
    with open_stack(tmp_path) as stack:
        with pytest.raises(FrameReadError, match=r"2\.png.*20×31.*20×30"):
            stack.read(2)
        with pytest.raises(FrameReadError, match=r"Frame 3.*3\.png"):
            stack.read(3)
        (tmp_path / "1.png").unlink()
        with pytest.raises(FrameReadError, match=r"1\.png"):
            stack.read_raw(1)


@pytest.mark.parametrize(
    ("mode", "axes", "dtype"),
    [
        ("L", "YX", np.uint8),
        ("RGB", "YXC", np.uint8),
        ("RGBA", "YXC", np.uint8),
        ("P", "YXC", np.uint8),
        ("LA", "YX", np.uint8),
        ("1", "YX", bool),
        ("I;16", "YX", np.uint16),
    ],
)
def test_one_png(tmp_path, mode, axes, dtype):
    path = tmp_path / "picture.png"
    Image.new(mode, (30, 20)).save(path)
    with open_stack(path) as stack:
        assert (stack.axes, stack.shape, stack.dtype) == (axes, (1, 20, 30), dtype)


def test_pattern(tmp_path):
    for t in range(3):
        Image.new("L", (30, 20), t).save(tmp_path / f"{t}_image.png")
        Image.new("L", (10, 10), 9).save(tmp_path / f"{t}_labels.png")
    with open_stack(tmp_path / "*_image.png") as stack:
        assert stack.shape == (3, 20, 30)
        assert stack.read_raw(2)[0, 0] == 2
    with pytest.raises(StackError, match="No picture matches"):
        open_stack(tmp_path / "*_mask.png")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.tif", b"", "empty"),
        ("a.tif", b"this is not a tiff at all, it is text", "not a readable TIFF"),
        ("a.png", b"\x89PNG but no", "not a readable picture"),
        ("a.avi", b"RIFF", "is of a kind that is not read"),
        ("a.npz", b"PK", "is of a kind that is not read"),
    ],
)
def test_foreign_files(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(StackError, match=says) as caught:
        open_stack(tmp_path / name)
    assert one_sentence(caught)
    assert name in str(caught.value)


def test_nothing_there(tmp_path):
    with pytest.raises(StackError, match="does not exist"):
        open_stack(tmp_path / "movie.tif")
    with pytest.raises(StackError, match="neither pictures"):
        open_stack(tmp_path)
    with pytest.raises(StackError, match="download"):
        open_stack("https://example.org/movie.zarr")


def test_unreadable_file(tmp_path, monkeypatch):
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, MOVIE)

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("napari_sam2.stacks.tiff_source.tifffile.TiffFile", refuse)
    with pytest.raises(StackError, match="Permission denied"):
        open_stack(path)
