"""Work done on an image before: offered on a button, and taken up again."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from napari_sam2.widgets import messages

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sam2.tracking.shelf import Earlier
    from napari_sam2.widgets.desk import Desk
    from napari_sam2.widgets.editing import Editing
    from napari_sam2.widgets.kept_sessions import Recovered


def _nothing() -> None:
    """Do nothing after it."""


class Recovering:
    """Offers the newest session of an image that nothing was done on yet.

    Parameters
    ----------
    desk : Desk
        What the panel's parts share.
    editing : Editing
        Shows what was done.
    """

    def __init__(self, desk: Desk, editing: Editing) -> None:
        self._desk, self._editing = desk, editing
        self._earlier: Earlier | None = None

    def look(self) -> None:
        """Offer to go on with what was done on this image before, if anything."""
        desk, place = self._desk, self._desk.place
        desk.panel.recover.hide()
        self._earlier = None
        if place is None or not place.untouched:
            return
        request = desk.request()
        if request is None:
            return

        def found(earlier: Earlier | None) -> None:
            if earlier is not None and place is desk.place and place.untouched:
                self._earlier = earlier
                desk.panel.recover.setText(messages.earlier(earlier))
                desk.panel.recover.show()

        desk.submit("earlier", partial(desk.engine.earlier, request), on_done=found)

    def recover(self) -> None:
        """Go on with what was done before."""
        if self._earlier is not None:
            self.take_up(self._earlier)

    def take_up(self, earlier: Earlier, then: Callable[[], None] = _nothing) -> None:
        """Go on with a session that was made on the image worked on.

        Parameters
        ----------
        earlier : Earlier
            Which.
        then : callable
            What to do after it.
        """
        desk, place, request = self._desk, self._desk.place, self._desk.request()
        desk.panel.recover.hide()
        self._earlier = None
        if place is None or request is None:
            return

        def done(recovered: Recovered) -> None:
            desk.show_result(place, recovered.array)
            place.object_id = max(recovered.standing.objects, default=1)
            self._editing.show(place, recovered.standing, since=since)
            desk.panel.recover.hide()
            then()
            desk.say(messages.RECOVERED)
            desk.console(f"session = Session.open({str(earlier.path)!r})")

        since = place.prompts.count
        work = partial(desk.engine.recover, request, earlier)
        desk.submit("recover", work, on_done=done)
