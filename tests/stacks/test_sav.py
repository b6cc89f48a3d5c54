import json
from contextlib import closing

import numpy as np
import pytest

from napari_sam2.stacks import ExportError, StackError, open_stack, save_labels
from napari_sam2.stacks.labelled import LabelledStack
from napari_sam2.stacks.rle import encode_rle
from napari_sam2.stacks.samples import cells_movie
from napari_sam2.stacks.sav import read_sav, write_sav
from napari_sam2.stacks.writing import finish

LABELS = cells_movie(n_frames=6, size=64).labels.copy()
LABELS[2:4][LABELS[2:4] == 1] = 0
IDS = np.unique(LABELS)[1:].tolist()

# As the files of SA-V have them.
FIELDS = [
    "video_id",
    "video_duration",
    "video_frame_count",
    "video_height",
    "video_width",
    "video_resolution",
    "video_environment",
    "video_split",
    "masklet",
    "masklet_id",
    "masklet_size_rel",
    "masklet_size_abs",
    "masklet_size_bucket",
    "masklet_visibility_changes",
    "masklet_first_appeared_frame",
    "masklet_frame_count",
    "masklet_edited_frame_count",
    "masklet_type",
    "masklet_stability_score",
    "masklet_num",
]


def test_there_and_back(tmp_path):
    stack = LabelledStack(LABELS, scale=(30, 1, 1), units=("second", "pixel", "pixel"))
    work = write_sav(stack, tmp_path / "clip.json")
    steps = list(work)
    assert steps[-1] == (12, 12)
    assert steps == sorted(steps)
    assert [p.name for p in tmp_path.iterdir()] == ["clip.json"]
    back = read_sav(tmp_path / "clip.json")
    assert (back.video_id, back.frame_step) == ("clip", 1)
    assert back.object_ids == tuple(IDS)
    assert np.array_equal(back[:], LABELS)
    with open_stack(back) as opened:
        assert np.array_equal(opened.read_raw(4), LABELS[4])
    save_labels(back, tmp_path / "labels.tif")
    with open_stack(tmp_path / "labels.tif") as opened:
        assert np.array_equal(opened.read_raw(2), LABELS[2])


def test_the_fields(tmp_path):
    stack = LabelledStack(LABELS, scale=(0.5, 1, 1), units=("minute", "pixel", "pixel"))
    finish(write_sav(stack, tmp_path / "a.json", video_id="cells"))
    says = json.loads((tmp_path / "a.json").read_text())
    assert list(says) == FIELDS
    assert says["video_id"] == "cells"
    assert says["video_duration"] == 180.0
    assert says["video_resolution"] == 64.0 * 64.0
    assert says["masklet_num"] == len(IDS)
    assert [len(frame) for frame in says["masklet"]] == [len(IDS)] * 6
    assert says["masklet"][2][0] == {"size": [64, 64], "counts": "PP4"}  # 4096 of 0
    assert says["masklet"][5][1] == encode_rle(LABELS[5] == IDS[1])
    assert says["masklet_visibility_changes"][0] == 2
    assert says["masklet_first_appeared_frame"][0] == 0.0
    visible = [(plane == 1).sum() for plane in LABELS if (plane == 1).any()]
    assert says["masklet_size_abs"][0] == pytest.approx(np.mean(visible))
    assert says["masklet_size_rel"][0] == pytest.approx(np.mean(visible) / 4096)
    assert set(says["masklet_size_bucket"]) == {"small"}


def annotation(**changed):
    big, part = np.zeros((2, 8, 6), bool)
    big[1:7, 1:5] = part[2:4, 2:4] = True
    masks = [[encode_rle(part), encode_rle(big)], [encode_rle(part & ~part), None]]
    return {
        "video_id": "sav_000001",
        "video_frame_count": 7.0,
        "video_height": 8.0,
        "video_width": 6.0,
        "masklet": masks,
        "masklet_id": [0, 1],
    } | changed


def test_a_published_file_has_masklet_0_and_overlaps(tmp_path):
    (tmp_path / "v.json").write_text(json.dumps(annotation()))
    labels = read_sav(tmp_path / "v.json")
    assert labels.object_ids == (1, 2)
    assert labels.frame_step == 4
    assert labels.masks(0).sum(axis=(1, 2)).tolist() == [4, 24]
    assert np.unique(labels[0], return_counts=True)[1].tolist() == [24, 4, 20]
    assert not labels[1].any()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "whole JSON"),
        ("[]", "one video"),
        ("{}", "'masklet' is missing"),
        (json.dumps(annotation(masklet_id=[0])), "each of its 1 masklets"),
        (json.dumps(annotation(masklet_id=[1, 1])), "each its own"),
        (json.dumps(annotation(video_width="wide")), "of another kind"),
    ],
)
def test_other_files(tmp_path, text, says):
    (tmp_path / "v.json").write_text(text)
    with pytest.raises(StackError, match=says):
        read_sav(tmp_path / "v.json")


def test_a_mask_of_another_size(tmp_path):
    (tmp_path / "v.json").write_text(json.dumps(annotation(video_width=7)))
    with pytest.raises(StackError, match="frame 0"):
        read_sav(tmp_path / "v.json")[0]
    with pytest.raises(StackError, match="could not be opened"):
        read_sav(tmp_path / "none.json")


def test_cancelled_or_empty_leaves_what_was_there(tmp_path):
    place = tmp_path / "a.json"
    place.write_text("before")
    with closing(write_sav(LabelledStack(LABELS), place)) as work:
        for done, of in work:
            if done == of - 2:
                break
    with pytest.raises(StackError, match="no object"):
        finish(write_sav(LabelledStack(LABELS * 0), place))
    with pytest.raises(ExportError, match="nothing was changed"):
        finish(write_sav(LabelledStack(LABELS), place / "b.json"))
    assert place.read_text() == "before"
    assert list(tmp_path.iterdir()) == [place]
