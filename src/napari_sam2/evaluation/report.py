"""Tables of results: text, markdown, JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from napari_sam2.evaluation.metrics import mean_agreement
from napari_sam2.evaluation.pictures import BOX, BOX_BASELINE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sam2.evaluation.movies import TrackAnswer
    from napari_sam2.evaluation.pictures import ObjectAnswer

FAILED = 0.5


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table.

    Attributes
    ----------
    data, task, measure
        Which set, what was given, and what is averaged.
    score
        Mean over objects, in [0, 1].
    median
        Median over objects.
    failed
        Share of objects below 0.5.
    baseline
        The score of what needs no model: the first mask repeated, or the ellipse
        that fills the box.
    absent
        Share of frames without the object that were left empty.
    objects
        How many objects were measured.
    """

    data: str
    task: str
    measure: str
    score: float
    median: float | None = None
    failed: float | None = None
    baseline: float | None = None
    absent: float | None = None
    objects: int


HEADINGS = tuple(item.name for item in fields(Row))


def picture_rows(data: str, answers: Sequence[ObjectAnswer]) -> list[Row]:
    """Return one row for each task that was set on the objects of pictures."""
    if not answers:
        return []
    rows = []
    for task in answers[0].scores:
        if task == BOX_BASELINE:
            continue
        scores = [answer.scores[task] for answer in answers]
        baseline = None
        if task == BOX:
            baseline = _mean([answer.scores[BOX_BASELINE] for answer in answers])
        rows.append(_iou_row(data, task, scores, baseline=baseline))
    return rows


def movie_rows(data: str, answers: Sequence[TrackAnswer]) -> list[Row]:
    """Return a row of IoU and, if it was measured, one of J&F."""
    if not answers:
        return []
    absent = [answer.absent for answer in answers if answer.absent is not None]
    task = "first mask"
    rows = [
        _iou_row(
            data,
            task,
            [answer.score for answer in answers],
            baseline=_mean([answer.baseline_score for answer in answers]),
            absent=_mean(absent) if absent else None,
        )
    ]
    judged = [a.agreement for a in answers if a.agreement]
    repeated = [a.baseline_agreement for a in answers if a.baseline_agreement]
    if judged and repeated:
        rows.append(
            Row(
                data=data,
                task=task,
                measure="J&F",
                score=mean_agreement(judged).j_and_f,
                baseline=mean_agreement(repeated).j_and_f,
                objects=len(judged),
            )
        )
    return rows


def _iou_row(
    data: str,
    task: str,
    scores: list[float],
    *,
    baseline: float | None = None,
    absent: float | None = None,
) -> Row:
    return Row(
        data=data,
        task=task,
        measure="mean IoU",
        score=_mean(scores),
        median=float(np.median(scores)),
        failed=_mean([float(score < FAILED) for score in scores]),
        baseline=baseline,
        absent=absent,
        objects=len(scores),
    )


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def cells(row: Row) -> list[str]:
    """Return a row as it is written in tables; a dash where nothing was measured."""
    return [_written(value) for value in asdict(row).values()]


def _written(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def as_text(rows: Sequence[Row]) -> str:
    """Return the table in aligned columns."""
    table = [list(HEADINGS), *(cells(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    words = 3  # data, task and measure; the rest are numbers
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i < words else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in table
    )


def as_markdown(rows: Sequence[Row]) -> str:
    """Return the table in markdown."""
    lines = [HEADINGS, ("---",) * len(HEADINGS), *(cells(row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def as_json(rows: Sequence[Row], **about: object) -> dict[str, object]:
    """Return what `json.dumps` takes: the rows, and whatever else is to be known."""
    return {**about, "rows": [asdict(row) for row in rows]}
