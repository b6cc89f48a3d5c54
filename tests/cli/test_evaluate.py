"""`napari-sam2 evaluate`, from folders to table, numbers and pictures."""

from __future__ import annotations

import json
import signal

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from napari_sam2.cli import evaluate, main
from napari_sam2.model.registry import checkpoint_path


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def write_tif(path, array):
    tifffile.imwrite(path, array, photometric="minisblack")


@pytest.fixture(scope="module")
def data(movie, tmp_path_factory):
    """Return a folder with two pictures, and one with a movie of four frames."""
    folder = tmp_path_factory.mktemp("data")
    for part in ("stills", "films"):
        (folder / part).mkdir()
    image, labels = movie.sample.image, movie.sample.labels.astype(np.uint16)
    for t in (0, 4):
        write_tif(folder / "stills" / f"t{t}_image.tif", image[t])
        Image.fromarray(labels[t]).save(folder / "stills" / f"t{t}_labels.png")
    write_tif(folder / "films" / "movie.tif", image[:4])
    write_tif(folder / "films" / "labels.tif", labels[:4])
    return folder


@pytest.mark.slow
def test_everything_of_two_models(data, tmp_path, capsys):
    same = str(checkpoint_path("nano"))
    status = main(
        [
            "evaluate",
            str(data / "stills"),
            str(data / "films"),
            *("--model", "nano", same),
            *("--max-objects", "1", "--max-pictures", "1", "--max-frames", "2"),
            *("--output", str(tmp_path / "out")),
        ]
    )
    assert status == 0
    printed = capsys.readouterr()
    assert "stills: 2 pictures with labels, of which 1 is measured" in printed.err
    assert "films: 1 movie with labels" in printed.err
    assert printed.out.splitlines()[0].split()[:4] == [
        "data",
        "task",
        "measure",
        "model",
    ]
    document = json.loads((tmp_path / "out" / "results.json").read_text())
    rows = {
        (r["data"], r["task"], r["measure"], r["model"]): r for r in document["rows"]
    }
    tasks = {key[1] for key in rows}
    assert tasks == {
        *("1 click", "3 clicks", "5 clicks", "box", "whole picture", "first mask"),
        *("offline, 1 frame", "offline, 2 frames", "online, 2 frames"),
        "offline, mean of 1 to 2 frames",
        "click a track",
    }
    compared = 0
    for (name, task, measure, model), row in rows.items():
        if model.startswith("nano"):
            twin = rows[name, task, measure, model.replace("nano", same, 1)]
            assert row["score"] == twin["score"]
            compared += 1
    assert compared > 15
    assert rows["films", "first mask", "J&F", "mask repeated"]["score"] > 0
    assert rows["films", "click a track", "TRA", "nano"]["score"] > 0.5
    assert len({m["sha256"] for m in document["models"]}) == 1
    assert not document["interrupted"]
    pictures = [path.name for path in (tmp_path / "out").glob("*_nano.png")]
    assert sorted(pictures) == [
        "films_first-mask_nano.png",
        "films_frames_alone_nano.png",
        "films_offline_nano.png",
        "films_online_nano.png",
        "films_tracks_nano.png",
        "stills_clicks_nano.png",
        "stills_whole_nano.png",
    ]


def test_json_is_one_line_and_says_what_is_left_out(data, tmp_path, capsys):
    for t in (0, 4):
        for kind in ("image.tif", "labels.png"):
            name = f"t{t}_{kind}"
            (tmp_path / name).write_bytes((data / "stills" / name).read_bytes())
    Image.fromarray(np.ones((9, 9), np.uint8)).save(tmp_path / "t4_labels.png")
    options = ["--tasks", "box", "--max-objects", "2", "--json", "--quiet"]
    assert main(["evaluate", str(tmp_path), *options]) == 0
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert [row["task"] for row in document["rows"]] == ["box", "box"]
    assert {score["item"] for score in document["scores"]} == {"t0"}
    assert len(document["left_out"]) == 1
    assert printed.err.startswith("Left out: t4: Frames (T, Y, X)")
    assert len(printed.err.splitlines()) == 1


@pytest.mark.parametrize("times", [1, 2])
def test_interrupted_runs_keep_what_was_measured(
    data, tmp_path, monkeypatch, capsys, times
):
    real = evaluate.measure

    def until_the_first(*args):
        for finding in real(*args):
            for _ in range(times):  # the second one does not wait for a frame's end
                signal.raise_signal(signal.SIGINT)
            yield finding

    monkeypatch.setattr(evaluate, "measure", until_the_first)
    output = tmp_path / "out"
    options = ["--tasks", "clicks", "--quiet", "--output", str(output)]
    assert main(["evaluate", str(data / "stills"), *options]) == 130
    document = json.loads((output / "results.json").read_text())
    assert document["interrupted"]
    assert len(document["scores"]) == (3 if times == 1 else 0)
    assert "not everything was measured" in capsys.readouterr().err


def test_a_crash_keeps_what_was_measured(data, tmp_path, monkeypatch):
    real = evaluate.measure

    def until_the_first(*args):
        yield next(real(*args))
        raise MemoryError

    monkeypatch.setattr(evaluate, "measure", until_the_first)
    options = ["--tasks", "box", "--quiet", "--output", str(tmp_path)]
    with pytest.raises(MemoryError):
        main(["evaluate", str(data / "stills"), *options])
    document = json.loads((tmp_path / "results.json").read_text())
    assert document["interrupted"]
    assert len(document["scores"]) == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["stills", "--tasks", "tracks"], "good for tracks; give other --tasks"),
        (["stills", "--model", "nemo"], "no model named 'nemo'"),
        (["stills", "--recent-memories", "7"], "must be from 0 to 6, not 7"),
        (["nowhere"], "There is no file or folder"),
        (["stills", "--output", "stills/t0_image.tif"], "is a file; give the name"),
    ],
)
def test_bad_input_is_one_sentence(data, monkeypatch, capsys, arguments, sentence):
    monkeypatch.chdir(data)
    assert main(["evaluate", *arguments, "--quiet"]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert len(error.splitlines()) == 1


def test_a_folder_of_folders_is_one_data_set(data, capsys):
    options = ["--tasks", "box", "--max-objects", "1", "--max-pictures", "1"]
    assert main(["evaluate", str(data), *options]) == 0
    assert "2 pictures and 1 movie with labels" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value"),
    [("--max-objects", "-1"), ("--seed", "x"), ("--max-frames", "0")],
)
def test_numbers_are_checked(capsys, option, value):
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", "somewhere", option, value])
    assert stopped.value.code == 2
    assert f"{value} is not a whole number" in capsys.readouterr().err


def test_folders_of_one_name_are_told_apart(data, tmp_path, capsys):
    other = tmp_path / "stills"
    other.mkdir()
    for name in ("t0_image.tif", "t0_labels.png"):
        (other / name).write_bytes((data / "stills" / name).read_bytes())
    options = ["--tasks", "box", "--max-objects", "1", "--max-pictures", "1", "--json"]
    assert main(["evaluate", str(data / "stills"), str(other), *options]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {row["data"] for row in document["rows"]} == {
        str(data / "stills"),
        str(other),
    }
