"""The demonstration: napari with a sample movie, one click placed, frames filling."""

from __future__ import annotations

from typing import TYPE_CHECKING

import napari

from napari_sam2.stacks.samples import cells_movie
from napari_sam2.widgets.track_widget import TrackWidget

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_sam2.widgets.engine import Engine


def start_demo(viewer: Viewer, *, engine: Engine | None = None) -> TrackWidget:
    """Put the sample movie and the panel into a viewer, click, and begin to follow.

    Parameters
    ----------
    viewer : Viewer
        An empty viewer.
    engine : Engine, optional
        What segments and tracks; SAM 2 unless given.
    """
    sample = cells_movie()
    viewer.add_image(sample.image, name="cells", axis_labels=("t", "y", "x"))
    viewer.dims.set_point(0, 0)
    widget = TrackWidget(viewer, engine=engine)
    viewer.window.add_dock_widget(widget, name="Segment and track (SAM 2)")
    place = widget.place
    assert place is not None  # the movie was just added
    place.prompts.click(sample.click)
    widget.follow("forward")
    return widget


def run_demo() -> None:
    """Open napari on the demonstration; return when the window is closed."""
    viewer = napari.Viewer(title="napari-sam2: click once, follow everywhere")
    start_demo(viewer)
    napari.run()
