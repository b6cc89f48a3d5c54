"""`napari-sam2 track` on a real file: what it writes, says and refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tifffile
import zarr

from napari_sam2.cli import main
from napari_sam2.stacks.samples import cells_movie


def read(path):
    if path.suffix == ".zarr":
        return zarr.open_array(path, mode="r")[:]
    return tifffile.imread(path)


def overlap(found, true):
    return (found & true).sum() / (found | true).sum()


@pytest.mark.parametrize("ending", [".tif", ".zarr"])
def test_labels_have_the_movies_shape_and_the_given_ids(movie, tmp_path, ending, capfd):
    out = tmp_path / f"new/labels{ending}"
    args = ["track", movie.path, "--prompts", movie.prompts, "--output", str(out)]
    assert main([*args, "--device", "cpu", "--json"]) == 0
    labels = read(out)
    assert labels.shape == movie.sample.image.shape
    assert set(np.unique(labels)) == {0, 7, 300}
    assert overlap(labels[0] == 7, movie.sample.labels[0] == 1) > 0.5
    assert overlap(labels[0] == 300, movie.sample.labels[0] == 2) > 0.5
    said = capfd.readouterr()
    report = json.loads(said.out.splitlines()[-1])
    assert set(report) == {
        "frames",
        "objects",
        "seconds",
        "frames_per_second",
        "peak_memory_mb",
        "computes",
    }
    assert (report["frames"], report["objects"]) == (5, 2)
    assert report["frames_per_second"] == pytest.approx(5 / report["seconds"], rel=0.05)
    assert 50 < report["peak_memory_mb"] < 50_000
    assert "5 frames × 2 objects: " in said.err
    assert "of memory" in said.err
    assert "5/5 frames [" in said.err
    assert "frames/s" in said.err
    assert "left]" in said.err


def test_mask_prompts_keep_their_ids(movie, tmp_path):
    out = tmp_path / "labels.tif"
    args = ["--mask-prompts", movie.first, "--mask-frame", "0", "--output", str(out)]
    assert main(["track", movie.path, *args, "--quiet"]) == 0
    labels = read(out)
    assert set(np.unique(labels)) == {0, 10, 20, 30}
    given = tifffile.imread(movie.first)
    assert overlap(labels[0] == 10, given == 10) > 0.7


def test_frames_and_direction_leave_the_others_empty(movie, tmp_path):
    out = tmp_path / "labels.tif"
    args = ["--prompts", movie.prompts, "--output", str(out), "--quiet"]
    more = ["--direction", "forward", "--frames", "0:2"]
    assert main(["track", movie.path, *args, *more]) == 0
    assert list(np.flatnonzero(read(out).any(axis=(1, 2)))) == [0, 1]


def test_existing_output_is_replaced_whole(movie, tmp_path):
    out = tmp_path / "labels.tif"
    out.write_bytes(b"old")
    args = ["--prompts", movie.prompts, "--output", str(out), "--quiet"]
    assert main(["track", movie.path, *args]) == 0
    assert read(out).shape == movie.sample.image.shape
    assert [p.name for p in tmp_path.iterdir()] == ["labels.tif"]


def test_unreadable_frame_is_named_and_the_others_kept(movie, tmp_path, capfd):
    frames = tmp_path / "frames"
    frames.mkdir()
    for t, frame in enumerate(movie.sample.image):
        tifffile.imwrite(frames / f"t{t}.tif", frame)
    whole = (frames / "t3.tif").read_bytes()
    (frames / "t3.tif").write_bytes(whole[: len(whole) // 2])
    out = tmp_path / "labels.tif"
    args = ["--prompts", movie.prompts, "--output", str(out), "--quiet"]
    assert main(["track", str(frames), *args]) == 2
    assert "1 frame could not be read" in capfd.readouterr().err
    labels = read(out)
    assert labels.shape == movie.sample.image.shape
    assert labels[0].any()
    assert not labels[3].any()


BAD = {
    "no such movie": (["nowhere.tif"], "nowhere.tif"),
    "no such prompts": (["--prompts", "nowhere.csv"], "nowhere.csv"),
    "nothing prompted": (["--prompts", ""], "Nothing is prompted"),
    "wrong header": (["--prompts", "header.csv"], "must begin with"),
    "outside": (["--prompts", "outside.csv"], "outside"),
    "late frame": (["--prompts", "late.csv"], "Frame 99 does not exist"),
    "axes": (["--axes", "TCZYX"], "TCZYX"),
    "fixed": (["--fixed", "three"], "Z=3"),
    "frames": (["--frames", "3:900"], "0:5"),
    "ending": (["--output", "labels.png"], ".tif or .zarr"),
    "model": (["--model", "huge"], "nano"),
    "missing model": (["--model", "sam2.1-large"], "models --download sam2.1-large"),
    "device": (["--device", "abacus"], "abacus"),
    "memories": (["--recent-memories", "9"], "must be from 0 to 6, not 9"),
    "mask shape": (["--mask-prompts", "small.tif"], "(64, 64)"),
    "mask frame": (["--mask-prompts", "first.tif", "--mask-frame", "9"], "0 to 4"),
    "unknown option": (["--speed", "11"], "--speed"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence(movie, tmp_path, monkeypatch, capfd, case):
    changes, expected = BAD[case]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NAPARI_SAM2_MODELS", str(tmp_path))
    header = "object_id,frame,kind,y,x,y2,x2,label\n"
    (tmp_path / "header.csv").write_text("frame,y,x\n0,5,5\n")
    (tmp_path / "outside.csv").write_text(f"{header}1,0,point,500,5,,,1\n")
    (tmp_path / "late.csv").write_text(f"{header}1,99,point,5,5,,,1\n")
    tifffile.imwrite(tmp_path / "small.tif", np.ones((64, 64), np.uint8))
    tifffile.imwrite(tmp_path / "first.tif", tifffile.imread(movie.first))
    args = {"--prompts": movie.prompts, "--output": "labels.tif"}
    source = movie.path if changes[0].startswith("--") else changes.pop(0)
    args.update(zip(changes[::2], changes[1::2], strict=True))
    flat = [text for pair in args.items() for text in pair]
    try:
        status = main(["track", source, *flat])
    except SystemExit as stopped:  # argparse's way
        status = stopped.code
    said = capfd.readouterr()
    assert status == 2
    assert len(said.err.strip().splitlines()) == 1, said.err
    assert expected in said.err
    assert "Traceback" not in said.err
    assert not (tmp_path / "labels.tif").exists()


def test_output_may_not_be_the_input(movie, capfd):
    args = ["--prompts", movie.prompts, "--output", movie.path]
    assert main(["track", movie.path, *args]) == 2
    assert "is the input itself" in capfd.readouterr().err
    assert tifffile.imread(movie.path).shape == movie.sample.image.shape


def test_a_folder_of_other_things_is_not_replaced(movie, tmp_path, capfd):
    out = tmp_path / "photos.zarr"
    out.mkdir()
    (out / "keep.txt").write_text("mine")
    args = ["--prompts", movie.prompts, "--output", str(out)]
    assert main(["track", movie.path, *args]) == 2
    assert (out / "keep.txt").read_text() == "mine"


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to a child")
def test_ctrl_c_keeps_the_frames_done(movie, tmp_path):
    short = cells_movie(n_frames=5, size=128).image
    long = tmp_path / "long.tif"
    tifffile.imwrite(long, np.tile(short, (80, 1, 1)), metadata={"axes": "TYX"})
    out = tmp_path / "labels.tif"
    args = [str(long), "--prompts", movie.prompts, "--output", str(out), "--json"]
    with subprocess.Popen(
        [sys.executable, "-m", "napari_sam2", "track", *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        seen = ""
        deadline = time.monotonic() + 120
        while " 0/400" in seen or "/400 frames" not in seen:
            assert time.monotonic() < deadline, seen
            seen = (seen + process.stderr.read(1))[-60:]
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    report = json.loads(said.splitlines()[-1])
    assert 1 <= report["frames"] < 400
    labels = read(out)
    assert labels.shape == (400, 128, 128)
    filled = labels.any(axis=(1, 2))
    assert filled[0]
    assert not filled[report["frames"] :].any()


def test_a_session_is_kept_and_gone_on_with(movie, tmp_path, capfd):
    out, kept = tmp_path / "labels.tif", tmp_path / "cells"
    args = ["track", movie.path, "--output", str(out), "--session", str(kept)]
    args += ["--device", "cpu", "--quiet"]
    assert main([*args, "--prompts", movie.prompts, "--frames", "0:3"]) == 0
    first = read(out)
    assert first[:3].any()
    assert not first[3:].any()
    # The same command goes on: what is done is not done again.
    assert main([*args, "--prompts", movie.prompts, "--json"]) == 0
    assert json.loads(capfd.readouterr().out.splitlines()[-1])["frames"] == 2
    np.testing.assert_array_equal(read(out)[:3], first[:3])
    # Then there is nothing left to do, with or without the prompts.
    assert main([*args, "--json"]) == 0
    assert json.loads(capfd.readouterr().out.splitlines()[-1])["frames"] == 0
    labels = zarr.open_array(tmp_path / "cells.sam2.zarr/labels", mode="r")[:]
    np.testing.assert_array_equal(labels, read(out))


def test_fewer_memories_are_kept_with_the_session(movie, tmp_path):
    made = []
    for more in ([], ["--recent-memories", "0"]):
        out, kept = tmp_path / f"{len(more)}.tif", tmp_path / f"cells{len(more)}"
        args = ["--prompts", movie.prompts, "--output", str(out), "--quiet", *more]
        args += ["--session", str(kept), "--device", "cpu"]
        assert main(["track", movie.path, *args]) == 0
        made.append(read(out))
    said = (tmp_path / "cells2.sam2.zarr/session.json").read_text()
    assert json.loads(said)["recent_memories"] == 0
    # It is done again as it was made, with as many; with all it comes out differently.
    assert main(["replay", str(tmp_path / "cells2"), "--device", "cpu", "--quiet"]) == 0
    assert (made[0] != made[1]).any()
    assert overlap(made[0] == 7, made[1] == 7) > 0.5


def test_replay_finds_the_same_labels_and_names_other_ones(movie, tmp_path, capfd):
    out, kept = tmp_path / "labels.tif", tmp_path / "cells"
    args = ["track", movie.path, "--prompts", movie.prompts, "--output", str(out)]
    assert main([*args, "--session", str(kept), "--device", "cpu", "--quiet"]) == 0
    replay = ["replay", str(kept), "--device", "cpu", "--quiet", "--json"]
    assert main(replay) == 0
    said = capfd.readouterr()
    assert "All 5 frames came out the same" in said.err
    assert json.loads(said.out) == {"frames": 5, "differences": []}
    labels = zarr.open_array(tmp_path / "cells.sam2.zarr/labels", mode="r+")
    plane = labels[2]
    plane[:2, :3] = 7
    labels[2] = plane
    assert main([*replay, "--output", str(tmp_path / "again")]) == 1
    said = capfd.readouterr()
    assert "1 frame of 5 differ" in said.err
    assert "frame 2: 6 pixels; objects 7 (IoU" in said.err
    (found,) = json.loads(said.out)["differences"]
    assert (found["frame"], found["pixels"]) == (2, 6)
    assert (tmp_path / "again.sam2.zarr").is_dir()


def test_replay_refuses_what_is_no_session(tmp_path, capfd):
    assert main(["replay", str(tmp_path / "none")]) == 2
    assert "does not exist; choose a folder" in capfd.readouterr().err


def test_further_files_are_green_and_blue(movie, tmp_path):
    green = tmp_path / "green.tif"
    tifffile.imwrite(green, movie.sample.image // 2, metadata={"axes": "TYX"})
    out, kept = tmp_path / "labels.tif", tmp_path / "kept"
    args = ["--prompts", movie.prompts, "--output", str(out), "--quiet"]
    more = ["--channels", str(green), "--frames", "0:2", "--session", str(kept)]
    limits = ["--contrast-limits", "0", "60000", "0", "30000"]
    assert main(["track", movie.path, *args, *more, *limits]) == 0
    assert set(np.unique(read(out)[:2])) == {0, 7, 300}
    assert main(["replay", f"{kept}.sam2.zarr", "--quiet"]) == 0  # both files are known


def test_channels_of_another_shape_are_refused(movie, tmp_path, capfd):
    out = tmp_path / "labels.tif"
    args = ["--prompts", movie.prompts, "--output", str(out)]
    assert main(["track", movie.path, *args, "--channels", movie.first]) == 2
    assert "Channels must have one shape" in capfd.readouterr().err


def test_volumes_in_time_are_one_file(movie, tmp_path, capfd):
    """The movie's frames are planes; the volume goes through them twice."""
    volumes = np.stack([movie.sample.image[:3], movie.sample.image[1:4]])
    source, out = tmp_path / "volumes.tif", tmp_path / "labels.tif"
    tifffile.imwrite(source, volumes, imagej=True, metadata={"axes": "TZYX"})
    args = ["track", str(source), "--prompts", movie.prompts, "--output", str(out)]
    more = ["--repeat-over", "T", "--session", str(tmp_path / "kept"), "--json"]
    assert main([*args, *more]) == 0
    labels = read(out)
    assert labels.shape == volumes.shape
    assert set(np.unique(labels[1])) == {0, 7, 300}
    with tifffile.TiffFile(out) as file:
        assert file.series[0].axes == "TZYX"
    report = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert (report["objects"], report["frames"]) == (2, 3 + 2 + 3)
    assert main([*args, *more, "--quiet"]) == 0  # all is up to date
    assert json.loads(capfd.readouterr().out.splitlines()[-1])["frames"] == 0
    assert (read(out) == labels).all()
    assert main([*args, "--repeat-over", "Q"]) == 2
    assert "names the axis 'Q'" in capfd.readouterr().err
