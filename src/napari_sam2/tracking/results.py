"""What a session reports about a frame."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class ObjectScore:
    """How sure the network is of one object in one frame.

    Attributes
    ----------
    iou
        Predicted IoU of the mask with the object, in [0, 1].
    object_score
        Probability in [0, 1] that the object is in the frame.
    area
        Pixels of the object in the label plane.
    prompted
        Whether the user's prompts fixed the answer.
    lost
        Share of the object's own answer that other objects have in the label
        plane, in [0, 1]: they overlap there and were surer, or were kept.
    centroid
        Mean (y, x) of the object's pixels in the label plane, px, pixel centres
        at integers; None if it has none.
    """

    iou: float
    object_score: float
    area: int
    prompted: bool = False
    lost: float = 0.0
    centroid: tuple[float, float] | None = None

    def to_row(self) -> list[float]:
        """Return the score as few numbers, for a journal; see `from_row`."""
        y, x = self.centroid or (-1.0, -1.0)
        numbers = (self.iou, self.object_score, self.area, y, x, self.lost)
        return [*(round(float(n), 5) for n in numbers), int(self.prompted)]

    @staticmethod
    def from_row(row: Sequence[float]) -> ObjectScore:
        """Return the score that `to_row` wrote.

        Raises
        ------
        ValueError
            If it is none.
        """
        iou, object_score, area, y, x, lost, prompted = row
        return ObjectScore(
            iou=float(iou),
            object_score=float(object_score),
            area=int(area),
            prompted=bool(prompted),
            lost=float(lost),
            centroid=(float(y), float(x)) if area else None,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class FrameResult:
    """One frame, segmented.

    Attributes
    ----------
    frame_idx
        Which frame.
    labels
        (Y, X) object ids of the session's label type, 0 for background; all
        objects, whether or not they were computed now.
    scores
        By object id, for the objects that were computed.
    error
        Why the frame could not be read; None if it was. Its labels are then
        those it had before.
    """

    frame_idx: int
    labels: NDArray[Any]
    scores: dict[int, ObjectScore] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class PlaneResult:
    """One plane of a repetition that was done.

    Attributes
    ----------
    place
        Where its labels are in `Repetition.labels`: an index for each axis but Y and X.
    result
        Its labels and scores; `frame_idx` counts along the axis that was followed.
    again
        Whether the plane was there before, and was now reached from the other side.
    """

    place: tuple[int, ...]
    result: FrameResult
    again: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """The picture that the network gets of a frame, or of the part around an object.

    Attributes
    ----------
    picture
        (S, S, 3) float32 in [0, 1]; S is the side of the network's input.
    corner
        (y, x) of the first pixel of the frame that it shows.
    shape
        (height, width) of the part of the frame that it shows, px.
    """

    picture: NDArray[np.float32]
    corner: tuple[int, int]
    shape: tuple[int, int]
