"""What the user prefers: napari's Preferences window has a page made of our manifest.

napari keeps it in a file of its own beside its settings; `get_plugin_settings` is its
public way to read it, since 0.9.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from napari.settings import get_plugin_settings

from napari_sam2.widgets.confidence_colours import COLOUR_MAPS

if TYPE_CHECKING:
    from collections.abc import Mapping

logger = logging.getLogger(__name__)

PLUGIN = "napari-sam2"


@dataclass(frozen=True, kw_only=True)
class Preferences:
    """What a panel is opened with.

    Attributes
    ----------
    device : str
        Where the network computes: auto, cpu, cuda, mps.
    precision : str
        "auto", "full" or "half".
    sessions_kept : int
        How many sessions stay on the shelf.
    model_folder : Path or None
        Where downloaded models are; None: the usual place.
    strip_opens : bool
        Whether the review strip opens below the picture.
    colours : str
        One of `COLOUR_MAPS`.
    hover : bool
        Whether what a click would give is shown at the mouse.
    keys : mapping of str to str
        Keys by the names in `napari_sam2.widgets.keys.KEYS`.
    """

    device: str = "auto"
    precision: str = "auto"
    sessions_kept: int = 10
    model_folder: Path | None = None
    strip_opens: bool = True
    colours: str = COLOUR_MAPS[0]
    hover: bool = False
    keys: Mapping[str, str] = field(default_factory=dict)


def read_preferences() -> Preferences:
    """Return what the user prefers; our defaults where napari does not know us."""
    try:
        settings = get_plugin_settings(PLUGIN)
    except KeyError:  # run from a folder, without being installed
        logger.info("%s is not installed as a plugin: no preferences", PLUGIN)
        return Preferences()
    general = settings.general
    folder = general.model_folder.strip()
    if "NAPARI_SAM2_MODELS" in os.environ:
        folder = ""
    return Preferences(
        device=general.device,
        precision=general.precision,
        sessions_kept=general.sessions_kept,
        model_folder=Path(folder).expanduser() if folder else None,
        strip_opens=general.strip_opens,
        colours=general.colours,
        hover=general.hover,
        keys=settings.keys.model_dump(),
    )
