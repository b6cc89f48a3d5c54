import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_sam2.stacks import StackError
from napari_sam2.stacks.label_images import LabelFile

LABELS = np.zeros((3, 20, 24), np.uint16)
LABELS[:, 4:12, 5:15] = np.array([300, 7, 8])[:, None, None]


def test_movies_are_read_a_frame_at_a_time(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", LABELS, photometric="minisblack")
    with LabelFile(tmp_path / "a.tif") as labels:
        assert labels.shape == (3, 20, 24)
        assert labels.annotated == (0, 1, 2)
        assert np.array_equal(labels[1], LABELS[1])
        assert np.array_equal(labels[:], LABELS)


def test_pictures_are_one_frame_and_palettes_are_numbers(tmp_path):
    np.save(tmp_path / "b.npy", LABELS[:1] > 0)
    with LabelFile(tmp_path / "b.npy") as labels:
        assert (labels.shape, labels.dtype) == ((1, 20, 24), np.uint8)
        assert np.array_equal(labels[0], LABELS[0] > 0)
    picture = Image.fromarray(LABELS[1].astype(np.uint8))
    picture.putpalette([9, 9, 9] * 256)
    picture.save(tmp_path / "c.png")
    assert np.array_equal(LabelFile(tmp_path / "c.png")[0], LABELS[1])


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (LABELS[0].astype(np.float32), "whole numbers"),
        (np.moveaxis(LABELS, 0, -1), "without colours"),
        (np.stack([LABELS] * 2), r"must be \(Y, X\) or \(T, Y, X\)"),
    ],
)
def test_what_is_no_label_image(tmp_path, array, says):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(StackError, match=says):
        LabelFile(tmp_path / "a.npy")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(StackError, match="not a readable picture"):
        LabelFile(tmp_path / "broken.png")
