import json

import dask.array as da
import numpy as np
import pytest
import tifffile

from napari_sam2.stacks import Stack, StackError, open_stack
from napari_sam2.stacks.channels import ChannelsSource
from napari_sam2.stacks.source import array_source

RED = np.arange(5 * 8 * 9, dtype=np.uint16).reshape(5, 8, 9)
GREEN = (1000 + 3 * RED).astype(np.uint16)
BLUE = np.linspace(0, 1, RED.size, dtype=np.float32).reshape(RED.shape)


def test_pictures_of_the_same_frames_are_colours():
    stack = Stack.from_channels([RED, da.from_array(GREEN), BLUE])
    assert stack.shape == (5, 8, 9)
    assert stack.n_channels == 3
    assert stack.dtype == np.float32
    expected = np.stack((RED[2], GREEN[2], BLUE[2]), axis=-1)
    assert np.array_equal(stack.read_raw(2), expected)


def test_each_channel_has_its_own_contrast():
    stack = Stack.from_channels([RED, GREEN, BLUE])
    low, high = np.transpose(stack.contrast_limits)
    assert np.all(high > [300, 1900, 0.9])
    assert np.all(low < [60, 1100, 0.1])
    given = Stack.from_channels(
        [RED, GREEN, BLUE], contrast_limits=[(0, 359), (1000, 2077), (0, 1)]
    )
    seen = given.read(3)
    assert seen.dtype == np.float32
    for channel in range(3):  # all are one ramp, each in its own numbers
        assert np.allclose(seen[..., channel], RED[3] / 359, atol=1e-3)


def test_two_channels_are_red_and_green():
    seen = Stack.from_channels([RED, GREEN]).read(4)
    assert seen.shape == (8, 9, 3)
    assert seen[..., 0].any()
    assert not seen[..., 2].any()


def test_a_frame_is_read_when_asked_for_and_no_other():
    asked = []

    class Watched:
        shape, dtype = RED.shape, RED.dtype

        def __getitem__(self, index):
            asked.append(index)
            return RED[index]

    stack = Stack.from_channels([Watched(), Watched()])
    assert not asked
    stack.read_raw(3)
    assert asked == [(3, slice(None), slice(None))] * 2


def test_other_axes_are_held():
    volumes = np.stack((RED, GREEN), axis=1)  # (T, Z, Y, X)
    stack = Stack.from_channels([volumes, volumes + 7], axes="TZYX", fixed={"Z": 1})
    assert stack.axes == "CTZYX"
    assert np.array_equal(stack.read_raw(2)[..., 0], GREEN[2])
    assert np.array_equal(stack.read_raw(2)[..., 1], GREEN[2] + 7)


def test_a_single_channel_can_be_read():
    source = ChannelsSource([array_source(RED), array_source(GREEN)])
    whole = slice(None)
    assert np.array_equal(source.read((1, 3, whole, whole)), GREEN[3])


def test_files_are_channels(tmp_path):
    paths = [tmp_path / "red.tif", tmp_path / "green.npy"]
    tifffile.imwrite(paths[0], RED, metadata={"axes": "TYX"})
    np.save(paths[1], GREEN)
    with (
        Stack.from_channels(paths) as stack,
        open_stack(paths[0], channels=[paths[1]]) as same,
    ):
        assert stack.name == "red"
        assert np.array_equal(stack.read_raw(1)[..., 1], GREEN[1])
        assert np.array_equal(stack.read_raw(1), same.read_raw(1))
        assert stack.path == paths[0]
        remembered = json.loads(json.dumps(stack.opened_as))
        with open_stack(stack.path, **remembered) as again:
            assert np.array_equal(again.read_raw(4), stack.read_raw(4))


@pytest.mark.parametrize(
    ("sources", "says"),
    [
        ([RED, GREEN[:, ::2]], "5×8×9 and array 2 5×4×9"),
        ([RED] * 4, "up to three"),
        ([], "up to three"),
        ([np.zeros((5, 8, 9, 3), np.uint8)] * 2, "has channels already"),
        ([RED, "nowhere.tif"], "does not exist"),
    ],
)
def test_what_does_not_go_together_is_said_in_one_sentence(sources, says):
    with pytest.raises(StackError, match=says) as caught:
        Stack.from_channels(sources)
    assert str(caught.value).count(".") - str(caught.value).count(".tif") == 1


def test_pixel_sizes_must_agree(tmp_path):
    for name, size in (("a", 0.5), ("b", 0.25)):
        tifffile.imwrite(
            tmp_path / f"{name}.ome.tif",
            RED,
            metadata={"axes": "TYX", "PhysicalSizeX": size, "PhysicalSizeY": size},
        )
    with pytest.raises(StackError, match=r"0\.5 in a and 0\.25 in b"):
        open_stack(tmp_path / "a.ome.tif", channels=[tmp_path / "b.ome.tif"])


def test_numbers_and_files_are_not_mixed():
    with pytest.raises(StackError, match="not both"):
        open_stack(RED, channels=[0, "b.tif"])
