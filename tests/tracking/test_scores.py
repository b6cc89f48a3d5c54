from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sam2.tracking.changes import Flags, changes_of
from napari_sam2.tracking.confidence import Evidence, confidence
from napari_sam2.tracking.results import ObjectScore
from napari_sam2.tracking.score_rows import ROW
from napari_sam2.tracking.scores import ScoreTable


def put(table, frame, object_id=1, **given):
    values = {
        "iou": 0.75,
        "object_score": 0.875,
        "area": 100,
        "centroid": (10.0, 20.0),
        **given,
    }
    table.record(frame, object_id, **values)


def walk(areas, centroids=None, *, prompt=0, reverse=False, n_frames=None):
    """A table of object 1: prompted once, followed forwards or backwards from it."""
    table = ScoreTable(n_frames or len(areas))
    for t, area in enumerate(areas):
        centroid = centroids[t] if centroids else (10.0, 20.0)
        put(
            table,
            t,
            area=area,
            centroid=centroid if area else None,
            prompted=t == prompt,
            reverse=reverse and t < prompt,
        )
    return table


def flags(table, object_id=1):
    known = table.of(object_id)
    return {
        int(t): Flags(int(bits))
        for t, bits in zip(known.frames, known.flags, strict=True)
        if bits
    }


class TestChanges:
    def test_step_goes_from_the_last_centroid_there_was(self):
        table = walk([100, 100, 0, 100], [(0, 0), (3, 4), (9, 9), (3, 10)], n_frames=9)
        np.testing.assert_array_equal(table.of(1).step, [np.nan, 5.0, np.nan, 6.0])

    def test_step_ratio_is_in_object_sizes_a_frame(self):
        table = walk([100, 100, 0, 100], [(0, 0), (3, 4), (0, 0), (3, 10)])
        # 5 px for a size of sqrt(100); 6 px within two frames.
        np.testing.assert_allclose(
            table.of(1).evidence.step_ratio, [np.nan, 0.5, np.nan, 0.3]
        )

    def test_area_is_compared_with_the_median_of_three(self):
        table = walk([100, 120, 400, 130, 150])
        # medians: 100, (100 + 120) / 2, 120, then 120, 400, 130 gives 130
        expected = [np.nan, 1.2, 400 / 110, 130 / 120, 150 / 130]
        np.testing.assert_allclose(table.of(1).evidence.area_ratio, expected)

    def test_an_explosion_is_flagged_once_and_growth_is_not(self):
        assert flags(walk([100, 100, 100, 201, 100])) == {3: Flags.AREA}
        assert flags(walk([100, 100, 100, 200, 200])) == {}
        steady = [int(100 * 1.4**t) for t in range(10)]
        assert flags(walk(steady)) == {}

    def test_a_collapse_is_flagged_and_halving_is_not(self):
        assert flags(walk([99, 99, 99, 32, 99])) == {3: Flags.AREA}
        assert flags(walk([99, 99, 99, 33, 33])) == {}

    def test_vanishing_is_flagged_where_it_happens_only(self):
        assert flags(walk([100, 100, 0, 0, 100, 0])) == {
            2: Flags.VANISHED,
            5: Flags.VANISHED,
        }

    def test_a_jump_is_far_for_the_size(self):
        slow = [(0, 0), (0, 1), (0, 2)]
        assert flags(walk([100] * 4, [*slow, (0, 7)])) == {}  # 5 px = half a size
        assert flags(walk([100] * 4, [*slow, (0, 7.5)])) == {3: Flags.JUMP}

    def test_a_jump_is_far_for_how_it_moves(self):
        # 8 px are more than half a size, but no more than four times 2 px.
        fast = [(0, 0), (0, 2), (0, 4), (0, 12)]
        assert flags(walk([100] * 4, fast)) == {}
        assert flags(walk([100] * 4, [*fast[:3], (0, 12.5)])) == {3: Flags.JUMP}

    def test_an_object_may_move_while_it_is_not_seen(self):
        places = [(0, 0), (0, 1), (0, 0), (0, 0), (0, 0), (0, 20)]
        # 19 px within four frames, 4.75 px a frame: less than half a size
        assert flags(walk([100, 100, 0, 0, 0, 100], places)) == {2: Flags.VANISHED}

    def test_most_of_an_answer_lost_is_flagged(self):
        table = walk([100, 100, 100])
        put(table, 1, overlap_lost=0.5)
        put(table, 2, overlap_lost=0.51)
        assert flags(table) == {2: Flags.OVERLAP}

    def test_what_a_prompt_fixed_is_not_flagged_and_starts_anew(self):
        # Wrong from 2 on; corrected in 4, which is right again, and so is 5.
        areas = [100, 100, 900, 900, 100, 100]
        places = [(0, 0), (0, 0), (0, 50), (0, 50), (0, 0), (0, 0)]
        table = walk(areas, places)
        put(table, 4, area=100, centroid=(0, 0), prompted=True)
        assert flags(table) == {2: Flags.JUMP | Flags.AREA, 3: Flags.AREA}
        assert np.isnan(table.of(1).step[4])
        assert table.of(1).step[5] == 0

    def test_frames_before_the_prompt_are_compared_with_the_later_one(self):
        areas = [150, 400, 100, 100]
        places = [(0, 9), (0, 9), (0, 1), (0, 0)]
        table = walk(areas, places, prompt=3, reverse=True)
        assert flags(table) == {1: Flags.JUMP | Flags.AREA}
        np.testing.assert_array_equal(table.of(1).step, [0.0, 8.0, 1.0, np.nan])

    def test_falling_frames_are_followed_like_rising_ones(self):
        area, lost = np.array([9, 9, 0, 30]), np.zeros(4)
        places = np.array([[0, 0], [0, 1], [0, 0], [0, 9]])
        up = changes_of(np.array([3, 4, 5, 6]), area, places, lost)
        down = changes_of(np.array([6, 5, 4, 3]), area, places, lost)
        np.testing.assert_array_equal(up.flags, down.flags)
        np.testing.assert_array_equal(up.step_ratio, down.step_ratio)

    def test_flags_have_words(self):
        assert (Flags.JUMP | Flags.VANISHED).words == "jump vanished"
        assert Flags.NONE.words == ""


