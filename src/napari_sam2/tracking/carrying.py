"""In which plane each object of a session is carried to other volumes, and as what."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from napari_sam2.tracking.session import Session


def carried_planes(session: Session) -> dict[int, list[int]]:
    """Say in which plane each object is followed over the further axis.

    That is the one, of those it was prompted in, where it is largest.

    Returns
    -------
    dict of int to list of int
        Objects by plane, both in order; an object that is in none of its planes is left
        out.
    """
    prompted: dict[int, set[int]] = {}
    for prompt in session.prompts:
        prompted.setdefault(prompt.frame_idx, set()).add(prompt.object_id)
    largest: dict[int, tuple[int, int]] = {}  # area and plane, by object
    for z in sorted(prompted):
        plane = session.store.read(z)
        for object_id in prompted[z]:
            area = int(np.count_nonzero(plane == object_id))
            if area > largest.get(object_id, (0, 0))[0]:
                largest[object_id] = area, z
    slices: dict[int, list[int]] = {}
    for object_id, (_, z) in sorted(largest.items()):
        slices.setdefault(z, []).append(object_id)
    return dict(sorted(slices.items()))


def carried_keys(
    session: Session, slices: Mapping[int, Iterable[int]]
) -> dict[int, int]:
    """Return checksums of the masks that are carried, by plane."""
    keys = {}
    for z, ids in slices.items():
        plane = session.store.read(z)
        mine = np.where(np.isin(plane, list(ids)), plane, 0)
        keys[z] = zlib.crc32(np.ascontiguousarray(mine).tobytes(), z)
    return keys


def masks_key(carried: Mapping[int, int]) -> int:
    """Return a checksum of all masks that are carried, given those by plane."""
    return zlib.crc32(repr(list(carried.values())).encode())
