"""The other commands: help, version, models, demo, train."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_sam2.cli import demo, main
from napari_sam2.cli.contact_sheet import write_contact_sheet
from napari_sam2.stacks import open_stack
from napari_sam2.stacks.colours import object_colours


@pytest.mark.parametrize(
    "command",
    ["demo", "track", "export", "evaluate", "models", "train", "finetune"],
)
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    assert f"napari-sam2 {command}" in capsys.readouterr().out


def test_version(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out.startswith("napari-sam2 ")


def test_no_command_is_one_sentence(capsys):
    with pytest.raises(SystemExit) as stopped:
        main([])
    assert stopped.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_models_are_listed_with_where_they_are(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NAPARI_SAM2_MODELS", str(tmp_path))
    (tmp_path / "sam2.1_hiera_tiny.pt").write_bytes(b"0" * 2_000_000)
    assert main(["models", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["sam2.1-tiny"]["path"] == str(tmp_path / "sam2.1_hiera_tiny.pt")
    assert rows["sam2.1-tiny"]["megabytes"] == 2.0
    assert rows["sam2.1-large"]["path"] is None
    assert rows["nano"]["path"].endswith("nano.safetensors")
    assert main(["models"]) == 0
    assert "not downloaded" in capsys.readouterr().out


def test_models_download_from_a_folder(tmp_path, capsys):
    stick, here = tmp_path / "stick", tmp_path / "here"
    stick.mkdir()
    body = b"weights" * 1000
    (stick / "sam2.1_hiera_small.pt").write_bytes(body)
    sha256 = hashlib.sha256(body).hexdigest()
    args = ["models", "--download", "sam2.1-small", "--folder", str(here)]
    assert main([*args, "--base-url", stick.as_uri()]) == 2  # not Meta's file
    assert "not the file it should be" in capsys.readouterr().err
    assert main([*args, "--base-url", stick.as_uri(), "--sha256", sha256]) == 0
    assert (here / "sam2.1_hiera_small.pt").read_bytes() == body


def test_misspelt_model_downloads_nothing(tmp_path, capsys):
    args = ["models", "--download", "sam2.1-huge", "--folder", str(tmp_path)]
    assert main(args) == 2
    assert "sam2.1-tiny" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_demo_without_a_display_writes_labels_and_a_picture(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert main(["demo"]) == 0
    said = capsys.readouterr().out
    assert "there is no display" in said
    labels = tifffile.imread("napari-sam2-demo/labels.tif")
    assert labels.shape == tifffile.imread("napari-sam2-demo/movie.tif").shape
    assert labels.any(axis=(1, 2)).mean() > 0.9  # the cell, through the movie
    assert "labels.tif" in said
    assert "overview.png" in said
    with Image.open("napari-sam2-demo/overview.png") as picture:
        assert picture.size == (1280, 640)


def test_dead_display_is_found_out_without_crashing(monkeypatch):
    monkeypatch.setenv("DISPLAY", ":4242")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("QT_QPA_PLATFORM", "xcb")
    reason = demo.why_no_window()
    assert reason is not None
    assert "Qt cannot start" in reason


@pytest.mark.usefixtures("qapp")  # so that a display is there
def test_live_display_is_found():
    assert demo.why_no_window() is None


def test_train_runs_and_resumes(tmp_path, capfd):
    config = tmp_path / "tiny.toml"
    config.write_text(
        "steps = 2\nbatch = 1\nobjects = 2\nclips_from = 9\nworkers = 0\n"
        f"output = '{tmp_path / 'run'}'\n"
    )
    assert main(["train", str(config), "--device", "cpu"]) == 0
    assert (tmp_path / "run" / "model.safetensors").stat().st_size > 1_000_000
    assert "2/2" in capfd.readouterr().err
    assert main(["train", str(config), "--device", "cpu"]) == 0  # nothing left to do


def test_train_without_a_configuration(capsys):
    assert main(["train", "nowhere.toml"]) == 2
    assert "nowhere.toml" in capsys.readouterr().err


def test_module_runs_as_a_program():
    done = subprocess.run(
        [sys.executable, "-m", "napari_sam2", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("napari-sam2 ")


def test_contact_sheet_shows_the_clicked_frame(tmp_path):
    frames = np.zeros((30, 40, 50), np.uint8)
    frames[:, 10:20, 10:20] = 200
    path = tmp_path / "sheet.png"
    with open_stack(frames, axes="TYX") as stack:
        write_contact_sheet(
            path, stack, (frames > 0).astype(np.uint16), clicks=[(11, 15, 15)]
        )
    with Image.open(path) as picture:
        assert picture.size == (4 * 320, 3 * 256)  # eight frames and the clicked one
        # The object goes from 64 to 127 in each frame; its edge has its colour.
        assert picture.getpixel((64, 100)) == tuple(object_colours(np.array([1]))[0])
        assert picture.getpixel((80, 80)) == (255, 255, 255)
