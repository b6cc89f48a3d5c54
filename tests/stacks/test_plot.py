import numpy as np
import pytest
from PIL import Image

from napari_sam2.stacks import StackError, open_stack
from napari_sam2.stacks.colours import object_colours
from napari_sam2.stacks.labelled import LabelledStack
from napari_sam2.stacks.measurements import measurements
from napari_sam2.stacks.plot import BOTTOM, HEIGHT, TOP, draw_plot, write_plot
from napari_sam2.stacks.writing import finish

# Object 1 grows from 10 to 50 pixels; object 2 has 30 and is away in frames 2 to 4.
LABELS = np.zeros((7, 20, 20), np.uint8)
for t in range(7):
    LABELS[t, :5, : 2 + t + (t > 0) + (t > 5)] = 1
    LABELS[t, 10:15, :6] = 2
LABELS[2:5, 10:15] = 0
TABLE = finish(measurements(LabelledStack(LABELS)))


def places(picture, object_id):
    """Return where an object's colour is: rows and columns."""
    colour = object_colours(np.array([object_id]))[0]
    return np.nonzero((np.asarray(picture) == colour).all(axis=2))


def test_lines_lie_where_their_numbers_are():
    picture = draw_plot(TABLE, "area")
    # The axis goes from 10 to 50: object 2 lies in its middle, object 1 all along it.
    rows, columns = places(picture, 2)
    assert abs(np.median(rows) - (TOP + HEIGHT - BOTTOM) / 2) <= 2
    rows, _ = places(picture, 1)
    assert rows.min() <= TOP + 2
    assert abs(rows.max() - (HEIGHT - BOTTOM)) <= 3
    assert (np.diff(np.unique(columns)) > 100).sum() == 1  # its line breaks once


def test_units_are_named():
    steps = {"scale": (2, 0.5, 0.5), "units": ("minute", "micrometer", "micrometer")}
    scaled = finish(measurements(LabelledStack(LABELS, **steps)))
    assert draw_plot(scaled, "speed_scaled").size == (1200, 720)
    plain = np.asarray(draw_plot(scaled, "area"))
    titled = np.asarray(draw_plot(scaled, "area_scaled"))
    assert (plain[:TOP] != titled[:TOP]).any()


def test_one_frame_one_value():
    alone = finish(measurements(LabelledStack(LABELS[:1], objects=[2])))
    rows, _ = places(draw_plot(alone, "area"), 2)
    assert len(rows) > 20
    assert np.isnan(alone["step"]).all()
    assert len(places(draw_plot(alone, "step"), 2)[0]) == 0


def test_write(tmp_path):
    stack = LabelledStack(LABELS, open_stack(LABELS))
    path = finish(write_plot(stack, tmp_path / "a.png", column="intensity_mean"))
    with Image.open(path) as picture:
        assert picture.size == (1200, 720)
    with pytest.raises(StackError, match=r"'size' is not measured.*area, .*solidity"):
        finish(write_plot(stack, tmp_path / "b.png", column="size"))
    with pytest.raises(StackError, match="not measured"):
        finish(write_plot(LabelledStack(LABELS), path, column="intensity_mean"))
