import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_sam2.stacks import FrameReadError, StackError, open_stack
from napari_sam2.stacks.intensity import check_limits, sample_limits, to_rgb


def ramp(dtype, top, n_frames=3):
    plane = np.linspace(0, top, 64 * 64).reshape(64, 64).astype(dtype)
    return np.stack([plane] * n_frames)


@pytest.mark.parametrize(
    ("dtype", "top"),
    [
        (np.uint8, 255),
        (np.int8, 100),
        (np.uint16, 4000),
        (np.uint16, 65535),
        (np.int16, 4000),
        (np.int32, 2**31 - 1),
        (np.uint32, 4000),
        (np.uint64, 2**63),
        (np.float16, 2.0),
        (np.float32, 1e-6),
        (np.float64, 1e300),
        (">u2", 4000),
    ],
)
def test_a_ramp_keeps_its_grey_levels(dtype, top):
    frame = open_stack(ramp(dtype, top)).read(1)
    assert frame.dtype == np.float32
    assert frame.shape == (64, 64, 3)
    assert frame.min() == 0
    assert frame.max() == 1
    levels = len(np.unique((frame[..., 0] * 255).round()))
    assert levels >= (100 if np.dtype(dtype) == np.int8 else 200)
    assert np.all(np.diff(frame[..., 0].ravel()) >= 0)
    assert np.array_equal(frame[..., 0], frame[..., 2])


def test_sixteen_bits_do_not_pass_through_eight():
    frame = open_stack(ramp(np.uint16, 4000)).read(0)
    assert len(np.unique(frame)) > 3900


def test_given_limits_are_what_becomes_black_and_white():
    frames = np.array([[[100, 200, 300, 400]]], np.uint16)
    stack = open_stack(frames, axes="TYX", contrast_limits=(200, 400))
    assert stack.contrast_limits == ((200.0, 400.0),)
    assert stack.read(0)[0, :, 0].tolist() == [0, 0, 0.5, 1]


def test_bool_is_black_and_white():
    masks = np.zeros((2, 8, 8), bool)
    masks[1, 2:4] = True
    stack = open_stack(masks)
    assert stack.contrast_limits == ((0.0, 1.0),)
    assert np.array_equal(stack.read(1)[..., 0], masks[1])


def test_one_range_for_the_stack_never_one_a_frame():
    frames = np.ones((10, 32, 32), np.uint16) * np.arange(10)[:, None, None]
    stack = open_stack(frames.astype(np.uint16) * 100)
    means = [stack.read(t).mean() for t in range(10)]
    assert np.allclose(means, np.arange(10) / 9, atol=1e-6)


def test_hot_pixels_do_not_darken_the_stack():
    rng = np.random.default_rng(0)
    frames = rng.integers(100, 1100, (4, 128, 128)).astype(np.uint16)
    frames[:, 0, 0] = 65535
    low, high = open_stack(frames).contrast_limits[0]
    assert 95 < low < 110
    assert 1050 < high < 1110


def test_a_few_bright_pixels_on_nothing_are_still_seen():
    frames = np.zeros((3, 100, 100), np.uint16)
    frames[1, 5, 5] = 900
    stack = open_stack(frames)
    assert stack.contrast_limits == ((0.0, 900.0),)
    assert stack.read(1)[5, 5].tolist() == [1, 1, 1]


@pytest.mark.parametrize("value", [0, 7, 65535])
def test_constant_frames_are_black(value):
    stack = open_stack(np.full((3, 16, 16), value, np.uint16))
    assert not stack.read(0).any()


def test_constant_numbers_too_large_for_plus_one():
    assert not open_stack(np.full((2, 4, 4), 1e300)).read(0).any()


def test_nan_and_infinities_become_black_and_do_not_move_the_range():
    frames = ramp(np.float32, 2.0)
    frames[1, :4] = np.nan
    frames[1, 4] = np.inf
    frames[1, 5] = -np.inf
    stack = open_stack(frames)
    assert stack.contrast_limits[0][1] == pytest.approx(2.0, abs=0.01)
    assert not stack.read(1)[:6].any()
    assert stack.read(1)[63].max() == 1
    assert math.isnan(stack.read_raw(1)[0, 0])


