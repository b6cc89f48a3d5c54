from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sam2.tracking import Session


def test_scores_say_what_was_lost_and_where_it_is(
    opened: Callable[..., Session],
) -> None:
    session = opened()
    masks = np.zeros((2, 48, 64), bool)
    masks[0, 10:20, 10:20] = True
    masks[1, 10:20, 15:21] = True
    for i, mask in enumerate(masks, start=1):
        session.add_mask(i, 3, mask)
    result = session.preview(3)
    # Painted masks are equally sure; the smaller id was drawn first and stays.
    assert result.scores[1].lost == 0
    assert result.scores[1].centroid == (14.5, 14.5)
    assert result.scores[2].lost == pytest.approx(50 / 60)
    assert result.scores[2].centroid == (14.5, 20.0)
    assert result.scores[2].area == 10


def test_what_is_painted_or_locked_is_not_covered(
    opened: Callable[..., Session],
) -> None:
    session = opened()
    masks = np.zeros((2, 48, 64), bool)
    masks[0, 10:20, 10:20] = True
    masks[1, 5:15, 15:25] = True
    session.add_mask(7, 3, masks[1])
    session.preview(3)
    session.labels[3, 19:21, 10:12] = 8  # of nobody: may be covered
    session.add_mask(1, 3, masks[0])
    memory = session._engine
    memory.settle(session._sorted(), [3])
    result = memory.canvas.draw(3, {1: session.bank(1).conditioning[3]})
    np.testing.assert_array_equal(result.labels == 7, masks[1])
    assert np.count_nonzero(result.labels == 8) == 2
    assert result.scores[1].lost == 25 / 100
    np.testing.assert_array_equal(session.labels[3], result.labels)
