"""Keys that work wherever the mouse is over the picture, given back on closing.

None of them is used by napari's Points, Labels or Image layers (M means the same
there); a layer that has its own meaning for a key goes first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari.viewer import Viewer


class Keys:
    """Keys of the panel, bound while it is open.

    Parameters
    ----------
    viewer : Viewer
        Gets the keys.
    actions : mapping of str to callable
        By key, as napari writes it, such as ``"Control-Z"``.
    """

    def __init__(
        self, viewer: Viewer, actions: Mapping[str, Callable[[], object]]
    ) -> None:
        self._viewer = viewer
        self._bound: dict[str, Any] = {}
        for key, action in actions.items():
            self._bind(key, action)

    def release(self) -> None:
        """Give the keys back to whoever had them before."""
        for key, before in self._bound.items():
            self._viewer.bind_key(key, before, overwrite=True)
        self._bound.clear()

    def _bind(self, key: str, action: Callable[[], object]) -> None:
        def pressed(_viewer: Viewer) -> None:
            action()

        self._bound[key] = self._viewer.bind_key(key, pressed, overwrite=True)
