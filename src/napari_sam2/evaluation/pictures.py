"""How well one prompt segments one object of a picture, as a user gets it.

Every object is asked for alone, in a session of its picture: one click at its deepest
point, its tight box, and further clicks where the largest error is.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2.evaluation.cases import Case, Panel, cut_out
from napari_sam2.evaluation.metrics import iou
from napari_sam2.evaluation.users import (
    correction,
    deepest_point,
    ellipse_in,
    tight_box,
)
from napari_sam2.tracking.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sam2.model import SAM2

    Mask = NDArray[np.bool_]

CLICKS = (1, 3, 5)
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
        A file or an array that `open_stack` takes as one frame.
    labels
        (Y, X) int, 0 background.
    axes
        Passed on to `open_stack`.
    """

    name: str
    image: Path | NDArray[Any]
    labels: NDArray[Any]
    axes: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class ObjectAnswer:
    """What came out for one object.

    Attributes
    ----------
    name
        Picture and object.
    area
        True area, px.
    scores
        IoU by task: ``"1 click"``, ``"3 clicks"``, …, ``"box"``, and for
        comparison ``"box ellipse"``, the ellipse that fills the box.
    case
        To look at; ordered by the first click.
    """

    name: str
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
    ids = ids[areas >= min_area]
    if most is not None and len(ids) > most:
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        ids = np.sort(rng.choice(ids, most, replace=False))
    return [int(k) for k in ids]


def evaluate_pictures(
    model: SAM2,
    pictures: Iterable[LabelledPicture],
    *,
    clicks: tuple[int, ...] = CLICKS,
    max_objects: int | None = None,
    min_area: int = 20,
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
                yield _ask(session, picture, k, clicks)


def _ask(
    session: Session, picture: LabelledPicture, object_id: int, clicks: tuple[int, ...]
) -> ObjectAnswer:
    truth = np.asarray(picture.labels == object_id)
    scores: dict[str, float] = {}
    image, panels = session.stack.read(0), []
    given: list[tuple[tuple[float, float], int]] = []
    for count, mask in _clicked(session, truth, max(clicks), given):
        if count not in clicks:
            continue
        task = click_task(count)
        scores[task] = iou(mask, truth)
        caption = f"{task} {scores[task]:.2f}"
        panels.append(
            cut_out(image, truth, mask, caption, around=truth, clicks=tuple(given))
        )
    panels.append(_boxed(session, image, truth, scores))
    name = f"{picture.name[:24]} object {object_id}"
    case = Case(name=name, score=next(iter(scores.values())), panels=tuple(panels))
    return ObjectAnswer(name=name, area=int(truth.sum()), scores=scores, case=case)


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


def _clicked(
    session: Session,
    truth: Mask,
    most: int,
    given: list[tuple[tuple[float, float], int]],
) -> Iterator[tuple[int, Mask]]:
    """Click and correct; yield the number of clicks and the mask after each."""
    click: tuple[tuple[int, int], int] | None = (deepest_point(truth), 1)
    mask = np.zeros(truth.shape, np.bool_)
    for count in range(1, most + 1):
        if click is not None:  # otherwise nothing is left to correct
            given.append(click)
            session.add_points(1, 0, [click[0]], [click[1]])
            mask = np.asarray(session.preview(0).labels == 1)
            click = correction(mask, truth)
        yield count, mask
    session.remove_object(1)
