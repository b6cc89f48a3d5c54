"""Clicks given to a session one after the other, each where the answer is worst."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from napari_sam2.evaluation.users import correction, deepest_point

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_sam2.tracking.session import Session

    Mask = NDArray[np.bool_]

Click: TypeAlias = tuple[tuple[int, int], int]
"""((y, x), label): 1 on the object, 0 beside it."""


def click(
    session: Session,
    object_id: int,
    frame_idx: int,
    truth: Mask,
    most: int,
    *,
    mask: Mask | None = None,
) -> Iterator[tuple[Click | None, Mask]]:
    """Click on an object in a frame and correct the answer.

    Parameters
    ----------
    session
        Is given the clicks.
    object_id
        What to call the object there.
    frame_idx
        Where to click.
    truth
        (Y, X) bool, what the object is.
    most
        Number of clicks.
    mask
        (Y, X) bool, what was tracked there; None begins with a click at the deepest
        point of the truth.

    Yields
    ------
    tuple
        The click, or None when nothing was left to correct, and the (Y, X) mask after
        it; `most` times.
    """
    given: Click | None
    if mask is None:
        given, mask = (deepest_point(truth), 1), np.zeros(truth.shape, np.bool_)
    else:
        given = correction(mask, truth)
    for _ in range(most):
        if given is None:
            yield None, mask
            continue
        session.add_points(object_id, frame_idx, [given[0]], [given[1]])
        mask = np.asarray(session.preview(frame_idx).labels == object_id)
        yield given, mask
        given = correction(mask, truth)
