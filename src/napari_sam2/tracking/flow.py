"""The neighbouring frame's mask, moved along with the picture.

A small network that is given its last mask as a prompt tends to leave it where it was
while the cell moves on. So the mask is first moved by the optical flow between both
frames, inside the window and coarsely: it takes a few milliseconds and no training.

Shapes: s side of the low-resolution masks, (Y, X) window.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from skimage.registration import optical_flow_ilk
from torch.nn import functional as F

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from napari_sam2.model import MaskOutput

STEADINESS = 0.5  # share of the moved mask in an answer
SURE_LOGIT = 12.0  # beyond it sure is sure
RADIUS = 5  # of the neighbourhood that moves as one, in cells of the mask


def moved_along(
    logits: Tensor, before: NDArray[np.float32], now: NDArray[np.float32]
) -> Tensor:
    """Move a mask as the picture moved from one frame to another.

    Parameters
    ----------
    logits
        (1, 1, s, s) mask logits in the frame before.
    before, now
        (Y, X, C) in [0, 1]: the same window of both frames. Where both are the same
        the mask stays.

    Returns
    -------
    Tensor
        (1, 1, s, s) of the type of `logits`; beyond the border the mask goes on as at
        the border.

    Notes
    -----
    The flow is that of iterative Lucas-Kanade on both pictures reduced to s x s.
    """
    side = logits.shape[-1]
    past, present = (_grey(picture, side) for picture in (before, now))
    if np.array_equal(past, present):
        return logits
    # (2, s, s): y, x
    flow = optical_flow_ilk(present, past, radius=RADIUS)  # type: ignore[no-untyped-call]
    shift = torch.from_numpy(np.asarray(flow, np.float32)).to(logits.device)
    shift = torch.nan_to_num(shift) * (2 / side)
    line = (torch.arange(side, device=logits.device) + 0.5) * (2 / side) - 1
    y, x = torch.meshgrid(line, line, indexing="ij")
    places = torch.stack((x + shift[1], y + shift[0]), dim=-1)[None]  # (1, s, s, 2)
    moved = F.grid_sample(
        logits.float(),
        places,
        mode="bilinear",
        padding_mode="border",
        align_corners=False,
    )
    return moved.to(logits.dtype)


def steadied(output: MaskOutput, previous: Tensor) -> MaskOutput:
    """Average answers with the masks that were moved along; absent objects stay so.

    One frame's doubt about a rim or a thin process then does not remove it at once.

    Parameters
    ----------
    output
        The network's answers for O objects.
    previous
        (O, 1, s, s) logits of the neighbouring frame, moved along.
    """
    logits = output.low_res_masks.float().clamp(-SURE_LOGIT, SURE_LOGIT)
    last = previous.to(logits.device).float().clamp(-SURE_LOGIT, SURE_LOGIT)
    mean = ((1 - STEADINESS) * logits + STEADINESS * last).to(
        output.low_res_masks.dtype
    )
    seen = output.object_score_logits[..., None, None] > 0  # (O, 1, 1, 1)
    masks = torch.where(seen, mean, output.low_res_masks)
    return replace(output, low_res_masks=masks)


def _grey(picture: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Reduce or enlarge (Y, X, C) to (s, s), channels averaged."""
    x = torch.from_numpy(picture.mean(axis=-1, dtype=np.float32))[None, None]
    x = F.interpolate(
        x, size=(side, side), mode="bilinear", align_corners=False, antialias=True
    )
    return np.asarray(x[0, 0].numpy(), dtype=np.float32)
