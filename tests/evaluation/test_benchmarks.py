"""Pictures and movies through sessions, and the tables made of them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image

from napari_sam2.evaluation import movies, pictures, report
from napari_sam2.evaluation.cases import Case, choose_cases, cut_out, draw_cases
from napari_sam2.evaluation.movies import LabelledMovie, evaluate_movie
from napari_sam2.evaluation.pictures import (
    LabelledPicture,
    choose_ids,
    evaluate_pictures,
)
from napari_sam2.evaluation.scores import Score, movie_scores, picture_scores
from napari_sam2.model import build_model, preset
from napari_sam2.stacks import open_stack
from napari_sam2.tracking import FrameResult

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Self

    from napari_sam2.model import SAM2

ANY_MODEL: Any = None


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def model() -> SAM2:
    torch.manual_seed(0)
    small = build_model(preset("nano", image_size=64)).eval()
    return small.requires_grad_(requires_grad=False)


def discs(*centres: tuple[int, int], shape: tuple[int, int] = (48, 64)) -> np.ndarray:
    yy, xx = np.mgrid[: shape[0], : shape[1]]
    labels = np.zeros(shape, np.uint16)
    for k, (y, x) in enumerate(centres, start=1):
        labels[(yy - y) ** 2 + (xx - x) ** 2 < 64] = k
    return labels


class Scripted:
    """A session that answers clicks a little better each time, and boxes exactly."""

    def __init__(self, _: object, image: np.ndarray, *, axes: str | None) -> None:
        self.stack = open_stack(image, axes=axes)
        self.labels = np.zeros(self.stack.shape, np.uint16)
        self.clicks = 0
        self.boxed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def add_points(
        self, object_id: int, frame: int, points: list[Any], labels: list[int]
    ) -> None:
        self.clicks += 1

    def add_box(self, object_id: int, frame: int, box: tuple[int, ...]) -> None:
        self.boxed = True
        self.box = box

    def remove_object(self, object_id: int) -> None:
        self.clicks, self.boxed = 0, False

    def preview(self, frame: int) -> FrameResult:
        labels = np.zeros(self.stack.shape[1:], np.uint16)
        if self.boxed:
            y, x, y2, x2 = self.box
            labels[y:y2, x:x2] = 1
        else:  # two more rows of the object with each click
            labels[10 : 10 + 2 * self.clicks, 20:30] = 1
        return FrameResult(frame_idx=frame, labels=labels)


def test_clicks_and_boxes_are_scored_by_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "Session", Scripted)
    labels = np.zeros((40, 50), np.uint8)
    labels[10:18, 20:30] = 5
    image = np.random.default_rng(0).random((40, 50), np.float32)
    picture = LabelledPicture(name="rows", image=image, labels=labels, axes="YX")
    (answer,) = evaluate_pictures(ANY_MODEL, [picture])
    # After four clicks all eight rows are found and nothing is left to correct.
    scores = dict(answer.scores)
    assert 0.7 < scores.pop("box ellipse") < 0.85
    assert scores == {"1 click": 0.25, "3 clicks": 0.75, "5 clicks": 1, "box": 1}
    assert answer.area == 80
    assert answer.case.score == 0.25
    assert [len(panel.clicks) for panel in answer.case.panels] == [1, 3, 4, 0]
    rows = report.make_rows(picture_scores("rows", "a", "nano", [answer]))
    assert [(row.task, row.model) for row in rows[3:]] == [
        ("box", "nano"),
        ("box", "ellipse in the box"),
    ]
    boxed = report.beside(rows, ("ellipse in the box",))[-1]
    assert (boxed.score, boxed.baseline) == (1, answer.scores["box ellipse"])


def test_pictures_go_through_a_real_session(model: SAM2, tmp_path: Path) -> None:
    labels = discs((15, 15), (30, 45))
    path = tmp_path / "cells.png"
    Image.fromarray((labels > 0).astype(np.uint8) * 180 + 20).save(path)
    picture = LabelledPicture(name="cells", image=path, labels=labels)
    answers = list(evaluate_pictures(model, [picture], clicks=(1, 2)))
    assert [answer.area for answer in answers] == [193, 193]
    for answer in answers:
        assert list(answer.scores) == ["1 click", "2 clicks", "box", "box ellipse"]
        assert all(0 <= score <= 1 for score in answer.scores.values())
        assert answer.scores["box ellipse"] > 0.9


def film() -> LabelledMovie:
    """Return a disc that moves and one that leaves after two frames of four."""
    labels = np.stack([discs((15, 15 + 4 * t), (30, 45)) for t in range(4)])
    labels[2:][labels[2:] == 2] = 0
    image = (labels > 0).astype(np.uint8) * 180 + 20
    return LabelledMovie(name="film", image=image, labels=labels, axes="TYX")


class Repeating(Scripted):
    """A session that leaves every mask where it was given."""

    def add_mask(self, object_id: int, frame: int, mask: np.ndarray) -> None:
        self.labels[:, mask] = object_id

    def propagate(self, direction: str) -> Iterator[FrameResult]:
        assert direction == "forward"
        for t, plane in enumerate(self.labels):
            yield FrameResult(frame_idx=t, labels=plane)


def test_only_later_frames_that_show_the_object_are_scored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(movies, "Session", Repeating)
    moving, leaving = evaluate_movie(ANY_MODEL, film(), boundaries=True)
    assert len(moving.ious) == 3
    assert moving.ious[0] > moving.ious[1] > moving.ious[2] > 0
    assert moving.ious == moving.baseline
    assert moving.agreement == moving.baseline_agreement
    assert moving.absent is None
    assert leaving.ious == (1.0,)
    assert leaving.absent == 0.0  # it stays drawn where it is gone
    rows = report.make_rows(movie_scores("film", "a", "nano", [moving, leaving]))
    iou_row, jf_row = report.beside(rows, ("mask repeated",))
    assert iou_row.score == pytest.approx((moving.score + 1) / 2)
    assert iou_row.score == iou_row.baseline
    assert iou_row.absent == 0.0
    assert jf_row.measure == "J&F"
    assert jf_row.j
    assert jf_row.f
    assert jf_row.score == pytest.approx((jf_row.j + jf_row.f) / 2)
    assert jf_row.objects == 2


def test_movies_go_through_a_real_session(model: SAM2) -> None:
    answers = evaluate_movie(model, film())
    assert [answer.name for answer in answers] == ["film object 1", "film object 2"]
    assert [len(answer.ious) for answer in answers] == [3, 1]
    captions = [panel.caption for panel in answers[0].case.panels]
    assert captions[0] == "frame 0, given"
    assert len(captions) == 4


def test_objects_of_the_first_frame_alone_are_left_out(model: SAM2) -> None:
    movie = film()
    labels = movie.labels.copy()
    labels[1:] = 0
    assert evaluate_movie(model, replace(movie, labels=labels)) == []


def test_labels_of_other_frames_are_refused(model: SAM2) -> None:
    movie = film()
    with pytest.raises(ValueError, match=r"film has frames .* give labels for these"):
        evaluate_movie(model, replace(movie, labels=movie.labels[:3]))


def test_the_choice_of_objects_depends_on_name_and_seed_alone() -> None:
    labels = np.arange(400).reshape(20, 20) // 8
    chosen = choose_ids(labels, name="a", most=5, min_area=8)
    assert chosen == choose_ids(labels, name="a", most=5, min_area=8)
    assert chosen != choose_ids(labels, name="b", most=5, min_area=8)
    assert chosen != choose_ids(labels, name="a", most=5, min_area=8, seed=1)
    assert chosen == sorted(set(chosen))
    assert 0 not in choose_ids(labels, name="a", most=None, min_area=8)
    assert choose_ids(labels, name="a", most=None, min_area=9) == []


def case(score: float) -> Case:
    labels = discs((12, 50))
    image = np.repeat(labels[..., None] / np.float32(2), 3, axis=2)
    truth, mask = labels == 1, np.roll(labels, 6, 0) == 1
    panel = cut_out(
        image, truth, mask, "caption", clicks=[((12, 50), 1), ((30, 50), 0)]
    )
    return Case(name="disc", score=score, panels=(panel, panel))


def test_cases_are_drawn_with_both_outlines(tmp_path: Path) -> None:
    cases = [case(k / 10) for k in range(8)]
    bands = choose_cases(cases, 2)
    scores = {band: [c.score for c in chosen] for band, chosen in bands.items()}
    assert scores == {"best": [0.7, 0.6], "median": [0.3, 0.4], "worst": [0.0, 0.1]}
    assert sum(map(len, choose_cases(cases[:2], 4).values())) == 2
    draw_cases(tmp_path / "cases.png", cases, count=1)
    sheet = np.array(Image.open(tmp_path / "cases.png")).reshape(-1, 3)
    for colour in ((60, 220, 90), (255, 90, 200), (255, 230, 60)):
        assert (sheet == colour).all(1).sum() > 100
    with pytest.raises(ValueError, match="no case to draw"):
        draw_cases(tmp_path / "none.png", [])


def test_panels_are_squares_around_the_object() -> None:
    panel = case(0.5).panels[0]
    assert panel.image.shape == (48, 48, 3)
    assert panel.truth.sum() == 193
    (y, x), label = panel.clicks[0]
    assert label == 1
    assert panel.truth[int(y), int(x)]


def test_tables_say_the_same_in_text_markdown_and_json() -> None:
    rows = [
        report.Row(data="a", task="box", measure="mean IoU", score=0.5, objects=3),
        report.Row(
            data="bb",
            task="x",
            measure="J&F",
            score=1.0,
            interval=(0.25, 1.0),
            failed=0,
            objects=12,
        ),
    ]
    text = report.as_text(rows).splitlines()
    columns = ["data", "task", "measure", "score", "interval", "failed", "objects"]
    assert text[0].split() == columns
    assert text[1].split() == ["a", "box", "mean", "IoU", "0.500", "–", "–", "3"]
    assert len({len(line) for line in text}) == 1
    markdown = report.as_markdown(rows).splitlines()
    assert markdown[1] == "|" + " --- |" * len(columns)
    assert markdown[3] == "| bb | x | J&F | 1.000 | 0.250–1.000 | 0 | 12 |"
    found = json.loads(json.dumps(report.as_json(rows, model="nano")))
    assert found["model"] == "nano"
    assert found["rows"][1]["score"] == 1.0
    assert report.make_rows([]) == []


def test_rows_of_several_models_stand_side_by_side() -> None:
    scores = [
        Score(data="a", item="i", model=model, task=task, measure="mean IoU", score=s)
        for model, task, s in (
            ("nano", "box", 0.2),
            ("nano", "box", 0.8),
            ("nano", "1 click", 0.4),
            ("mine", "box", 1.0),
        )
    ]
    rows = report.make_rows(scores)
    assert [(row.task, row.model, row.objects) for row in rows] == [
        ("box", "nano", 2),
        ("box", "mine", 1),
        ("1 click", "nano", 1),
    ]
    assert (rows[0].score, rows[0].failed, rows[0].interval) == (0.5, 0.5, None)


def test_intervals_cover_the_mean_as_often_as_they_say() -> None:
    assert report.interval(np.full(9, 0.25)) == (0.25, 0.25)
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(100):
        low, high = report.interval(rng.random(40)) or (0, 0)
        covered += low <= 0.5 <= high
    # 95 are expected; a binomial of 100 lies below 88 once in five hundred times.
    assert covered >= 88
