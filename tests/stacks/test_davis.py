from contextlib import closing

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_sam2.stacks import FrameReadError, StackError, open_stack
from napari_sam2.stacks.davis import (
    davis_clips,
    davis_palette,
    read_davis,
    write_davis,
)
from napari_sam2.stacks.labelled import LabelledStack
from napari_sam2.stacks.samples import cells_movie
from napari_sam2.stacks.writing import finish

SAMPLE = cells_movie(n_frames=4, size=64)


def exported(root, **options):
    stack = LabelledStack(SAMPLE.labels, open_stack(SAMPLE.image))
    return finish(write_davis(stack, root, **options))


def names(root):
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())


def test_there_and_back(tmp_path):
    assert exported(tmp_path / "set", clip="cells") == tmp_path / "set"
    exported(tmp_path / "set", clip="others")
    assert names(tmp_path / "set")[:2] == [
        "Annotations/cells/00000.png",
        "Annotations/cells/00001.png",
    ]
    assert "JPEGImages/others/00003.jpg" in names(tmp_path / "set")
    assert davis_clips(tmp_path / "set") == ["cells", "others"]
    clip = read_davis(tmp_path / "set", "others")
    assert clip.name == "others"
    assert clip.labels.annotated == (0, 1, 2, 3)
    assert np.array_equal(clip.labels[:], SAMPLE.labels)
    assert clip.image.shape == (4, 64, 64)
    shown = open_stack(SAMPLE.image).read(2)
    assert np.abs(clip.image.read_raw(2) / 255 - shown).mean() < 0.02
    with pytest.raises(StackError, match=r"2 clips \(cells, others\)"):
        read_davis(tmp_path / "set")


def test_flat_folders(tmp_path):
    exported(tmp_path / "cells", flat=True)
    assert names(tmp_path / "cells")[0] == "frames/00000.jpg"
    assert names(tmp_path / "cells")[-1] == "masks/00003.png"
    clip = read_davis(tmp_path / "cells")
    assert (clip.name, clip.image.n_frames) == ("cells", 4)
    assert np.array_equal(clip.labels[1:3], SAMPLE.labels[1:3])


def test_flat_folders_of_other_names_and_kinds(tmp_path):
    (tmp_path / "frames").mkdir()
    (tmp_path / "labels").mkdir()
    planes = SAMPLE.labels.astype(np.uint16) * 300
    for t in range(4):
        Image.fromarray(planes[t]).save(tmp_path / f"frames/img{t}.png")
        tifffile.imwrite(tmp_path / f"labels/seg{t}.tif", planes[t])
    assert davis_clips(tmp_path) == [tmp_path.name]
    clip = read_davis(tmp_path)  # as many, none called alike: by their order
    assert np.array_equal(clip.labels[:], planes)
    (tmp_path / "labels/seg3.tif").unlink()
    with pytest.raises(StackError, match=r"without a frame, such as seg0\.tif"):
        read_davis(tmp_path)


def test_labels_only(tmp_path):
    finish(write_davis(LabelledStack(SAMPLE.labels), tmp_path / "s", clip="c"))
    assert davis_clips(tmp_path / "s") == ["c"]
    assert davis_clips(tmp_path / "s", framed=True) == []
    clip = read_davis(tmp_path / "s")
    assert clip.image is None
    with pytest.raises(StackError, match="no frames"):
        clip.picture()
    assert np.array_equal(clip.labels[0], SAMPLE.labels[0])


def test_the_palette():
    """The first colours as PASCAL VOC lists them."""
    assert davis_palette()[:9].tolist() == [
        [0, 0, 0],
        [128, 0, 0],
        [0, 128, 0],
        [128, 128, 0],
        [0, 0, 128],
        [128, 0, 128],
        [0, 128, 128],
        [128, 128, 128],
        [64, 0, 0],
    ]
    assert davis_palette()[255].tolist() == [224, 224, 192]


