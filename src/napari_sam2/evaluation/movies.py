"""How well masks given on the first frame are kept through a movie or a volume.

This is what DAVIS calls semi-supervised: the truth of every object on the first frame
is given, all objects are followed together, the first frame does not count.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2.evaluation.cases import Case, cut_out
from napari_sam2.evaluation.linking import link_frames
from napari_sam2.evaluation.metrics import iou, sequence_agreement
from napari_sam2.evaluation.pictures import MIN_AREA, choose_ids
from napari_sam2.stacks import FrameReadError
from napari_sam2.tracking.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sam2.evaluation.metrics import Agreement
    from napari_sam2.model import SAM2
    from napari_sam2.stacks import Stack
    from napari_sam2.tracking.results import FrameResult

    Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelledMovie:
    """A movie, or a volume slice by slice, and its objects.

    Attributes
    ----------
    name
        What to call it.
    image
        What `open_stack` takes: a file, a folder of pictures, a stack or an array.
    labels
        (T, Y, X) int, 0 background, the same id through time.
    axes
        Passed on to `open_stack`.
    parents
        By label, the label it descends from.
    outlines
        Where `labels` are markers that say which object is which and not where it
        ends: by frame, (Y, X) labels of whole objects, under numbers of their own.
    """

    name: str
    image: Path | Stack | NDArray[Any]
    labels: NDArray[Any]
    axes: str | None = None
    parents: Mapping[int, int] = field(default_factory=dict)
    outlines: Mapping[int, NDArray[Any]] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class TrackAnswer:
    """What came out for one object of a movie.

    Attributes
    ----------
    name
        Movie and object.
    object_id
        Its label.
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
    object_id: int
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
    min_area: int = MIN_AREA,
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
        When a frame cannot be read.
    """
    ids = first_ids(movie, most=max_objects, min_area=min_area, seed=seed)
    steps = follow_masks(model, movie, ids, boundaries=boundaries)
    return [answer for answer in steps if answer is not None]


def first_ids(
    movie: LabelledMovie, *, most: int | None, min_area: int, seed: int
) -> list[int]:
    """Choose objects that the first frame and some later one show; see `choose_ids`."""
    later = np.unique(movie.labels[1:])
    return choose_ids(
        np.where(np.isin(movie.labels[0], later), movie.labels[0], 0),
        name=movie.name,
        most=most,
        min_area=min_area,
        seed=seed,
    )


def follow_masks(
    model: SAM2,
    movie: LabelledMovie,
    ids: Sequence[int],
    *,
    boundaries: bool = False,
    alone: bool = False,
) -> Iterator[TrackAnswer | None]:
    """Follow objects from their masks on the first frame, and say how it goes.

    Parameters
    ----------
    model, movie, boundaries
        As in `evaluate_movie`.
    ids
        Which objects.
    alone
        Segment every frame alone, without memory, and link by overlap; see
        `link_frames`.

    Yields
    ------
    TrackAnswer or None
        None after every frame; in the end, one answer an object.
    """
    if not ids:
        return
    truth = movie.labels
    with Session(model, movie.image, axes=movie.axes) as session:
        check_shape(movie, session.stack)
        # Session ids count from 1: the labels' own may be too large.
        masks = {index: truth[0] == k for index, k in enumerate(ids, start=1)}
        found = np.zeros(truth.shape, np.min_scalar_type(len(ids)))
        for index, mask in masks.items():
            found[0][mask] = index
        for t, plane in _planes(session, masks, alone=alone):
            found[t] = plane
            yield None
        for index, k in enumerate(ids, start=1):
            yield _judge(
                session.stack,
                f"{movie.name} object {k}",
                k,
                truth == k,
                found == index,
                boundaries=boundaries,
            )


def _planes(
    session: Session, masks: Mapping[int, Mask], *, alone: bool
) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yield later frames and their label planes."""
    if alone:
        yield from link_frames(session, masks)
        return
    for index, mask in masks.items():
        session.add_mask(index, 0, mask)
    for result in readable(session.propagate("forward")):
        if result.frame_idx:
            yield result.frame_idx, result.labels


def readable(results: Iterable[FrameResult]) -> Iterator[FrameResult]:
    """Pass on results, and stop at a frame that could not be read.

    Raises
    ------
    FrameReadError
        That frame's: a movie with a hole cannot be scored.
    """
    for result in results:
        if result.error is not None:
            raise FrameReadError(result.error)
        yield result


def check_shape(movie: LabelledMovie, stack: Stack) -> None:
    """Refuse labels that are not of the movie's frames.

    Raises
    ------
    ValueError
        When they differ in shape.
    """
    if stack.shape != movie.labels.shape:
        message = (
            f"{movie.name} has frames (T, Y, X) {stack.shape} but labels "
            f"{movie.labels.shape}: give labels for these frames."
        )
        raise ValueError(message)


def _judge(
    stack: Stack,
    name: str,
    object_id: int,
    truth: Mask,
    found: Mask,
    *,
    boundaries: bool,
) -> TrackAnswer:
    first = np.broadcast_to(truth[0], truth.shape)
    times = range(1, len(truth))
    shown = [t for t in times if truth[t].any()]
    gone = [not found[t].any() for t in times if not truth[t].any()]
    ious = tuple(iou(found[t], truth[t]) for t in shown)
    return TrackAnswer(
        name=name,
        object_id=object_id,
        ious=ious,
        baseline=tuple(iou(first[t], truth[t]) for t in shown),
        absent=float(np.mean(gone)) if gone else None,
        agreement=sequence_agreement(found, truth) if boundaries else None,
        baseline_agreement=sequence_agreement(first, truth) if boundaries else None,
        case=_case(stack, name, truth, found, dict(zip(shown, ious, strict=True))),
    )


def _case(
    stack: Stack, name: str, truth: Mask, found: Mask, ious: dict[int, float]
) -> Case:
    """Show the first frame, some between, and the last that shows the object."""
    shown = sorted(ious)
    picked = sorted({shown[round(k)] for k in np.linspace(0, len(shown) - 1, 4)})
    panels = [
        cut_out(
            stack.read(t),
            truth[t],
            found[t],
            f"frame {t}" + (f" {ious[t]:.2f}" if t in ious else ", given"),
        )
        for t in (0, *picked)
    ]
    return Case(name=name, score=float(np.mean(list(ious.values()))), panels=(*panels,))
