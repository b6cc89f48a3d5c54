import numpy as np
import pytest
import tifffile
import zarr

from napari_sam2.stacks import StackError, open_stack
from napari_sam2.stacks.cutouts import write_background, write_cutouts, write_mask
from napari_sam2.stacks.labelled import LabelledStack
from napari_sam2.stacks.writing import finish

LABELS = np.zeros((5, 30, 40), np.uint16)
LABELS[1, 0:4, 0:6] = 7  # at the corner
LABELS[3, 10:18, 20:24] = 7  # away in frame 2
LABELS[:, 20:24, 30:34] = 12
IMAGE = np.random.default_rng(0).integers(1, 65536, LABELS.shape).astype(np.uint16)


def stack(image=IMAGE, axes=None, **options):
    return LabelledStack(LABELS, open_stack(image, axes=axes), **options)


@pytest.mark.parametrize("name", ["m.tif", "m.ome.tif", "m.zarr"])
def test_mask(tmp_path, name):
    path = finish(write_mask(stack(objects=[12]), tmp_path / name))
    mask = zarr.open(path)[:] if name == "m.zarr" else tifffile.imread(path)
    assert mask.dtype == np.uint8
    assert np.array_equal(mask, LABELS == 12)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32, bool])
def test_background_keeps_the_numbers(tmp_path, dtype):
    image = IMAGE.astype(dtype)
    chosen = stack(image, objects=[7, 12])
    path = finish(write_background(chosen, tmp_path / "b.tif", value=1))
    with open_stack(path) as written:
        back = np.stack([written.read_raw(t) for t in range(5)])
    assert np.array_equal(back, np.where(LABELS > 0, image, 1))
    assert back.dtype == dtype


def test_background_of_a_colour(tmp_path):
    image = np.stack([IMAGE >> 8] * 3, axis=-1).astype(np.uint8)
    chosen = stack(image, "TYXC", objects=[12])
    path = finish(write_background(chosen, tmp_path / "b.tif", value=(9, 8, 7)))
    with open_stack(path) as written:
        assert written.axes == "TCYX"
        frame = written.read_raw(2)
    assert frame[0, 0].tolist() == [9, 8, 7]
    assert np.array_equal(frame[20:24, 30:34], image[2, 20:24, 30:34])


def test_cutout_follows_the_object(tmp_path):
    path = tmp_path / "c.tif"
    work = write_cutouts(stack(objects=[7]), path, size=10, value=5)
    assert list(work)[-2:] == [(5, 6), (6, 6)]
    crops = tifffile.imread(path)
    assert crops.shape == (3, 10, 10)
    # The box of frame 1 is rows 0 to 4 and columns 0 to 6: from (-3, -2) on.
    assert (crops[0, :3] == 5).all()
    assert (crops[0, :, :2] == 5).all()
    assert np.array_equal(crops[0, 3:, 2:], IMAGE[1, :7, :8])
    assert np.array_equal(crops[1, 3:, 2:], IMAGE[2, :7, :8])  # stays while it is away
    assert np.array_equal(crops[2], IMAGE[3, 9:19, 17:27])


def test_cutouts_of_several_without_what_is_around(tmp_path):
    finish(write_cutouts(stack(), tmp_path / "cells", blank=True))
    assert sorted(p.name for p in (tmp_path / "cells").iterdir()) == [
        "object_0007.tif",
        "object_0012.tif",
    ]
    crops = tifffile.imread(tmp_path / "cells/object_0012.tif")
    assert crops.shape == (5, 6, 6)
    assert np.array_equal(crops[:, 1:5, 1:5], IMAGE[:, 20:24, 30:34])
    assert (
        np.pad(np.zeros((5, 4, 4)), ((0, 0), (1, 1), (1, 1)), constant_values=1) * crops
        == 0
    ).all()
    crops = tifffile.imread(tmp_path / "cells/object_0007.tif")
    assert not crops[1].any()
    again = write_cutouts(stack(objects=[12]), tmp_path / "cells")
    assert finish(again) == tmp_path / "cells"
    assert [p.name for p in (tmp_path / "cells").iterdir()] == ["object_0012.tif"]


def test_cutout_with_channels(tmp_path):
    image = np.stack([IMAGE, IMAGE // 2], axis=1)
    chosen = stack(image, "TCYX", objects=[12])
    finish(write_cutouts(chosen, tmp_path / "c.zarr", size=4))
    crops = zarr.open(tmp_path / "c.zarr")[:]
    assert np.array_equal(crops, image[:, :, 20:24, 30:34])


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda p: write_mask(stack(objects=[5]), p / "m.tif"), "Object 5"),
        (lambda p: write_mask(stack(), p / "m.png"), "ends in something else"),
        (lambda p: write_background(stack(), p / "b.tif", value=-1), "0 to 65535"),
        (lambda p: write_background(stack(), p / "b.tif", value=0.5), "whole number"),
        (lambda p: write_background(stack(), p / "b.tif", value=(1, 2)), "2 values"),
        (lambda p: write_background(LabelledStack(LABELS), p / "b.tif"), "the image"),
        (lambda p: write_cutouts(stack(), p / "c.tif"), "2 objects"),
        (lambda p: write_cutouts(stack(), p / "c", size=0), "0 pixels"),
    ],
)
def test_one_sentence(tmp_path, make, says):
    with pytest.raises(StackError, match=says):
        finish(make(tmp_path))
    assert list(tmp_path.iterdir()) == []
