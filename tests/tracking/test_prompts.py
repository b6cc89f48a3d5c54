from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_sam2.tracking.coordinates import box_to_input, points_to_input
from napari_sam2.tracking.prompt_checks import check_prompt, points_prompt
from napari_sam2.tracking.prompts import (
    BoxPrompt,
    MaskPrompt,
    PointPrompt,
    PromptError,
    masks_from_labels,
    read_prompts_csv,
)
from napari_sam2.tracking.windows import whole

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "object_id,frame,kind,y,x,y2,x2,label"
SHAPE = (5, 30, 40)


def written(folder: Path, *lines: str) -> Path:
    path = folder / "prompts.csv"
    path.write_text("\n".join((HEADER, *lines)) + "\n")
    return path


def test_csv_gathers_clicks_and_puts_the_box_first(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "1,0,point,12.5,8,,,1",
        "2,3,box,4,5,10,20,",
        " 1, 0, point, 3, 4, , , 0",
        "",
        "1,0,box,1,2,3,4,",
        "1,2,point,1,1,,,1",
    )
    assert read_prompts_csv(path) == [
        BoxPrompt(object_id=1, frame_idx=0, box=(1, 2, 3, 4)),
        PointPrompt(
            object_id=1, frame_idx=0, points=((12.5, 8), (3, 4)), labels=(1, 0)
        ),
        BoxPrompt(object_id=2, frame_idx=3, box=(4, 5, 10, 20)),
        PointPrompt(object_id=1, frame_idx=2, points=((1, 1),), labels=(1,)),
    ]


def test_csv_of_a_spreadsheet_has_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "excel.csv"
    path.write_text(f"{HEADER}\r\n1,0,point,1,2,,,1\r\n", encoding="utf-8-sig")
    assert len(read_prompts_csv(str(path))) == 1


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1,0,point,1,2,,1", "7 columns instead of 8"),
        ("one,0,point,1,2,,,1", "object_id must be a whole number, not 'one'"),
        ("1,0.5,point,1,2,,,1", "frame must be a whole number"),
        ("0,0,point,1,2,,,1", "object_id must be at least 1"),
        ("1,-1,point,1,2,,,1", "frame at least 0"),
        ("1,0,circle,1,2,,,1", "kind must be point or box, not 'circle'"),
        ("1,0,point,nan,2,,,1", "y must be a number, not 'nan'"),
        ("1,0,point,1,,,,1", "x must be a number, not ''"),
        ("1,0,point,1,2,3,4,1", "a point has no y2"),
        ("1,0,point,1,2,,,2", "label of a point must be 1 or 0, not '2'"),
        ("1,0,point,1,2,,,", "label of a point must be 1 or 0, not ''"),
        ("1,0,box,1,2,3,4,1", "a box has no label"),
        ("1,0,box,1,2,1,4,", "the box is empty"),
        ("1,0,box,1,2,inf,4,", "y2 must be a number"),
    ],
)
def test_csv_names_the_bad_line(tmp_path: Path, line: str, said: str) -> None:
    path = written(tmp_path, "1,0,point,1,2,,,1", line)
    with pytest.raises(PromptError) as caught:
        read_prompts_csv(path)
    assert "prompts.csv, line 3: " in str(caught.value)
    assert said in str(caught.value)


