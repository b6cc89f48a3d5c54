"""What all that answers needs: frames, the network, labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_sam2.stacks import LabelsStore
    from napari_sam2.tracking.frames import FrameEncoder
    from napari_sam2.tracking.tracker import Tracker


@dataclass(kw_only=True)
class Parts:
    """What those who answer for one session share.

    Attributes
    ----------
    frames
        Reads and encodes frames; says whether zooming is on.
    tracker
        Runs the network.
    store
        Where labels are.
    """

    frames: FrameEncoder
    tracker: Tracker
    store: LabelsStore
