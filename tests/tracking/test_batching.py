from __future__ import annotations

import logging
import re
import weakref
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from napari_sam2.tracking.batching import in_batches, is_out_of_memory

if TYPE_CHECKING:
    from collections.abc import Sequence

CPU_ERROR = (
    "[enforce fail at alloc_cpu.cpp:125] err == 0. DefaultCPUAllocator: can't "
    "allocate memory: you tried to allocate 4000000000000 bytes."
)


class Device:
    """Computes squares as long as no more than `room` are asked for at once."""

    def __init__(self, room: int, error: Exception) -> None:
        self.room = room
        self.error = error
        self.asked: list[list[int]] = []

    def __call__(self, batch: Sequence[int]) -> list[int]:
        self.asked.append(list(batch))
        if len(batch) > self.room:
            raise self.error
        return [i * i for i in batch]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 MiB"),
        RuntimeError(CPU_ERROR),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried"),
        RuntimeError("MPS backend out of memory (MPS allocated: 18 GB)"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        MemoryError(),
    ],
)
def test_batches_are_halved_until_they_fit(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    device = Device(3, error)
    with caplog.at_level(logging.WARNING):
        found, limit = in_batches([range(10), [10, 11]], device, limit=8)
    assert found == {i: i * i for i in range(12)}
    assert limit == 2
    assert device.asked == [
        [0, 1, 2, 3, 4, 5, 6, 7],
        [0, 1, 2, 3],
        *([i, i + 1] for i in range(0, 12, 2)),
    ]
    assert [record.getMessage() for record in caplog.records] == [
        "Memory was not enough for 8 objects at a time: computing 2 from now on."
    ]


def test_a_group_smaller_than_the_limit_lowers_it_to_half_of_itself() -> None:
    device = Device(2, MemoryError())
    found, limit = in_batches([[7, 8, 9]], device, limit=32)
    assert sorted(found) == [7, 8, 9]
    assert device.asked == [[7, 8, 9], [7], [8], [9]]
    assert limit == 1


def test_what_fits_is_neither_halved_nor_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    device = Device(4, MemoryError())
    with caplog.at_level(logging.WARNING):
        found, limit = in_batches([range(6), []], device, limit=4)
    assert limit == 4
    assert device.asked == [[0, 1, 2, 3], [4, 5]]
    assert len(found) == 6
    assert not caplog.records


def test_one_object_that_does_not_fit_says_what_to_do() -> None:
    with pytest.raises(MemoryError, match=r"smaller model, or .* device=\"cpu\""):
        in_batches([range(4)], Device(0, RuntimeError(CPU_ERROR)), limit=4)


@pytest.mark.parametrize(
    "error", [RuntimeError("shapes differ"), ValueError("out of memory")]
)
def test_other_errors_are_raised_as_they_are(error: Exception) -> None:
    device = Device(0, error)
    with pytest.raises(type(error), match=re.escape(str(error))):
        in_batches([range(4)], device, limit=4)
    assert len(device.asked) == 1


def test_torch_says_so_when_the_cpu_has_no_memory_left() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)


def test_the_tensors_of_a_failed_batch_are_gone_when_it_is_tried_again() -> None:
    held: list[weakref.ref[np.ndarray]] = []

    def compute(batch: Sequence[int]) -> Sequence[int]:
        assert all(array() is None for array in held)
        array = np.zeros(10)
        held.append(weakref.ref(array))
        if len(batch) > 1:
            raise MemoryError
        return batch

    in_batches([range(4)], compute, limit=4)
    assert len(held) == 6
