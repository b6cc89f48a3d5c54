"""What was measured, number by number: of every object, task and model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_sam2.evaluation.pictures import BOX, BOX_BASELINE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari_sam2.evaluation.interaction import Dialogue
    from napari_sam2.evaluation.metrics import Agreement
    from napari_sam2.evaluation.movies import TrackAnswer
    from napari_sam2.evaluation.pictures import ObjectAnswer, WholeAnswer
    from napari_sam2.evaluation.tracks import TracksAnswer

IOU, J_AND_F = "mean IoU", "J&F"
WHOLE, FIRST_MASK, TRACKS = "whole picture", "first mask", "click a track"
ELLIPSE, REPEATED = MODEL_FREE = "ellipse in the box", "mask repeated"


@dataclass(frozen=True, kw_only=True)
class Score:
    """One measured number: of an object or, where it is not of one, of an item.

    Attributes
    ----------
    data, item, object_id
        Data set, picture or movie, and object.
    model
        Which model answered, or which baseline.
    task, measure
        What was given, and what is measured.
    score
        In [0, 1].
    j, f
        What a score of J&F is the mean of.
    objects
        How many objects are in it.
    absent
        Share of frames without the object that were left empty.
    prompted
        How many frames were clicked on.
    """

    data: str
    item: str
    object_id: int | None = None
    model: str
    task: str
    measure: str
    score: float
    j: float | None = None
    f: float | None = None
    objects: int = 1
    absent: float | None = None
    prompted: int | None = None


def alone(model: str) -> str:
    """Return what a model is called that looks at every frame alone."""
    return f"{model}, frames alone"


def repeated(model: str) -> str:
    """Return what a model's answer to the first clicks is called, repeated."""
    return f"{model}, first answer repeated"


def picture_scores(
    data: str, item: str, model: str, answers: Iterable[ObjectAnswer]
) -> list[Score]:
    """Return the scores of objects of a picture, the ellipse in the box included."""
    return [
        Score(
            data=data,
            item=item,
            object_id=answer.object_id,
            model=ELLIPSE if task == BOX_BASELINE else model,
            task=BOX if task == BOX_BASELINE else task,
            measure=IOU,
            score=value,
        )
        for answer in answers
        for task, value in answer.scores.items()
    ]


def movie_scores(
    data: str, item: str, model: str, answers: Iterable[TrackAnswer]
) -> list[Score]:
    """Return the scores of objects of a movie, the repeated first mask included."""
    scores = []
    for answer in answers:
        common = Score(
            data=data,
            item=item,
            object_id=answer.object_id,
            model=model,
            task=FIRST_MASK,
            measure=IOU,
            score=answer.score,
            absent=answer.absent,
        )
        repeated = replace(
            common, model=REPEATED, score=answer.baseline_score, absent=None
        )
        scores += [common, repeated]
        for score, agreement in (
            (common, answer.agreement),
            (repeated, answer.baseline_agreement),
        ):
            if agreement is not None:
                scores.append(_with_agreement(score, agreement))
    return scores


def _with_agreement(score: Score, agreement: Agreement) -> Score:
    return replace(
        score,
        measure=J_AND_F,
        score=agreement.j_and_f,
        j=agreement.j,
        f=agreement.f,
        absent=None,
    )


def whole_scores(data: str, model: str, answer: WholeAnswer) -> list[Score]:
    """Return the IoU of every object of a picture, and its average precisions."""
    common = Score(
        data=data, item=answer.name, model=model, task=WHOLE, measure=IOU, score=0.0
    )
    return [
        *(replace(common, object_id=k, score=s) for k, s in answer.ious.items()),
        *(
            replace(common, measure=f"AP {t:g}", score=s, objects=len(answer.ious))
            for t, s in answer.precisions.items()
        ),
    ]


def track_scores(data: str, model: str, answer: TracksAnswer) -> list[Score]:
    """Return SEG, DET and TRA of a movie."""
    return [
        Score(
            data=data,
            item=answer.name,
            model=model,
            task=TRACKS,
            measure=measure,
            score=value,
            objects=answer.n_tracks,
        )
        for measure, value in answer.measures.items()
    ]


def dialogue_scores(
    data: str,
    item: str,
    model: str,
    object_id: int,
    talk: Dialogue,
    *,
    kind: str,
    counts: Sequence[int],
) -> list[Score]:
    """Return J&F of an object when up to so many frames were clicked on.

    Of several `counts`, also the mean from 1 to the last, which the paper reports. The
    first answer, repeated, stands beside the last of `counts`.
    """
    scores = []
    for count in counts:
        common = Score(
            data=data,
            item=item,
            object_id=object_id,
            model=model,
            task=f"{kind}, {count} frame{'s' * (count > 1)}",
            measure=J_AND_F,
            score=0.0,
            prompted=min(count, len(talk.frames)),
        )
        scores.append(_with_agreement(common, talk.after(count)))
    if len(counts) > 1:
        task = f"{kind}, mean of 1 to {count} frames"
        mean = replace(common, task=task, prompted=None)
        scores.append(_with_agreement(mean, talk.average(count)))
    first = replace(common, model=repeated(model), prompted=1)
    return [*scores, _with_agreement(first, talk.baseline)]
