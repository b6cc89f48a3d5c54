"""The contrast the model sees: fixed once a cell is begun, renewed on a button."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer

from napari_sam2.widgets import messages

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_sam2.widgets.asking import Asking
    from napari_sam2.widgets.desk import Desk
    from napari_sam2.widgets.workplace import Workplace

PATIENCE_MILLISECONDS = 300  # a slider is moved in many steps


class Contrast(QObject):
    """Watches the contrast limits of the image being worked on.

    Before the first prompt the model sees each change at once. Later ones would make
    frames look different from those in memory, so they wait for the user's word.

    Parameters
    ----------
    desk : Desk
        What the panel's parts share.
    asking : Asking
        Opens the image again.
    """

    def __init__(self, desk: Desk, asking: Asking) -> None:
        super().__init__()
        self._desk, self._asking = desk, asking
        self._watched: list[Layer] = []
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(PATIENCE_MILLISECONDS)
        self._timer.timeout.connect(self.look)
        desk.panel.new_contrast.clicked.connect(self.use_new)

    @property
    def waiting(self) -> bool:
        """Whether a change was seen that is not dealt with yet."""
        return self._timer.isActive()

    def watch(self, place: Workplace | None) -> None:
        """Watch the layers of an image, and no others."""
        self.stop()
        self._watched = [] if place is None else [place.image, *place.picture.others]
        for layer in self._watched:
            layer.events.contrast_limits.connect(self._changed)
        self.look()

    def stop(self) -> None:
        """Watch nothing any more."""
        for layer in self._watched:
            layer.events.contrast_limits.disconnect(self._changed)
        self._watched = []
        self._timer.stop()

    def look(self) -> None:
        """Offer the contrast on the screen if it is not the one the model sees."""
        place, button = self._desk.place, self._desk.panel.new_contrast
        changed = place is not None and place.contrast_changed
        if changed and place is not None and place.untouched:
            self._asking.prepare()
            changed = False
        if changed and button.isHidden():
            self._desk.say(messages.OTHER_CONTRAST)
        button.setVisible(changed)

    def use_new(self) -> None:
        """Let the model see what the user sees."""
        place = self._desk.place
        if place is not None:
            place.use_contrast()
            self._asking.prepare()
            self._desk.panel.new_contrast.hide()
            self._desk.say(messages.NEW_CONTRAST)

    def _changed(self, _event: Any = None) -> None:
        self._timer.start()
