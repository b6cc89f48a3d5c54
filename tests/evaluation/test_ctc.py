"""SEG, DET and TRA: by hand, and against py-ctcmetrics on random tracks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from ctc_metrics.metrics.technical.det import det
from ctc_metrics.metrics.technical.seg import seg
from ctc_metrics.metrics.technical.tra import tra
from ctc_metrics.scripts.evaluate import evaluate_sequence
from ctc_metrics.utils.representations import (
    count_acyclic_graph_correction_operations,
    match,
)

from napari_sam2.evaluation.ctc import compare, links, seg_scores
from napari_sam2.stacks.ctc import read_ctc
from napari_sam2.stacks.ctc_writing import write_ctc
from napari_sam2.stacks.labelled import LabelledStack
from napari_sam2.stacks.writing import finish

if TYPE_CHECKING:
    from pathlib import Path


def movie(*frames: str) -> np.ndarray:
    """Return (T, 1, X) labels, a digit a pixel."""
    return np.array([[[int(c) for c in frame]] for frame in frames], np.uint16)


def test_seg_by_hand() -> None:
    truth = np.array([[1, 1, 1, 1, 2, 2, 3, 3, 0, 0]])
    # 3 of 4 px covered by one of 4 px: 3/5. Exactly half is not enough: 0. None: 0.
    found = np.array([[9, 9, 9, 0, 9, 5, 0, 0, 7, 7]])
    assert seg_scores(found, truth) == [pytest.approx(3 / 5), 0, 0]
    assert seg_scores(truth, truth) == [1, 1, 1]


def test_a_perfect_result_needs_no_operation() -> None:
    truth = movie("1102", "1102", "3340", "3340")
    parents = {3: 1, 4: 1}
    perfect = compare(truth, truth, found_parents=parents, true_parents=parents)
    assert (perfect.det, perfect.tra) == (1, 1)
    assert (perfect.nodes, perfect.links) == (8, 6)


def test_operations_on_nodes_by_hand() -> None:
    truth = movie("11002200", "11002200")
    found = movie("77777700", "00002208")
    # Frame 0: one object for both, to be split. Frame 1: 1 missed, 8 false.
    result = compare(found, truth)
    assert (result.split, result.missed, result.false) == (1, 1, 1)
    # No edge is between nodes that mean one true node each: both are missed.
    assert (result.wrong_links, result.missed_links, result.other_links) == (0, 2, 0)
    assert result.det == pytest.approx(1 - (5 + 10 + 1) / 40)
    assert result.tra == pytest.approx(1 - (5 + 10 + 1 + 2 * 1.5) / (40 + 2 * 1.5))


def test_operations_on_links_by_hand() -> None:
    truth = movie("1100", "2020", "2020")
    truth[1:, 0, 2] = 3
    # The division is found as one cell that moves (other kind) and one that appears.
    found = movie("1100", "1040", "1040")
    result = compare(found, truth, true_parents={2: 1, 3: 1})
    assert (result.split, result.missed, result.false) == (0, 0, 0)
    assert (result.wrong_links, result.missed_links, result.other_links) == (0, 1, 1)
    assert result.det == 1
    assert result.tra == pytest.approx(1 - (1.5 + 1) / (50 + 4 * 1.5))
    # Two cells that trade places: two edges too many, two too few.
    crossed = compare(movie("102", "201"), movie("102", "102"))
    assert (crossed.wrong_links, crossed.missed_links) == (2, 2)
    assert crossed.tra == pytest.approx(1 - (2 + 3) / (40 + 3))


def test_no_result_is_worse_than_nothing() -> None:
    truth = movie("1000000", "1000000")
    rubbish = movie("0234567", "0234567")
    assert compare(rubbish, truth).det == 0
    assert compare(rubbish, truth).tra == 0
    assert compare(0 * truth, truth).tra == 0


def test_a_gap_is_a_new_track_of_the_old_one() -> None:
    assert links(movie("1", "0", "1", "1")) == {
        ((0, 1), (2, 1)): True,
        ((2, 1), (3, 1)): False,
    }


def test_tables_of_tracks_must_make_sense() -> None:
    with pytest.raises(ValueError, match="correct the table of tracks"):
        links(movie("12", "12"), {2: 1})
    assert links(movie("1"), {8: 1, 1: 9}) == {}
    with pytest.raises(ValueError, match="labelled objects"):
        compare(movie("0"), movie("0"))
    with pytest.raises(ValueError, match="give one each"):
        compare(movie("0"), movie("0", "1"))


def life(labels: np.ndarray, label: int) -> np.ndarray:
    return np.flatnonzero((labels == label).any((1, 2)))


def without_gaps(labels: np.ndarray) -> np.ndarray:
    """End every track where it is gone for the first time: the library needs that."""
    for k in np.unique(labels[labels > 0]).tolist():
        times = life(labels, k)
        gaps = np.flatnonzero(np.diff(times) > 1)
        if gaps.size:
            late = labels[times[gaps[0]] + 1 :]
            late[late == k] = 0
    return labels


def descents(labels: np.ndarray, rng: np.random.Generator) -> dict[int, int]:
    lives = {k: life(labels, k) for k in np.unique(labels[labels > 0]).tolist()}
    parents = {}
    for child, times in lives.items():
        ended = [k for k, others in lives.items() if others[-1] < times[0]]
        if ended and rng.random() < 0.5:
            parents[child] = int(rng.choice(ended))
    return parents


def random_tracks(rng: np.random.Generator) -> np.ndarray:
    """Return (6, 12, 16) labels of tracks that begin, wander, overlap and end."""
    labels = np.zeros((6, 12, 16), np.uint16)
    for k in rng.permutation(np.arange(1, 8)).tolist():
        begin = int(rng.integers(0, 5))
        y, x = rng.integers(0, 9), rng.integers(0, 12)
        for t in range(begin, int(rng.integers(begin + 1, 7))):
            y = int(np.clip(y + rng.integers(-1, 2), 0, 8))
            x = int(np.clip(x + rng.integers(-1, 2), 0, 11))
            labels[t, y : y + rng.integers(2, 5), x : x + rng.integers(2, 5)] = k
    return without_gaps(labels)


def nearly(truth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return most of the truth under other labels, with two of them made one."""
    found = np.where(rng.random(truth.shape) < 0.85, 9 - truth * (truth > 0), 0)
    found[truth == 0] = 0
    found[:, :, 8:][found[:, :, 8:] == 4] = 3
    return without_gaps(found.astype(np.uint16))


