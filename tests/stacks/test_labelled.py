import numpy as np
import pytest

from napari_sam2.stacks import StackError, open_labels_store, open_stack
from napari_sam2.stacks.labelled import LabelledStack, compact, find_tracks
from napari_sam2.stacks.writing import finish

LABELS = np.zeros((5, 20, 30), np.uint16)
LABELS[0:4, 2:5, 3:9] = 4
LABELS[3, 10, 10] = 900
LABELS[1, 2:5, 3:9] = 0


def test_objects_and_frames_are_chosen():
    stack = LabelledStack(LABELS, objects=[900], frames=range(3, 5))
    assert stack.shape == (2, 20, 30)
    assert np.array_equal(stack.plane(0), np.where(LABELS[3] == 900, 900, 0))
    assert stack.plane(0).dtype == np.uint16
    assert not stack.plane(1).any()
    assert stack[0, 10:11, 8:12].tolist() == [[0, 0, 900, 0]]


def test_tracks():
    tracks = finish(find_tracks(LabelledStack(LABELS)))
    assert list(tracks) == [4, 900]
    assert tracks[4].frames == [0, 2, 3]
    assert tracks[4].boxes == [(2, 3, 5, 9)] * 3
    assert tracks[900].boxes == [(10, 10, 11, 11)]
    steps = list(find_tracks(LabelledStack(LABELS, frames=range(3)), of=7))
    assert steps == [(1, 7), (2, 7), (3, 7)]


@pytest.mark.parametrize("high", [7, 2**31 + 5])
def test_compact(high):
    plane = np.array([[0, 3], [high, 3]], np.uint32)
    for part in (plane, plane[:, 1:]):
        ids, places = compact(part)
        assert ids[0] == 0
        assert np.array_equal(ids[places], part)


def test_what_is_known_of_the_steps(tmp_path):
    import tifffile

    tifffile.imwrite(
        tmp_path / "m.tif",
        LABELS,
        imagej=True,
        resolution=(2, 4),
        metadata={"axes": "ZYX", "unit": "um", "spacing": 3.0},
    )
    with open_stack(tmp_path / "m.tif") as image:
        stack = LabelledStack(LABELS, image)
        assert stack.axes == "ZYX"
        assert stack.steps == {
            "Z": (3.0, "micrometer"),
            "Y": (0.25, "micrometer"),
            "X": (0.5, "micrometer"),
        }
        assert LabelledStack(image).steps == stack.steps
    assert LabelledStack(LABELS).steps == {}


def test_stores_and_stacks_are_labels():
    with open_labels_store(LABELS.shape) as store:
        store.write(3, LABELS[3])
        assert np.array_equal(LabelledStack(store).plane(3), LABELS[3])
    assert np.array_equal(LabelledStack(open_stack(LABELS)).plane(3), LABELS[3])


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: LabelledStack(LABELS.astype(float)), "whole numbers"),
        (lambda: LabelledStack(LABELS[0]), "no label stack"),
        (
            lambda: LabelledStack(open_stack(np.zeros((9, 9, 3), np.uint8))),
            "3 channels",
        ),
        (lambda: LabelledStack(LABELS, open_stack(LABELS[:4])), "do not belong"),
        (lambda: LabelledStack(LABELS, objects=[0]), "1 or higher"),
        (lambda: LabelledStack(LABELS, objects=[]), "at least one"),
        (lambda: LabelledStack(LABELS, frames=range(2, 6)), "0 to 4"),
        (lambda: LabelledStack(LABELS.astype(int) - 1).plane(2), "Frame 2"),
        (
            lambda: finish(find_tracks(LabelledStack(LABELS, objects=[4, 6]))),
            "Object 6 cannot be found in frames 0 to 4",
        ),
        (lambda: LabelledStack(LABELS).picture(), "needs the image"),
    ],
)
def test_one_sentence(make, says):
    with pytest.raises(StackError, match=says):
        make()
