"""Models of the user's own making: files with a card, found by name.

They lie in the folder ``own`` of the models folder, one ``NAME.safetensors`` each.
The card, what it was made from and what that brought, is kept in the file itself.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open

from napari_sam2.model.checkpoint import CheckpointError, save_checkpoint
from napari_sam2.model.config import preset
from napari_sam2.model.registry import models_folder

if TYPE_CHECKING:
    import os

    import torch

    from napari_sam2.model.sam2 import SAM2

FOLDER = "own"
_KEY = "card"


@dataclass(frozen=True, kw_only=True)
class Card:
    """What is to be known of an adapted model.

    Attributes
    ----------
    parent, parent_sha256
        The model it was adapted from.
    made
        When, ISO 8601.
    version
        Of napari-sam2.
    data
        Names of what was learned from.
    learned, aside
        How many objects were learned from and held aside.
    part, steps
        What was adapted, and for how long.
    scores
        By task, the mean IoU of the objects held aside: [before, after].
    """

    parent: str
    parent_sha256: str = ""
    made: str = ""
    version: str = ""
    data: tuple[str, ...] = ()
    learned: int = 0
    aside: int = 0
    part: str = ""
    steps: int = 0
    scores: dict[str, tuple[float, float]] = field(default_factory=dict)


def own_folder(folder: str | os.PathLike[str] | None = None) -> Path:
    """Return where own models lie, under a models folder or the usual one."""
    return (models_folder() if folder is None else Path(folder)) / FOLDER


def own_models(folder: str | os.PathLike[str] | None = None) -> dict[str, Path]:
    """Return the user's own models by name, in order of their names."""
    return {
        path.stem: path for path in sorted(own_folder(folder).glob("*.safetensors"))
    }


def check_name(name: str) -> str:
    """Return a name that an own model may have.

    Raises
    ------
    ValueError
        If it is not of letters, digits, dots, dashes and underscores, or is taken by
        a model that everybody has.
    """
    if not re.fullmatch(r"\w[\w.-]*", name) or name.endswith((".pt", ".safetensors")):
        raise ValueError(
            f"{name!r} is no name for a model: use letters, digits, - and _, no ending."
        )
    try:
        preset(name)
    except ValueError:
        return name
    raise ValueError(f"{name!r} is a model that everybody has; choose another name.")


def save_own(
    model: SAM2,
    name: str,
    card: Card,
    *,
    dtype: torch.dtype | None = None,
    folder: str | os.PathLike[str] | None = None,
) -> Path:
    """Keep a model under a name, with its card; one of that name is replaced.

    Parameters
    ----------
    model
        What to keep.
    name
        See `check_name`.
    card
        What is to be known of it.
    dtype
        Precision of the file, e.g. ``torch.float16``; None keeps the model's.
    folder
        The models folder; None for the usual one.

    Returns
    -------
    Path
        The file. ``load_model(name)`` finds it in the usual folder.
    """
    path = own_folder(folder) / f"{check_name(name)}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {_KEY: json.dumps(asdict(card))}
    save_checkpoint(model, path, metadata=metadata, dtype=dtype)
    return path


def read_card(path: str | os.PathLike[str]) -> Card | None:
    """Read a model's card; None if the file has none.

    Raises
    ------
    CheckpointError
        If the file is damaged, or its card of another version.
    """
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(_KEY)
    except (SafetensorError, OSError) as error:
        msg = f"{Path(path).name} cannot be read ({error}); it is damaged."
        raise CheckpointError(msg) from error
    if text is None:
        return None
    try:
        table = json.loads(text)
        table["data"] = tuple(table["data"])
        table["scores"] = {k: (v[0], v[1]) for k, v in table["scores"].items()}
        return Card(**table)
    except (ValueError, TypeError, KeyError, IndexError) as error:
        msg = f"The card of {Path(path).name} is of another version of napari-sam2."
        raise CheckpointError(msg) from error
