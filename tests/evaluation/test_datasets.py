"""What is found in folders of all understood kinds, and what is said of others."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_sam2.evaluation.datasets import find_data, spread
from napari_sam2.stacks import StackError, finish, open_stack
from napari_sam2.stacks.labelled import LabelledStack
from napari_sam2.stacks.sav import write_sav

if TYPE_CHECKING:
    from pathlib import Path

LABELS = np.zeros((3, 20, 24), np.uint16)
LABELS[:, 4:12, 5:15] = 300
GREY = (LABELS > 0).astype(np.uint8) * 90 + 20


def png(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def tif(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, array, photometric="minisblack")


def test_pairs_of_pictures(tmp_path: Path) -> None:
    for name in ("a", "b_2"):
        png(tmp_path / f"{name}_image.png", GREY[0])
        png(tmp_path / f"{name}_labels.png", LABELS[0])
    png(tmp_path / "c.png", GREY[0])
    tif(tmp_path / "c_cp_masks.tif", LABELS[0])
    png(tmp_path / "alone_image.png", GREY[0])
    found = find_data(tmp_path)
    assert str(found) == f"{tmp_path.name}: 3 pictures with labels"
    assert [files.name for files in found.pictures] == ["a", "b_2", "c"]
    for files in found.pictures:
        assert set(np.unique(files.read_picture().labels)) == {0, 300}
    only = find_data(tmp_path / "c.png")
    assert [files.name for files in only.pictures] == ["c"]


def test_movies_with_labels_of_their_shape(tmp_path: Path) -> None:
    tif(tmp_path / "movie.tif", GREY)
    tif(tmp_path / "labels.tif", LABELS)
    np.save(tmp_path / "z_volume.npy", GREY)
    tif(tmp_path / "z_labels.tif", LABELS)
    found = find_data(tmp_path)
    assert not found.pictures
    assert [files.name for files in found.movies] == ["movie", "z"]
    for files in found.movies:
        assert np.array_equal(files.read_movie().labels, LABELS)


@pytest.mark.parametrize("word", ["labels", "masks"])
def test_two_folders(tmp_path: Path, word: str) -> None:
    for name in ("x", "y"):
        png(tmp_path / "images" / f"{name}.png", GREY[0])
        png(tmp_path / word / f"{name}.png", LABELS[0])
    png(tmp_path / word / "nothing.png", LABELS[0])
    found = find_data(tmp_path)
    assert [files.name for files in found.pictures] == ["x", "y"]
    assert found.pictures[0].image == tmp_path / "images" / "x.png"


def test_davis_folders(tmp_path: Path) -> None:
    palette = Image.fromarray((LABELS[0] > 0).astype(np.uint8), mode="P")
    palette.putpalette([0, 0, 0, 128, 0, 0] + [0] * 762)
    for t in range(3):
        frames = tmp_path / "DAVIS" / "JPEGImages" / "480p" / "swan"
        png(frames / f"{t:05}.jpg", np.repeat(GREY[t][..., None], 3, 2))
        masks = tmp_path / "DAVIS" / "Annotations" / "480p" / "swan"
        masks.mkdir(parents=True, exist_ok=True)
        palette.save(masks / f"{t:05}.png")
    found = find_data(tmp_path)  # one folder above is good, too
    (clip,) = found.movies
    assert clip.name == "DAVIS/swan"
    movie = clip.read_movie()
    assert movie.labels.shape == (3, 20, 24)
    assert set(np.unique(movie.labels)) == {0, 1}  # numbers, not colours


def test_folders_of_clips(tmp_path: Path) -> None:
    for name in ("bear", "swan"):
        for t in range(3):
            png(tmp_path / name / "frames" / f"{t}.png", GREY[t])
            png(tmp_path / name / "masks" / f"{t}.png", (GREY[t] > 50) * np.uint8(255))
    assert [files.name for files in find_data(tmp_path).movies] == ["bear", "swan"]
    (one,) = find_data(tmp_path / "bear").movies
    assert one.name == "bear"
    assert set(np.unique(one.read_movie().labels)) == {0, 1}  # black and white


def challenge(folder: Path) -> None:
    """Write a sequence of the Cell Tracking Challenge: markers, one outlined frame."""
    markers = np.zeros_like(LABELS)
    markers[:2, 7:9, 9:11] = 1
    markers[2, 7:9, 6:8] = 2
    markers[2, 7:9, 12:14] = 3
    for t in range(3):
        tif(folder / "01" / f"t{t:03}.tif", GREY[t])
        tif(folder / "01_GT" / "TRA" / f"man_track{t:03}.tif", markers[t])
    tif(folder / "01_GT" / "SEG" / "man_seg001.tif", LABELS[1])
    (folder / "01_GT" / "TRA" / "man_track.txt").write_text(
        "1 0 1 0\n2 2 2 1\n3 2 2 1\n"
    )


def test_challenge_folders(tmp_path: Path) -> None:
    challenge(tmp_path)
    (sequence,) = find_data(tmp_path).movies
    movie = sequence.read_movie()
    assert sequence.name == "01"
    assert movie.parents == {2: 1, 3: 1}
    assert movie.outlines is not None
    assert movie.outlines.keys() == {1}
    assert set(np.unique(movie.outlines[1])) == {0, 300}


def test_what_does_not_fit_says_so(tmp_path: Path) -> None:
    tif(tmp_path / "movie.tif", GREY)
    tif(tmp_path / "labels.tif", LABELS[:, 1:])
    png(tmp_path / "small_image.png", GREY[0, 1:])
    png(tmp_path / "small_labels.png", LABELS[0])
    png(tmp_path / "rgb_image.png", GREY[0])
    png(tmp_path / "rgb_labels.png", np.repeat(GREY[0][..., None], 3, 2))
    found = find_data(tmp_path)
    with pytest.raises(StackError, match=r"Frames .* labels of the same pixels"):
        found.movies[0].read_movie()
    rgb, small = found.pictures
    with pytest.raises(StackError, match="without colours"):
        rgb.read_picture()
    with pytest.raises(StackError, match="Frames"):
        small.read_picture()


def test_nothing_usable_is_one_sentence(tmp_path: Path) -> None:
    png(tmp_path / "deep" / "photo.png", GREY[0])
    with pytest.raises(StackError, match=r"holds nothing with labels; give pairs like"):
        find_data(tmp_path)
    with pytest.raises(FileNotFoundError, match="There is no file or folder"):
        find_data(tmp_path / "missing")


def test_a_choice_is_spread_evenly() -> None:
    assert spread(range(10), 3) == [0, 4, 9]
    assert spread("abc", None) == spread("abc", 5) == ["a", "b", "c"]
    assert spread("abc", 1) == ["a"]


def annotated(folder: Path, n_frames: int, frames: str = "frames") -> None:
    """Write three annotated frames of a video, and some frames of it."""
    work = write_sav(LabelledStack(LABELS), folder / "clip_manual.json")
    place = finish(work)
    said = json.loads(place.read_text())
    place.write_text(json.dumps(said | {"video_frame_count": 9}))
    for t in range(n_frames):
        png(folder / frames / f"{t:05}.png", np.full((20, 24), t, np.uint8))


@pytest.mark.parametrize("frames", ["clip", "frames"])
def test_annotations_beside_all_frames_of_their_video(
    tmp_path: Path, frames: str
) -> None:
    annotated(tmp_path / "videos", 9, frames)
    shutil.copy(
        tmp_path / "videos/clip_manual.json", tmp_path / "videos/clip_auto.json"
    )
    (tmp_path / "videos" / "notes.json").write_text("{}")
    (files,) = find_data(tmp_path).movies
    assert files.name == "videos/clip"
    movie = files.read_movie()
    assert np.array_equal(movie.labels, LABELS)
    with open_stack(movie.image, axes=movie.axes) as stack:  # every third frame
        assert [int(stack.read_raw(t)[0, 0]) for t in range(3)] == [0, 3, 6]
    (alone,) = find_data(tmp_path / "videos" / "clip_manual.json").movies
    assert alone.image == tmp_path / "videos" / frames


def test_annotations_beside_the_annotated_frames(tmp_path: Path) -> None:
    annotated(tmp_path, 3)
    movie = find_data(tmp_path).movies[0].read_movie()
    assert movie.image == tmp_path / "frames"
    annotated(tmp_path, 5)
    with pytest.raises(StackError, match=r"has 5 frames, but clip_manual\.json"):
        find_data(tmp_path).movies[0].read_movie()


def test_a_movie_or_a_video_beside_annotations(tmp_path: Path) -> None:
    annotated(tmp_path, 0)
    with pytest.raises(StackError, match="nothing with labels"):
        find_data(tmp_path)
    tif(tmp_path / "clip_image.tif", GREY)
    movie = find_data(tmp_path).movies[0].read_movie()
    assert movie.image == tmp_path / "clip_image.tif"
    (tmp_path / "clip_image.tif").rename(tmp_path / "clip.mp4")
    with pytest.raises(StackError, match=r"ffmpeg -i clip\.mp4 clip/%05d\.jpg"):
        find_data(tmp_path).movies[0].read_movie()


def test_movies_are_measured_where_all_frames_have_labels(tmp_path: Path) -> None:
    for t in range(3):
        png(tmp_path / "frames" / f"{t}.png", GREY[t])
    png(tmp_path / "masks" / "1.png", LABELS[1])
    (files,) = find_data(tmp_path).movies
    with files.open() as clip:
        assert clip.labels.annotated == (1,)
    with pytest.raises(
        StackError, match="2 of 3 frames have no labels, such as frame 0"
    ):
        files.read_movie()