entries = st.lists(
    st.tuples(
        st.integers(0, 11),  # frame
        st.integers(0, 400),  # area
        st.floats(0, 60),  # x
        st.floats(0, 1),  # iou
        st.sampled_from(["forward", "reverse", "prompted"]),
    ),
    min_size=1,
    max_size=24,
)


def filled(rows, object_id=1, n_frames=12):
    table = ScoreTable(n_frames)
    for frame, area, x, iou, how in rows:
        put(
            table,
            frame,
            object_id,
            area=area,
            centroid=(0.0, x) if area else None,
            iou=iou,
            prompted=how == "prompted",
            reverse=how == "reverse",
        )
    return table


class TestLookingUp:
    @given(rows=entries)
    @settings(max_examples=200, deadline=None)
    def test_one_row_is_what_the_whole_track_says(self, rows):
        table = filled(rows)
        known = table.of(1)
        for k, t in enumerate(known.frames.tolist()):
            row = table.row(1, t)
            np.testing.assert_equal(row.step, known.step[k])
            assert row.flags == Flags(int(known.flags[k]))
            assert row.confidence == pytest.approx(known.confidence[k])
            assert row.prompted == known.prompted[k]

    def test_a_row_holds_what_was_recorded(self):
        table = ScoreTable(5)
        put(table, 3, 7, overlap_lost=0.25)
        row = table.row(7, 3)
        assert (row.object_id, row.frame_idx, row.area) == (7, 3, 100)
        assert (row.iou, row.object_score, row.overlap_lost) == (0.75, 0.875, 0.25)
        assert row.centroid == (10.0, 20.0)
        assert np.isnan(row.step)
        assert not row.prompted

    def test_a_sessions_scores_are_taken_as_they_are(self):
        table = ScoreTable(5)
        score = ObjectScore(
            iou=0.5, object_score=0.25, area=7, lost=0.125, centroid=(1.0, 2.0)
        )
        table.take(2, {3: score}, reverse=True)
        table.take(3, {3: replace(score, prompted=True, centroid=(1.0, 6.0))})
        row = table.row(3, 2)
        assert (row.iou, row.object_score, row.area) == (0.5, 0.25, 7)
        assert (row.overlap_lost, row.centroid) == (0.125, (1.0, 2.0))
        assert row.step == 4  # from the frame after it
        assert table.row(3, 3).prompted

    def test_a_later_answer_replaces_an_earlier_one(self):
        table = walk([100, 900, 200])
        assert flags(table) == {1: Flags.AREA}
        put(table, 1, area=110)
        assert flags(table) == {}
        assert len(table) == 3

    def test_a_frame_has_its_objects(self):
        table = ScoreTable(4)
        put(table, 1, 8)
        put(table, 1, 3)
        put(table, 2, 3)
        assert list(table.frame(1)) == [3, 8]
        assert list(table.frame(2)) == [3]
        assert table.frame(0) == {}

    def test_what_is_not_there_says_what_to_do(self):
        table = walk([100])
        with pytest.raises(KeyError, match="propagate through that frame"):
            table.row(1, 5)
        with pytest.raises(KeyError, match="object 2 in frame 0"):
            table.row(2, 0)
        with pytest.raises(IndexError, match="Frame 1 is not one of the stack's 1"):
            put(table, 1)

    def test_lowest_is_the_least_sure_row(self):
        table = walk([100] * 4)
        put(table, 2, iou=0.1)
        lowest = table.lowest(1)
        assert lowest is not None
        assert lowest.frame_idx == 2
        assert table.lowest(9) is None

    def test_doubtful_rows_come_in_order_of_frames(self):
        table = ScoreTable(6)
        for object_id in (1, 2):
            for t in range(6):
                put(table, t, object_id, iou=0.99, object_score=0.99, prompted=t == 0)
        for t in (2, 3, 5):
            put(table, t, 2, iou=0.01, object_score=0.01)
        put(table, 3, 1, iou=0.01, object_score=0.01)
        unsure = [(2, 2), (3, 1), (3, 2), (5, 2)]
        assert [p for p in table.doubtful(flagged=False) if p in unsure] == unsure
        assert table.doubtful(0.0, flagged=False) == []
        assert len(table.doubtful(1.0)) == 10  # all that no prompt fixed

    def test_flagged_rows_are_doubtful_and_stretches_have_a_start(self):
        table = walk([100, 100, 301, 301, 110])
        assert table.doubtful(0.0) == [(2, 1), (3, 1)]
        assert table.doubtful(0.0, starts=True) == [(2, 1)]
        assert table.doubtful(0.0, flagged=False) == []


