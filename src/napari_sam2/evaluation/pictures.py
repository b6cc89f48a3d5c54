"""How well one prompt segments one object of a picture, as a user gets it.

Every object is asked for alone, in a session of its picture: one click at its deepest
point, its tight box, and further clicks where the largest error is.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2.evaluation.cases import Case, Panel, cut_out, insides
from napari_sam2.evaluation.clicking import click
from napari_sam2.evaluation.matching import THRESHOLDS, average_precision
from napari_sam2.evaluation.metrics import iou
from napari_sam2.evaluation.users import deepest_point, ellipse_in, tight_box
from napari_sam2.tracking.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sam2.evaluation.clicking import Click
    from napari_sam2.model import SAM2
    from napari_sam2.stacks import Stack

    Mask = NDArray[np.bool_]

CLICKS = (1, 3, 5)
MIN_AREA = 20
BOX = "box"
BOX_BASELINE = "box ellipse"


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelledPicture:
    """A picture and its objects.

    Attributes
    ----------
    name
        What to call it.
    image
        What `open_stack` takes as one frame: a file, a stack or an array.
    labels
        (Y, X) int, 0 background.
    axes
        Passed on to `open_stack`.
    """

    name: str
    image: Path | Stack | NDArray[Any]
    labels: NDArray[Any]
    axes: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class ObjectAnswer:
    """What came out for one object.

    Attributes
    ----------
    name
        Picture and object.
    object_id
        Its label.
    area
        True area, px.
    scores
        IoU by task: ``"1 click"``, ``"3 clicks"``, …, ``"box"``, and for
        comparison ``"box ellipse"``, the ellipse that fills the box.
    case
        To look at; ordered by the first click.
    """

    name: str
    object_id: int
    area: int
    scores: dict[str, float] = field(default_factory=dict)
    case: Case


def click_task(count: int) -> str:
    """Return what `count` clicks are called in tables."""
    return f"{count} click{'s' * (count > 1)}"


def choose_ids(
    labels: NDArray[Any], *, name: str, most: int | None, min_area: int, seed: int = 0
) -> list[int]:
    """Choose objects of a (Y, X) plane: the same for the same name and seed.

    Parameters
    ----------
    labels
        (Y, X) int.
    name
        Of the picture; the choice does not depend on what else is evaluated.
    most
        How many at most; None for all.
    min_area
        Smallest area, px.
    seed
        For another choice.
    """
    ids, areas = np.unique(labels[labels > 0], return_counts=True)
    return pick(ids[areas >= min_area].tolist(), name=name, most=most, seed=seed)


def pick(ids: Sequence[int], *, name: str, most: int | None, seed: int) -> list[int]:
    """Choose some of all ids, as `choose_ids` does."""
    if most is None or len(ids) <= most:
        return list(ids)
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    return sorted(rng.choice(ids, most, replace=False).tolist())


def evaluate_pictures(
    model: SAM2,
    pictures: Iterable[LabelledPicture],
    *,
    clicks: tuple[int, ...] = CLICKS,
    box: bool = True,
    max_objects: int | None = None,
    min_area: int = MIN_AREA,
    seed: int = 0,
) -> Iterator[ObjectAnswer]:
    """Ask for every object of some pictures, one by one.

    Parameters
    ----------
    model
        From `load_model`.
    pictures
        What to segment.
    clicks
        After how many clicks to measure.
    box
        Whether to ask with a box as well.
    max_objects
        Most objects a picture, chosen at random by `seed`; None for all.
    min_area
        Smaller objects are left out, px.
    seed
        See `choose_ids`.

    Yields
    ------
    ObjectAnswer
        One an object.
    """
    for picture in pictures:
        ids = choose_ids(
            picture.labels,
            name=picture.name,
            most=max_objects,
            min_area=min_area,
            seed=seed,
        )
        with Session(model, picture.image, axes=picture.axes) as session:
            for k in ids:
                yield _ask(session, picture, k, clicks, box=box)


def _ask(
    session: Session,
    picture: LabelledPicture,
    object_id: int,
    clicks: tuple[int, ...],
    *,
    box: bool,
) -> ObjectAnswer:
    truth = np.asarray(picture.labels == object_id)
    scores: dict[str, float] = {}
    image, panels = session.stack.read(0), []
    given: list[Click] = []
    answers = click(session, 1, 0, truth, max(clicks, default=0))
    for count, (clicked, mask) in enumerate(answers, start=1):
        given += [clicked] if clicked else []
        if count not in clicks:
            continue
        task = click_task(count)
        scores[task] = iou(mask, truth)
        caption = f"{task} {scores[task]:.2f}"
        panels.append(
            cut_out(image, truth, mask, caption, around=truth, clicks=tuple(given))
        )
    if given:
        session.remove_object(1)
    if box:
        panels.append(_boxed(session, image, truth, scores))
    name = f"{picture.name[:24]} object {object_id}"
    case = Case(name=name, score=next(iter(scores.values())), panels=tuple(panels))
    return ObjectAnswer(
        name=name,
        object_id=object_id,
        area=int(truth.sum()),
        scores=scores,
        case=case,
    )


def _boxed(
    session: Session, image: NDArray[np.float32], truth: Mask, scores: dict[str, float]
) -> Panel:
    """Prompt with the tight box, note the scores and return what to look at."""
    box = tight_box(truth)
    session.add_box(1, 0, box)
    mask = np.asarray(session.preview(0).labels == 1)
    session.remove_object(1)
    scores[BOX] = iou(mask, truth)
    scores[BOX_BASELINE] = iou(ellipse_in(box, mask.shape), truth)
    return cut_out(image, truth, mask, f"{BOX} {scores[BOX]:.2f}", around=truth)


@dataclass(frozen=True, kw_only=True, eq=False)
class WholeAnswer:
    """What came out when every object of a picture was clicked at once.

    Attributes
    ----------
    name
        The picture.
    ious
        By object, its IoU in the label plane.
    precisions
        By IoU threshold, TP / (TP + FP + FN); see `average_precision`.
    case
        Panels to look at.
    """

    name: str
    ious: dict[int, float]
    precisions: dict[float, float]
    case: Case


def evaluate_whole(
    model: SAM2,
    picture: LabelledPicture,
    *,
    max_objects: int | None = None,
    min_area: int = MIN_AREA,
    seed: int = 0,
) -> WholeAnswer | None:
    """Click once on every object of a picture, and look at the label plane.

    Objects that are not clicked count neither as true nor as missed.

    Parameters
    ----------
    model, picture, max_objects, min_area, seed
        As in `evaluate_pictures`.

    Returns
    -------
    WholeAnswer or None
        None if there is no object to click on.
    """
    ids = choose_ids(
        picture.labels,
        name=picture.name,
        most=max_objects,
        min_area=min_area,
        seed=seed,
    )
    if not ids:
        return None
    truth = np.where(np.isin(picture.labels, ids), picture.labels, 0)
    # Session ids count from 1: the labels' own may be too large.
    points = [deepest_point(truth == k) for k in ids]
    with Session(model, picture.image, axes=picture.axes) as session:
        for index, point in enumerate(points, start=1):
            session.add_points(index, 0, [point], [1])
        plane = np.asarray(session.preview(0).labels)
        image = session.stack.read(0)
    found = np.append(0, ids)[plane]
    precisions = average_precision(found, truth)
    panel = cut_out(
        image,
        insides(truth),
        insides(found),
        ", ".join(
            f"AP {t:g} {p:.2f}" for t, p in zip(THRESHOLDS, precisions, strict=True)
        ),
        around=np.ones(truth.shape, np.bool_),
    )
    ious = {k: iou(found == k, truth == k) for k in ids}
    return WholeAnswer(
        name=picture.name,
        ious=ious,
        precisions=dict(zip(THRESHOLDS, precisions, strict=True)),
        case=Case(
            name=picture.name[:24],
            score=float(np.mean([*ious.values()])),
            panels=(panel,),
        ),
    )
