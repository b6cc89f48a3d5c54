"""SEG, DET and TRA, as the Cell Tracking Challenge defines them.

SEG is the mean Jaccard index of the reference objects. DET and TRA compare acyclic
oriented graphs, a node for every object of every frame, by the weighted number of
operations that make the found graph the true one (Matula et al. 2015, Cell Tracking
Accuracy Measurement Based on Comparison of Acyclic Oriented Graphs; Maška et al. 2014,
A Benchmark for Comparison of Cell Tracking Algorithms).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from napari_sam2.evaluation.matching import overlaps

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Planes = Sequence[NDArray[Any]] | NDArray[Any]

Node: TypeAlias = tuple[int, int]
"""Frame and label."""

SPLIT, MISSED, FALSE = 5.0, 10.0, 1.0
"""Weights of operations on nodes: w_NS, w_FN, w_FP."""
WRONG_LINK, MISSED_LINK, OTHER_LINK = 1.0, 1.5, 1.0
"""Weights of operations on edges: w_ED, w_EA, w_EC."""


@dataclass(frozen=True, kw_only=True)
class Operations:
    """What has to be done to make the found graph the true one.

    Attributes
    ----------
    split, missed, false
        Nodes to split (NS), to add (FN) and to delete (FP).
    wrong_links, missed_links, other_links
        Edges to delete (ED), to add (EA), and to make a division of a movement or
        the other way round (EC).
    nodes, links
        Nodes and edges of the true graph.
    """

    split: int
    missed: int
    false: int
    wrong_links: int
    missed_links: int
    other_links: int
    nodes: int
    links: int

    @property
    def det(self) -> float:
        """DET, in [0, 1]: nodes alone."""
        return _normalised(self._on_nodes, MISSED * self.nodes)

    @property
    def tra(self) -> float:
        """TRA, in [0, 1]: nodes and edges."""
        on_links = (
            WRONG_LINK * self.wrong_links
            + MISSED_LINK * self.missed_links
            + OTHER_LINK * self.other_links
        )
        from_nothing = MISSED * self.nodes + MISSED_LINK * self.links
        return _normalised(self._on_nodes + on_links, from_nothing)

    @property
    def _on_nodes(self) -> float:
        return SPLIT * self.split + MISSED * self.missed + FALSE * self.false


def _normalised(cost: float, from_nothing: float) -> float:
    return 1 - min(cost, from_nothing) / from_nothing


def seg_scores(found: NDArray[Any], truth: NDArray[Any]) -> list[float]:
    """Return the Jaccard index of every reference object; SEG is their mean.

    An object is compared with the found one that covers more than half of it, and
    has 0 if there is none.

    Parameters
    ----------
    found, truth
        (Y, X) int, 0 background.

    Raises
    ------
    ValueError
        When the shapes differ.
    """
    pairs = overlaps(truth, found)
    covered = 2 * pairs.shared > pairs.first_areas[:, None]
    # At most one can cover more than half.
    return [float(score) for score in np.where(covered, pairs.ious, 0.0).sum(1)]


def links(
    labels: Planes, parents: Mapping[int, int] | None = None
) -> dict[tuple[Node, Node], bool]:
    """Return the edges of a graph, and which of them are not plain movements.

    Parameters
    ----------
    labels
        T planes of int, 0 background, the same label through time.
    parents
        By label, the label it descends from.

    Returns
    -------
    dict
        By (earlier, later) node, whether a new track begins there: after a
        division, or after a gap, which the challenge writes as one.

    Raises
    ------
    ValueError
        When a track begins before its parent has ended.
    """
    seen: dict[int, list[int]] = defaultdict(list)
    for t, plane in enumerate(labels):
        for label in np.unique(plane[plane > 0]).tolist():
            seen[label].append(t)
    found: dict[tuple[Node, Node], bool] = {}
    for label, times in seen.items():
        for a, b in pairwise(times):
            found[(a, label), (b, label)] = b - a > 1
    for child, parent in (parents or {}).items():
        if child not in seen or parent not in seen:
            continue
        begin, end = seen[child][0], seen[parent][-1]
        if begin <= end:
            message = (
                f"Track {child} begins in frame {begin} but its parent {parent} ends "
                f"in {end} only: correct the table of tracks."
            )
            raise ValueError(message)
        found[(end, parent), (begin, child)] = True
    return found


def compare(
    found: Planes,
    truth: Planes,
    *,
    found_parents: Mapping[int, int] | None = None,
    true_parents: Mapping[int, int] | None = None,
) -> Operations:
    """Count what has to be done to make the found tracks the true ones.

    A found object is a true one if it covers more than half of it.

    Parameters
    ----------
    found, truth
        T planes of int each, 0 background, the same label through time.
    found_parents, true_parents
        By label, the label it descends from.

    Raises
    ------
    ValueError
        When the numbers of frames differ, or nothing is true.
    """
    if len(found) != len(truth):
        message = (
            f"{len(found)} found frames for {len(truth)} true ones: give one each."
        )
        raise ValueError(message)
    meant: dict[Node, list[Node]] = {}
    nodes = matched = 0
    for t, (plane, true_plane) in enumerate(zip(found, truth, strict=True)):
        pairs = overlaps(true_plane, plane)
        covered = 2 * pairs.shared > pairs.first_areas[:, None]
        nodes += len(pairs.first_ids)
        matched += int(covered.sum())
        for column, label in enumerate(pairs.second_ids.tolist()):
            true_ids = pairs.first_ids[covered[:, column]].tolist()
            meant[t, label] = [(t, true_id) for true_id in true_ids]
    if not nodes:
        message = "The true labels are empty: give a movie with labelled objects."
        raise ValueError(message)
    true_links = links(truth, true_parents)
    sure = {node: which[0] for node, which in meant.items() if len(which) == 1}
    kept = {
        (sure[a], sure[b]): kind
        for (a, b), kind in links(found, found_parents).items()
        if a in sure and b in sure
    }
    return Operations(
        split=sum(len(which) - 1 for which in meant.values() if len(which) > 1),
        missed=nodes - matched,
        false=sum(not which for which in meant.values()),
        wrong_links=sum(link not in true_links for link in kept),
        missed_links=sum(link not in kept for link in true_links),
        other_links=sum(
            kind != true_links.get(link, kind) for link, kind in kept.items()
        ),
        nodes=nodes,
        links=len(true_links),
    )
