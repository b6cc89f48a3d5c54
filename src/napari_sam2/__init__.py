"""Click a cell once, and it is segmented through the whole movie or stack.

The names below are the console's vocabulary. They are looked up on first use, so
that ``import napari_sam2`` costs milliseconds and pulls in neither torch, Qt nor
napari (napari reads the plugin's manifest at every start).

Examples
--------
>>> from napari_sam2 import Session, load_model  # doctest: +SKIP
>>> session = Session(load_model("nano"), movie)  # doctest: +SKIP
>>> session.add_points(1, 0, [(120, 87)], [1])  # doctest: +SKIP
>>> for result in session.propagate():  # doctest: +SKIP
...     print(result.frame_idx, result.scores[1].area)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_sam2.model import load_model
    from napari_sam2.stacks import Stack, open_labels_store, open_stack, save_labels
    from napari_sam2.tracking import FrameResult, Session
    from napari_sam2.tracking.prompts import read_prompts_csv
    from napari_sam2.tracking.repeating import Repetition

    __version__: str

__all__ = [
    "FrameResult",
    "Repetition",
    "Session",
    "Stack",
    "__version__",
    "load_model",
    "open_labels_store",
    "open_stack",
    "read_prompts_csv",
    "save_labels",
]

_HOMES = {
    "FrameResult": "napari_sam2.tracking",
    "Repetition": "napari_sam2.tracking.repeating",
    "Session": "napari_sam2.tracking",
    "Stack": "napari_sam2.stacks",
    "load_model": "napari_sam2.model",
    "open_labels_store": "napari_sam2.stacks",
    "open_stack": "napari_sam2.stacks",
    "read_prompts_csv": "napari_sam2.tracking.prompts",
    "save_labels": "napari_sam2.stacks",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value: Any = importlib.import_module("importlib.metadata").version(
            "napari-sam2"
        )
    elif name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
