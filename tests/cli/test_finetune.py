"""``napari-sam2 finetune``: labelled data in, a model with a name out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from napari_sam2.cli import main
from napari_sam2.stacks.samples import cells_movie

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def labelled(tmp_path_factory) -> Path:
    """Return a folder with a short movie and its labels."""
    folder = tmp_path_factory.mktemp("labelled")
    sample = cells_movie(n_frames=3, size=96)
    grey = {"photometric": "minisblack"}
    tifffile.imwrite(
        folder / "cells_image.tif", sample.image, metadata={"axes": "TYX"}, **grey
    )
    labels = sample.labels.astype(np.uint16)
    tifffile.imwrite(folder / "cells_labels.tif", labels, **grey)
    return folder


@pytest.fixture(autouse=True)
def models(tmp_path, monkeypatch) -> Path:
    """Keep the models of each test apart."""
    monkeypatch.setenv("NAPARI_SAM2_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def test_a_model_is_adapted_kept_listed_and_used(
    labelled, models, movie, tmp_path, capsys
) -> None:
    command = ["finetune", str(labelled), "--name", "mine", "--steps", "2", "--keep"]
    assert main(command) == 0
    shown = capsys.readouterr()
    assert "1 movie with labels" in shown.err
    assert "first mask" in shown.out
    assert "--model mine" in shown.out
    assert (models / "own" / "mine.safetensors").is_file()

    assert main(["models", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    card = rows["mine"]["card"]
    assert card["parent"] == "nano"
    assert len(card["parent_sha256"]) == 64
    assert card["data"] == ["cells"]
    assert main(["models"]) == 0
    assert "mine" in capsys.readouterr().out

    track = ["track", movie.path, "--prompts", movie.prompts, "--model", "mine"]
    out = tmp_path / "out.tif"
    assert main([*track, "--output", str(out), "--frames", "0:2", "--quiet"]) == 0
    assert tifffile.imread(out).shape == movie.sample.labels.shape

    assert main(command) == 2  # not replaced without being asked to
    assert "--replace" in capsys.readouterr().err


def test_what_does_not_help_is_not_kept(labelled, models, capsys, monkeypatch) -> None:
    monkeypatch.setattr(
        "napari_sam2.training.finetuning.Outcome.gain", property(lambda _: -0.01)
    )
    command = ["finetune", str(labelled), "--name", "mine", "--steps", "1", "--json"]
    assert main([*command, "--quiet"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["kept"] is None
    assert found["before"].keys() == {"1 click", "box", "first mask"}
    assert not models.exists()


def test_bad_input_is_one_sentence(labelled, tmp_path, capsys) -> None:
    for words, wrong in (
        ("everybody has", [str(labelled), "--name", "nano"]),
        ("no name for a model", [str(labelled), "--name", "a/b"]),
        ("There is no file or folder", [str(tmp_path / "gone"), "--name", "x"]),
        ("holds nothing with labels", [str(tmp_path), "--name", "x"]),
        ("steps is at least 1", [str(labelled), "--name", "x", "--steps", "0"]),
    ):
        assert main(["finetune", *wrong]) == 2
        error = capsys.readouterr().err.strip()
        assert words in error
        assert len(error.splitlines()) == 1
