"""The panel's session: saved under a name, opened with its image, found again.

All reading and writing is in threads: the engine's, or for the list of recent sessions
one of its own, so that the list does not wait for cells that are being followed.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject

from napari_sam2.widgets import messages, session_dialogs
from napari_sam2.widgets.image_origin import (
    ImageMissingError,
    find_open,
    look_like,
    read_again,
)
from napari_sam2.widgets.worker import Job, Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari.layers import Image
    from napari.viewer import Viewer

    from napari_sam2.tracking.shelf import Earlier
    from napari_sam2.widgets.desk import Desk
    from napari_sam2.widgets.following import Following
    from napari_sam2.widgets.image_choice import ImageChoice
    from napari_sam2.widgets.kept_sessions import Saved
    from napari_sam2.widgets.recovering import Recovering
    from napari_sam2.widgets.workplace import Workplace

SHOWN = 15


@dataclass(frozen=True, kw_only=True)
class Home:
    """Where the work on an image was saved, and with which image and model."""

    path: Path
    key: tuple[object, ...]


def _nothing(_well: bool) -> None:
    """Do nothing after it."""


class Sessions(QObject):
    """What the panel's Session menu does.

    Parameters
    ----------
    viewer : Viewer
        Gets the images of sessions that are opened.
    desk : Desk
        What the panel's parts share.
    images : ImageChoice
        Chooses the image.
    following : Following
        Is stopped when another session is opened.
    recovering : Recovering
        Takes up what was done.
    """

    def __init__(
        self,
        viewer: Viewer,
        desk: Desk,
        images: ImageChoice,
        following: Following,
        recovering: Recovering,
    ) -> None:
        super().__init__()
        self._viewer, self._desk, self._images = viewer, desk, images
        self._following, self._recovering = following, recovering
        self._homes: weakref.WeakKeyDictionary[Workplace, Home] = (
            weakref.WeakKeyDictionary()
        )
        self._count = 0
        self._clerk: Worker | None = None
        menu = desk.panel.session_menu
        menu.save.triggered.connect(lambda: self.save())
        menu.save_as.triggered.connect(lambda: self.save_as())
        menu.open.triggered.connect(lambda: self.open())
        menu.recent.aboutToShow.connect(self.list_recent)
        desk.cells_changed.connect(self.show_state)

    @property
    def home(self) -> Path | None:
        """Where the work on the present image was saved; None if nowhere."""
        place = self._desk.place
        found = None if place is None else self._homes.get(place)
        return None if found is None else found.path

    @property
    def unsaved(self) -> bool:
        """Whether there is work that is not in a place of the user's."""
        place = self._desk.place
        if place is None or place.untouched or place.last_target is None:
            return False
        home = self._homes.get(place)
        return home is None or home.key != self._key(place)

    def show_state(self) -> None:
        """Say in the panel how the work is kept."""
        menu, place = self._desk.panel.session_menu, self._desk.place
        idle = place is None or place.untouched
        menu.save.setEnabled(not idle)
        menu.save_as.setEnabled(not idle)
        menu.say("" if idle else messages.session_state(self.home, self.unsaved))

    def save(self, then: Callable[[bool], None] = _nothing) -> None:
        """Save where it was saved before; ask where, the first time.

        Parameters
        ----------
        then : callable
            Is told whether it was saved.
        """
        if self.home is None:
            self.save_as(then)
        else:
            self._save(self.home, then, replace=True)

    def save_as(self, then: Callable[[bool], None] = _nothing) -> None:
        """Ask for a name and a place, and save there."""
        path = session_dialogs.ask_where_to_save(self._desk.panel, self._suggestion())
        if path is None:
            then(False)
        else:
            self._save(path, then, replace=False)

    def discard(self, then: Callable[[bool], None]) -> None:
        """Throw the work away, but for what was saved under a name."""

        def failed(error: Exception) -> None:
            self._desk.complain(error)
            then(False)

        self._desk.submit(
            self._kind("discard"),
            self._desk.engine.discard,
            on_done=lambda _: then(True),
            on_error=failed,
        )

    def open(self) -> None:
        """Ask which session to open."""
        folder = Path.home() if self.home is None else self.home.parent
        path = session_dialogs.ask_what_to_open(self._desk.panel, folder)
        if path is not None:
            self.open_path(path)

    def open_path(self, path: Path) -> None:
        """Open a session with its image; the present work stays where it is kept."""
        self._following.stop_quietly()
        look = partial(self._desk.engine.look_at, path)
        self._desk.submit(self._kind("look"), look, on_done=self._looked_at)

    def list_recent(self) -> None:
        """Fill the list of recent sessions, as soon as it was read."""
        menu = self._desk.panel.session_menu
        menu.show_recent([(messages.LOOKING, None)])
        if self._clerk is None:
            self._clerk = Worker()
        self._clerk.submit(
            Job(
                kind="recent",
                work=_read_recent,
                on_done=self._show_recent,
                on_error=self._desk.complain,
            )
        )

    def end_thread(self) -> None:
        """Read nothing any more. The windows may be gone already, so no Qt in here."""
        if self._clerk is not None:
            self._clerk.close()

    def _save(self, path: Path, then: Callable[[bool], None], *, replace: bool) -> None:
        desk, place, request = self._desk, self._desk.place, self._desk.request()
        if place is None or request is None:
            then(False)
            return
        key = self._key(place)

        def done(saved: Path) -> None:
            self._homes[place] = Home(path=saved, key=key)
            self.show_state()
            desk.say(messages.saved(saved))
            desk.console(f"session.save_as({str(saved)!r})")
            then(True)

        def failed(error: Exception) -> None:
            desk.complain(error)
            then(False)

        desk.say(messages.SAVING)
        work = partial(desk.engine.save, request, path, replace=replace)
        desk.submit(self._kind("save"), work, on_done=done, on_error=failed)

    def _suggestion(self) -> Path:
        place = self._desk.place
        if self.home is not None:
            return self.home
        target = None if place is None else place.last_target
        known = None if target is None else target.found_at.get("path")
        folder = Path(known).parent if known else Path.home()
        name = "cells" if target is None else target.name
        stem = "".join(c if c.isalnum() or c in "-_ " else "_" for c in name)
        return folder / f"{stem}{session_dialogs.ENDING}"

    def _looked_at(self, saved: Saved) -> None:
        image = find_open(self._viewer.layers, saved.found_at)
        if image is not None:
            self._take_up(saved, image)
        else:
            self._read_image(saved, None)

    def _read_image(self, saved: Saved, path: Path | None) -> None:
        self._desk.say(messages.LOOKING_FOR_IMAGE)
        self._desk.submit(
            self._kind("image"),
            partial(read_again, saved.found_at, path),
            on_done=partial(self._arrived, saved),
            on_error=partial(self._missing, saved),
        )

    def _missing(self, saved: Saved, error: Exception) -> None:
        self._desk.complain(error)
        if isinstance(error, ImageMissingError):
            path = session_dialogs.ask_for_image(self._desk.panel, str(error))
            if path is not None:
                self._read_image(saved, path)

    def _arrived(self, saved: Saved, image: Image) -> None:
        self._viewer.add_layer(image)
        self._take_up(saved, image)

    def _take_up(self, saved: Saved, image: Image) -> None:
        """Work on an image as it was worked on, and go on with the session."""
        from napari_sam2.tracking.shelf import Earlier

        desk, found_at = self._desk, saved.found_at
        limits = found_at.get("contrast_limits")
        look_like(image, {"contrast_limits": limits})
        if saved.model is not None:
            desk.models.prefer(saved.model, saved.image_size, saved.recent_memories)
        self._images.image = image
        self._images.axis = found_at.get("followed")
        held = found_at.get("held") or []
        _go_to(self._viewer, image, held)
        place = desk.place
        earlier = Earlier(path=saved.path, when=0.0, objects=0, frames=0)

        def done() -> None:
            if place is not None and saved.saved:
                self._homes[place] = Home(path=saved.path, key=self._key(place))
            if place is not None:
                place.prompts.take_tool("click")  # napari has selected the new image
            self.show_state()

        self._recovering.take_up(earlier, done)

    def _show_recent(self, found: Sequence[Earlier]) -> None:
        entries: list[tuple[str, Callable[[], None] | None]] = [
            (messages.recent(one), partial(self.open_path, one.path))
            for one in found[:SHOWN]
        ]
        menu = self._desk.panel.session_menu
        menu.show_recent(entries or [(messages.NOTHING_RECENT, None)])

    def _key(self, place: Workplace) -> tuple[object, ...]:
        """Return what a session goes with: another one is begun when it changes."""
        target = place.last_target
        return (None if target is None else target.key), self._desk.models.choice

    def _kind(self, what: str) -> str:
        """Name a job so that no later one takes its place."""
        self._count += 1
        return f"{what} {self._count}"


def _read_recent() -> list[Earlier]:
    from napari_sam2.tracking.shelf import recent_sessions, shelf_folder

    return recent_sessions(shelf_folder())


def _go_to(viewer: Viewer, image: Image, held: Sequence[int]) -> None:
    """Move the sliders to where they stood."""
    if len(held) != image.ndim:
        return
    world: Any = image.data_to_world(held)
    beyond = viewer.dims.ndim - image.ndim
    for axis in range(image.ndim - 2):
        viewer.dims.set_point(axis + beyond, world[axis])
