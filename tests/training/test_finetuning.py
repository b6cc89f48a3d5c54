"""Adapting: what may change, what is drawn, what is measured, what is kept."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from napari_sam2.model import Origin, build_model, load_model, own_models, read_card
from napari_sam2.stacks import StackError, open_stack
from napari_sam2.training.finetuning import FinetuneConfig, finetune, keep
from napari_sam2.training.held_aside import HeldAside
from napari_sam2.training.low_rank import PARTS, free, merge
from napari_sam2.training.own_data import Annotated, OwnPictures, divide, take_census

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from napari_sam2.model import SAM2
    from napari_sam2.model.config import ModelConfig

SHORT = {
    "steps": 4,
    "batch": 2,
    "objects": 3,
    "clip_frames": 2,
    "clip_objects": 2,
    "measured": 3,
    "warmup": 1,
    "bf16": False,
}


def finished(work: Generator[Any, None, Any]) -> tuple[list[Any], Any]:
    """Run a generator to its end: what it yielded and what it returned."""
    seen = []
    while True:
        try:
            seen.append(next(work))
        except StopIteration as end:
            return seen, end.value


def discs(n_frames: int = 4, count: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Return a movie (uint16) of bright discs that drift, and their labels."""
    labels = np.zeros((n_frames, 96, 128), np.uint16)
    yy, xx = np.mgrid[:96, :128]
    for k in range(count):
        for t in range(n_frames):
            y, x = 24 + 46 * (k // 3) + t, 24 + 40 * (k % 3) + t
            labels[t][(yy - y) ** 2 + (xx - x) ** 2 < 100] = k + 1
    noise = np.random.default_rng(0).normal(0, 60, labels.shape)
    return ((labels > 0) * 2000 + 500 + noise).astype(np.uint16), labels


def annotated(*, n_frames: int = 4, name: str = "discs") -> Annotated:
    """Return the discs as a user would give them."""
    movie, labels = discs(n_frames)
    return Annotated(name=name, stack=open_stack(movie, axes="TYX"), labels=labels)


@pytest.fixture
def student(pico: ModelConfig) -> SAM2:
    """Return a small network, as `load_model` would."""
    torch.manual_seed(0)
    model = build_model(pico)
    return model.eval().requires_grad_(requires_grad=False)


@pytest.mark.parametrize("part", PARTS)
def test_only_the_part_that_may_change_does(student: SAM2, part: Any) -> None:
    before = copy.deepcopy(student.state_dict())
    _, outcome = finished(
        finetune(student, [annotated()], FinetuneConfig(part=part, **SHORT))
    )
    after = outcome.model.state_dict()
    assert after.keys() == before.keys()
    changed = {key for key in after if not torch.equal(after[key], before[key])}
    allowed = {
        "decoder": lambda key: key.startswith("sam_mask_decoder."),
        "memory": lambda key: not key.startswith("image_encoder."),
        "lora": lambda key: (
            not key.startswith("image_encoder.trunk.")
            or (key.endswith(".weight") and after[key].ndim == 2)
        ),
        "all": lambda _: True,
    }[part]
    assert all(allowed(key) for key in changed)
    assert any(key.startswith("sam_mask_decoder.") for key in changed)
    in_trunk = any(key.startswith("image_encoder.trunk.") for key in changed)
    assert in_trunk == (part in {"lora", "all"})
    for key, value in student.state_dict().items():  # the first one stays as it is
        assert torch.equal(value, before[key])


def test_a_low_rank_change_has_that_rank_and_is_merged(student: SAM2) -> None:
    before = copy.deepcopy(student.state_dict())
    free(student, "lora", rank=2)
    assert not student.image_encoder.trunk.pos_embed.requires_grad
    layer = student.image_encoder.trunk.blocks[0].attn.qkv
    torch.testing.assert_close(
        layer.weight, before["image_encoder.trunk.blocks.0.attn.qkv.weight"]
    )  # nothing at first
    with torch.no_grad():
        layer.parametrizations.weight[0].b.normal_()
    merge(student)
    change = layer.weight - before["image_encoder.trunk.blocks.0.attn.qkv.weight"]
    assert torch.linalg.matrix_rank(change) == 2
    assert student.state_dict().keys() == before.keys()
    with pytest.raises(ValueError, match="no part 'head' to adapt"):
        free(student, "head", rank=2)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least 1"):
        free(student, "lora", rank=0)


def test_learning_on_few_objects_lowers_the_loss(student: SAM2) -> None:
    config = FinetuneConfig(**SHORT | {"steps": 60, "part": "all", "lr": 2e-3})
    seen, outcome = finished(finetune(student, [annotated()], config))
    assert np.mean(outcome.losses[-10:]) < 0.8 * np.mean(outcome.losses[:10])
    phases = list(dict.fromkeys(news.phase for news in seen))
    assert phases == ["looking", "before", "learning", "after"]
    learning = [news for news in seen if news.phase == "learning"]
    assert [news.done for news in learning] == list(range(1, 61))
    assert all(news.total == 60 for news in learning)
    assert (outcome.learned, outcome.aside) == (4, 2)
    tasks = {"1 click", "box", "first mask"}
    assert outcome.before.keys() == outcome.after.keys() == tasks
    assert all(len(scores) == 2 for scores in outcome.after.values())
    assert outcome.gain == pytest.approx(
        np.mean([np.mean(outcome.after[k]) - np.mean(outcome.before[k]) for k in tasks])
    )


def test_the_same_seed_gives_the_same_model(student: SAM2) -> None:
    config = FinetuneConfig(**SHORT)
    one, other = (
        finished(finetune(student, [annotated()], config))[1].model.state_dict()
        for _ in range(2)
    )
    for key, value in one.items():
        assert torch.equal(value, other[key])


def test_objects_held_aside_are_never_drawn() -> None:
    item = annotated()
    _, census = finished(take_census([item]))
    learn, aside = divide(census, 0.3, seed=1)
    assert len(learn) == 4
    assert len(aside) == 2
    assert not set(learn) & set(aside)
    # Grey level says which object a pixel is of.
    telling = Annotated(
        name="telling",
        stack=open_stack(item.labels * 40, axes="TYX", contrast_limits=(0, 240)),
        labels=item.labels,
    )
    source = OwnPictures([telling], census, learn)
    source_rng = np.random.default_rng(0)
    drawn: set[int] = set()
    for _ in range(40):
        _, planes = source.sample_clip(source_rng, 64, 3)
        picture, plane = source.sample_picture(source_rng, 64)
        assert picture.shape == (64, 64, 3)
        assert picture.dtype == np.float32
        assert picture.min() >= 0
        assert picture.max() <= 1
        assert planes.shape == (3, 64, 64)
        assert planes[0].any()
        drawn.add(int(plane.max()))
    hidden = {key.object_id for key in aside}
    frame = source._frame(0, 0)[1]
    assert set(np.unique(frame)) - {0} == {key.object_id for key in learn}
    assert not hidden & set(np.unique(frame).tolist())
    assert max(drawn) <= 4


def test_single_pictures_are_made_to_move_and_enough_of_them_are_held_aside_whole() -> (
    None
):
    items = [annotated(n_frames=1, name=f"picture {k}") for k in range(8)]
    _, census = finished(take_census(items))
    learn, aside = divide(census, 0.25, seed=0)
    assert {key.item for key in learn}.isdisjoint(key.item for key in aside)
    assert len({key.item for key in aside}) == 2
    frames, planes = OwnPictures(items, census, learn).sample_clip(
        np.random.default_rng(3), 64, 3
    )
    assert frames.shape == (3, 64, 64, 3)
    assert not np.array_equal(planes[0], planes[-1])


def test_frames_without_labels_count_as_not_looked_at() -> None:
    item = annotated(n_frames=9)
    item.labels[1:4] = 0
    _, census = finished(take_census([item]))
    assert census.labelled[0] == [0, 4, 5, 6, 7, 8]
    measure = HeldAside([item], census, divide(census, 0.3, 0)[1], most=9, seed=0)
    assert measure.total == 2
    for case in measure._cases:
        assert not set(case.onwards) & {1, 2, 3}
        assert case.onwards == tuple(range(case.frame_idx + 1, 9)) or not case.frame_idx


def test_bad_input_is_one_sentence(student: SAM2) -> None:
    item = annotated()
    few = np.where(item.labels < 4, item.labels, 0)
    few_items = [Annotated(name="few", stack=item.stack, labels=few)]
    with pytest.raises(ValueError, match="label at least five"):
        finished(finetune(student, few_items))
    with pytest.raises(ValueError, match="nothing to learn from"):
        finished(finetune(student, []))
    with pytest.raises(StackError, match="give labels for these frames"):
        Annotated(name="other", stack=item.stack, labels=item.labels[1:])
    for wrong, words in (
        ({"part": "head"}, "part is one of"),
        ({"steps": 0}, "steps is at least 1"),
        ({"clip_frames": 1}, "clip_frames is at least 2"),
        ({"held_aside": 1.0}, "above 0 and below 1"),
        ({"clip_share": 2.0}, "from 0 to 1"),
    ):
        with pytest.raises(ValueError, match=words):
            FinetuneConfig(**wrong)


def test_what_is_kept_is_found_by_name_with_its_card(
    student: SAM2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAPARI_SAM2_MODELS", str(tmp_path))
    config = FinetuneConfig(**SHORT)
    _, outcome = finished(finetune(student, [annotated()], config))
    origin = Origin(name="pico", sha256="ab" * 32)
    path = keep(outcome, "my-cells", config, parent=origin, data=["discs"])
    assert own_models() == {"my-cells": path}
    card = read_card(path)
    assert card is not None
    assert (card.parent, card.parent_sha256) == ("pico", "ab" * 32)
    assert (card.data, card.learned, card.aside) == (("discs",), 4, 2)
    assert card.part == "lora"
    for task, (before, after) in card.scores.items():
        assert before == pytest.approx(np.mean(outcome.before[task]))
        assert after == pytest.approx(np.mean(outcome.after[task]))
    loaded = load_model("my-cells", device="cpu")
    for key, value in loaded.state_dict().items():
        assert torch.equal(value, outcome.model.state_dict()[key])
    with pytest.raises(ValueError, match="everybody has"):
        keep(outcome, "nano", config, parent=None, data=[])
    with pytest.raises(ValueError, match="no name for a model"):
        keep(outcome, "../x", config, parent=None, data=[])
    assert json.dumps(sorted(own_models())) == '["my-cells"]'


def test_closing_the_work_stops_it(student: SAM2) -> None:
    work = finetune(student, [annotated()], FinetuneConfig(**SHORT))
    for news in work:
        if news.phase == "learning":
            break
    work.close()
    with pytest.raises(StopIteration):
        next(work)