def test_csv_needs_its_header_and_a_prompt(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("y,x\n1,2\n")
    with pytest.raises(PromptError, match=f"must begin with the line {HEADER}"):
        read_prompts_csv(path)
    with pytest.raises(PromptError, match="holds no prompt"):
        read_prompts_csv(written(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"no prompts file .*missing\.csv"):
        read_prompts_csv(tmp_path / "missing.csv")
    path.write_bytes(b"\xff\xfe\x00binary")
    with pytest.raises(PromptError, match="no readable CSV"):
        read_prompts_csv(path)


def test_csv_refuses_two_boxes_of_an_object_in_a_frame(tmp_path: Path) -> None:
    path = written(tmp_path, "1,0,box,1,2,3,4,", "1,0,box,5,6,7,8,")
    with pytest.raises(PromptError, match="Object 1 has two boxes in frame 0"):
        read_prompts_csv(path)


def point(y: float, x: float, **changed: int) -> PointPrompt:
    given = {"object_id": 1, "frame_idx": 0} | changed
    return PointPrompt(points=((y, x),), labels=(1,), **given)


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        (point(30, 5), r"lies outside the frame of 30 rows and 40 columns"),
        (point(5, -0.6), "outside the frame"),
        (point(1, 1, frame_idx=5), "Frame 5 does not exist; the stack has frames 0 to"),
        (point(1, 1, frame_idx=-1), "Frame -1 does not exist"),
        (point(1, 1, object_id=0), "Object id 0 cannot be used"),
        (point(1, 1, object_id=70000), "from 1 to 65535"),
        (BoxPrompt(object_id=1, frame_idx=0, box=(5, 5, 5, 9)), "is empty"),
        (BoxPrompt(object_id=1, frame_idx=0, box=(5, 5, 31, 9)), "reaches outside"),
        (
            BoxPrompt(object_id=1, frame_idx=0, box=(5, 5, float("nan"), 9)),
            "finite",
        ),
        (
            MaskPrompt.from_array(1, 0, np.ones((4, 4))),
            r"mask has shape \(4, 4\) but frames have \(30, 40\)",
        ),
    ],
)
def test_prompts_that_do_not_fit_the_stack(prompt: object, said: str) -> None:
    with pytest.raises(PromptError, match=said):
        check_prompt(prompt, SHAPE, 65535)


def test_prompts_on_the_rim_fit() -> None:
    for prompt in (
        point(-0.5, 39.5),
        BoxPrompt(object_id=65535, frame_idx=4, box=(0, 0, 30, 40)),
        MaskPrompt.from_array(1, 0, np.zeros((30, 40))),
    ):
        check_prompt(prompt, SHAPE, 65535)


def test_points_of_array_likes() -> None:
    prompt = points_prompt(1, 0, np.array([[1, 2], [3, 4]], np.float32), [True, 0])
    assert prompt.points == ((1.0, 2.0), (3.0, 4.0))
    assert prompt.labels == (1, 0)
    assert points_prompt(1, 0, (5, 6), 1).points == ((5.0, 6.0),)
    for points, labels in (
        ([[1, 2, 3]], 1),
        ([[1, np.inf]], 1),
        ("ab", 1),
        ([1, 2], 2),
    ):
        with pytest.raises(PromptError):
            points_prompt(1, 0, points, labels)
    with pytest.raises(PromptError, match="2 points came with 3 labels"):
        check_prompt(points_prompt(1, 0, [[1, 2], [3, 4]], [1, 1, 0]), SHAPE, 9)


@given(hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9)))
def test_masks_survive_packing(mask: np.ndarray) -> None:
    prompt = MaskPrompt.from_array(1, 0, mask)
    np.testing.assert_array_equal(prompt.mask, mask)
    assert prompt.size == prompt.cut.shape


def test_masks_of_a_label_image() -> None:
    labels = np.zeros((4, 5), np.int32)
    labels[0, 0], labels[2:, 3:] = 7, 300
    first, second = masks_from_labels(2, labels)
    assert (first.object_id, second.object_id, first.frame_idx) == (7, 300, 2)
    np.testing.assert_array_equal(second.mask, labels == 300)
    for bad in (np.zeros((4, 5), int), np.ones((4, 5)), np.ones((2, 4, 5), int)):
        with pytest.raises(PromptError):
            masks_from_labels(0, bad)


@given(
    st.integers(1, 2000),
    st.integers(1, 2000),
    st.integers(0, 1999),
    st.integers(0, 1999),
)
def test_pixel_centres_stay_centres(height: int, width: int, y: int, x: int) -> None:
    """A pixel's centre lies at (x + 0.5) / W of the picture, also of the resized."""
    ((px, py),) = points_to_input([(y, x)], whole((height, width)), 256)
    assert (px + 0.5) / 256 == pytest.approx((x + 0.5) / width)
    assert (py + 0.5) / 256 == pytest.approx((y + 0.5) / height)


def test_a_box_around_everything_is_the_whole_input() -> None:
    corners = box_to_input((0, 0, 30, 40), whole((30, 40)), 256)
    assert corners == [(-0.5, -0.5), (255.5, 255.5)]  # the network adds 0.5