def table(labels: np.ndarray, parents: dict[int, int]) -> np.ndarray:
    lives = {k: life(labels, k) for k in np.unique(labels[labels > 0]).tolist()}
    return np.array([[k, t[0], t[-1], parents.get(k, 0)] for k, t in lives.items()])


@pytest.mark.parametrize("seed", range(12))
def test_random_tracks_as_py_ctcmetrics_has_them(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    truth = random_tracks(rng)
    found = nearly(truth, rng) if seed % 3 else random_tracks(rng)
    true_parents, found_parents = descents(truth, rng), descents(found, rng)
    if seed % 3 == 1:  # the same ones, but for those that ended early
        lives = {k: life(found, k) for k in np.unique(found[found > 0]).tolist()}
        found_parents = {
            9 - child: 9 - parent
            for child, parent in true_parents.items()
            if {9 - child, 9 - parent} <= lives.keys()
            and lives[9 - parent][-1] < lives[9 - child][0]
        }
    theirs: list[list[Any]] = [[], [], [], [], []]
    for t in range(len(truth)):
        paths = tmp_path / f"true{t}.tif", tmp_path / f"found{t}.tif"
        tifffile.imwrite(paths[0], truth[t])
        tifffile.imwrite(paths[1], found[t])
        for kept, new in zip(theirs, match(*map(str, paths)), strict=True):
            kept.append(new)
    operations = count_acyclic_graph_correction_operations(
        table(truth, true_parents), table(found, found_parents), *theirs[:4]
    )
    ours = compare(found, truth, found_parents=found_parents, true_parents=true_parents)
    counted = (
        (ours.split, ours.missed, ours.false),
        (ours.wrong_links, ours.missed_links, ours.other_links),
    )
    names = (("NS", "FN", "FP"), ("ED", "EA", "EC"))
    assert counted == tuple(tuple(int(operations[k]) for k in part) for part in names)
    assert ours.det == pytest.approx(det(**operations))
    assert ours.tra == pytest.approx(tra(**operations)[0])
    scores = [s for t in range(len(truth)) for s in seg_scores(found[t], truth[t])]
    assert np.mean(scores) == pytest.approx(seg(theirs[0], theirs[4]))


@pytest.mark.parametrize("seed", range(4))
def test_exported_folders_as_py_ctcmetrics_has_them(seed: int, tmp_path: Path) -> None:
    """Written by our export, read back by both programs from the same files."""
    rng = np.random.default_rng(seed)
    truth = random_tracks(rng)
    first = int(truth.max())
    truth[3][truth[3] == first] = 0  # a gap, which the export makes two tracks of
    found = nearly(truth, rng)
    parents = {
        child: parent
        for child, parent in descents(truth, rng).items()
        if first not in (child, parent)
    }
    finish(write_ctc(LabelledStack(truth), tmp_path, truth=True, parents=parents))
    finish(write_ctc(LabelledStack(found), tmp_path))
    with read_ctc(tmp_path) as true, read_ctc(tmp_path, kind="RES") as results:
        planes, true_planes = results.labels[:], true.labels[:]
        ours = compare(
            planes,
            true_planes,
            found_parents=results.parents,
            true_parents=true.parents,
        )
        gaps = int((np.diff(life(truth, first)) > 1).sum())
        assert len(true.parents) == len(parents) + gaps
        assert true.outlines is not None
        assert true.outlines.annotated == tuple(range(6))
    scores = [s for t in range(6) for s in seg_scores(planes[t], true_planes[t])]
    theirs = evaluate_sequence(
        str(tmp_path / "01_RES"),
        str(tmp_path / "01_GT"),
        ["Valid", "SEG", "DET", "TRA"],
        threads=1,
    )
    assert theirs["Valid"] == 1
    assert ours.det == pytest.approx(theirs["DET"])
    assert ours.tra == pytest.approx(theirs["TRA"])
    assert np.mean(scores) == pytest.approx(theirs["SEG"])
    assert 0 < ours.tra < 1
