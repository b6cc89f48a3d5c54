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


def carried_key(session: Session, z: int, ids: Iterable[int]) -> int:
    """Return a checksum of the masks that are carried from a plane."""
    plane = session.store.read(z)
    mine = np.where(np.isin(plane, list(ids)), plane, 0)
    return zlib.crc32(np.ascontiguousarray(mine).tobytes(), z)


def masks_key(session: Session, slices: Mapping[int, list[int]]) -> int:
    """Return a checksum of all masks that are carried; see `carried_planes`."""
    keys = [carried_key(session, z, ids) for z, ids in slices.items()]
    return zlib.crc32(repr(keys).encode())
