from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from napari_sam2.evaluation.calibration import (
    area_under_curve,
    fit_logistic,
    reliability,
)
from napari_sam2.evaluation.reliability import draw_reliability


class TestReliability:
    def test_bins_by_hand(self):
        said = np.array([0.1, 0.3, 0.6, 0.7, 0.8])
        true = np.array([False, True, True, True, False])
        found = reliability(said, true, bins=2)
        np.testing.assert_allclose(found.predicted, [0.2, 0.7])
        np.testing.assert_allclose(found.observed, [0.5, 2 / 3])
        assert found.count.tolist() == [2, 3]
        # (2 * 0.3 + 3 * (0.7 - 2/3)) / 5
        assert found.error == pytest.approx(0.14)

    def test_empty_bins_are_left_out_and_one_is_in_the_last(self):
        found = reliability(np.array([0.0, 1.0]), np.array([False, True]))
        assert found.count.tolist() == [1, 1]
        assert found.error == 0

    def test_nothing_to_calibrate(self):
        with pytest.raises(ValueError, match="evaluate at least one answer"):
            reliability(np.zeros(0), np.zeros(0, bool))


class TestAreaUnderCurve:
    def test_pairs_by_hand(self):
        score = np.array([0.9, 0.4, 0.4, 0.1])
        right = np.array([True, True, False, False])
        # of four pairs three are in order and one is a tie
        assert area_under_curve(score, right) == pytest.approx(3.5 / 4)

    def test_one_kind_only_has_none(self):
        assert np.isnan(area_under_curve(np.ones(3), np.ones(3, bool)))

    @given(
        st.lists(
            st.tuples(st.integers(-9, 9), st.booleans()), min_size=2, max_size=30
        ).filter(lambda rows: len({right for _, right in rows}) == 2)
    )
    def test_it_is_the_share_of_ordered_pairs(self, rows):
        score = np.array([s for s, _ in rows], float)
        right = np.array([r for _, r in rows])
        pairs = score[right][:, None] - score[~right][None, :]
        expected = np.mean((pairs > 0) + 0.5 * (pairs == 0))
        assert area_under_curve(score, right) == pytest.approx(expected)


class TestFit:
    def samples(self, count=20_000):
        rng = np.random.default_rng(0)
        hints = np.c_[np.ones(count), rng.normal(size=(count, 2))]
        odds = hints @ np.array([-0.5, 2.0, -1.0])
        return hints, rng.random(count) < 1 / (1 + np.exp(-odds))

    def test_it_finds_what_made_the_answers(self):
        hints, right = self.samples()
        found = fit_logistic(
            hints, right, weight=np.ones(len(right)), signs=(0, 1, -1), penalty=0
        )
        np.testing.assert_allclose(found, [-0.5, 2.0, -1.0], atol=0.1)

    def test_signs_are_kept(self):
        hints, right = self.samples(2000)
        found = fit_logistic(hints, right, weight=np.ones(len(right)), signs=(0, 1, 1))
        assert found[2] == 0
        assert found[1] > 1

    def test_weights_count(self):
        hints = np.ones((4, 1))
        right = np.array([True, False, False, False])
        found = fit_logistic(hints, right, weight=np.array([9.0, 1, 1, 1]), signs=(0,))
        # three quarters of the weight are right: log odds of log(3)
        assert found[0] == pytest.approx(np.log(3), abs=1e-3)


def test_a_diagram_is_drawn(tmp_path):
    said = np.array([0.05, 0.95, 0.95])
    curve = reliability(said, said > 0.5)
    other = reliability(said, said < 0.5)
    path = tmp_path / "diagram.png"
    draw_reliability(path, {"ours": {"all": curve, "one": other}, "other": {}})
    pixels = np.asarray(Image.open(path))
    dark = (pixels < 60).all(-1)
    # The bold curve's last point is in the upper right of the first panel.
    height, width = dark.shape
    assert dark[: height // 3, width // 4 : width // 2].any()
    assert pixels.shape[2] == 3
