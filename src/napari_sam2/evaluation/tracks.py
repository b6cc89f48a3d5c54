"""A whole movie from one click a cell, judged as the Cell Tracking Challenge does.

Every track is clicked on once, where it begins: at the deepest point of its label or
marker. A daughter is clicked on like any other cell; that it is one is not found out,
so every division costs links in TRA. A track ends where the object is not found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2.evaluation.cases import Case, cut_out, insides
from napari_sam2.evaluation.ctc import compare, seg_scores
from napari_sam2.evaluation.linking import link_frames
from napari_sam2.evaluation.movies import check_shape, readable
from napari_sam2.evaluation.pictures import pick
from napari_sam2.evaluation.users import deepest_point
from napari_sam2.tracking.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_sam2.evaluation.ctc import Operations
    from napari_sam2.evaluation.movies import LabelledMovie
    from napari_sam2.model import SAM2
    from napari_sam2.stacks import Stack


@dataclass(frozen=True, kw_only=True, eq=False)
class TracksAnswer:
    """What came out for all chosen tracks of a movie.

    Attributes
    ----------
    name
        The movie.
    n_tracks
        How many were clicked on.
    operations
        What makes the found tracks the true ones; has DET and TRA.
    seg
        Jaccard index of every object of every frame that has outlines.
    case
        Some frames to look at.
    """

    name: str
    n_tracks: int
    operations: Operations
    seg: tuple[float, ...]
    case: Case

    @property
    def measures(self) -> dict[str, float]:
        """SEG, where there are outlines, DET and TRA."""
        found = {"SEG": float(np.mean(self.seg))} if self.seg else {}
        return {**found, "DET": self.operations.det, "TRA": self.operations.tra}


def track_ids(movie: LabelledMovie, *, most: int | None, seed: int) -> list[int]:
    """Choose tracks of a movie; see `pick`."""
    ids = np.unique(movie.labels[movie.labels > 0]).tolist()
    return pick(ids, name=movie.name, most=most, seed=seed)


def follow_tracks(
    model: SAM2, movie: LabelledMovie, ids: Sequence[int], *, alone: bool = False
) -> Iterator[TracksAnswer | None]:
    """Click once on every track and follow them all.

    What is not one of `ids` counts neither as true nor as missed.

    Parameters
    ----------
    model
        From `load_model`.
    movie
        What to follow.
    ids
        Which tracks; at least one.
    alone
        Segment every frame alone, without memory, and link by overlap; see
        `link_frames`.

    Yields
    ------
    TracksAnswer or None
        None after every frame; in the end, the answer.

    Raises
    ------
    ValueError
        When labels and movie differ in shape.
    FrameReadError
        When a frame cannot be read.
    """
    truth = np.where(np.isin(movie.labels, ids), movie.labels, 0)
    begins = {k: int((truth == k).any((1, 2)).argmax()) for k in ids}
    with Session(model, movie.image, axes=movie.axes) as session:
        check_shape(movie, session.stack)
        found = np.zeros(truth.shape, np.min_scalar_type(len(ids)))
        if alone:
            for _ in _alone(session, truth, begins, found):
                yield None
        else:
            for index, (k, begin) in enumerate(begins.items(), start=1):
                point = deepest_point(truth[begin] == k)
                session.add_points(index, begin, [point], [1])
            for _ in readable(session.propagate("forward")):
                yield None
            found[:] = np.asarray(session.labels)
        yield _judge(session.stack, movie, truth, found, len(ids))


def _alone(
    session: Session,
    truth: NDArray[Any],
    begins: Mapping[int, int],
    found: NDArray[Any],
) -> Iterator[None]:
    """Follow tracks one by one, frame by frame; later ones do not cover earlier."""
    for index, (k, begin) in enumerate(begins.items(), start=1):
        point = deepest_point(truth[begin] == k)
        session.add_points(1, begin, [point], [1])
        mask = np.asarray(session.preview(begin).labels == 1)
        session.remove_object(1)
        found[begin][mask & (found[begin] == 0)] = index
        yield None
        if not mask.any():
            continue
        for t, plane in link_frames(session, {1: mask}, start=begin):
            found[t][(plane == 1) & (found[t] == 0)] = index
            yield None


def _judge(
    stack: Stack,
    movie: LabelledMovie,
    truth: NDArray[Any],
    found: NDArray[Any],
    n_tracks: int,
) -> TracksAnswer:
    outlines: Mapping[int, NDArray[Any]] = dict(enumerate(truth))
    if movie.outlines is not None:
        outlines = {
            t: _marked(plane, truth[t], movie.labels[t])
            for t, plane in movie.outlines.items()
        }
    seg = {t: seg_scores(found[t], plane) for t, plane in outlines.items()}
    every = tuple(score for scores in seg.values() for score in scores)
    operations = compare(found, truth, true_parents=movie.parents)
    shown = [t for t, scores in seg.items() if scores] or [*range(len(truth))]
    panels = []
    for k in np.unique(np.linspace(0, len(shown) - 1, 4).round().astype(int)):
        t = shown[k]
        true = outlines.get(t, truth[t])
        caption = f"frame {t}"
        if seg.get(t):
            caption += f" SEG {np.mean(seg[t]):.2f}"
        panels.append(
            cut_out(
                stack.read(t),
                insides(true),
                insides(found[t]),
                caption,
                around=np.ones(true.shape, np.bool_),
            )
        )
    case = Case(name=movie.name, score=operations.tra, panels=tuple(panels))
    return TracksAnswer(
        name=movie.name,
        n_tracks=n_tracks,
        operations=operations,
        seg=every,
        case=case,
    )


def _marked(
    outlines: NDArray[Any], chosen: NDArray[Any], markers: NDArray[Any]
) -> NDArray[Any]:
    """Keep the outlined objects whose marker is chosen, or all if all are."""
    if (chosen == markers).all():
        return outlines
    return np.where(np.isin(outlines, np.unique(outlines[chosen > 0])), outlines, 0)
