from contextlib import closing

import numpy as np
import pytest
import tifffile

from napari_sam2.stacks import FrameReadError, StackError, open_stack
from napari_sam2.stacks.ctc import CtcTrack, ctc_movies, read_ctc, read_tracks
from napari_sam2.stacks.ctc_writing import write_ctc
from napari_sam2.stacks.labelled import LabelledStack
from napari_sam2.stacks.writing import finish

IMAGE = np.random.default_rng(0).integers(0, 60000, (7, 16, 20)).astype(np.uint16)
LABELS = np.zeros((7, 16, 20), np.uint16)
LABELS[0:7, 1:4, 1:4] = 3
LABELS[2:4, 1:4, 1:4] = 0  # away in frames 2 and 3
LABELS[5, 1:4, 1:4] = 0  # and in 5
LABELS[0:3, 8:12, 2:6] = 5  # divides into 7 and 9
LABELS[3:7, 8:10, 2:6] = 7
LABELS[3:7, 11:13, 2:6] = 9


def exported(root, labels=LABELS, image=IMAGE, **options):
    stack = LabelledStack(labels, None if image is None else open_stack(image))
    return finish(write_ctc(stack, root, **options))


def test_a_gap_splits_the_track(tmp_path):
    exported(tmp_path, parents={7: 5, 9: 5})
    assert (tmp_path / "01_RES/res_track.txt").read_text() == (
        "3 0 1 0\n5 0 2 0\n7 3 6 5\n9 3 6 5\n10 4 4 3\n11 6 6 10\n"
    )
    masks = [tifffile.imread(tmp_path / f"01_RES/mask{t:03d}.tif") for t in range(7)]
    assert masks[0].dtype == np.uint16
    assert [int(m[2, 2]) for m in masks] == [3, 3, 0, 0, 10, 0, 11]
    for track in read_tracks(tmp_path / "01_RES/res_track.txt"):
        there = [t for t, mask in enumerate(masks) if (mask == track.label).any()]
        assert there == list(range(track.begin, track.end + 1))


@pytest.mark.parametrize("kind", ["RES", "TRA", "SEG"])
def test_there_and_back(tmp_path, kind):
    exported(tmp_path, movie="02", truth=kind != "RES")
    clip = read_ctc(tmp_path, "02", kind=kind, join_gaps=True)
    assert clip.name == f"{tmp_path.name}-02"
    assert all(np.array_equal(clip.image.read_raw(t), IMAGE[t]) for t in range(7))
    if kind == "SEG":
        assert clip.tracks == ()
        assert np.array_equal(clip.labels[:] > 0, LABELS > 0)
    else:
        assert CtcTrack(label=10, begin=4, end=4, parent=3) in clip.tracks
        assert np.array_equal(clip.labels[:], LABELS)
        apart = read_ctc(tmp_path, "02", kind=kind)
        assert set(np.unique(apart.labels[:])) == {0, 3, 5, 7, 9, 10, 11}


def test_daughters_are_not_joined_to_their_mother(tmp_path):
    exported(tmp_path, parents={7: 5, 9: 5})
    clip = read_ctc(tmp_path, kind="RES", join_gaps=True)
    assert np.array_equal(clip.labels[:], LABELS)
    # Nor is one alone that follows at once: its sister was not tracked.
    exported(tmp_path, labels=np.where(LABELS == 9, 0, LABELS), parents={7: 5})
    clip = read_ctc(tmp_path, kind="RES", join_gaps=True)
    assert set(np.unique(clip.labels[4])) == {0, 3, 7}


def test_four_digits_and_sparse_segmentations(tmp_path):
    for folder in ("01", "01_GT/SEG"):
        (tmp_path / folder).mkdir(parents=True)
    for t in range(3):
        tifffile.imwrite(tmp_path / f"01/t{t:04d}.tif", IMAGE[t])
    tifffile.imwrite(tmp_path / "01_GT/SEG/man_seg0001.tif", LABELS[1])
    clip = read_ctc(tmp_path, kind="SEG")
    assert clip.labels.annotated == (1,)
    assert clip.labels.shape == (3, 16, 20)
    assert np.array_equal(clip.labels[1], LABELS[1])
    assert not clip.labels[0].any()
    (tmp_path / "01/t0001.tif").unlink()
    with pytest.raises(StackError, match="lacks frame 1"):
        read_ctc(tmp_path, kind="SEG")


