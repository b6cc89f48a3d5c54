import pytest
import zarr

from napari_sam2.stacks import StackError
from napari_sam2.stacks.pairs import find_pairs, match_pairs


def make(folder, *names):
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"")
    return folder


def test_one_folder(tmp_path):
    names = ["a_image.png", "a_labels.png", "b.tif", "b_masks.ome.tif", "c_img.tif"]
    found = find_pairs(make(tmp_path, *names, "notes.txt", ".d_labels.png"))
    assert [(p.name, p.image.name, p.labels.name) for p in found.pairs] == [
        ("a", "a_image.png", "a_labels.png"),
        ("b", "b.tif", "b_masks.ome.tif"),
    ]
    assert found.missing == "Left out: 1 without labels (c_img.tif)."


def test_two_folders(tmp_path):
    images = make(tmp_path / "images", "a.tif", "b_image.tif", "x1.png", "x2.png")
    labels = make(tmp_path / "labels", "a.png", "b_labels.tif", "q_seg.npy")
    zarr.create_array(str(labels / "x2.zarr"), shape=(2, 2), dtype="u2")
    found = find_pairs(images, labels)
    assert [p.name for p in found.pairs] == ["a", "b", "x2"]
    assert found.pairs[2].labels == labels / "x2.zarr"
    assert found.missing == (
        "Left out: 1 without labels (x1.png), 1 labels without an image (q_seg.npy)."
    )
    assert not find_pairs(images / ".." / "images", images).missing


def test_words_alone_capitals_and_dashes(tmp_path):
    names = ["Movie.tif", "labels.tif", "a-IMAGE.png", "a-Labels.png", "b.tif", "b.png"]
    found = find_pairs(make(tmp_path, *names))
    assert [(p.name, p.image.name) for p in found.pairs] == [
        ("", "Movie.tif"),
        ("a", "a-IMAGE.png"),
    ]


def test_a_folder_of_two_folders(tmp_path):
    make(tmp_path / "Images", "a.tif")
    make(tmp_path / "masks", "a.png", "b.png")
    found = find_pairs(tmp_path)
    assert [p.labels for p in found.pairs] == [tmp_path / "masks" / "a.png"]
    assert match_pairs(make(tmp_path / "none", "x.tif")).pairs == ()


def test_what_is_wrong_is_named(tmp_path):
    with pytest.raises(StackError, match="not a folder"):
        find_pairs(tmp_path / "none")
    with pytest.raises(StackError, match="same name"):
        find_pairs(make(tmp_path / "a", "x.tif", "y_labels.tif"))
    twice = make(tmp_path / "b", "x.tif", "x_image.tif", "x_labels.tif")
    with pytest.raises(StackError, match=r"x\.tif and x_image\.tif"):
        find_pairs(twice)
