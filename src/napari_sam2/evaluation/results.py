"""What an evaluation has found so far, and writing it down."""

from __future__ import annotations

import json
import platform
import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import napari_sam2
from napari_sam2.evaluation.cases import TILE, Gallery
from napari_sam2.evaluation.report import as_json, as_markdown, make_rows
from napari_sam2.evaluation.scores import MODEL_FREE
from napari_sam2.stacks.writing import written_beside

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_sam2.evaluation.datasets import DataSet
    from napari_sam2.evaluation.report import Row
    from napari_sam2.evaluation.scores import Score
    from napari_sam2.evaluation.tasks import Finding, Settings
    from napari_sam2.model import SAM2


@dataclass(kw_only=True)
class Results:
    """What was measured, and with what.

    Attributes
    ----------
    models
        By what they are called.
    sets
        Where the data was.
    settings
        How much was asked for.
    scores
        What was measured, one number each.
    left_out
        What could not be measured, and why.
    galleries
        Cases to look at, by name of their picture.
    interrupted
        Whether there is more that was asked for.
    """

    models: dict[str, SAM2]
    sets: Sequence[DataSet]
    settings: Settings
    scores: list[Score] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    galleries: dict[str, Gallery] = field(default_factory=dict)
    interrupted: bool = False

    @property
    def rows(self) -> list[Row]:
        """The table."""
        return make_rows(self.scores)

    def add(self, model: str, data: str, finding: Finding) -> None:
        """Keep what was found with one model.

        Baselines that need no model are the same for all: the first one's are kept.
        """
        first = model == next(iter(self.models))
        self.scores += [
            score for score in finding.scores if first or score.model not in MODEL_FREE
        ]
        for task, case in finding.cases.items():
            name = _file_name(f"{data} {task} {model}")
            tile = 2 * TILE if task in ("whole", "tracks") else TILE
            self.galleries.setdefault(name, Gallery(tile=tile)).add(case)

    def as_json(self) -> dict[str, Any]:
        """Return everything but pictures, as `json.dumps` takes it."""
        return as_json(
            self.rows,
            versions={
                "napari-sam2": napari_sam2.__version__,
                "torch": torch.__version__,
                "numpy": np.__version__,
                "python": platform.python_version(),
            },
            models=[
                {
                    "name": name,
                    "sha256": model.origin.sha256 if model.origin else None,
                    "device": str(model.device),
                }
                for name, model in self.models.items()
            ],
            data=[
                {
                    "name": data.name,
                    "path": str(data.path),
                    "pictures": len(data.pictures),
                    "movies": len(data.movies),
                }
                for data in self.sets
            ],
            settings=asdict(self.settings),
            interrupted=self.interrupted,
            left_out=self.left_out,
            scores=[asdict(score) for score in self.scores],
        )

    def write(self, folder: Path) -> None:
        """Write table.md, results.json and a picture of cases for every task.

        Parameters
        ----------
        folder
            Is made if it is missing; earlier results in it are replaced.
        """
        folder.mkdir(parents=True, exist_ok=True)
        _replace(folder / "table.md", as_markdown(self.rows) + "\n")
        _replace(folder / "results.json", json.dumps(self.as_json(), indent=1) + "\n")
        for name, gallery in self.galleries.items():
            gallery.draw(folder / f"{name}.png")


def _file_name(text: str) -> str:
    """Return a text without what file names must not have."""
    return re.sub(r"[^\w.+-]+", "_", text).strip("_")


def _replace(path: Path, text: str) -> None:
    with written_beside(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
