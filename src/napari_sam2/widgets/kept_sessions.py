"""Sessions that are kept, as the engine tells the panel of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_sam2.widgets.engine import Repeat, Standing


@dataclass(frozen=True, kw_only=True, eq=False)
class Recovered:
    """An earlier session that is gone on with.

    Attributes
    ----------
    array
        The labels, as `Engine.open` gives them.
    standing : Standing
        What was done in it.
    """

    array: Any
    standing: Standing


@dataclass(frozen=True, kw_only=True)
class Saved:
    """A session on disk that is to be opened.

    Attributes
    ----------
    path : Path
        Its folder.
    model : str or None
        The name of the model it was made with.
    image_size : int or None
        Side that the model resized pictures to, px; None if that is not known.
    recent_memories : int or None
        How many recent frames each frame attended to; None for all.
    found_at : mapping
        What finds its image, see `napari_sam2.widgets.image_origin`.
    saved : bool
        Whether it lies in a place of the user's, not on the shelf.
    """

    path: Path
    model: str | None
    image_size: int | None = None
    recent_memories: int | None = None
    found_at: Mapping[str, Any]
    saved: bool


@dataclass(frozen=True, kw_only=True)
class SessionScript:
    """What was done in a session, as Python.

    Attributes
    ----------
    imports, lines : tuple of str
        What goes before and after the lines that open the session.
    settings : str
        Arguments of `Session` that are not the defaults.
    arrays : Path or None
        The file of masks that the lines take from `saved`.
    repeats : tuple of Repeat
        How it was repeated over other axes.
    """

    imports: tuple[str, ...] = ()
    settings: str = ""
    arrays: Path | None = None
    lines: tuple[str, ...] = ()
    repeats: tuple[Repeat, ...] = ()
