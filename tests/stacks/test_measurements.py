import numpy as np
import pandas as pd
import pytest

from napari_sam2.stacks import StackError, open_stack
from napari_sam2.stacks.labelled import LabelledStack
from napari_sam2.stacks.measurements import measure, measurements, write_measurements
from napari_sam2.stacks.writing import finish

LABELS = np.zeros((4, 30, 40), np.uint16)
LABELS[0, 2:6, 3:9] = 7  # 4 × 6 pixels, centre (3.5, 5.5)
LABELS[1, 5:9, 7:13] = 7  # 3 down and 4 right: a step of 5
LABELS[3, 5:9, 19:25] = 7  # away in between: 12 right in two frames
LABELS[2, 20:21, 20:21] = 70_0  # one pixel
IMAGE = np.random.default_rng(0).integers(0, 65536, LABELS.shape).astype(np.uint16)
STEPS = {"scale": (60.0, 0.5, 0.25), "units": ("second", "micrometer", "micrometer")}


def table(image=IMAGE, **options):
    stack = LabelledStack(
        LABELS, None if image is None else open_stack(image), **options
    )
    return finish(measurements(stack))


def test_by_hand():
    rows = table()
    assert rows[["object_id", "frame"]].to_numpy().tolist() == [
        [7, 0],
        [7, 1],
        [7, 3],
        [700, 2],
    ]
    first = rows.iloc[0]
    assert first["area"] == 24
    assert (first["y"], first["x"]) == (3.5, 5.5)
    assert first[["y_min", "x_min", "y_end", "x_end"]].tolist() == [2, 3, 6, 9]
    inside = IMAGE[0, 2:6, 3:9]
    assert first["intensity_mean"] == pytest.approx(inside.mean(dtype=float))
    assert first["intensity_min"] == inside.min()
    assert first["intensity_max"] == inside.max()
    assert first["intensity_sum"] == inside.sum(dtype=np.int64)
    # The second moments of n points in a row are (n² - 1) / 12.
    assert first["major_axis"] == pytest.approx(4 * np.sqrt(35 / 12))
    assert first["minor_axis"] == pytest.approx(4 * np.sqrt(15 / 12))
    assert first["eccentricity"] == pytest.approx(np.sqrt(1 - 15 / 35))
    assert first["solidity"] == 1
    assert first["perimeter"] == 16
    assert abs(first["orientation"]) == pytest.approx(90)
    assert np.isnan(first["step"])
    assert rows["step"].tolist()[1:3] == [5.0, 6.0]
    one = rows.iloc[3]
    assert (one["area"], one["solidity"], one["major_axis"]) == (1, 1, 0)


def test_scale():
    rows = table(**STEPS)
    assert rows["time"].tolist() == [0, 60, 180, 120]
    assert rows["area_scaled"][0] == 24 * 0.125
    assert (rows["y_scaled"][0], rows["x_scaled"][0]) == (1.75, 1.375)
    assert rows["speed_scaled"][1] == pytest.approx(np.hypot(1.5, 1.0) / 60)
    assert rows["speed_scaled"][2] == pytest.approx(3.0 / 120)
    assert set(rows["space_unit"]) == {"micrometer"}
    assert set(rows["time_unit"]) == {"second"}


def test_without_an_image_and_with_channels():
    assert not [c for c in table(None).columns if c.startswith("intensity")]
    colours = np.stack([IMAGE, IMAGE // 2], axis=1)
    stack = LabelledStack(LABELS, open_stack(colours, axes="TCYX"))
    rows = finish(measurements(stack))
    assert rows["intensity_max_1"][3] == IMAGE[2, 20, 20] // 2
    assert rows["intensity_mean_0"][3] == IMAGE[2, 20, 20]


def test_orientation_is_counter_clockwise_from_the_vertical():
    plane = np.zeros((20, 20), int)
    plane[np.arange(3, 17), np.arange(3, 17)] = 1  # down and to the right
    assert measure(plane, None)["orientation"][0] == pytest.approx(45)
    assert measure(plane[:, ::-1], None)["orientation"][0] == pytest.approx(-45)


def test_a_part(tmp_path):
    stack = LabelledStack(LABELS, frames=range(1, 4), objects=[7])
    work = write_measurements(stack, tmp_path / "a.csv")
    assert list(work) == [(1, 3), (2, 3), (3, 3)]
    rows = pd.read_csv(tmp_path / "a.csv")
    assert rows["frame"].tolist() == [1, 3]
    assert rows.columns[:3].tolist() == ["object_id", "frame", "time"]


def test_nothing_to_measure(tmp_path):
    (tmp_path / "a.csv").write_text("before")
    for labels, objects, says in (
        (LABELS * 0, None, "no object"),
        (LABELS, [8], "Object 8"),
    ):
        stack = LabelledStack(labels, objects=objects)
        with pytest.raises(StackError, match=says):
            finish(write_measurements(stack, tmp_path / "a.csv"))
    assert (tmp_path / "a.csv").read_text() == "before"
