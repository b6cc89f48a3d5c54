"""The napari plugin: the only code that knows napari and Qt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_sam2.widgets.track_widget import TrackWidget

__all__ = ["TrackWidget"]


def __getattr__(name: str) -> Any:
    """Import the widget when it is opened, not when napari reads the manifest."""
    if name != "TrackWidget":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from napari_sam2.widgets.track_widget import TrackWidget

    globals()[name] = TrackWidget
    return TrackWidget
