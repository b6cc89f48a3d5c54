import numpy as np
import pytest
from PIL import Image, ImageDraw

from napari_sam2.stacks.chart import Axis, draw_grid


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([0.0, 1.0], [0, 0.2, 0.4, 0.6, 0.8, 1]),
        ([3.0, np.nan, 96.0], [0, 20, 40, 60, 80, 100]),
        ([7.0, 7.0], [6.4, 6.6, 6.8, 7, 7.2, 7.4, 7.6]),
        ([], [0, 0.2, 0.4, 0.6, 0.8, 1]),
    ],
)
def test_ticks_are_round_and_hold_the_numbers(values, ticks):
    axis = Axis(np.array(values), 10, 110)
    assert [value for value, _ in axis.ticks()] == pytest.approx(ticks)
    assert axis.place(np.array(ticks[:1] + ticks[-1:])) == pytest.approx([10, 110])


def test_lines_go_where_the_ticks_are():
    picture = Image.new("RGB", (160, 160), (0, 0, 0))
    whole = np.array([0.0, 1.0])
    across, up = Axis(whole, 50, 150), Axis(whole, 110, 10)
    pen = ImageDraw.Draw(picture)
    draw_grid(pen, across, up, ink=(0, 0, 255), grid=(255, 0, 0), below=8)
    red, _, blue = np.moveaxis(np.asarray(picture), -1, 0).astype(int)
    assert np.flatnonzero(red[15] > 200).tolist() == [50, 70, 90, 110, 130, 150]
    assert np.flatnonzero(red[:, 60] > 200).tolist() == [10, 30, 50, 70, 90, 110]
    rows, columns = np.nonzero((blue > 100) & (red < 100))
    assert columns[rows > 124].min() > 40  # under the room below
    assert rows[columns > 60].min() >= 110 + 16
    assert columns[rows < 105].max() < 50  # beside
