"""Label planes from any array: lazily, once, as they were."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import zarr

from napari_sam2.training.label_planes import MANY, LabelPlanes

LABELS = np.random.default_rng(0).integers(0, 5, (4, 2, 12, 10)).astype(np.uint16)
SHAPE = (4, 12, 10)


def planes_of(data) -> LabelPlanes:
    return LabelPlanes(data, SHAPE, lambda t: (t, 1))


@pytest.mark.parametrize("kind", ["numpy", "dask", "zarr", "bool"])
def test_planes_are_those_of_the_held_axes(kind) -> None:
    data = {
        "numpy": LABELS,
        "dask": da.from_array(LABELS, chunks=(1, 1, 12, 10)),
        "zarr": zarr.array(LABELS),
        "bool": LABELS > 0,
    }[kind]
    planes = planes_of(data)
    for t in (0, 3, 0):
        assert planes[t].dtype == np.int32
        assert np.array_equal(planes[t], np.asarray(data[t, 1]))


def test_only_what_is_asked_for_is_read_and_only_once() -> None:
    read = []

    class Recording:
        shape, dtype = LABELS.shape, LABELS.dtype

        def __getitem__(self, index):
            read.append(index)
            return LABELS[index]

    planes = planes_of(Recording())
    assert read == []
    for t in (2, 2, 1):
        _ = planes[t]
    assert read == [(2, 1), (1, 1)]


def test_painting_afterwards_changes_nothing() -> None:
    painted = LABELS.copy()
    painted[3] = 0
    planes = planes_of(painted)
    before, empty = planes[0].copy(), planes[3]
    assert not empty.any()
    painted[:] = 9
    assert np.array_equal(planes[0], before)
    assert not planes[3].any()
    assert (planes[1] == 9).all()  # was not looked at before


def test_huge_ids_become_small_ones_the_same_in_all_planes() -> None:
    wide = np.zeros((4, 2, 12, 10), np.uint64)
    wide[0, 1, 0] = 2**40
    wide[1, 1, 1], wide[1, 1, 2], wide[1, 1, 3] = 2**40, 2**50, 7
    planes = planes_of(wide)
    assert np.unique(planes[0]).tolist() == [0, MANY]
    assert np.unique(planes[1]).tolist() == [0, 7, MANY, MANY + 1]
    assert (planes[1][1] == MANY).all()
