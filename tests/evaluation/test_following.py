"""Protocols on movies: what is asked of a session, and how its answers count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pytest
import torch
from PIL import Image

from napari_sam2.evaluation import interaction, tracks
from napari_sam2.evaluation.interaction import clickable_ids, converse
from napari_sam2.evaluation.linking import link_frames
from napari_sam2.evaluation.movies import LabelledMovie, follow_masks
from napari_sam2.evaluation.scores import dialogue_scores
from napari_sam2.evaluation.tracks import follow_tracks, track_ids
from napari_sam2.model import build_model, preset
from napari_sam2.stacks import FrameReadError, open_stack
from napari_sam2.tracking import FrameResult, Session

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_sam2.evaluation.interaction import Dialogue
    from napari_sam2.evaluation.tracks import TracksAnswer
    from napari_sam2.model import SAM2

ANY_MODEL: Any = None


@pytest.fixture(scope="module")
def model() -> SAM2:
    torch.manual_seed(0)
    small = build_model(preset("nano", image_size=64)).eval()
    return small.requires_grad_(requires_grad=False)


class Scripted:
    """A session whose objects are rectangles of the truth; nothing is computed."""

    truth: np.ndarray

    def __init__(self, _: object, stack: Any, *, axes: str | None = None) -> None:
        self.stack = open_stack(stack, axes=axes)
        self.labels = np.zeros_like(self.truth)
        self.asked: dict[int, set[int]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        pass

    def add_points(
        self, object_id: int, frame: int, points: list[Any], labels: list[int]
    ) -> None:
        self.asked.setdefault(object_id, set()).add(frame)

    def preview(self, frame: int) -> FrameResult:
        for object_id, frames in self.asked.items():
            if frame in frames:
                self.labels[frame] = np.where(self.truth[frame] > 0, object_id, 0)
        return FrameResult(frame_idx=frame, labels=self.labels[frame])


class Forgetting(Scripted):
    """Loses a row of ten with every frame that lies between it and the last click."""

    def propagate(
        self, direction: str, frames: range, *, everything: bool = False
    ) -> Iterator[FrameResult]:
        (clicked,) = self.asked.values()
        for t in frames:
            far = [abs(t - c) for c in clicked if direction == "both" or c <= t]
            kept = self.truth[t] * (np.arange(20) >= 5 + min(far))[:, None]
            self.labels[t] = kept
            yield FrameResult(frame_idx=t, labels=kept)


def bar(n_frames: int = 13) -> np.ndarray:
    """Return an object that stands still, ten rows high."""
    truth = np.zeros((n_frames, 20, 30), np.uint8)
    truth[:, 5:15, 10:20] = 1
    return truth


def talk(*, online: bool, n_frames: int, before: int = 0) -> Dialogue:
    truth = bar()
    truth[:before] = 0
    Forgetting.truth = truth
    *ticks, answer = converse(
        ANY_MODEL,
        open_stack(truth * 200, axes="TYX"),
        truth == 1,
        "bar",
        online=online,
        n_frames=n_frames,
    )
    assert set(ticks) == {None}
    assert answer is not None
    return answer


def test_offline_takes_the_worst_frame_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interaction, "Session", Forgetting)
    answer = talk(online=False, n_frames=4)
    assert answer.frames == (0, 10, 5, 2)  # of equally bad ones the first
    assert answer.clicks == 4  # the first click on each is right already
    # By distance d to the nearest click IoU is 1 - d / 10, and 0 from 10 on.
    distances = [
        [*range(10), 10, 10, 10],
        [0, 1, 2, 3, 4, 5, 4, 3, 2, 1, 0, 1, 2],
        [0, 1, 2, 2, 1, 0, 1, 2, 2, 1, 0, 1, 2],
        [0, 1, 0, 1, 1, 0, 1, 2, 2, 1, 0, 1, 2],
    ]
    expected = [1 - np.mean(d) / 10 for d in distances]
    assert [a.j for a in answer.agreements] == pytest.approx(expected)
    assert answer.after(2) == answer.agreements[1]
    assert answer.after(9) == answer.agreements[3]
    assert answer.average(2).j == pytest.approx(np.mean(expected[:2]))
    assert answer.average(6).j == pytest.approx(
        np.mean([*expected, expected[3], expected[3]])
    )
    scores = dialogue_scores(
        "set", "bar", "nano", 1, answer, kind="offline", counts=(1, 3, 4)
    )
    named = {score.task: score.j for score in scores if score.model == "nano"}
    assert named == pytest.approx(
        {
            "offline, 1 frame": expected[0],
            "offline, 3 frames": expected[2],
            "offline, 4 frames": expected[3],
            "offline, mean of 1 to 4 frames": np.mean(expected),
        }
    )
    assert answer.baseline.j == 1  # it does stand still


def test_offline_stops_when_all_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interaction, "Session", Forgetting)
    answer = talk(online=False, n_frames=8, before=11)
    assert answer.frames == (11, 12)
    assert [a.j for a in answer.agreements] == pytest.approx([0.95, 1])


def test_online_stops_where_the_answer_is_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interaction, "Session", Forgetting)
    answer = talk(online=True, n_frames=3)
    # IoU is 0.8 two frames on and 0.7 three frames on.
    assert answer.frames == (0, 3, 6)
    distances = [0, 1, 2, 0, 1, 2, 0, 1, 2, 3, 4, 5, 6]
    (agreement,) = answer.agreements
    assert agreement.j == pytest.approx(1 - np.mean(distances) / 10)
    assert talk(online=True, n_frames=8).frames == (0, 3, 6, 9, 12)
    # What lies before the first frame that shows the object is not looked at.
    assert talk(online=True, n_frames=8, before=8).frames == (8, 11)


def test_objects_to_click_on_are_seen_twice() -> None:
    labels = np.zeros((4, 10, 10), np.uint8)
    labels[1:, :5, :5] = 7  # comes late
    labels[0, 6:, 6:] = 3  # one frame only
    labels[2:, 9:, 9:] = 2  # one pixel
    movie = LabelledMovie(name="m", image=labels, labels=labels)
    assert clickable_ids(movie, most=None, min_area=5, seed=0) == [7]
    assert clickable_ids(movie, most=None, min_area=1, seed=0) == [2, 7]
    assert track_ids(movie, most=None, seed=0) == [2, 3, 7]
    assert track_ids(movie, most=1, seed=0) == track_ids(movie, most=1, seed=0)


def film() -> LabelledMovie:
    """Return two bars that move, the second of which is there from frame 1 on."""
    labels = np.zeros((4, 48, 64), np.uint16)
    for t in range(4):
        labels[t, 8:20, 6 + 3 * t : 20 + 3 * t] = 900
        labels[t, 28:40, 40 - 3 * t : 52 - 3 * t] = 70 * (t > 0)
    image = (labels > 0).astype(np.uint8) * 180 + 20
    return LabelledMovie(name="film", image=image, labels=labels, axes="TYX")


@pytest.mark.parametrize("online", [False, True])
def test_conversations_through_a_real_session(model: SAM2, *, online: bool) -> None:
    movie = film()
    with open_stack(movie.image, axes="TYX") as stack:
        steps = list(
            converse(model, stack, movie.labels == 70, "bar", online=online, n_frames=2)
        )
    answer = steps[-1]
    assert answer is not None
    assert answer.frames[0] == 1
    assert 1 < len(answer.frames) + answer.clicks <= 2 + 6
    assert all(0 <= a.j_and_f <= 1 for a in answer.agreements)
    assert len(answer.agreements) == (1 if online else len(answer.frames))


class Seeing(Scripted):
    """Answers a box with the bar that it touches, and knows no other frame."""

    def add_box(self, object_id: int, frame: int, box: tuple[int, ...]) -> None:
        y, x, y2, x2 = box
        touched = self.truth[frame, y:y2, x:x2]
        self.asked[object_id] = {int(touched.max())}

    def preview(self, frame: int) -> FrameResult:
        plane = np.zeros(self.truth.shape[1:], np.uint16)
        for object_id, values in self.asked.items():
            for value in values - {0}:
                plane[self.truth[frame] == value] = object_id
        return FrameResult(frame_idx=frame, labels=plane)

    def remove_object(self, object_id: int) -> None:
        del self.asked[object_id]


def test_frames_alone_are_linked_by_overlap() -> None:
    truth = bar(6)
    truth[2] = 0  # not seen for a frame, then found again where it was
    truth[4:] = np.roll(truth[4:], 9, axis=1)  # a jump beyond its own height
    Seeing.truth = truth
    session: Any = Seeing(ANY_MODEL, truth * 200, axes="TYX")
    planes = dict(link_frames(session, {5: truth[0] == 1}))
    assert session.asked == {}
    assert sorted(planes) == [1, 2, 3, 4, 5]
    sizes = [int((planes[t] == 5).sum()) for t in sorted(planes)]
    assert sizes == [100, 0, 100, 100, 100]


class Astray(Seeing):
    """Answers ten rows below."""

    def preview(self, frame: int) -> FrameResult:
        result = super().preview(frame)
        return FrameResult(frame_idx=frame, labels=np.roll(result.labels, 10, axis=1))


def test_what_does_not_overlap_is_another_object() -> None:
    Astray.truth = bar(3)
    session: Any = Astray(ANY_MODEL, bar(3), axes="TYX")
    assert not any(plane.any() for _, plane in link_frames(session, {1: bar(1)[0] > 0}))


@pytest.mark.parametrize("alone", [False, True])
def test_masks_are_followed_with_and_without_memory(
    model: SAM2, *, alone: bool
) -> None:
    *ticks, answer = follow_masks(model, film(), [900], alone=alone, boundaries=True)
    assert ticks == [None] * 3
    assert answer is not None
    assert answer.object_id == 900
    assert len(answer.ious) == 3
    assert answer.agreement is not None


def test_a_hole_in_a_movie_is_not_scored(model: SAM2, tmp_path: Path) -> None:
    movie = film()
    for t, frame in enumerate(np.asarray(movie.image)):
        Image.fromarray(frame).save(tmp_path / f"{t}.png")
    broken = LabelledMovie(name="film", image=tmp_path, labels=movie.labels)
    (tmp_path / "2.png").write_bytes(b"no picture")
    with pytest.raises(FrameReadError, match=r"2\.png"):
        list(follow_masks(model, broken, [900]))


class Perfect(Scripted):
    """Follows every clicked track to its end."""

    def add_points(
        self, object_id: int, frame: int, points: list[Any], labels: list[int]
    ) -> None:
        value = int(self.truth[frame][points[0]])
        assert value
        self.asked[object_id] = {value}

    def propagate(self, direction: str) -> Iterator[FrameResult]:
        assert direction == "forward"
        for t, plane in enumerate(self.truth):
            for object_id, (value,) in self.asked.items():
                self.labels[t][plane == value] = object_id
            yield FrameResult(frame_idx=t, labels=self.labels[t])


def division() -> LabelledMovie:
    """Return a bar (4) that becomes two (5, 6) after two of four frames."""
    labels = np.zeros((4, 20, 30), np.uint8)
    labels[:2, 5:15, 5:25] = 4
    labels[2:, 5:15, 5:13], labels[2:, 5:15, 17:25] = 5, 6
    return LabelledMovie(
        name="division",
        image=labels * 30,
        labels=labels,
        axes="TYX",
        parents={5: 4, 6: 4},
    )


def last(movie: LabelledMovie, ids: list[int]) -> TracksAnswer:
    *_, answer = follow_tracks(ANY_MODEL, movie, ids)
    assert answer is not None
    return answer


def test_tracks_are_judged_by_seg_det_and_tra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracks, "Session", Perfect)
    movie = division()
    Perfect.truth = movie.labels
    answer = last(movie, [4, 5, 6])
    assert answer.n_tracks == 3
    # Everything is found but the two links of the division: 6 nodes, 5 links.
    assert answer.measures == {
        "SEG": 1,
        "DET": 1,
        "TRA": pytest.approx(1 - 2 * 1.5 / (6 * 10 + 5 * 1.5)),
    }
    assert last(movie, [4]).measures == {"SEG": 1, "DET": 1, "TRA": 1}


def test_outlines_count_where_their_markers_are_chosen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tracks, "Session", Perfect)
    movie = division()
    Perfect.truth = movie.labels
    outlines = {3: np.where(movie.labels[3] == 5, 80, 0)}
    outlines[3][0:4] = np.where(movie.labels[3][5:9] == 6, 90, 0)  # no marker there
    marked = LabelledMovie(
        name="division",
        image=movie.image,
        labels=movie.labels,
        axes="TYX",
        outlines=outlines,
    )
    assert last(marked, [4, 5]).seg == (1,)
    assert last(marked, [4, 5, 6]).seg == (1, 0)
    assert "SEG" not in last(marked, [4]).measures


@pytest.mark.parametrize("alone", [False, True])
def test_tracks_through_a_real_session(model: SAM2, *, alone: bool) -> None:
    *ticks, answer = follow_tracks(model, film(), [70, 900], alone=alone)
    assert ticks
    assert answer is not None
    assert answer.operations.nodes == 7
    assert len(answer.seg) == 7
    assert all(0 <= value <= 1 for value in answer.measures.values())


def test_nothing_is_remembered_between_frames_alone(model: SAM2) -> None:
    movie = film()
    with Session(model, movie.image, axes="TYX") as session:
        for _ in link_frames(session, {1: movie.labels[0] == 900}):
            assert session.object_ids == []
