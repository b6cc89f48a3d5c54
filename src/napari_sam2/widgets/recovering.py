"""Work done on an image before: offered on a button, and taken up again."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from napari_sam2.widgets import messages

if TYPE_CHECKING:
    from napari_sam2.tracking.shelf import Earlier
    from napari_sam2.widgets.desk import Desk
    from napari_sam2.widgets.engine import Recovered


class Recovering:
    """Offers the newest session of an image that nothing was done on yet.

    Parameters
    ----------
    desk : Desk
        What the panel's parts share.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
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
        desk, place, request = self._desk, self._desk.place, self._desk.request()
        earlier = self._earlier
        desk.panel.recover.hide()
        if place is None or request is None or earlier is None:
            return

        def done(recovered: Recovered) -> None:
            place.prompts.load(recovered.prompts, request.target)
            again = desk.request()
            if again is not None:
                place.changed_frames(again.prompts)
            place.masks.update(recovered.masks)
            for news in recovered.news:
                place.note(news, known=None)
            desk.show_result(place, recovered.array)
            place.object_id = max(place.rows, default=1)
            desk.show_objects()
            desk.say(messages.RECOVERED)
            desk.console(f"session = Session.open({str(earlier.path)!r})")

        work = partial(desk.engine.recover, request, earlier)
        desk.submit("recover", work, on_done=done)
