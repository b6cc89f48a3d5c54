"""From data and settings to jobs, from findings to files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from napari_sam2.cli import learning_arguments
from napari_sam2.evaluation.cases import Case, Gallery, choose_cases, cut_out
from napari_sam2.evaluation.datasets import DataSet, LabelledFiles
from napari_sam2.evaluation.pictures import LabelledPicture, evaluate_whole
from napari_sam2.evaluation.results import Results
from napari_sam2.evaluation.scores import Score, whole_scores
from napari_sam2.evaluation.tasks import TASKS, Finding, Settings, plan
from napari_sam2.model import build_model, preset
from napari_sam2.stacks.pairs import Pair

if TYPE_CHECKING:
    from napari_sam2.model import SAM2

HERE = Path()


def files(name: str, **more: Any) -> LabelledFiles:
    return LabelledFiles(
        name=name, open=Pair(name=name, image=HERE, labels=HERE).open, **more
    )


DATA = DataSet(
    name="mixed",
    path=HERE,
    pictures=tuple(files(f"p{k}") for k in range(5)),
    movies=(files("m"), files("01", markers=True)),
)


def test_the_command_line_offers_all_tasks() -> None:
    assert learning_arguments.TASKS == TASKS


def test_jobs_are_what_the_data_is_good_for() -> None:
    jobs = plan([DATA], Settings(max_pictures=2))
    assert [(job.files.name, job.tasks) for job in jobs] == [
        ("p0", ("clicks", "box", "whole")),
        ("p4", ("clicks", "box", "whole")),
        ("m", ("first-mask",)),
        ("m", ("offline",)),
        ("m", ("online",)),
        ("m", ("tracks",)),
        ("01", ("tracks",)),  # its labels are markers
    ]
    some = plan([DATA], Settings(tasks=("box", "online")))
    assert [(job.files.name, job.tasks) for job in some[4:]] == [
        ("p4", ("box",)),
        ("m", ("online",)),
    ]


def case(score: float) -> Case:
    truth = np.zeros((60, 60), np.bool_)
    truth[20:40, 20:40] = True
    image = np.full((60, 60, 3), score, np.float32)
    panel = cut_out(image, truth, truth, "panel")
    return Case(name=f"{score:.4f}", score=score, panels=(panel,))


def test_a_gallery_of_many_shows_the_ends_and_the_middle(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shown: list[list[Case]] = []
    monkeypatch.setattr(
        "napari_sam2.evaluation.cases.draw_cases",
        lambda _, cases, **__: shown.append(cases),
    )
    scores = np.random.default_rng(0).beta(4, 2, 1500)
    gallery = Gallery(count=3)
    for score in scores.tolist():
        gallery.add(case(score))
    gallery.draw(tmp_path)
    assert len(shown[0]) <= 16 * 3
    found = {b: [c.score for c in cs] for b, cs in choose_cases(shown[0], 3).items()}
    assert found["worst"] == sorted(scores)[:3]
    assert found["best"] == sorted(scores)[:-4:-1]
    assert found["median"] == pytest.approx([np.median(scores)] * 3, abs=0.02)


@pytest.fixture(scope="module")
def model() -> SAM2:
    small = build_model(preset("nano", image_size=64)).eval()
    return small.requires_grad_(requires_grad=False)


def score(model: str, value: float, task: str = "box") -> Score:
    return Score(
        data="d", item="i", model=model, task=task, measure="mean IoU", score=value
    )


def test_baselines_without_a_model_are_kept_once(model: SAM2, tmp_path: Path) -> None:
    results = Results(
        models={"a": model, "b/c.pt": model}, sets=[DATA], settings=Settings()
    )
    for name, value in (("a", 0.5), ("b/c.pt", 0.75)):
        found = (score(name, value), score("ellipse in the box", 0.25))
        results.add(name, "d", Finding(scores=found, cases={"box": case(value)}))
    assert [(row.model, row.score) for row in results.rows] == [
        ("a", 0.5),
        ("ellipse in the box", 0.25),
        ("b/c.pt", 0.75),
    ]
    results.write(tmp_path / "out")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["d_box_a.png", "d_box_b_c.pt.png", "results.json", "table.md"]
    with Image.open(tmp_path / "out" / "d_box_a.png") as picture:
        assert picture.size == (180, 204)
    document = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [m["name"] for m in document["models"]] == ["a", "b/c.pt"]
    assert document["settings"]["seed"] == 0
    assert len(document["scores"]) == 3
    table = (tmp_path / "out" / "table.md").read_text().splitlines()
    assert table[2].startswith("| d | box | mean IoU | a | 0.500 |")


def test_whole_pictures_give_ious_and_precisions(model: SAM2) -> None:
    labels = np.zeros((48, 64), np.int32)
    labels[5:20, 5:25], labels[25:40, 30:55], labels[45:47, 2:4] = 70_000, 3, 9
    picture = LabelledPicture(
        name="cells", image=(labels > 0).astype(np.uint8) * 200, labels=labels
    )
    answer = evaluate_whole(model, picture)
    assert answer is not None
    assert answer.ious.keys() == {3, 70_000}  # the third is too small
    assert answer.precisions.keys() == {0.5, 0.75, 0.9}
    scores = whole_scores("d", "nano", answer)
    assert [s.measure for s in scores] == ["mean IoU"] * 2 + [
        "AP 0.5",
        "AP 0.75",
        "AP 0.9",
    ]
    assert [s.objects for s in scores] == [1, 1, 2, 2, 2]
    blank = LabelledPicture(name="blank", image=picture.image, labels=labels * 0)
    assert evaluate_whole(model, blank) is None
