"""Which tool is in hand: the panel's buttons and the viewer's layers, in step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer

from napari_sam2.widgets import messages
from napari_sam2.widgets.console_lines import tool_line

if TYPE_CHECKING:
    from napari.layers import Image, Layer
    from napari.viewer import Viewer
    from qtpy.QtWidgets import QPushButton

    from napari_sam2.widgets.desk import Desk
    from napari_sam2.widgets.image_choice import ImageChoice


class Tools(QObject):
    """Keeps the chosen tool in hand when layers are opened.

    napari selects each layer that comes, and with it the tool of that layer, which
    moves the picture. Only a user who chose so wants that.

    Parameters
    ----------
    viewer : Viewer
        Its selected layer is the tool.
    desk : Desk
        What the panel's parts share.
    images : ImageChoice
        Is told to work on an image that was opened; made before this.

    Attributes
    ----------
    chosen : str
        The tool that was in hand last.
    buttons : dict of str to QPushButton
        The panel's buttons by the tools' names.
    """

    def __init__(self, viewer: Viewer, desk: Desk, images: ImageChoice) -> None:
        super().__init__()
        self._viewer, self._desk, self._images = viewer, desk, images
        panel = desk.panel
        self.chosen = "click"
        self.buttons: dict[str, QPushButton] = {
            "click": panel.click_tool,
            "box": panel.box_tool,
            "scribble": panel.scribble_tool,
            "outline": panel.outline_tool,
            "paint": panel.paint_tool,
        }
        self._arrived: list[Layer] = []
        self._before: tuple[Image | None, Layer | None] = (None, None)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._settle)
        # napari asks the one who came last first: before the image is chosen.
        viewer.layers.events.inserted.connect(self._inserted)

    def choose(self, tool: str, *_: Any) -> None:
        """Take a tool because the user says so, and show its line."""
        self.take(tool)
        self.announce()

    def announce(self) -> None:
        """Show the line that the next use of the tool will be."""
        place = self._desk.place
        if place is not None:
            sign, here = place.prompts.positive, place.here
            self._desk.console(
                tool_line(self.chosen, place.object_id, here, positive=sign)
            )

    def take(self, tool: str) -> None:
        """Put a tool in hand, if there is an image to use it on."""
        place = self._desk.place
        if place is None:
            return
        if tool != "paint":
            place.prompts.take_tool(tool)
        elif place.result is not None:
            place.result.start_painting()
        self.show()
        self._desk.say_how(tool)

    def take_chosen(self) -> None:
        """Put the tool of before in hand, on another image."""
        # There may be nothing yet to paint in.
        self.take("click" if self.chosen == "paint" else self.chosen)

    def show(self) -> None:
        """Show which tool the selected layer is."""
        place, active, tools = self._desk.place, self._active, self._desk.panel.tools
        if place is None:
            return
        tool = place.prompts.tool
        if place.result is not None and place.result.layer == active:
            tool = "paint"
        self.chosen = tool or self.chosen
        tools.setExclusive(False)
        for name, button in self.buttons.items():
            button.setChecked(name == tool)
        tools.setExclusive(True)
        ours = active is not None and place.owns(active)
        self._desk.say_what_to_do(tool_in_hand=ours)

    def close(self) -> None:
        """Listen to the viewer no longer."""
        self._timer.stop()
        self._viewer.layers.events.inserted.disconnect(self._inserted)

    @property
    def _active(self) -> Layer | None:
        active: Layer | None = self._viewer.layers.selection.active
        return active

    def _inserted(self, event: Any) -> None:
        """Wait until all layers of a file have come, and napari has selected one."""
        if not self._timer.isActive():
            self._before = self._images.image, self._active
            self._timer.start(0)
        self._arrived.append(event.value)

    def _settle(self) -> None:
        """Give the user the tool back that the layers which came have taken."""
        place, active = self._desk.place, self._active
        (before, held), arrived = self._before, self._arrived
        self._before, self._arrived = (None, None), []  # layers may go
        if place is None or active not in arrived or place.owns(active):
            return
        images = [image for image in self._images.images if image in arrived]
        if place.untouched and self._images.image == before:
            opened = [image for image in images if _opened(image)]
        else:
            opened = images if before is None else []
        if opened and opened[-1] != place.image:
            self._images.image = opened[-1]
        elif place.image in arrived:
            self.take_chosen()
        elif images:
            self._desk.say(messages.ANOTHER_IMAGE)
        elif held is not None and place.owns(held) and _opened(active):
            self._viewer.layers.selection.active = held


def _opened(layer: Layer) -> bool:
    """Whether a layer was read from a file or is a sample, not made in napari."""
    return layer.source.path is not None or layer.source.sample is not None
