"""Everything that is measured of a model: which tasks there are, and doing them.

A job is one picture or movie of a data set with one task; every model is given the same
jobs, and chooses the same objects in them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_sam2.evaluation.datasets import spread
from napari_sam2.evaluation.interaction import (
    CLICKS,
    FRAMES,
    clickable_ids,
    converse,
)
from napari_sam2.evaluation.movies import check_shape, first_ids, follow_masks
from napari_sam2.evaluation.pictures import (
    BOX,
    MIN_AREA,
    evaluate_pictures,
    evaluate_whole,
)
from napari_sam2.evaluation.pictures import CLICKS as CLICK_COUNTS
from napari_sam2.evaluation.scores import (
    REPEATED,
    alone,
    dialogue_scores,
    movie_scores,
    picture_scores,
    track_scores,
    whole_scores,
)
from napari_sam2.evaluation.tracks import follow_tracks, track_ids
from napari_sam2.stacks import open_stack

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from napari_sam2.evaluation.cases import Case
    from napari_sam2.evaluation.datasets import DataSet, LabelledFiles
    from napari_sam2.evaluation.scores import Score
    from napari_sam2.model import SAM2

PICTURE_TASKS = ("clicks", "box", "whole")
MOVIE_TASKS = ("first-mask", "offline", "online", "tracks")
TASKS = PICTURE_TASKS + MOVIE_TASKS
SHOWN_FRAMES = (1, 3)
"""After how many frames clicked on the offline score is shown, beside the last."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How much is measured.

    Attributes
    ----------
    tasks
        Some of `TASKS`.
    max_pictures
        Most pictures of a data set, evenly spread; None for all.
    max_objects
        Most objects of a picture or movie, chosen by `seed`; None for all.
    max_frames, clicks
        Offline and online: most frames that are clicked on, and clicks on each.
    min_area
        Smaller objects are left out, px.
    seed
        For another choice of objects.
    """

    tasks: tuple[str, ...] = TASKS
    max_pictures: int | None = None
    max_objects: int | None = None
    max_frames: int = FRAMES
    clicks: int = CLICKS
    min_area: int = MIN_AREA
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Job:
    """One picture or movie, and what to do with it.

    Attributes
    ----------
    data
        Name of the data set.
    files
        The picture or movie.
    tasks
        All tasks of a picture, or one of a movie.
    """

    data: str
    files: LabelledFiles
    tasks: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Finding:
    """Something that was measured.

    Attributes
    ----------
    scores
        At least one.
    cases
        By task, what to look at.
    """

    scores: tuple[Score, ...]
    cases: dict[str, Case] = field(default_factory=dict)


def plan(sets: Sequence[DataSet], settings: Settings) -> list[Job]:
    """Return the jobs that some data sets give.

    Movies of the Cell Tracking Challenge, whose labels are markers, are good for
    ``"tracks"`` only.
    """
    on_pictures = tuple(t for t in PICTURE_TASKS if t in settings.tasks)
    jobs = []
    for data in sets:
        if on_pictures:
            jobs += [
                Job(data=data.name, files=files, tasks=on_pictures)
                for files in spread(data.pictures, settings.max_pictures)
            ]
        jobs += [
            Job(data=data.name, files=files, tasks=(task,))
            for task in MOVIE_TASKS
            if task in settings.tasks
            for files in data.movies
            if not files.markers or task == "tracks"
        ]
    return jobs


def measure(
    model: SAM2, name: str, job: Job, settings: Settings
) -> Generator[Finding | None, None, None]:
    """Do one job.

    Parameters
    ----------
    model
        From `load_model`.
    name
        What to call it.
    job
        From `plan`.
    settings
        How much.

    Yields
    ------
    Finding or None
        None after every frame; what was measured as soon as it is.

    Raises
    ------
    StackError, FrameReadError
        When a file cannot be read, or labels and pixels do not go together.
    """
    task = job.tasks[0]
    if task in PICTURE_TASKS:
        yield from _picture(model, name, job, settings)
    elif task == "first-mask":
        yield from _first_masks(model, name, job, settings)
    elif task == "tracks":
        yield from _tracks(model, name, job, settings)
    else:
        yield from _dialogues(model, name, job, settings, online=task == "online")


def _picture(
    model: SAM2, name: str, job: Job, settings: Settings
) -> Iterator[Finding | None]:
    picture = job.files.read_picture()
    if {"clicks", BOX} & {*job.tasks}:
        for answer in evaluate_pictures(
            model,
            [picture],
            clicks=CLICK_COUNTS if "clicks" in job.tasks else (),
            box=BOX in job.tasks,
            max_objects=settings.max_objects,
            min_area=settings.min_area,
            seed=settings.seed,
        ):
            yield Finding(
                scores=tuple(picture_scores(job.data, picture.name, name, [answer])),
                cases={"clicks" if "clicks" in job.tasks else BOX: answer.case},
            )
    if "whole" in job.tasks:
        whole = evaluate_whole(
            model,
            picture,
            max_objects=settings.max_objects,
            min_area=settings.min_area,
            seed=settings.seed,
        )
        if whole is not None:
            scores = tuple(whole_scores(job.data, name, whole))
            yield Finding(scores=scores, cases={"whole": whole.case})


def _first_masks(
    model: SAM2, name: str, job: Job, settings: Settings
) -> Iterator[Finding | None]:
    movie = job.files.read_movie()
    ids = first_ids(
        movie,
        most=settings.max_objects,
        min_area=settings.min_area,
        seed=settings.seed,
    )
    judged = len(movie.labels) > 2  # J&F leaves the first and the last frame out
    for by_itself in (False, True):
        called = alone(name) if by_itself else name
        for answer in follow_masks(
            model, movie, ids, boundaries=judged, alone=by_itself
        ):
            if answer is None:
                yield None
                continue
            scores = movie_scores(job.data, movie.name, called, [answer])
            if by_itself:
                scores = [score for score in scores if score.model != REPEATED]
            task = "frames alone" if by_itself else "first-mask"
            yield Finding(scores=tuple(scores), cases={task: answer.case})


def _tracks(
    model: SAM2, name: str, job: Job, settings: Settings
) -> Iterator[Finding | None]:
    movie = job.files.read_movie()
    ids = track_ids(movie, most=settings.max_objects, seed=settings.seed)
    if not ids:
        return
    for by_itself in (False, True):
        for answer in follow_tracks(model, movie, ids, alone=by_itself):
            if answer is None:
                yield None
                continue
            called = alone(name) if by_itself else name
            scores = tuple(track_scores(job.data, called, answer))
            cases = {} if by_itself else {"tracks": answer.case}
            yield Finding(scores=scores, cases=cases)


def _dialogues(
    model: SAM2, name: str, job: Job, settings: Settings, *, online: bool
) -> Iterator[Finding | None]:
    movie = job.files.read_movie()
    ids = clickable_ids(
        movie,
        most=settings.max_objects,
        min_area=settings.min_area,
        seed=settings.seed,
    )
    kind, most = "online" if online else "offline", settings.max_frames
    shown = [most] if online else sorted({k for k in SHOWN_FRAMES if k < most} | {most})
    with open_stack(movie.image, axes=movie.axes) as stack:
        check_shape(movie, stack)
        for k in ids:
            for talk in converse(
                model,
                stack,
                movie.labels == k,
                f"{movie.name} object {k}",
                online=online,
                n_frames=most,
                n_clicks=settings.clicks,
            ):
                if talk is None:
                    yield None
                    continue
                scores = dialogue_scores(
                    job.data, movie.name, name, k, talk, kind=kind, counts=shown
                )
                yield Finding(scores=tuple(scores), cases={kind: talk.case})
