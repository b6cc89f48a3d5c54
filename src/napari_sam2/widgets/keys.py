"""The keys of the panel: one table that binds them, shows them and is documented.

They work wherever the mouse is over the picture and are given back on closing. On the
panel's own layers they go before napari's, on other layers after.
"""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qtpy.QtGui import QKeySequence, QShortcut

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari.layers import Layer
    from napari.viewer import Viewer
    from qtpy.QtWidgets import QWidget

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class KeyAction:
    """Something that a key does.

    Attributes
    ----------
    name : str
        How it is called in the preferences.
    key : str
        As napari writes it, such as ``"Control-Z"``, unless the user prefers another.
    words : str
        What it does, for people.
    yields : bool
        Whether it leaves the key to napari on the panel's own layers too, where that
        ends a drawing.
    """

    name: str
    key: str
    words: str
    yields: bool = False


KEYS = (
    KeyAction(name="new_object", key="M", words="begin the next cell"),
    KeyAction(
        name="sign", key="T", words='plain clicks say "does not belong", until T again'
    ),
    KeyAction(name="follow", key="G", words="follow forward; again: stop"),
    KeyAction(name="stop", key="Escape", words="stop following", yields=True),
    KeyAction(
        name="undo", key="Control-Z", words="take the last thing back, whatever it was"
    ),
    KeyAction(name="redo", key="Control-Shift-Z", words="do it again"),
    KeyAction(name="next_doubtful", key="N", words="go to the next doubtful frame"),
    KeyAction(
        name="previous_doubtful", key="Shift-N", words="go to the doubtful frame before"
    ),
    KeyAction(
        name="accept",
        key="Enter",
        words="the cell is right here: lock it, and on to the next doubtful frame",
        yields=True,
    ),
    KeyAction(
        name="lock",
        key="K",
        words="lock the cell in this frame: it stays as it is; again: let it go",
    ),
    KeyAction(
        name="absent", key="D", words="the cell is not in this frame: delete it here"
    ),
    KeyAction(name="click_tool", key="Shift-C", words="take the tool Click"),
    KeyAction(name="box_tool", key="Shift-B", words="take the tool Box"),
    KeyAction(name="scribble_tool", key="Shift-S", words="take the tool Scribble"),
    KeyAction(name="outline_tool", key="Shift-O", words="take the tool Outline"),
    KeyAction(name="paint_tool", key="Shift-H", words="take the tool Paint (by hand)"),
    KeyAction(
        name="hover", key="W", words="show what a click would give, or no longer"
    ),
    KeyAction(name="help", key="?", words="show this list"),
)
MOUSE = (
    ("click", "this belongs to the cell"),
    ("Ctrl + click (or Alt)", "this does not"),
    ("Shift + click (or drag)", "begin the next cell with it"),
    ("Box, and a drag", "the cell is in here"),
    ("Scribble, and a drag", "the cell lies along this; with Ctrl: it does not"),
    ("Outline, and a drag", "this is its mask, or a piece; with Ctrl: take away"),
    ("Paint", "this is its mask; taken as it is"),
)
"""What the mouse does, and what one says with it."""


def shown(key: str) -> str:
    """Return a key as people write it: ``"Ctrl + Z"``."""
    return key.replace("Control", "Ctrl").replace("-", " + ")


def table(keys: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return what mouse and keys do, in order: with what, and what it says.

    Parameters
    ----------
    keys : mapping of str to str
        Keys by name, where they are not those of `KEYS`.
    """
    rows = [(shown(keys.get(a.name, a.key)), a.words) for a in KEYS]
    return [*MOUSE, *rows]


class Keys:
    """Keys of the panel, bound while it is open.

    Parameters
    ----------
    viewer : Viewer
        Gets the keys.
    panel : QWidget
        Gets those that napari does not know, such as the question mark.
    actions : mapping of str to callable
        What to do, by the name in `KEYS`.
    wishes : mapping of str to str
        Keys that the user prefers, by name. One that does not exist, or that another
        action has, is not taken.

    Attributes
    ----------
    keys : dict of str to str
        The keys as they are bound, by name.
    """

    def __init__(
        self,
        viewer: Viewer,
        panel: QWidget,
        actions: Mapping[str, Callable[[], object]],
        wishes: Mapping[str, str],
    ) -> None:
        self._viewer, self._panel, self._actions = viewer, panel, actions
        self._before: dict[str, Any] = {}
        self._layers: list[Layer] = []
        self._shortcuts: list[QShortcut] = []
        self.keys: dict[str, str] = {}
        for action in KEYS:
            wish = wishes.get(action.name, "").strip() or action.key
            if not self._bind(action, wish) and not self._bind(action, action.key):
                logger.warning("no key is left for %r", action.name)

    def bind_layer(self, layer: Layer) -> None:
        """Let the keys go before napari's on a layer of the panel's own."""
        if layer in self._layers:
            return
        self._layers.append(layer)
        for action in KEYS:
            key = self.keys.get(action.name, "")
            if key and not _is_sign(key) and not action.yields:
                layer.bind_key(key, self._pressed(action.name), overwrite=True)

    def release(self) -> None:
        """Give the keys back to whoever had them before."""
        for key, before in self._before.items():
            self._viewer.bind_key(key, before, overwrite=True)
        for layer in self._layers:
            for action in KEYS:
                key = self.keys.get(action.name, "")
                if key and not _is_sign(key) and not action.yields:
                    layer.bind_key(key, None, overwrite=True)
        for shortcut in self._shortcuts:
            with contextlib.suppress(RuntimeError):  # gone with its window
                shortcut.setEnabled(False)
                shortcut.deleteLater()
        self._before.clear()
        self._layers.clear()
        self._shortcuts.clear()

    def _bind(self, action: KeyAction, key: str) -> bool:
        """Bind a key; say if that was possible."""
        if key.lower() in {other.lower() for other in self.keys.values()}:
            return False
        if _is_sign(key):
            # napari takes all signs for one unknown key; Qt tells them apart.
            shortcut = QShortcut(QKeySequence(key), self._panel)
            shortcut.activated.connect(self._actions[action.name])
            self._shortcuts.append(shortcut)
        elif QKeySequence(shown(key).replace(" ", "")).toString() == "":
            return False
        else:
            bind = self._viewer.bind_key
            try:
                before = bind(key, self._pressed(action.name), overwrite=True)
            except (KeyError, TypeError, ValueError):
                logger.warning("there is no key %r for %r", key, action.name)
                return False
            self._before[key] = before
        self.keys[action.name] = key
        return True

    def _pressed(self, name: str) -> Callable[[object], None]:
        def pressed(_owner: object) -> None:
            self._actions[name]()

        return pressed


def _is_sign(key: str) -> bool:
    return len(key) == 1 and not key.isalnum()