class TestKeeping:
    def test_memory_is_what_was_promised(self):
        assert ROW.itemsize == 25

    def test_forgetting_some_frames_or_all(self):
        table = walk([100] * 4)
        table.forget(1, [1, 3])
        assert table.of(1).frames.tolist() == [0, 2]
        table.forget(1)
        assert table.object_ids == []
        table.forget(1)
        assert len(table) == 0

    def test_exchange_swaps_from_a_frame_on(self):
        table = ScoreTable(4)
        for t in range(4):
            put(table, t, 1, area=10 + t)
            put(table, t, 2, area=20 + t)
        table.forget(2, [3])
        table.exchange(1, 2, 2)
        assert table.of(1).rows["area"].tolist() == [10, 11, 22]
        assert table.of(2).rows["area"].tolist() == [20, 21, 12, 13]

    def test_exchange_with_an_unknown_object_renames(self):
        table = walk([10, 11])
        table.exchange(1, 5)
        assert table.object_ids == [5]
        assert table.of(5).rows["area"].tolist() == [10, 11]

    def test_move_gives_rows_away_from_a_frame_on(self):
        table = ScoreTable(4)
        for t in range(3):
            put(table, t, 1, area=10 + t)
        for t in (1, 3):
            put(table, t, 2, area=20 + t)
        table.move(1, 2, 1)
        assert table.of(1).frames.tolist() == [0]
        assert table.of(2).frames.tolist() == [1, 2, 3]
        assert table.of(2).rows["area"].tolist() == [11, 12, 23]

    def test_move_onto_itself_or_of_nothing_changes_nothing(self):
        table = walk([10, 11])
        table.move(1, 1)
        table.move(9, 1)
        assert table.of(1).rows["area"].tolist() == [10, 11]

    def test_restoring_takes_later_work_back(self):
        table = walk([100, 110, 120])
        held = table.snapshot(1)
        put(table, 1, area=900)
        table.forget(1, [2])
        table.restore(1, held)
        assert table.of(1).rows["area"].tolist() == [100, 110, 120]
        table.restore(1, table.snapshot(99))
        assert table.object_ids == []

    @given(rows=entries, others=entries)
    @settings(max_examples=50, deadline=None)
    def test_state_gives_the_same_table_through_json(self, rows, others):
        table = filled(rows)
        table.exchange(1, 4)
        for t, row in enumerate(filled(others).of(1).rows.tolist()):
            put(table, t, 1, iou=row[0], area=row[5], prompted=row[6] & 2)
        plain = {name: values.tolist() for name, values in table.state().items()}
        again = ScoreTable.from_state(json.loads(json.dumps(plain)))
        assert again.n_frames == 12
        np.testing.assert_equal(again.state(), table.state())

    def test_state_is_as_small_as_its_rows(self):
        table = ScoreTable(1000)
        put(table, 10)
        assert table.state()["frame"].tolist() == [10]

    def test_state_that_was_changed_is_refused(self):
        state = walk([100, 100]).state()
        with pytest.raises(ValueError, match="lack 'area'; they are not"):
            ScoreTable.from_state({k: v for k, v in state.items() if k != "area"})
        with pytest.raises(ValueError, match="differ in length"):
            ScoreTable.from_state({**state, "area": state["area"][:1]})
        with pytest.raises(ValueError, match="name frames that the stack"):
            ScoreTable.from_state({**state, "n_frames": np.array(1)})
        assert ScoreTable.from_state(state).object_ids == [1]

    def test_an_empty_table_is_kept_too(self):
        again = ScoreTable.from_state(ScoreTable(7).state())
        assert again.n_frames == 7
        assert len(again) == 0


