"""Tables of results: text, markdown, JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_sam2.evaluation.scores import IOU

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from napari_sam2.evaluation.scores import Score

FAILED = 0.5
RESAMPLED, FEWEST = 2000, 5


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table.

    Attributes
    ----------
    data, task, measure
        Which set, what was given, and what is averaged.
    model
        Which model answered, or which baseline.
    score
        Mean over objects, in [0, 1].
    j, f
        What a score of J&F is the mean of.
    interval
        Where the mean lies with 95 %, by bootstrap over objects; none for fewer than
        five.
    median
        Median over objects.
    failed
        Share of objects below 0.5.
    baseline
        The score of what needs no model: the first mask repeated, or the ellipse
        that fills the box.
    absent
        Share of frames without the object that were left empty.
    prompted
        Mean number of frames that were clicked on.
    objects
        How many objects were measured.
    """

    data: str
    task: str
    measure: str
    model: str | None = None
    score: float
    j: float | None = None
    f: float | None = None
    interval: tuple[float, float] | None = None
    median: float | None = None
    failed: float | None = None
    baseline: float | None = None
    absent: float | None = None
    prompted: float | None = None
    objects: int


HEADINGS = tuple(item.name for item in fields(Row))
TITLES = {"j": "J", "f": "F"}
WORDS = ("data", "task", "measure", "model")


def make_rows(scores: Iterable[Score]) -> list[Row]:
    """Average scores of one data set, task, measure and model.

    Rows that differ in the model alone stand together, in the order of the scores.
    """
    tasks: dict[tuple[str, str, str], dict[str, list[Score]]] = {}
    for score in scores:
        models = tasks.setdefault((score.data, score.task, score.measure), {})
        models.setdefault(score.model, []).append(score)
    return [
        _row(data, task, measure, model, found)
        for (data, task, measure), models in tasks.items()
        for model, found in models.items()
    ]


def _row(
    data: str, task: str, measure: str, model: str, scores: Sequence[Score]
) -> Row:
    values = np.array([score.score for score in scores])
    return Row(
        data=data,
        task=task,
        measure=measure,
        model=model,
        score=float(values.mean()),
        j=_mean(score.j for score in scores),
        f=_mean(score.f for score in scores),
        interval=interval(values),
        median=float(np.median(values)) if measure == IOU else None,
        failed=float((values < FAILED).mean()) if measure == IOU else None,
        absent=_mean(score.absent for score in scores),
        prompted=_mean(score.prompted for score in scores),
        objects=sum(score.objects for score in scores),
    )


def interval(values: NDArray[np.float64]) -> tuple[float, float] | None:
    """Return where the mean lies with 95 %, by percentile bootstrap.

    The same values give the same interval.

    Parameters
    ----------
    values
        (N,) floats; None is returned for fewer than five.
    """
    if len(values) < FEWEST:
        return None
    rng = np.random.default_rng(0)
    # One at a time: all at once would be large for many values.
    means = [rng.choice(values, len(values)).mean() for _ in range(RESAMPLED)]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def beside(rows: Sequence[Row], baselines: Sequence[str]) -> list[Row]:
    """Move the scores of baselines into a column of the other rows."""
    scores = {
        (row.data, row.task, row.measure): row.score
        for row in rows
        if row.model in baselines
    }
    return [
        replace(row, baseline=scores.get((row.data, row.task, row.measure)))
        for row in rows
        if row.model not in baselines
    ]


def filled(rows: Sequence[Row]) -> list[str]:
    """Return the columns in which some row says something."""
    return [
        name for name in HEADINGS if any(getattr(row, name) is not None for row in rows)
    ]


def cells(row: Row, columns: Sequence[str]) -> list[str]:
    """Return a row as it is written in tables; a dash where nothing was measured."""
    return [_written(getattr(row, name)) for name in columns]


def _written(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, tuple):
        return "–".join(f"{part:.3f}" for part in value)
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def as_text(rows: Sequence[Row]) -> str:
    """Return the table in aligned columns; those that say nothing are left out."""
    columns = filled(rows)
    titles = [TITLES.get(name, name) for name in columns]
    table = [titles, *(cells(row, columns) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if name in WORDS else cell.rjust(width)
            for name, cell, width in zip(columns, line, widths, strict=True)
        ).rstrip()
        for line in table
    )


def as_markdown(rows: Sequence[Row]) -> str:
    """Return the table in markdown; columns that say nothing are left out."""
    columns = filled(rows)
    titles = [TITLES.get(name, name) for name in columns]
    lines = [titles, ["---"] * len(columns), *(cells(row, columns) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def as_json(rows: Sequence[Row], **about: object) -> dict[str, object]:
    """Return what `json.dumps` takes: the rows, and whatever else is to be known."""
    return {**about, "rows": [asdict(row) for row in rows]}


def _mean(values: Iterable[float | None]) -> float | None:
    """Return the mean of those that are known, or None."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