def test_outlines_are_called_as_the_markers_in_them(tmp_path):
    assert ctc_movies(tmp_path / "none") == []
    exported(tmp_path, truth=True)
    exported(tmp_path, movie="02")  # results only
    assert ctc_movies(tmp_path) == ["01"]
    for file in (tmp_path / "01_GT/SEG").iterdir():
        file.unlink()
    with pytest.raises(StackError, match="markers of its tracks and no segmentations"):
        _ = read_ctc(tmp_path).outlined
    markers = np.zeros_like(LABELS[0])
    markers[2, 2] = 5
    markers[2:5, 9] = 6  # most of it in the second outline
    outlines = np.zeros_like(markers)
    outlines[1:4, 1:4] = 9
    outlines[1:3, 8:12] = 2
    outlines[3:6, 8:12] = 4
    tifffile.imwrite(tmp_path / "01_GT/TRA/man_track004.tif", markers)
    tifffile.imwrite(tmp_path / "01_GT/SEG/man_seg004.tif", outlines)
    found = read_ctc(tmp_path).outlined
    assert found.annotated == (4,)
    assert not found[3].any()
    assert np.array_equal(found[4], (outlines == 9) * 5 + (outlines == 4) * 6)


def test_images_that_are_there_stay(tmp_path):
    (tmp_path / "01").mkdir()
    (tmp_path / "01/t000.tif").write_bytes(b"mine")
    exported(tmp_path)
    assert (tmp_path / "01/t000.tif").read_bytes() == b"mine"
    exported(tmp_path, labels=LABELS[:3], image=None)
    assert len(list((tmp_path / "01_RES").iterdir())) == 4


def test_colours_and_a_part_of_the_frames(tmp_path):
    image = np.stack([IMAGE, IMAGE // 2, IMAGE // 3], axis=-1)
    stack = LabelledStack(
        LABELS, open_stack(image, axes="TYXC"), frames=range(2, 5), objects=[3]
    )
    finish(write_ctc(stack, tmp_path))
    assert (tmp_path / "01_RES/res_track.txt").read_text() == "3 2 2 0\n"
    assert np.array_equal(tifffile.imread(tmp_path / "01/t000.tif"), image[2])


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda p: exported(p, LABELS.astype(np.uint32) * 20_000), "65,535"),
        (lambda p: exported(p, np.where(LABELS == 3, 65_535, LABELS)), "65,537"),
        (lambda p: exported(p, parents={7: 3}), "mother of object 7"),
        (lambda p: exported(p, parents={7: 88}), "mother of object 7"),
        (
            lambda p: finish(write_ctc(LabelledStack(LABELS, axes="ZYX"), p)),
            "follow Z",
        ),
    ],
)
def test_what_the_format_cannot_hold(tmp_path, make, says):
    with pytest.raises(StackError, match=says):
        make(tmp_path / "set")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_read(tmp_path):
    with pytest.raises(StackError, match=r"no man_track000\.tif"):
        read_ctc(tmp_path)
    exported(tmp_path)
    text = tmp_path / "01_RES/res_track.txt"
    text.write_text("3 0 1 0\n10 4 four 3\n")
    with pytest.raises(StackError, match=r"Line 2 of res_track\.txt"):
        read_ctc(tmp_path, kind="RES")
    text.unlink()
    with pytest.raises(StackError, match="need it beside them"):
        read_ctc(tmp_path, kind="RES")
    text.write_text("")
    tifffile.imwrite(tmp_path / "01_RES/mask003.tif", LABELS)
    with pytest.raises(FrameReadError, match="one plane"):
        read_ctc(tmp_path, kind="RES").labels[3]


def test_cancelled_leaves_nothing(tmp_path):
    stack = LabelledStack(LABELS, open_stack(IMAGE))
    with closing(write_ctc(stack, tmp_path / "set")) as work:
        for done, of in work:
            if done == of - 1:
                break
    assert list(tmp_path.iterdir()) == []