def test_all_nan():
    stack = open_stack(np.full((2, 8, 8), np.nan, np.float32))
    assert not stack.read(1).any()


@pytest.mark.parametrize("dtype", [np.complex64, object, "U3", [("a", "u1")]])
def test_numbers_without_brightness(dtype):
    with pytest.raises(StackError, match="no intensity"):
        open_stack(np.zeros((3, 4, 4), dtype))


@pytest.mark.parametrize(
    "limits",
    [(4, 4), (5, 4), (0, np.inf), (np.nan, 1), (1, 2, 3), "dark", 7, [(0, 1)] * 2],
)
def test_wrong_limits(limits):
    with pytest.raises(StackError, match="contrast_limits"):
        open_stack(np.zeros((3, 8, 8), np.uint8), contrast_limits=limits)


def test_limits_per_channel():
    assert check_limits((0, 9), 2) == ((0.0, 9.0), (0.0, 9.0))
    assert check_limits([(0, 9), (1, 2)], 2) == ((0.0, 9.0), (1.0, 2.0))


def test_fluorescence_channels_have_their_own_range():
    frames = np.zeros((3, 2, 40, 40), np.uint16)
    frames[:, 0] = ramp(np.uint16, 100)[:, :40, :40]
    frames[:, 1] = ramp(np.uint16, 60000)[:, :40, :40]
    stack = open_stack(frames, axes="TCYX")
    assert stack.contrast_limits[0][1] < 100 < stack.contrast_limits[1][1]
    frame = stack.read(1)
    assert frame[..., 0].max() == 1
    assert frame[..., 1].max() == 1
    assert not frame[..., 2].any()


def test_colour_shares_one_range_and_well_exposed_colour_is_left_alone():
    rng = np.random.default_rng(0)
    movie = rng.integers(10, 220, (3, 30, 30, 3)).astype(np.uint8)
    movie[..., 0] //= 4
    stack = open_stack(movie)
    assert stack.contrast_limits == ((0.0, 255.0),) * 3
    assert np.allclose(stack.read(0), movie[0] / 255, atol=1e-6)
    dark = open_stack(movie // 8)
    assert len(set(dark.contrast_limits)) == 1
    assert dark.read(0).max() == 1


def test_opacity_is_left_out():
    movie = np.zeros((2, 8, 8, 4), np.uint8)
    movie[..., 1] = 200
    movie[..., 3] = 255
    stack = open_stack(movie)
    assert stack.read_raw(0).shape == (8, 8, 4)
    assert stack.read(0)[3, 3].tolist() == pytest.approx([0, 200 / 255, 0], abs=0.25)
    assert stack.read(0)[3, 3, 2] == 0


def test_sampling_reads_few_frames_and_survives_bad_ones():
    asked = []

    def read(frame_idx):
        asked.append(frame_idx)
        if frame_idx == 0:
            raise FrameReadError("gone")
        return np.full((8, 8), frame_idx, np.uint16)

    limits = sample_limits(read, 5000, coloured=False)
    assert len(asked) <= 12
    assert asked[0] == 0
    assert asked[-1] == 4999
    assert limits[0][1] == pytest.approx(4999)


def test_nothing_to_sample():
    def read(_):
        raise FrameReadError("gone")

    with pytest.raises(FrameReadError, match="gone"):
        sample_limits(read, 3, coloured=False)


@settings(deadline=None)  # the machine may be busy
@given(
    hnp.arrays(
        st.sampled_from([np.uint8, np.int16, np.uint16, np.float32, np.float64]),
        hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9),
    )
)
def test_whatever_comes_in_zero_to_one_comes_out(plane):
    stack = open_stack(plane[np.newaxis], axes="TYX")
    frame = stack.read(0)
    assert frame.shape == (*plane.shape, 3)
    assert frame.min() >= 0
    assert frame.max() <= 1
    raw = plane.copy()
    to_rgb(raw, ((0.0, 1.0),))
    assert np.array_equal(raw, plane, equal_nan=plane.dtype.kind == "f")


def test_limits_of_channels_may_be_typed_one_after_the_other():
    assert check_limits([0, 1, 5, 9], 2) == ((0.0, 1.0), (5.0, 9.0))
    with pytest.raises(StackError, match="each of the 3 channels"):
        check_limits([0, 1, 5, 9], 3)
