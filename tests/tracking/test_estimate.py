from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_sam2.model import SAM2, preset
from napari_sam2.tracking.estimate import (
    Estimate,
    Workload,
    estimate,
    fitting_batch,
    frame_bytes,
    free_bytes,
    held_bytes,
    moment_bytes,
)
from napari_sam2.tracking.timing import Timing, time_model

FLOAT32 = torch.float32
WORK = Workload(frame_shape=(1024, 1024), frames=2000, objects=40)
TIMING = Timing(encode=0.02, track=0.004)


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        (
            {"device_bytes": 3_120_000_000, "seconds": 360},
            "2,000 frames × 40 objects: 3.1 GB of memory, about 6 min",
        ),
        (
            {
                "device_bytes": 999_600_000,
                "disk_bytes": 41_900_000,
                "seconds": 5 * 3600,
            },
            (
                "2,000 frames × 40 objects: 1.0 GB of memory, up to 42 MB on disk, "
                "about 5.0 h"
            ),
        ),
        (
            {"frames": 1, "objects": 1, "device_bytes": 5_200_000, "seconds": 0.2},
            "1 frame × 1 object: 5.2 MB of memory, about 1 s",
        ),
    ],
)
def test_an_estimate_is_a_sentence(given_: dict[str, float], said: str) -> None:
    base = {"frames": 2000, "objects": 40, "disk_bytes": 0}
    assert str(Estimate(**{**base, **given_})) == said


def test_what_is_kept_follows_from_the_shapes() -> None:
    config = preset("sam2.1-tiny")
    work = replace(WORK, objects=1)
    features = (256 * 64**2 + 32 * 256**2 + 64 * 128**2) * 4
    spatial = 64 * 64**2 * 2 + 256**2 * 4
    expected = 5 * features + 7 * spatial + 17 * 256 * 4
    assert held_bytes(config, work, FLOAT32) == expected
    two = held_bytes(config, replace(work, objects=2), FLOAT32)
    assert two - expected == 7 * spatial + 17 * 256 * 4
    one_frame = replace(work, frames=1, conditioning=2)
    expected = features + 3 * spatial + 3 * 256 * 4
    assert held_bytes(config, one_frame, FLOAT32) == expected
    everything = replace(work, retention="all")
    expected = 5 * features + 2001 * (spatial + 256 * 4)
    assert held_bytes(config, everything, FLOAT32) == expected


def test_a_step_holds_the_larger_of_encoder_and_attention() -> None:
    nano = preset("nano")
    plane = 64 * 64 * 48 * 4
    assert moment_bytes(nano, WORK, FLOAT32) == round(6.6 * plane)
    assert moment_bytes(nano, WORK, FLOAT32, device="cuda") == 11 * plane
    keys = (7 * 256 + 16 * 4) * 128 * 4
    ten = replace(WORK, batch=10)
    batched = moment_bytes(nano, ten, FLOAT32, device="cuda")
    assert batched == pytest.approx((5.2 * 10 + 1.9) * keys)
    on_cpu = moment_bytes(nano, ten, FLOAT32)
    assert on_cpu == pytest.approx((4.2 * 10 + 0.9) * keys)
    few = moment_bytes(nano, replace(ten, objects=3), FLOAT32)
    assert few == pytest.approx((4.2 * 3 + 0.9) * keys)
    keys -= 4 * 256 * 128 * 4
    forgetful = replace(nano, recent_memories=2)
    batched = moment_bytes(forgetful, ten, FLOAT32)
    assert batched == pytest.approx((4.2 * 10 + 0.9) * keys)


def test_frames_and_labels_count_where_they_are() -> None:
    nano = preset("nano")
    on_cpu = estimate(nano, WORK, TIMING)
    on_gpu = estimate(nano, WORK, TIMING, device="cuda")
    on_cpu_only = (on_cpu.device_bytes - on_gpu.device_bytes) / 1.3
    in_bands = moment_bytes(nano, WORK, FLOAT32)
    at_once = moment_bytes(nano, WORK, FLOAT32, device="cuda")
    frames = frame_bytes(nano, WORK)
    assert on_cpu_only == pytest.approx(frames + in_bands - at_once, abs=2)
    assert on_cpu.disk_bytes == 2000 * 1024**2 * 2
    kept = estimate(nano, replace(WORK, labels_in_memory=True), TIMING)
    assert kept.disk_bytes == 0
    labels = (kept.device_bytes - on_cpu.device_bytes) / 1.3
    assert labels == pytest.approx(on_cpu.disk_bytes, abs=2)
    zoomed = replace(WORK, zoom=True)
    # Four frames wait as stored (2 bytes) instead of as 256² floats (12), one more is
    # kept, and one is grey floats (4) instead of colours (12).
    waiting = 4 * (2 * 1024**2 - 12 * 256**2) + 2 * 1024**2
    difference = frame_bytes(nano, zoomed) - frame_bytes(nano, WORK)
    assert difference == waiting + (4 - 12) * 1024**2
    assert on_cpu.seconds == pytest.approx(2000 * (0.02 + 40 * 0.004))


@given(st.integers(0, 10**11), st.integers(1, 300), st.integers(1, 64))
def test_the_largest_batch_that_fits(free: int, objects: int, most: int) -> None:
    config = preset("sam2.1-tiny")
    work = replace(WORK, objects=objects, batch=most)

    def needs(batch: int) -> float:
        held = held_bytes(config, work, FLOAT32)
        keys = (7 * 64**2 + 16 * 4) * 256 * 4
        return 1.3 * (held + (5.2 * batch + 1.9) * keys)

    batch = fitting_batch(config, work, free)
    assert 1 <= batch <= min(most, objects)
    if batch > 1:
        assert needs(batch) <= 0.8 * free + 9
    if batch < min(most, objects):
        assert needs(batch + 1) > 0.8 * free - 9


def test_free_memory_is_not_known_on_the_cpu() -> None:
    assert free_bytes("cpu") is None


def test_measured_frames_scale_a_timing() -> None:
    # Two frames of 3 objects and 1 window: 2 x 0.032 s expected, 0.128 s measured.
    found = TIMING.corrected([(3, 1, 0.064), (3, 1, 0.064)])
    assert found.encode == pytest.approx(0.04)
    assert found.track == pytest.approx(0.008)
    assert found.frame(10, 2) == pytest.approx(0.16)
    assert TIMING.corrected([]) == TIMING


@pytest.mark.parametrize("name", ["nano", "tiny"])
@pytest.mark.parametrize("recent", [6, 2, 0])
def test_a_network_is_timed_with_full_memories(
    name: str,
    recent: int,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model: SAM2 = request.getfixturevalue(name)
    config = replace(model.config, recent_memories=recent)
    monkeypatch.setattr(model, "config", config)
    seen = []
    attend = model.memory_attention.forward

    def spied(*args: torch.Tensor) -> torch.Tensor:
        seen.append(args[2].shape)
        return attend(*args)

    model.memory_attention.forward = spied
    try:
        found = time_model(model, objects=2)
    finally:
        del model.memory_attention.forward
    tokens = (recent + 1) * 4**2 + 16 * config.dim // config.memory_dim
    assert set(seen) == {(2, tokens, config.memory_dim)}
    assert found.encode > 0
    assert found.track > 0
