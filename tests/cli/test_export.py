"""`napari-sam2 export`: what it writes, says and refuses."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import tifffile
import zarr
from PIL import Image

from napari_sam2.cli import main
from napari_sam2.cli.parser import build_parser
from napari_sam2.stacks.export_kinds import EXPORTS
from napari_sam2.tracking.session_file import Header, create_session


@pytest.fixture
def labels(movie, tmp_path):
    path = tmp_path / "labels.tif"
    tifffile.imwrite(path, movie.sample.labels, metadata={"axes": "TYX"})
    return path


@pytest.fixture
def session(movie, tmp_path):
    """Return a session on the movie, as a crash leaves it."""
    header = Header(
        model="nano",
        model_sha256="",
        stack=movie.path,
        opened_as={"axes": None, "fixed": None, "channels": None},
        shape=movie.sample.labels.shape,
        contrast_limits=[(0.0, 5000.0)],
        first_frame_sha256=None,
        labels_dtype="uint16",
        package="0",
    )
    folder = create_session(tmp_path / "cells", header)
    for t, plane in enumerate(movie.sample.labels):
        folder.store.write(t, plane)
    folder.close()
    return tmp_path / "cells.sam2.zarr"


def export(*args):
    return main(["export", *map(str, args), "--quiet"])


def refused(capsys, *args):
    assert export(*args) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith("napari-sam2 export: ")
    return said


def test_measurements(movie, labels, tmp_path, capsys):
    out = tmp_path / "new" / "cells.csv"
    more = ["--image", movie.path, "--objects", "1", "2", "--frames", "0:4"]
    assert export(labels, "--to", out, *more) == 0
    table = pd.read_csv(out)
    assert set(table["object_id"]) == {1, 2}
    assert set(table["frame"]) == {0, 1, 2, 3}
    row = table.iloc[0]
    inside = movie.sample.labels[0] == 1
    assert row["area"] == inside.sum()
    assert row["intensity_max"] == movie.sample.image[0][inside].max()
    assert str(out) in capsys.readouterr().err


@pytest.mark.parametrize("known", ["cells.sam2.zarr", "cells"])
def test_a_session_knows_its_image(session, tmp_path, known):
    out = tmp_path / "bg.tif"
    given = [session.with_name(known), "--to", out, "--format", "background"]
    assert export(*given, "--value", "7") == 0
    assert tifffile.imread(out).min() == 7


def test_a_session_whose_image_has_gone(session, movie, tmp_path, capsys):
    header = json.loads((session / "session.json").read_text())
    header["stack"] = str(tmp_path / "gone.tif")
    (session / "session.json").write_text(json.dumps(header))
    assert export(session, "--to", tmp_path / "a.csv") == 0
    assert "left out; --image" in capsys.readouterr().err
    assert "intensity_mean" not in pd.read_csv(tmp_path / "a.csv").columns
    said = refused(capsys, session, "--to", tmp_path / "a.gif")
    assert "--image" in said
    assert export(session, "--to", tmp_path / "a.gif", "--image", movie.path) == 0


def test_a_sessions_image_is_shown_as_wanted(session, tmp_path, capsys):
    """Wide limits make the picture dark; how the image was opened stays."""
    shown = []
    for limits in ([], ["--contrast-limits", "0", "500000"]):
        to = ["--to", tmp_path / f"d{len(limits)}", "--format", "davis"]
        assert export(session, *to, "--flat", *limits) == 0
        shown.append(np.array(Image.open(to[1] / "frames/00000.jpg")).mean())
    assert shown[1] < 3 < shown[0]
    capsys.readouterr()
    said = refused(capsys, session, "--to", tmp_path / "a.csv", "--axes", "ZYX")
    assert "--image" in said


def test_options_reach_the_formats(movie, labels, tmp_path):
    image = ["--image", movie.path]
    crops = ["--format", "cutouts", "--size", "16", "--blank", "--value", "3"]
    assert export(labels, "--to", tmp_path / "c", *image, *crops) == 0
    assert tifffile.imread(tmp_path / "c/object_0001.tif").shape == (5, 16, 16)
    ctc = ["--format", "ctc", "--name", "02", "--truth"]
    assert export(labels, "--to", tmp_path / "Fluo", *ctc) == 0
    assert (tmp_path / "Fluo/02_GT/TRA/man_track.txt").exists()
    davis = ["--format", "davis", "--flat"]
    assert export(labels, "--to", tmp_path / "flat", *image, *davis) == 0
    assert (tmp_path / "flat/frames/00004.jpg").exists()
    assert export(labels, "--to", tmp_path / "v.json", "--name", "mine") == 0
    assert json.loads((tmp_path / "v.json").read_text())["video_id"] == "mine"
    assert export(labels, "--to", tmp_path / "a.png", "--column", "solidity") == 0
    gif = ["--fps", "5", "--no-numbers"]
    assert export(labels, "--to", tmp_path / "a.gif", *image, *gif) == 0
    mask = ["--format", "mask", "--objects", "2"]
    assert export(labels, "--to", tmp_path / "m.zarr", *mask) == 0
    assert np.array_equal(zarr.open(tmp_path / "m.zarr")[:], movie.sample.labels == 2)


def test_a_further_axis_is_held(movie, labels, tmp_path):
    deep = np.stack([movie.sample.image, movie.sample.image // 2], axis=1)
    tifffile.imwrite(tmp_path / "deep.tif", deep)
    image = ["--image", tmp_path / "deep.tif", "--axes", "TZYX", "--fixed", "Z=1"]
    assert export(labels, "--to", tmp_path / "a.csv", *image) == 0
    row = pd.read_csv(tmp_path / "a.csv").iloc[0]
    inside = movie.sample.labels[0] == 1
    assert row["intensity_max"] == deep[0, 1][inside].max()


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--to", "folder"], "choose a format"),
        (["--to", "a.gif"], "needs the image"),
        (["--to", "a.csv", "--fps", "3"], "--fps does not apply to the format csv"),
        (["--to", "a.csv", "--no-numbers"], "--no-numbers does not apply"),
        (["--to", "a.png", "--column", "width"], "'width' is not measured"),
        (["--to", "a.csv", "--name", "x"], "--name does not apply"),
        (["--to", "a.csv", "--frames", "3:9"], "0:5"),
        (["--to", "a.csv", "--objects", "99"], "Object 99"),
        (["--to", "a.csv", "--image", "none.tif"], "does not exist"),
        (["--to", "a.jpg", "--format", "mask"], "a.jpg"),
    ],
)
def test_one_sentence(labels, tmp_path, monkeypatch, capsys, args, says):
    monkeypatch.chdir(tmp_path)
    assert says in refused(capsys, labels, *args)
    assert [p.name for p in tmp_path.iterdir()] == ["labels.tif"]


def test_other_bad_input(labels, movie, tmp_path, capsys):
    assert "labels file itself" in refused(capsys, labels, "--to", labels)
    few = movie.sample.image[:2]
    tifffile.imwrite(tmp_path / "small.tif", few, metadata={"axes": "TYX"})
    small = ["--image", tmp_path / "small.tif"]
    said = refused(capsys, labels, "--to", tmp_path / "a.csv", *small)
    assert "do not belong" in said
    said = refused(capsys, tmp_path / "no.sam2.zarr", "--to", tmp_path / "a.csv")
    assert "no.sam2.zarr" in said


def test_the_parser_knows_the_formats():
    commands = next(
        action
        for action in build_parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    formats = next(a for a in commands.choices["export"]._actions if a.dest == "format")
    assert set(formats.choices) == set(EXPORTS)


def test_ctrl_c_leaves_nothing(movie, labels, tmp_path, monkeypatch):
    from napari_sam2.cli import export as command

    class Pressed:
        seen = True

    class Gentle:
        def __enter__(self):
            return Pressed

        def __exit__(self, *args):
            pass

    monkeypatch.setattr(command, "gentle_interrupt", Gentle)
    assert export(labels, "--to", tmp_path / "a.csv", "--image", movie.path) == 130
    assert [p.name for p in tmp_path.iterdir()] == ["labels.tif"]


def test_labels_are_exported_without_the_network(labels, tmp_path):
    code = (
        "import sys; from napari_sam2.cli import main; "
        "status = main(sys.argv[1:]); "
        "assert 'torch' not in sys.modules and 'napari' not in sys.modules; "
        "sys.exit(status)"
    )
    args = ["export", str(labels), "--to", str(tmp_path / "a.json"), "--quiet"]
    subprocess.run([sys.executable, "-c", code, *args], check=True)
