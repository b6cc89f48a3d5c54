"""COCO's run-length encoding of masks, as lists of numbers and as strings.

Pixels are counted down the columns: the lengths of runs of 0 and 1 in turn, the first
of 0s (and 0 long if the first pixel is 1). As a string every number, from the fourth
on less the one two before it, is written 5 bits a character, lowest first: bit 6 says
that more follow, bit 5 of the last is the sign, and 48 is added to be readable.

Source: the ``mask`` interface of the COCO API.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from napari_sam2.stacks.errors import StackError

__all__ = ["RLE", "counts_to_string", "decode_rle", "encode_plane", "encode_rle"]

Counts = NDArray[np.int64]


class RLE(TypedDict):
    """A mask: its (height, width) and its runs."""

    size: list[int]
    counts: str | list[int]


def encode_rle(mask: NDArray[Any], *, compressed: bool = True) -> RLE:
    """Encode one mask.

    Parameters
    ----------
    mask : ndarray
        (Y, X); what is not 0 is the object.
    compressed : bool
        Whether ``counts`` is a string, as pycocotools writes it, or a list of numbers.

    Returns
    -------
    RLE
        ``{"size": [Y, X], "counts": ...}``, ready for JSON.
    """
    counts = _counts(np.asarray(mask) != 0)
    height, width = mask.shape
    return {
        "size": [height, width],
        "counts": counts_to_string(counts) if compressed else counts.tolist(),
    }


def decode_rle(rle: Mapping[str, Any]) -> NDArray[np.bool_]:
    """Decode one mask.

    Parameters
    ----------
    rle : mapping
        ``size`` (Y, X) and ``counts``, a string (or bytes) or a list of numbers.

    Returns
    -------
    ndarray of bool
        (Y, X).

    Raises
    ------
    StackError
        When the runs do not fill the size.
    """
    try:
        height, width = (int(n) for n in rle["size"])
        given = rle["counts"]
    except (KeyError, TypeError, ValueError) as error:
        raise StackError(
            "A mask in COCO's run-length encoding has 'size' (height, width) and "
            "'counts'; this one does not."
        ) from error
    counts = (
        string_to_counts(given)
        if isinstance(given, str | bytes)
        else np.asarray(given, np.int64)
    )
    if min(height, width, counts.min(initial=0)) < 0 or counts.sum() != height * width:
        raise StackError(
            f"A mask's runs do not fill its {height}×{width} pixels; the file is "
            "damaged, get it again."
        )
    edges = np.cumsum(counts)[:-1]  # where a run of the other kind begins
    flips = np.zeros((height, width), np.uint8)
    flips[0] = np.searchsorted(edges, height * np.arange(width), "right") & 1
    columns, rows = np.divmod(edges[edges < height * width], height)
    inner = rows > 0
    np.bitwise_xor.at(flips, (rows[inner], columns[inner]), 1)
    for row in range(1, height):  # five times as fast as numpy's accumulate
        flips[row] ^= flips[row - 1]
    return flips.view(np.bool_)


def encode_plane(plane: NDArray[Any], object_ids: Sequence[int]) -> list[RLE]:
    """Encode the objects of a label plane, all in one pass.

    Parameters
    ----------
    plane : ndarray of int
        (Y, X), object ids.
    object_ids : sequence of int
        Which, in this order; one that is not there has an empty mask.

    Returns
    -------
    list of RLE
        Compressed, one an object.
    """
    height, width = plane.shape
    n_pixels = height * width
    starts = np.concatenate([[0], _edges(plane)])
    stops = np.append(starts[1:], n_pixels)
    owners = plane[starts % height, starts // height]
    order = np.argsort(owners, kind="stable")
    ids = np.asarray(object_ids)
    first = np.searchsorted(owners[order], ids, "left")
    last = np.searchsorted(owners[order], ids, "right")
    encoded: list[RLE] = []
    for begin, end in zip(first, last, strict=True):
        runs = order[begin:end]
        edges = np.empty(2 * len(runs) + 2, np.int64)
        edges[0], edges[-1] = 0, n_pixels
        edges[1:-1:2], edges[2:-1:2] = starts[runs], stops[runs]
        counts = np.diff(edges)
        if len(counts) > 1 and counts[-1] == 0:
            counts = counts[:-1]
        string = counts_to_string(counts)
        encoded.append({"size": [height, width], "counts": string})
    return encoded


def counts_to_string(counts: Counts) -> str:
    """Write runs as the string of characters that pycocotools uses.

    Parameters
    ----------
    counts : ndarray of int
        (R,), lengths of the runs of 0 and 1 in turn.

    Returns
    -------
    str
        ASCII.
    """
    left = np.array(counts, np.int64)  # (R,)
    left[3:] -= counts[1:-2]
    characters, used = [], []
    going = np.ones(len(left), bool)
    while going.any():
        low = left & 0x1F
        left >>= 5
        more = np.where(low & 0x10, left != -1, left != 0)
        characters.append(low + 0x20 * more + 48)
        used.append(going)
        going = going & more
    table = np.stack(characters, axis=1).astype(np.uint8)  # (R, characters)
    string: bytes = table[np.stack(used, axis=1)].tobytes()
    return string.decode("ascii")


def string_to_counts(string: str | bytes) -> Counts:
    """Read runs from such a string.

    Parameters
    ----------
    string : str or bytes
        As `counts_to_string` writes it.

    Returns
    -------
    ndarray of int64
        (R,), lengths of the runs.

    Raises
    ------
    StackError
        When it is no such string.
    """
    data = string.encode("ascii", "replace") if isinstance(string, str) else string
    codes = np.frombuffer(data, np.uint8).astype(np.int64) - 48
    last = (codes & 0x20) == 0
    if len(codes) == 0 or codes.min() < 0 or codes.max() > 63 or not last[-1]:
        raise StackError(
            "A mask's counts are not in COCO's compressed form; the file is damaged "
            "or of another format."
        )
    ends = np.flatnonzero(last)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > 7:
        raise StackError("A mask's counts are too large; the file is damaged.")
    place = 5 * (np.arange(len(codes)) - np.repeat(starts, lengths))
    values = np.add.reduceat((codes & 0x1F) << place, starts)
    values -= np.where(codes[ends] & 0x10, np.int64(1) << (5 * lengths), 0)
    # Each is the difference from the one two before; the first stands alone.
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values


def _counts(mask: NDArray[np.bool_]) -> Counts:
    first = [0, 0] if mask[0, 0] else [0]
    return np.diff(np.concatenate([first, _edges(mask), [mask.size]]))


def _edges(plane: NDArray[Any]) -> Counts:
    """Find where the value changes, counting down the columns; (R - 1,), sorted.

    The plane itself is not turned, which would take most of the time.
    """
    height, width = plane.shape
    changes = np.flatnonzero(plane[1:] != plane[:-1])
    rows, columns = np.divmod(changes, width)
    tops = np.flatnonzero(plane[0, 1:] != plane[-1, :-1]) + 1
    return np.sort(np.concatenate([columns * height + rows + 1, tops * height]))
