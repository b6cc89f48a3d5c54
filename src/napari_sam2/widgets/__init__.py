"""The napari plugin: the only code that knows napari and Qt."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_sam2.widgets.adapt_widget import AdaptWidget
    from napari_sam2.widgets.track_widget import TrackWidget

__all__ = ["AdaptWidget", "TrackWidget"]

_HOMES = {
    "AdaptWidget": "napari_sam2.widgets.adapt_widget",
    "TrackWidget": "napari_sam2.widgets.track_widget",
}


def __getattr__(name: str) -> Any:
    """Import a widget when it is opened, not when napari reads the manifest."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
