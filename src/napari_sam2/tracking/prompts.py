"""What the user says about objects: clicks, boxes, masks, and their table.

`drawn_prompts` has scribbles and outlines, which are clicks and masks as well.

Coordinates are (y, x) in pixels of the frame, pixel centres at integers.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

HEADER = ("object_id", "frame", "kind", "y", "x", "y2", "x2", "label")


class PromptError(ValueError):
    """A prompt cannot be used; the message says why and what to change."""


@dataclass(frozen=True, kw_only=True)
class PointPrompt:
    """Clicks on one object in one frame, given together.

    Attributes
    ----------
    object_id
        Positive integer: the value of the object in the labels.
    frame_idx
        Frame of the stack.
    points
        (y, x) pairs, pixel centres at integers.
    labels
        One for each point: 1 on the object, 0 beside it.
    """

    object_id: int
    frame_idx: int
    points: tuple[tuple[float, float], ...]
    labels: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class BoxPrompt:
    """A box around one object in one frame.

    Attributes
    ----------
    object_id, frame_idx
        As in `PointPrompt`.
    box
        (y, x, y2, x2): rows y <= r < y2, columns x <= c < x2.
    """

    object_id: int
    frame_idx: int
    box: tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class MaskPrompt:
    """A mask of one object in one frame, kept as packed bits of its box.

    Attributes
    ----------
    object_id, frame_idx
        As in `PointPrompt`.
    shape
        (Y, X) of the frame.
    corner
        First row and column of the kept rectangle.
    size
        Rows and columns of the kept rectangle; (0, 0) for an empty mask, which
        says that the object is not in the frame.
    bits
        The rectangle, packed by `numpy.packbits`.
    """

    object_id: int
    frame_idx: int
    shape: tuple[int, int]
    corner: tuple[int, int]
    size: tuple[int, int]
    bits: bytes

    @staticmethod
    def from_array(object_id: int, frame_idx: int, mask: ArrayLike) -> MaskPrompt:
        """Pack a (Y, X) mask; anything that is not 0 belongs to the object."""
        array = np.asarray(mask)
        if array.ndim != 2:
            msg = f"A mask prompt must be a (Y, X) plane, not of shape {array.shape}."
            raise PromptError(msg)
        array = array != 0
        rows, cols = np.flatnonzero(array.any(1)), np.flatnonzero(array.any(0))
        corner, size = (0, 0), (0, 0)
        if rows.size:
            corner = int(rows[0]), int(cols[0])
            size = int(rows[-1]) + 1 - corner[0], int(cols[-1]) + 1 - corner[1]
        cut = array[corner[0] : corner[0] + size[0], corner[1] : corner[1] + size[1]]
        return MaskPrompt(
            object_id=object_id,
            frame_idx=frame_idx,
            shape=(array.shape[0], array.shape[1]),
            corner=corner,
            size=size,
            bits=np.packbits(cut).tobytes(),
        )

    @property
    def cut(self) -> NDArray[np.bool_]:
        """The kept rectangle, `size` bool."""
        count = self.size[0] * self.size[1]
        flat = np.unpackbits(np.frombuffer(self.bits, np.uint8), count=count)
        return flat.astype(np.bool_).reshape(self.size)

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The whole mask, (Y, X) bool."""
        out = np.zeros(self.shape, np.bool_)
        (y, x), (h, w) = self.corner, self.size
        out[y : y + h, x : x + w] = self.cut
        return out


Prompt: TypeAlias = PointPrompt | BoxPrompt | MaskPrompt


def masks_from_labels(frame_idx: int, labels: ArrayLike) -> list[MaskPrompt]:
    """Make a mask prompt of every object in a label image.

    Parameters
    ----------
    frame_idx
        The frame the image belongs to.
    labels
        (Y, X) integers; 0 is background and the ids become object ids.

    Raises
    ------
    PromptError
        If the image is no (Y, X) plane of whole numbers, or holds no object.
    """
    array = np.asarray(labels)
    if array.ndim != 2 or array.dtype.kind not in "biu":
        msg = (
            "Mask prompts need a (Y, X) label image of whole numbers, not "
            f"{array.dtype} of shape {array.shape}."
        )
        raise PromptError(msg)
    ids = [int(i) for i in np.unique(array) if i > 0]
    if not ids:
        msg = "The label image for the mask prompts is empty; draw an object in it."
        raise PromptError(msg)
    return [MaskPrompt.from_array(i, frame_idx, array == i) for i in ids]


