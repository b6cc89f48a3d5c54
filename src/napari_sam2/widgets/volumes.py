"""The volume that the slider is at: its cells in the table and in the strips.

A repetition fills volumes that the session knows nothing of; what it knows of one is
asked when the user comes to it, also in the middle of a run.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari_sam2.tracking.review import ObjectReview
    from napari_sam2.widgets.desk import Desk
    from napari_sam2.widgets.following import Following
    from napari_sam2.widgets.workplace import Workplace

VOLUME = "volume"


class Volumes:
    """Keeps what is shown of cells in step with the sliders.

    Parameters
    ----------
    desk : Desk
        What the panel's parts share.
    following : Following
        Its runs fill volumes.
    """

    def __init__(self, desk: Desk, following: Following) -> None:
        self._desk, self._following = desk, following
        self._showing = False
        following.ended.connect(self.ask)
        desk.cells_changed.connect(self._cells_changed)

    def look(self) -> None:
        """Show the cells of the volume that the slider has come to, if it has."""
        place = self._desk.place
        if place is not None and place.look():
            self._show(place)
            self.ask()

    def ask(self) -> None:
        """Find out what a repetition knows of the volume that is shown."""
        desk, place = self._desk, self._desk.place
        if place is None or not place.cells.shown:
            return
        request = place.request(desk.models.choice, last=True)
        index, volume = place.index_here, place.cells.shown
        question = partial(desk.engine.repeated, request, index)

        def done(reviews: Mapping[int, ObjectReview] | None) -> None:
            if reviews is not None:
                place.cells.take_repeated(volume, reviews)
                self._show(place)

        def in_between() -> Callable[[], None]:
            return partial(done, question())

        if not self._following.ask(in_between):
            desk.submit(VOLUME, question, on_done=done)

    def _cells_changed(self) -> None:
        """Ask again: what was done, or taken back, may concern this volume."""
        place = self._desk.place
        if not self._showing and place is not None and not place.cells.at_home:
            self.ask()

    def _show(self, place: Workplace) -> None:
        if place is self._desk.place:
            self._showing = True
            self._desk.panel.objects.draw(place.object_id)
            self._desk.cells_changed.emit()
            self._showing = False
