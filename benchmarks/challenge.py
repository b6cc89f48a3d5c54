"""Are SEG, DET and TRA of real results right? Beside py-ctcmetrics, on the same files.

    pip install py-ctcmetrics
    python benchmarks/challenge.py t98g [--movie 01]

The folder holds ``01_GT`` (TRA and SEG) and ``01_RES``, as `napari-sam2 export --format
ctc` writes them with and without `--truth`. Both programs read the files by themselves;
the exit status is 1 if they differ. docs/evaluation.md tells how such folders are made
of a labelled movie.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
from pathlib import Path

import numpy as np
from ctc_metrics.scripts.evaluate import evaluate_sequence

from napari_sam2.evaluation.ctc import compare, seg_scores
from napari_sam2.stacks.ctc import read_ctc

MEASURES = ("SEG", "DET", "TRA")


def ours(root: Path, movie: str) -> dict[str, float]:
    """Return SEG, DET and TRA of ``01_RES`` as `napari-sam2 evaluate` counts them."""
    with (
        read_ctc(root, movie) as truth,
        read_ctc(root, movie, kind="SEG") as outlines,
        read_ctc(root, movie, kind="RES") as found,
    ):
        planes = found.labels[:]
        operations = compare(
            planes,
            truth.labels[:],
            found_parents=found.parents,
            true_parents=truth.parents,
        )
        scores = [
            score
            for t in outlines.labels.annotated
            for score in seg_scores(planes[t], outlines.labels.plane(t))
        ]
    return {
        "SEG": float(np.mean(scores)),
        "DET": operations.det,
        "TRA": operations.tra,
    }


def theirs(root: Path, movie: str) -> dict[str, float]:
    """Return the same by py-ctcmetrics, which prints while it works."""
    with contextlib.redirect_stdout(io.StringIO()):
        results = evaluate_sequence(
            str(root / f"{movie}_RES"), str(root / f"{movie}_GT"), [*MEASURES], 1
        )
    return {name: float(results[name]) for name in MEASURES}


def main() -> int:
    """Print a table; return 1 if the programs differ."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--movie", default="01")
    wish = parser.parse_args()
    rows = {
        "napari-sam2": ours(wish.folder, wish.movie),
        "py-ctcmetrics": theirs(wish.folder, wish.movie),
    }
    print("| data | program | SEG | DET | TRA |\n| --- | --- | --- | --- | --- |")
    for program, row in rows.items():
        numbers = " | ".join(f"{row[name]:.4f}" for name in MEASURES)
        print(f"| {wish.folder.name}-{wish.movie} | {program} | {numbers} |")
    first, second = rows.values()
    return int(not all(np.isclose(first[k], second[k], atol=1e-9) for k in MEASURES))


if __name__ == "__main__":
    sys.exit(main())
