"""The picture of a run's losses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from napari_sam2.training.curve import COLOURS, draw_curve, read_log, smoothed

if TYPE_CHECKING:
    from pathlib import Path

LOG = """\
{"step": 0, "kind": "picture", "loss": 4.0, "seconds": 1.0}
{"step": 20, "kind": "clip", "loss": 2.0, "seconds": 1.0}
{"step": 40, "kind": "picture", "loss": 3.0, "seconds": 1.0}
{"step": 60, "kind": "picture", "loss": NaN, "seconds": 1.0}
{"step": 80, "ki"""


def test_losses_are_read_by_kind_and_broken_lines_left_out(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text(LOG)
    losses = read_log(tmp_path / "log.jsonl")
    assert losses == {"picture": [(0, 4.0), (40, 3.0)], "clip": [(20, 2.0)]}


def test_the_average_keeps_a_straight_line_and_calms_a_shaky_one() -> None:
    straight = np.linspace(5, 1, 200)
    np.testing.assert_allclose(smoothed(straight.tolist()), straight)
    shaky = straight + np.tile((0.5, -0.5), 100)
    assert np.abs(smoothed(shaky.tolist()) - straight)[10:-10].max() < 0.06
    assert smoothed([3.0]).tolist() == [3.0]


def test_the_curve_falls_in_the_picture(tmp_path: Path) -> None:
    rows = [(step, 4.0 - 3.5 * step / 1000) for step in range(0, 1001, 10)]
    draw_curve(tmp_path / "curve.png", {"picture": rows})
    pixels = np.asarray(Image.open(tmp_path / "curve.png").convert("RGB")).astype(int)
    blue = (np.abs(pixels - COLOURS["picture"]).sum(axis=2) < 40)[60:]
    columns = np.flatnonzero(blue.any(axis=0))
    heights = [np.flatnonzero(blue[:, x]).mean() for x in columns[5:-5]]
    assert heights[0] < heights[len(heights) // 2] < heights[-1]
    assert np.corrcoef(columns[5:-5], heights)[0, 1] == pytest.approx(1, abs=0.01)
    assert list(tmp_path.iterdir()) == [tmp_path / "curve.png"]
    draw_curve(tmp_path / "none.png", {})
    assert not (tmp_path / "none.png").exists()
