"""Two processes train one network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import pytest
import torch

from napari_sam2.training.batches import Batches
from napari_sam2.training.loop import Run, train
from napari_sam2.training.several import Processes

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sam2.model.config import ModelConfig
    from napari_sam2.training.config import TrainConfig

SCRIPT = """
import json, os, sys
import torch
from torch import distributed
from napari_sam2.model.config import PRESETS, HieraConfig, ModelConfig
from napari_sam2.training.config import TrainConfig
from napari_sam2.training.loop import Run

given = json.loads(sys.argv[1])
hiera = HieraConfig(**{k: tuple(v) if isinstance(v, list) else v
                       for k, v in given["model"].pop("hiera").items()})
model = {k: tuple(v) if isinstance(v, list) else v for k, v in given["model"].items()}
PRESETS["pico"] = ModelConfig(hiera=hiera, **model)
torch.set_num_threads(1)
run = Run(TrainConfig(**given["run"]))
losses = [report.loss for report in run.steps()]
run.save()
total = sum(float(v.double().abs().sum()) for v in run.model.state_dict().values())
with open(os.path.join(sys.argv[2], f"rank{os.environ['RANK']}.json"), "w") as file:
    json.dump({"total": total, "losses": losses}, file)
distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_keep_the_same_weights(
    small_run: TrainConfig, pico_config: ModelConfig, tmp_path: Path
) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    run = replace(small_run, output=str(tmp_path / "two"), steps=4, save_every=2)
    given = {"model": asdict(pico_config), "run": asdict(run)}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    subprocess.run(
        [*command, "--nproc-per-node=2", script, json.dumps(given), tmp_path],
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        timeout=300,
    )
    ranks = [json.loads((tmp_path / f"rank{k}.json").read_text()) for k in (0, 1)]
    assert ranks[0]["total"] == ranks[1]["total"]
    assert ranks[0]["losses"] != ranks[1]["losses"]  # each draws its own batches
    log = (tmp_path / "two" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in log] == [0, 1, 2, 3]
    state = torch.load(tmp_path / "two" / "state.pt", weights_only=True)
    assert state["step"] == 4
    alone = replace(run, output=str(tmp_path / "one"))
    reports = list(train(alone))
    assert reports[0].loss == ranks[0]["losses"][0]


def test_the_first_process_draws_what_one_alone_draws(small_run: TrainConfig) -> None:
    alone, first, second = (
        Batches(small_run, None, **given)[3] for given in ({}, {"rank": 0}, {"rank": 1})
    )
    assert torch.equal(alone.frames, first.frames)
    assert not torch.equal(alone.frames[0, 0], second.frames[0, 0])


def test_freezing_blocks_is_for_one_process(
    small_run: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "napari_sam2.training.loop.join",
        lambda device: (Processes(count=2), device),
    )
    with pytest.raises(ValueError, match="clip_frozen must be 0"):
        Run(replace(small_run, clip_frozen=1))
