"""What is found in folders of all understood kinds, and what is said of others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_sam2.evaluation.datasets import (
    DataError,
    find_data,
    read_labels,
    read_parents,
    spread,
)

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
    assert set(np.unique(one.read_movie().labels)) == {0, 255}


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
    with pytest.raises(DataError, match=r"Frames .* labels of the same pixels"):
        found.movies[0].read_movie()
    rgb, small = found.pictures
    with pytest.raises(DataError, match="without colours"):
        rgb.read_picture()
    with pytest.raises(DataError, match="Frames"):
        small.read_picture()


def test_labels_are_whole_numbers(tmp_path: Path) -> None:
    tif(tmp_path / "a.tif", LABELS[0].astype(np.float32))
    with pytest.raises(DataError, match="whole numbers"):
        read_labels(tmp_path / "a.tif")
    np.save(tmp_path / "b.npy", LABELS[:1] > 0)
    assert read_labels(tmp_path / "b.npy").shape == (20, 24)


def test_tables_of_tracks(tmp_path: Path) -> None:
    path = tmp_path / "man_track.txt"
    path.write_text("1 0 4 0\n2 5 9 1\n\n")
    assert read_parents(path) == {2: 1}
    path.write_text("1 0 4\n")
    with pytest.raises(DataError, match="four numbers"):
        read_parents(path)


def test_nothing_usable_is_one_sentence(tmp_path: Path) -> None:
    png(tmp_path / "deep" / "photo.png", GREY[0])
    with pytest.raises(DataError, match=r"holds nothing with labels; give pairs like"):
        find_data(tmp_path)
    with pytest.raises(FileNotFoundError, match="There is no file or folder"):
        find_data(tmp_path / "missing")


def test_a_choice_is_spread_evenly() -> None:
    assert spread(range(10), 3) == [0, 4, 9]
    assert spread("abc", None) == spread("abc", 5) == ["a", "b", "c"]
    assert spread("abc", 1) == ["a"]
