"""Promptable video segmentation, offline and online, as the SAM 2 paper measures it.

A simulated user gives 3 clicks on each of up to 8 frames of one object, each where the
answer is worst (Ravi et al. 2024, SAM 2: Segment Anything in Images and Videos, section
6.1 and appendix F.1.2, "Interactive offline and online evaluation details", which is
E.1.2 in the paper's first version):

- offline goes through the whole movie again after every frame that was clicked on, with
  all clicks so far, and takes the frame with the lowest IoU next;
- online goes through it once, stops at a frame with an IoU below 0.75, and goes on from
  there with the correction, which changes nothing before it.

A click is at the centre of the object, or of the error: its deepest point. Objects are
asked for one by one. The paper reports J&F averaged over 1 to 8 frames clicked on. T
frames, counted from the first that shows the object; what lies before it is not looked
at.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sam2.evaluation.cases import Case, cut_out
from napari_sam2.evaluation.clicking import click
from napari_sam2.evaluation.metrics import Agreement, iou, sequence_agreement
from napari_sam2.evaluation.movies import readable
from napari_sam2.evaluation.pictures import pick
from napari_sam2.tracking.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_sam2.evaluation.clicking import Click
    from napari_sam2.evaluation.movies import LabelledMovie
    from napari_sam2.model import SAM2
    from napari_sam2.stacks import Stack

    Mask = NDArray[np.bool_]

FRAMES, CLICKS, GOOD_ENOUGH = 8, 3, 0.75
OBJECT = 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Dialogue:
    """What came of clicking on one object.

    Attributes
    ----------
    name
        Movie and object.
    frames
        Frames that were clicked on, in that order.
    clicks
        Number of clicks in all.
    agreements
        J and F over all T frames: offline after each of `frames`, online in the end.
    baseline
        J and F of the answer to the first frame's clicks, repeated.
    case
        Some frames to look at.
    """

    name: str
    frames: tuple[int, ...]
    clicks: int
    agreements: tuple[Agreement, ...]
    baseline: Agreement
    case: Case

    def after(self, count: int) -> Agreement:
        """Return J and F when `count` frames could be clicked on."""
        return self.agreements[min(count, len(self.agreements)) - 1]

    def average(self, most: int) -> Agreement:
        """Return J and F averaged over 1 to `most` frames clicked on, offline."""
        each = [self.after(count) for count in range(1, most + 1)]
        return Agreement(
            j=float(np.mean([a.j for a in each])), f=float(np.mean([a.f for a in each]))
        )


class Conversation:
    """One object in one session, and the user who clicks on it.

    Parameters
    ----------
    model
        From `load_model`.
    stack
        The movie.
    truth
        (T, Y, X) bool, in all frames of the movie; not empty.
    n_clicks
        Clicks a frame.
    """

    def __init__(
        self, model: SAM2, stack: Stack, truth: Mask, *, n_clicks: int = CLICKS
    ) -> None:
        self._session = Session(model, stack)
        self._truth = truth
        self._n_clicks = n_clicks
        self.start = int(truth.any((1, 2)).argmax())
        self.given: dict[int, list[Click]] = {}

    def begin(self) -> Mask:
        """Click on the first frame that shows the object; return the (Y, X) answer."""
        self._ask(self.start)
        return np.array(self.found[0])

    @property
    def truth(self) -> Mask:
        """(T, Y, X) bool from the first frame that shows the object."""
        return self._truth[self.start :]

    @property
    def found(self) -> Mask:
        """(T, Y, X) bool, the answer so far."""
        labels = np.asarray(self._session.labels[self.start :])
        return np.asarray(labels == OBJECT)

    def offline(self, n_frames: int) -> Iterator[Agreement | None]:
        """Click on up to `n_frames` frames, each the worst of the answer so far.

        Yields
        ------
        Agreement or None
            None after every frame; after the whole movie, how good it is.
        """
        span = range(self.start, len(self._truth))
        while True:
            for _ in readable(self._session.propagate("both", span, everything=True)):
                yield None
            found = self.found
            yield sequence_agreement(found, self.truth, skip_ends=False)
            ious = {t: iou(found[t - self.start], self._truth[t]) for t in span}
            left = [t for t in span if t not in self.given and ious[t] < 1]
            if len(self.given) == n_frames or not left:
                return
            self._ask(min(left, key=ious.__getitem__))

    def online(self, n_frames: int) -> Iterator[Agreement | None]:
        """Go through the movie once; click where IoU is below 0.75.

        Yields
        ------
        Agreement or None
            None after every frame; in the end, how good all of them are.
        """
        stop: int | None = self.start
        while stop is not None:
            span = range(stop, len(self._truth))
            stop = None
            with contextlib.closing(
                self._session.propagate("forward", span)
            ) as results:
                for result in readable(results):
                    yield None
                    t = result.frame_idx
                    if t in self.given or len(self.given) == n_frames:
                        continue
                    if iou(result.labels == OBJECT, self._truth[t]) < GOOD_ENOUGH:
                        stop = t
                        break
            if stop is not None:
                self._ask(stop)
        yield sequence_agreement(self.found, self.truth, skip_ends=False)

    def _ask(self, frame_idx: int) -> None:
        mask = None
        if self.given:
            mask = np.asarray(self._session.labels[frame_idx]) == OBJECT
        answers = click(
            self._session,
            OBJECT,
            frame_idx,
            self._truth[frame_idx],
            self._n_clicks,
            mask=mask,
        )
        self.given[frame_idx] = [given for given, _ in answers if given]

    def close(self) -> None:
        """Let go of the session; the stack stays open."""
        self._session.close()


def clickable_ids(
    movie: LabelledMovie, *, most: int | None, min_area: int, seed: int
) -> list[int]:
    """Choose objects that at least two frames show; see `choose_ids`.

    The area counts where an object is seen first.
    """
    areas: dict[int, int] = {}
    again: set[int] = set()
    for plane in movie.labels:
        ids, counts = np.unique(plane[plane > 0], return_counts=True)
        again |= areas.keys() & {*ids.tolist()}
        areas = dict(zip(ids.tolist(), counts.tolist(), strict=True)) | areas
    large = [k for k in sorted(again) if areas[k] >= min_area]
    return pick(large, name=movie.name, most=most, seed=seed)


def converse(
    model: SAM2,
    stack: Stack,
    truth: Mask,
    name: str,
    *,
    online: bool,
    n_frames: int = FRAMES,
    n_clicks: int = CLICKS,
) -> Iterator[Dialogue | None]:
    """Segment one object of a movie with clicks on up to `n_frames` frames.

    Parameters
    ----------
    model
        From `load_model`.
    stack
        The movie.
    truth
        (T, Y, X) bool, in all frames of the movie; not empty.
    name
        What to call the object.
    online
        In one pass, or offline.
    n_frames, n_clicks
        Most frames, and clicks on each.

    Yields
    ------
    Dialogue or None
        None after every frame; in the end, what came of it.

    Raises
    ------
    FrameReadError
        When a frame cannot be read.
    """
    with contextlib.closing(
        Conversation(model, stack, truth, n_clicks=n_clicks)
    ) as talk:
        agreements = []
        first = talk.begin()
        steps = talk.online(n_frames) if online else talk.offline(n_frames)
        for agreement in steps:
            if agreement is None:
                yield None
            else:
                agreements.append(agreement)
        repeated = np.broadcast_to(first, talk.truth.shape)
        yield Dialogue(
            name=name,
            frames=tuple(talk.given),
            clicks=sum(map(len, talk.given.values())),
            agreements=tuple(agreements),
            baseline=sequence_agreement(repeated, talk.truth, skip_ends=False),
            case=_case(talk, stack, name, agreements[-1].j),
        )


def _case(talk: Conversation, stack: Stack, name: str, score: float) -> Case:
    """Show the frames that were clicked on first, and the last ones of the movie."""
    found, truth, start = talk.found, talk.truth, talk.start
    last = start + len(truth) - 1
    frames = sorted({*list(talk.given)[:3], (start + last) // 2, last})
    panels = []
    for t in frames:
        k = t - start
        caption = f"frame {t} {iou(found[k], truth[k]):.2f}"
        panels.append(
            cut_out(
                stack.read(t), truth[k], found[k], caption, clicks=talk.given.get(t, ())
            )
        )
    return Case(name=name, score=score, panels=tuple(panels))
