"""How well masks given on the first frame are kept through a movie or a volume.

This is what DAVIS calls semi-supervised: the truth of every object on the first frame
is given, all objects are followed together, the first frame does not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2.evaluation.cases import Case, cut_out
from napari_sam2.evaluation.metrics import iou, sequence_agreement
from napari_sam2.evaluation.pictures import choose_ids
from napari_sam2.tracking.session import Session

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sam2.evaluation.metrics import Agreement
    from napari_sam2.model import SAM2

    Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelledMovie:
    """A movie, or a volume slice by slice, and its objects.

    Attributes
    ----------
    name
        What to call it.
    image
        A file, a folder of pictures or an array that `open_stack` takes.
    labels
        (T, Y, X) int, 0 background, the same id through time.
    axes
        Passed on to `open_stack`.
    """

    name: str
    image: Path | NDArray[Any]
    labels: NDArray[Any]
    axes: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class TrackAnswer:
    """What came out for one object of a movie.

    Attributes
    ----------
    name
        Movie and object.
    ious
        IoU on each later frame that shows the object.
    baseline
        The same for the first frame's mask, repeated.
    absent
        Share of the later frames without the object in which nothing was found;
        None if there is no such frame.
    agreement, baseline_agreement
        J and F as DAVIS has them, if asked for.
    case
        Some frames to look at.
    """

    name: str
    ious: tuple[float, ...]
    baseline: tuple[float, ...]
    absent: float | None
    agreement: Agreement | None = None
    baseline_agreement: Agreement | None = None
    case: Case

    @property
    def score(self) -> float:
        """Mean IoU over the frames that show the object."""
        return float(np.mean(self.ious))

    @property
    def baseline_score(self) -> float:
        """The same for the first mask, repeated."""
        return float(np.mean(self.baseline))


def evaluate_movie(
    model: SAM2,
    movie: LabelledMovie,
    *,
    max_objects: int | None = None,
    min_area: int = 20,
    seed: int = 0,
    boundaries: bool = False,
) -> list[TrackAnswer]:
    """Give every object's mask on the first frame and follow them all.

    Parameters
    ----------
    model
        From `load_model`.
    movie
        What to follow.
    max_objects
        Most objects, chosen at random by `seed`; None for all.
    min_area
        Objects smaller than this on the first frame are left out, px.
    seed
        See `choose_ids`.
    boundaries
        Whether to measure J&F as well, which takes longer.

    Returns
    -------
    list of TrackAnswer
        One for each object that some later frame shows.

    Raises
    ------
    ValueError
        When labels and movie differ in shape.
    FrameReadError
        When the first frame cannot be read.
    """
    later = set(np.unique(movie.labels[1:]).tolist())
    ids = choose_ids(
        np.where(np.isin(movie.labels[0], list(later)), movie.labels[0], 0),
        name=movie.name,
        most=max_objects,
        min_area=min_area,
        seed=seed,
    )
    if not ids:
        return []
    with Session(model, movie.image, axes=movie.axes) as session:
        if session.stack.shape != movie.labels.shape:
            message = (
                f"{movie.name} has frames (T, Y, X) {session.stack.shape} but labels "
                f"{movie.labels.shape}: give labels for these frames."
            )
            raise ValueError(message)
        for k in ids:
            session.add_mask(k, 0, movie.labels[0] == k)
        for _ in session.propagate("forward"):
            pass
        return [_judge(session, movie, k, boundaries=boundaries) for k in ids]


def _judge(
    session: Session, movie: LabelledMovie, object_id: int, *, boundaries: bool
) -> TrackAnswer:
    truth = np.asarray(movie.labels == object_id)
    found = np.asarray(np.asarray(session.labels) == object_id)
    first = np.broadcast_to(truth[0], truth.shape)
    times = range(1, len(truth))
    shown = [t for t in times if truth[t].any()]
    gone = [not found[t].any() for t in times if not truth[t].any()]
    name = f"{movie.name} object {object_id}"
    ious = tuple(iou(found[t], truth[t]) for t in shown)
    return TrackAnswer(
        name=name,
        ious=ious,
        baseline=tuple(iou(first[t], truth[t]) for t in shown),
        absent=float(np.mean(gone)) if gone else None,
        agreement=sequence_agreement(found, truth) if boundaries else None,
        baseline_agreement=sequence_agreement(first, truth) if boundaries else None,
        case=_case(session, name, truth, found, dict(zip(shown, ious, strict=True))),
    )


def _case(
    session: Session, name: str, truth: Mask, found: Mask, ious: dict[int, float]
) -> Case:
    """Show the first frame, some between, and the last that shows the object."""
    shown = sorted(ious)
    picked = sorted({shown[round(k)] for k in np.linspace(0, len(shown) - 1, 4)})
    panels = [
        cut_out(
            session.stack.read(t),
            truth[t],
            found[t],
            f"frame {t}" + (f" {ious[t]:.2f}" if t in ious else ", given"),
        )
        for t in (0, *picked)
    ]
    return Case(name=name, score=float(np.mean(list(ious.values()))), panels=(*panels,))
