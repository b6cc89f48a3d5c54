"""The loop: a run that stops and goes on is the same run."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from napari_sam2.model import load_model
from napari_sam2.training import loop
from napari_sam2.training.batches import is_clip_step
from napari_sam2.training.loop import StepReport, train

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_sam2.training.config import TrainConfig


def state_of(config: TrainConfig) -> dict[str, Any]:
    path = Path(config.output) / "state.pt"
    return dict(torch.load(path, map_location="cpu", weights_only=True))


def log_of(config: TrainConfig) -> list[dict[str, Any]]:
    """Return what the log says, but for how long it took."""
    text = (Path(config.output) / "log.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    return [{k: v for k, v in line.items() if k != "seconds"} for line in lines]


def tensors(value: object) -> Iterator[torch.Tensor]:
    """Yield every tensor of a nested state, in order."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from tensors(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from tensors(part)


def assert_same_run(a: TrainConfig, b: TrainConfig) -> None:
    one, other = state_of(a), state_of(b)
    assert one["step"] == other["step"]
    pairs = list(zip(tensors(one), tensors(other), strict=True))
    assert len(pairs) > 300
    assert all(torch.equal(x, y) for x, y in pairs)
    exported = [
        load_model(Path(c.output) / "model.safetensors", device="cpu", config="pico")
        for c in (a, b)
    ]
    weights = [model.state_dict() for model in exported]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    assert log_of(a) == log_of(b)


@pytest.fixture
def whole(small_run: TrainConfig) -> TrainConfig:
    """A run that was not interrupted."""
    kinds = {is_clip_step(small_run, step) for step in range(3, small_run.steps)}
    assert kinds == {True, False}
    reports = list(train(small_run))
    assert [report.step for report in reports] == list(range(6))
    return small_run


@pytest.mark.slow
def test_resumed_runs_equal_the_uninterrupted_one(
    whole: TrainConfig, tmp_path: Path
) -> None:
    # Closed after step 2 and, the second time, after the saved step 3.
    closed = replace(whole, output=str(tmp_path / "closed"))
    for count in (3, 1):
        run = train(closed)
        for _ in range(count):
            next(run)
        run.close()
    assert state_of(closed)["step"] == 4
    assert [report.step for report in train(closed)] == [4, 5]
    assert_same_run(whole, closed)
    assert list(train(closed)) == []  # finished: nothing is done again
    assert_same_run(whole, closed)

    # The machine stops after step 4: only what step 3 saved is left.
    lost = replace(whole, output=str(tmp_path / "lost"))
    reports = loop.Run(lost).steps()
    for _ in range(5):
        next(reports)
    reports.close()
    assert state_of(lost)["step"] == 4
    with (Path(lost.output) / "log.jsonl").open("a", encoding="utf-8") as journal:
        journal.write('{"step": 5, "ki')
    assert [report.step for report in train(lost)] == [4, 5]
    assert_same_run(whole, lost)


def test_a_run_stopped_within_an_update_keeps_its_last_whole_state(
    small_run: TrainConfig,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = replace(small_run, steps=3, save_every=2)
    run = train(config)
    next(run)
    next(run)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(loop.Descent, "follow_average", interrupted)
    with pytest.raises(KeyboardInterrupt), caplog.at_level(logging.WARNING):
        next(run)
    assert "within step 2" in caplog.text
    assert state_of(config)["step"] == 2


def test_the_averaged_weights_load_as_a_model(small_run: TrainConfig) -> None:
    config = replace(small_run, steps=1)
    (report,) = train(config)
    assert isinstance(report, StepReport)
    assert report.kind == "picture"
    path = Path(config.output) / "model.safetensors"
    model = load_model(path, device="cpu", config=config.preset)
    average = state_of(config)["average"]
    assert all(
        torch.equal(weight, average[key]) for key, weight in model.state_dict().items()
    )


def test_another_networks_folder_is_refused(small_run: TrainConfig) -> None:
    list(train(replace(small_run, steps=1)))
    other = replace(small_run, preset="nano")
    with pytest.raises(ValueError, match="holds a run of pico; choose another output"):
        next(train(other))


def test_training_starts_from_a_given_checkpoint(
    small_run: TrainConfig, tmp_path: Path
) -> None:
    list(train(replace(small_run, steps=1)))
    start = Path(small_run.output) / "model.safetensors"
    config = replace(small_run, output=str(tmp_path / "next"), init=str(start))
    run = loop.Run(config)
    expected = load_model(start, device="cpu", config=small_run.preset).state_dict()
    found = run.model.state_dict()
    assert all(torch.equal(found[key], weight) for key, weight in expected.items())


def test_clips_leave_the_first_blocks_as_they_are(small_run: TrainConfig) -> None:
    run = loop.Run(small_run)
    trunk = run.model.image_encoder.trunk
    loop._freeze(run.model, 1)
    assert not trunk.pos_embed.requires_grad
    assert not any(p.requires_grad for p in trunk.blocks[0].parameters())
    assert all(p.requires_grad for p in trunk.blocks[1].parameters())
    loop._freeze(run.model, 0)
    assert all(p.requires_grad for p in run.model.parameters())
