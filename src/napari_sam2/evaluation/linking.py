"""What is left without memory: every frame alone, linked by overlap.

The baseline of following: an object's last mask gives the box that is asked for in the
next frame, and what comes out is the same object if it overlaps with that mask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2.evaluation.users import tight_box

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from napari_sam2.tracking.session import Session

    Mask = NDArray[np.bool_]


def link_frames(
    session: Session, masks: Mapping[int, Mask], *, start: int = 0
) -> Iterator[tuple[int, NDArray[Any]]]:
    """Segment frame after frame, each alone.

    An object that is not found is absent in that frame, and looked for where it was
    seen last in the next.

    Parameters
    ----------
    session
        Without objects; it has none in the end either.
    masks
        By object, (Y, X) bool where it is in frame `start`; none may be empty.
    start
        Where to begin.

    Yields
    ------
    tuple
        A later frame and its (Y, X) labels.
    """
    last = dict(masks)
    for t in range(start + 1, session.stack.n_frames):
        for object_id, mask in last.items():
            session.add_box(object_id, t, tight_box(mask))
        answer = np.array(session.preview(t).labels)
        for object_id in list(last):
            found = answer == object_id
            if (found & last[object_id]).any():
                last[object_id] = found
            else:
                answer[found] = 0
            session.remove_object(object_id)
        yield t, answer