def test_the_palette_is_in_the_files(tmp_path):
    exported(tmp_path, clip="c")
    with Image.open(tmp_path / "Annotations/c/00000.png") as picture:
        assert picture.mode == "P"
        assert picture.getpalette()[:6] == [0, 0, 0, 128, 0, 0]


def test_the_resolution_is_a_folder_and_some_frames_have_no_labels(tmp_path):
    for kind in ("JPEGImages", "Annotations"):
        (tmp_path / kind / "480p" / "dog").mkdir(parents=True)
    for t in range(3):
        Image.new("RGB", (9, 7)).save(tmp_path / f"JPEGImages/480p/dog/{t:05d}.jpg")
    mask = np.zeros((7, 9), np.uint8)
    mask[2:4, 3:6] = 255
    Image.fromarray(mask).save(tmp_path / "Annotations/480p/dog/00001.png")
    labels = read_davis(tmp_path).labels
    assert labels.annotated == (1,)
    assert labels[:].sum(axis=(1, 2)).tolist() == [0, 6, 0]  # 255 alone is object 1
    void = Image.fromarray(mask)
    void.putpalette(davis_palette().ravel().tolist())
    void.save(tmp_path / "Annotations/480p/dog/00001.png")
    assert not read_davis(tmp_path).labels[1].any()
    Image.new("1", (9, 7), 1).save(tmp_path / "Annotations/480p/dog/00001.png")
    assert (read_davis(tmp_path).labels[1] == 1).all()
    Image.new("1", (5, 5), 1).save(tmp_path / "Annotations/480p/dog/00002.png")
    with pytest.raises(FrameReadError, match=r"frame 2, 00002\.png"):
        read_davis(tmp_path).labels[2]
    Image.new("RGB", (9, 7)).save(tmp_path / "Annotations/480p/dog/00002.png")
    with pytest.raises(FrameReadError, match="RGB"):
        read_davis(tmp_path).labels[2]
    Image.new("1", (9, 7)).save(tmp_path / "Annotations/480p/dog/00007.png")
    with pytest.raises(StackError, match=r"without a frame, such as 00007\.png"):
        read_davis(tmp_path)


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(StackError, match="no folder Annotations"):
        read_davis(tmp_path)
    exported(tmp_path, clip="c")
    with pytest.raises(StackError, match="no label images of d"):
        read_davis(tmp_path, "d")


def test_again_replaces_labels_and_leaves_frames(tmp_path):
    exported(tmp_path, clip="c")
    (tmp_path / "JPEGImages/c/00000.jpg").write_bytes(b"mine")
    stack = LabelledStack(SAMPLE.labels[:2], open_stack(SAMPLE.image[:2]))
    finish(write_davis(stack, tmp_path, clip="c"))
    assert len(names(tmp_path / "Annotations")) == 2
    assert (tmp_path / "JPEGImages/c/00000.jpg").read_bytes() == b"mine"


def test_others_files_are_not_replaced(tmp_path):
    exported(tmp_path, clip="c")
    before = names(tmp_path)
    (tmp_path / "Annotations/c/notes.txt").write_text("mine")
    with pytest.raises(StackError, match=r"something else \(notes\.txt\)"):
        exported(tmp_path, clip="c")
    (tmp_path / "Annotations/d").write_text("a file")
    with pytest.raises(StackError, match="something else"):
        exported(tmp_path, clip="d")
    assert len(names(tmp_path)) == len(before) + 2


def test_too_high_or_unknown_ids(tmp_path):
    with pytest.raises(StackError, match="frame 0 has 255"):
        finish(write_davis(LabelledStack(np.full((2, 5, 5), 255)), tmp_path / "s"))
    stack = LabelledStack(SAMPLE.labels, objects=[1, 77])
    with pytest.raises(StackError, match="Object 77"):
        finish(write_davis(stack, tmp_path / "s"))
    assert list(tmp_path.iterdir()) == []


def test_cancelled_leaves_nothing(tmp_path):
    with closing(write_davis(LabelledStack(SAMPLE.labels), tmp_path / "s")) as work:
        assert next(work) == (1, 4)
        next(work)
    assert list(tmp_path.iterdir()) == []
