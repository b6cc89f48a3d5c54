"""The neighbouring frame's mask, moved along with the picture.

A small network that is given its last mask as a prompt tends to leave it where it was
while the cell moves on. So the mask is first moved by the optical flow between both
frames, inside the window and coarsely: it takes a few milliseconds and no training.
Where the flow explains the new frame well, the moved mask is also trusted more.

Shapes: s side of the low-resolution masks, (Y, X) window.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import ndimage
from skimage.registration import optical_flow_ilk
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from napari_sam2.model import MaskOutput

MOST_TRUST = 0.9  # share of the moved mask in an answer, where the flow explains all
BLIND_TRUST = 0.5  # where nothing is known of the flow
SURE_LOGIT = 12.0  # beyond it sure is sure
OTHER_LOGIT = -1.0  # where another object is taken out of a mask
WARPS = 3  # refinements of the flow at each scale
RADIUS = 5  # of the neighbourhood that moves as one, in cells of the mask
SPREAD = 3.0  # of the neighbourhood that is judged as one, in cells of the mask
FLAT = 1e-4  # variance of a picture in which nothing is to be seen


@dataclass(frozen=True, kw_only=True, eq=False)
class Carried:
    """The neighbouring frame's mask as it is to be expected in this one.

    Attributes
    ----------
    logits
        (1, 1, s, s) mask logits.
    trust
        (1, 1, s, s) in [0, 1]: their share in the answer.
    """

    logits: Tensor
    trust: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Motion:
    """How a window's picture moved from one frame to another.

    Attributes
    ----------
    places
        (1, s, s, 2) where each cell came from, (x, y) as `grid_sample` has them; None
        where nothing moved.
    trust
        (1, 1, s, s) in [0, 1]: how well that explains the later picture.
    """

    places: Tensor | None
    trust: Tensor

    def carry(self, logits: Tensor) -> Carried:
        """Move a mask along.

        Parameters
        ----------
        logits
            (1, 1, s, s) mask logits in the frame before; beyond the border the mask
            goes on as at the border.
        """
        moved = logits
        if self.places is not None:
            places = self.places.to(logits.device)
            moved = sampled(logits.float(), places).to(logits.dtype)
        return Carried(logits=moved, trust=self.trust.to(logits.device))


def unmoved(logits: Tensor) -> Carried:
    """Return a mask as it was, where nothing is known of the motion."""
    trust = torch.full(logits.shape, BLIND_TRUST, device=logits.device)
    return Carried(logits=logits, trust=trust)


def motion_between(
    before: NDArray[np.float32], now: NDArray[np.float32], side: int
) -> Motion:
    """Find how the picture moved between two frames.

    Parameters
    ----------
    before, now
        (Y, X, C) in [0, 1]: the same window of both frames.
    side
        s.

    Notes
    -----
    The flow is that of iterative Lucas-Kanade on both pictures reduced to s x s. The
    trust is 0.9 exp(-e), where e is the variance that the moved picture leaves
    unexplained, as a share of the variance around the place.
    """
    past, present = (_grey(picture, side) for picture in (before, now))
    if np.array_equal(past, present):
        return Motion(places=None, trust=torch.full((1, 1, side, side), MOST_TRUST))
    # (2, s, s): y, x
    flow = optical_flow_ilk(  # type: ignore[no-untyped-call]
        present, past, radius=RADIUS, num_warp=WARPS
    )
    shift = torch.from_numpy(np.asarray(flow, np.float32))
    shift = torch.nan_to_num(shift.flip(0)) * (2 / side)  # x, y
    places = still(side) + shift.permute(1, 2, 0)  # (1, s, s, 2)
    moved = sampled(torch.from_numpy(past)[None, None], places)[0, 0].numpy()
    left = _local_mean((moved - present) ** 2)
    around = _local_mean(present**2) - _local_mean(present) ** 2
    trust = MOST_TRUST * np.exp(-left / (around.clip(min=0) + FLAT))
    return Motion(
        places=places, trust=torch.from_numpy(trust.astype(np.float32))[None, None]
    )


def steadied(output: MaskOutput, carried: Sequence[Carried]) -> MaskOutput:
    """Average answers with the masks that were moved along; absent objects stay so.

    One frame's doubt about a rim or a thin process then does not remove it at once, and
    a piece that appears away from where the object was, on a neighbour perhaps, is not
    taken for it.

    Parameters
    ----------
    output
        The network's answers for O objects.
    carried
        For each of them, the neighbouring frame's mask.
    """
    logits = output.low_res_masks
    last = torch.cat([c.logits for c in carried]).to(logits.device)
    share = torch.cat([c.trust for c in carried]).to(logits.device)
    mean = averaged(logits.float(), last.float(), share).to(logits.dtype)
    agreed = (logits > 0) & (last > 0) & (share > BLIND_TRUST)
    mean = torch.cat(
        [_in_place(*each) for each in zip(mean[:, None], agreed[:, 0], strict=True)]
    )
    seen = output.object_score_logits[..., None, None] > 0  # (O, 1, 1, 1)
    return replace(output, low_res_masks=torch.where(seen, mean, logits))


def _in_place(logits: Tensor, agreed: Tensor) -> Tensor:
    """Take away pieces of a (1, 1, s, s) mask that are nowhere agreed on, (s, s) bool.

    Agreed on is what the network finds where the flow leads the object. If that is
    nothing, the object has jumped, and all pieces stay.
    """
    inside = (logits[0, 0] > 0).cpu().numpy()
    pieces, count = ndimage.label(inside)
    if count < 2:
        return logits
    good = np.unique(pieces[agreed.cpu().numpy() & inside])
    if not good.size:
        return logits
    others = torch.from_numpy(inside & ~np.isin(pieces, good))
    return torch.where(others.to(logits.device), logits.clamp(max=OTHER_LOGIT), logits)


def averaged(logits: Tensor, last: Tensor, share: Tensor) -> Tensor:
    """Average (O, 1, s, s) logits with the last masks, each limited to ±12."""
    return torch.lerp(
        logits.clamp(-SURE_LOGIT, SURE_LOGIT),
        last.clamp(-SURE_LOGIT, SURE_LOGIT),
        share,
    )


def still(side: int) -> Tensor:
    """Return the places of cells that stay where they are, (1, s, s, 2)."""
    line = (torch.arange(side) + 0.5) * (2 / side) - 1
    y, x = torch.meshgrid(line, line, indexing="ij")
    return torch.stack((x, y), dim=-1)[None]


def sampled(picture: Tensor, places: Tensor) -> Tensor:
    """Read (N, 1, s, s) at places (N, s, s, 2); beyond the border as at it."""
    return F.grid_sample(
        picture,
        places,
        mode="bilinear",
        padding_mode="border",
        align_corners=False,
    )


def _local_mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(ndimage.gaussian_filter(values, SPREAD), dtype=np.float32)


def _grey(picture: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Reduce or enlarge (Y, X, C) to (s, s), channels averaged."""
    x = torch.from_numpy(picture.mean(axis=-1, dtype=np.float32))[None, None]
    x = F.interpolate(
        x, size=(side, side), mode="bilinear", align_corners=False, antialias=True
    )
    return np.asarray(x[0, 0].numpy(), dtype=np.float32)