class TestToFrame:
    def test_rows_are_sorted_by_object_and_frame(self):
        table = ScoreTable(4)
        put(table, 2, 9)
        put(table, 0, 2, area=300, centroid=(0.0, 0.0), prompted=True)
        put(table, 3, 2, area=0, centroid=None, object_score=0.125)
        put(table, 1, 2, area=900, centroid=(0.0, 30.0), overlap_lost=0.75)
        found = table.to_frame()
        assert list(found.columns) == [
            "object_id",
            "frame",
            "iou",
            "object_score",
            "area",
            "y",
            "x",
            "step",
            "overlap_lost",
            "prompted",
            "confidence",
            "flags",
        ]
        assert found["object_id"].tolist() == [2, 2, 2, 9]
        assert found["frame"].tolist() == [0, 1, 3, 2]
        assert found["flags"].tolist() == ["", "jump area overlap", "vanished", ""]
        assert found["area"].tolist() == [300, 900, 0, 100]
        assert found["prompted"].tolist() == [True, False, False, False]
        np.testing.assert_array_equal(found["step"], [np.nan, 30, np.nan, np.nan])
        np.testing.assert_array_equal(found["x"], [0, 30, np.nan, 20])
        assert found["confidence"].iloc[0] == 1
        assert found["confidence"].between(0, 1).all()

    def test_a_table_without_rows_has_the_same_columns(self):
        empty = ScoreTable(3).to_frame()
        assert len(empty) == 0
        assert list(empty.columns) == list(walk([1]).to_frame().columns)
        assert empty.dtypes["area"] == walk([1]).to_frame().dtypes["area"]


def evidence(**given):
    usual = {
        "iou": 0.8,
        "recent_iou": 0.7,
        "object_score": 0.9,
        "area": 100,
        "overlap_lost": 0.1,
        "area_ratio": 1.2,
        "step_ratio": 0.2,
    }
    return Evidence(**{k: np.array([v]) for k, v in (usual | given).items()})


class TestConfidence:
    @pytest.mark.parametrize(
        ("name", "worse", "better"),
        [
            ("iou", 0.2, 0.8),
            ("recent_iou", 0.2, 0.8),
            ("object_score", 0.3, 0.9),
            ("overlap_lost", 0.8, 0.0),
            ("area_ratio", 3.0, 1.0),
            ("area_ratio", 0.3, 1.0),
            ("step_ratio", 1.2, 0.0),
        ],
    )
    def test_no_hint_works_the_wrong_way(self, name, worse, better):
        low = confidence(evidence(**{name: worse}))
        high = confidence(evidence(**{name: better}))
        assert low <= high

    def test_good_answers_are_believed_and_bad_ones_not(self):
        good = evidence(
            iou=0.95,
            recent_iou=0.95,
            object_score=0.99,
            overlap_lost=0.0,
            area_ratio=1.0,
            step_ratio=0.0,
        )
        bad = evidence(iou=0.1, recent_iou=0.05, object_score=0.5, overlap_lost=0.5)
        assert confidence(good) > 0.9
        assert confidence(bad) < 0.1

    @given(
        iou=st.floats(0, 1),
        score=st.floats(0, 1),
        area=st.integers(0, 10**6),
        lost=st.floats(0, 1),
        ratio=st.one_of(st.just(np.nan), st.floats(0, 1e9)),
        step=st.one_of(st.just(np.nan), st.floats(0, 1e9)),
    )
    def test_it_is_a_probability_whatever_comes(
        self, iou, score, area, lost, ratio, step
    ):
        sure = confidence(
            evidence(
                iou=iou,
                recent_iou=iou,
                object_score=score,
                area=area,
                overlap_lost=lost,
                area_ratio=ratio,
                step_ratio=step,
            )
        )
        assert 0 <= sure[0] <= 1

    def test_a_bad_frame_is_remembered_for_ten_frames(self):
        table = walk([100] * 14)
        for t in range(1, 14):
            put(table, t, iou=0.2 if t == 2 else 0.8)
        low = table.of(1).evidence.recent_iou
        assert low[1] == pytest.approx(0.8)
        np.testing.assert_allclose(low[2:12], 0.2, rtol=1e-6)
        np.testing.assert_allclose(low[12:], 0.8, rtol=1e-6)

    def test_what_a_prompt_said_does_not_count_as_a_bad_frame(self):
        table = walk([100] * 4)
        put(table, 1, iou=0.01, prompted=True)
        np.testing.assert_allclose(table.of(1).evidence.recent_iou[2:], 0.75)
        assert table.row(1, 1).confidence == 1