def read_prompts_csv(path: str | Path) -> list[PointPrompt | BoxPrompt]:
    """Read clicks and boxes from a CSV file.

    Parameters
    ----------
    path
        A UTF-8 file whose first line is the header.

    Returns
    -------
    list of PointPrompt and BoxPrompt
        In the file's order; the clicks on one object in one frame are one prompt,
        and its box, if any, comes before them.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    PromptError
        Naming the line that cannot be used.
    """
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.reader(file))
    except FileNotFoundError:
        msg = f"There is no prompts file {path}."
        raise FileNotFoundError(msg) from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        msg = f"{path.name} is no readable CSV file ({error})."
        raise PromptError(msg) from error
    if not rows or tuple(cell.strip() for cell in rows[0]) != HEADER:
        msg = f"{path.name} must begin with the line {','.join(HEADER)}."
        raise PromptError(msg)
    prompts: list[PointPrompt | BoxPrompt] = []
    for number, row in enumerate(rows[1:], start=2):
        cells = [cell.strip() for cell in row]
        if any(cells):
            prompts.append(_read_row(cells, f"{path.name}, line {number}"))
    if not prompts:
        msg = f"{path.name} holds no prompt; add a line with a point or a box."
        raise PromptError(msg)
    return _gathered(prompts)


def _read_row(cells: list[str], place: str) -> PointPrompt | BoxPrompt:
    if len(cells) != len(HEADER):
        msg = f"{place}: {len(cells)} columns instead of {len(HEADER)}."
        raise PromptError(msg)
    row = dict(zip(HEADER, cells, strict=True))
    object_id, frame_idx = (_whole(row, name, place) for name in ("object_id", "frame"))
    if object_id < 1 or frame_idx < 0:
        msg = f"{place}: object_id must be at least 1 and frame at least 0."
        raise PromptError(msg)
    if row["kind"] == "point":
        _must_be_empty(row, ("y2", "x2"), "a point", place)
        if row["label"] not in ("0", "1"):
            msg = f"{place}: the label of a point must be 1 or 0, not {row['label']!r}."
            raise PromptError(msg)
        return PointPrompt(
            object_id=object_id,
            frame_idx=frame_idx,
            points=((_number(row, "y", place), _number(row, "x", place)),),
            labels=(int(row["label"]),),
        )
    if row["kind"] == "box":
        _must_be_empty(row, ("label",), "a box", place)
        y, x, y2, x2 = (_number(row, name, place) for name in ("y", "x", "y2", "x2"))
        if y2 <= y or x2 <= x:
            msg = f"{place}: the box is empty; y2 and x2 must be larger than y and x."
            raise PromptError(msg)
        return BoxPrompt(object_id=object_id, frame_idx=frame_idx, box=(y, x, y2, x2))
    msg = f"{place}: kind must be point or box, not {row['kind']!r}."
    raise PromptError(msg)


def _whole(row: dict[str, str], name: str, place: str) -> int:
    try:
        return int(row[name])
    except ValueError:
        msg = f"{place}: {name} must be a whole number, not {row[name]!r}."
        raise PromptError(msg) from None


def _number(row: dict[str, str], name: str, place: str) -> float:
    try:
        value = float(row[name])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        msg = f"{place}: {name} must be a number, not {row[name]!r}."
        raise PromptError(msg)
    return value


def _must_be_empty(
    row: dict[str, str], names: tuple[str, ...], what: str, place: str
) -> None:
    for name in names:
        if row[name]:
            msg = f"{place}: {what} has no {name}; leave the column empty."
            raise PromptError(msg)


def _gathered(
    prompts: list[PointPrompt | BoxPrompt],
) -> list[PointPrompt | BoxPrompt]:
    """Join the clicks on one object in one frame; put its box before them."""
    clicks: dict[tuple[int, int], PointPrompt] = {}
    boxes: dict[tuple[int, int], BoxPrompt] = {}
    order: dict[tuple[int, int], None] = {}
    for prompt in prompts:
        key = (prompt.object_id, prompt.frame_idx)
        order[key] = None
        if isinstance(prompt, BoxPrompt):
            if key in boxes:
                msg = (
                    f"Object {key[0]} has two boxes in frame {key[1]}; keep one of "
                    "them, or give them different object ids."
                )
                raise PromptError(msg)
            boxes[key] = prompt
        elif key in clicks:
            earlier = clicks[key]
            clicks[key] = PointPrompt(
                object_id=prompt.object_id,
                frame_idx=prompt.frame_idx,
                points=(*earlier.points, *prompt.points),
                labels=(*earlier.labels, *prompt.labels),
            )
        else:
            clicks[key] = prompt
    return [part[key] for key in order for part in (boxes, clicks) if key in part]
