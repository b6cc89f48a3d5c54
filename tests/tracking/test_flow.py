"""A mask moves as the picture does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_sam2.model import MaskOutput
from napari_sam2.stacks import FrameReadError
from napari_sam2.tracking.flow import Carried, motion_between, steadied

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sam2.tracking import Session

SIDE = 64


def texture(seed: int = 0, side: int = 2 * SIDE) -> np.ndarray:
    noise = np.random.default_rng(seed).random((side, side))
    smooth = ndimage.gaussian_filter(noise, 4)
    return (smooth - smooth.min()) / np.ptp(smooth)


def moved_along(
    logits: torch.Tensor, before: np.ndarray, now: np.ndarray
) -> torch.Tensor:
    return motion_between(before, now, SIDE).carry(logits).logits


def blob(y: float, x: float) -> torch.Tensor:
    yy, xx = np.mgrid[:SIDE, :SIDE]
    inside = (yy - y) ** 2 + (xx - x) ** 2 < 8**2
    return torch.from_numpy(np.where(inside, 8.0, -8.0))[None, None].float()


def centre(logits: torch.Tensor) -> tuple[float, float]:
    inside = np.argwhere(logits[0, 0].numpy() > 0)
    y, x = inside.mean(0)
    return float(y), float(x)


@pytest.mark.parametrize(("dy", "dx"), [(3, 0), (0, -4), (-2, 3)])
def test_a_mask_goes_along_with_the_picture(dy: int, dx: int) -> None:
    before = texture()
    # Pictures are twice as large as masks: twice the shift.
    now = np.roll(before, (2 * dy, 2 * dx), axis=(0, 1))
    moved = moved_along(
        blob(32, 30), before[..., None].astype(np.float32), now[..., None]
    )
    y, x = centre(moved)
    assert (y, x) == pytest.approx((32 + dy, 30 + dx), abs=0.5)
    area = int((moved > 0).sum())
    assert area == pytest.approx(int((blob(32, 30) > 0).sum()), rel=0.15)


def test_only_what_moves_is_moved() -> None:
    before = texture()
    now = before.copy()
    now[:, SIDE:] = np.roll(before, 6, axis=0)[:, SIDE:]  # the right half moves down
    pictures = before[..., None], now[..., None]
    still, y_still = centre(moved_along(blob(32, 14), *pictures)), 32
    assert still == pytest.approx((y_still, 14), abs=0.5)
    assert centre(moved_along(blob(32, 50), *pictures))[0] == pytest.approx(35, abs=0.7)


def test_where_nothing_moves_nothing_changes() -> None:
    picture = texture()[..., None]
    logits = blob(20, 20)
    assert moved_along(logits, picture, picture.copy()) is logits
    flat = np.zeros((16, 16, 1), np.float32)
    moved = moved_along(logits, flat, flat + 0.5)
    torch.testing.assert_close(moved, logits, atol=1e-4, rtol=0)


def test_colours_and_odd_sizes() -> None:
    before = np.repeat(texture(side=96)[..., None], 3, axis=-1)
    now = np.roll(before, 6, axis=0)
    y, _ = centre(moved_along(blob(32, 32), before, now))
    assert y == pytest.approx(36, abs=0.7)


def test_answers_are_steadied_by_the_last_mask() -> None:
    answer = torch.full((2, 1, 4, 4), -2.0)
    output = MaskOutput(
        low_res_masks=answer,
        iou_scores=torch.zeros(2, 1),
        object_score_logits=torch.tensor([[3.0], [-3.0]]),
        object_pointer=torch.zeros(2, 8),
    )
    last = torch.full((1, 1, 4, 4), 40.0)
    trust = torch.full((1, 1, 4, 4), 0.5)
    trust[..., 2:] = 0.0
    carried = Carried(logits=last, trust=trust)
    masks = steadied(output, [carried, carried]).low_res_masks
    assert (masks[0, 0, :, :2] == 5.0).all()  # the mean of -2 and 12
    assert (masks[0, 0, :, 2:] == -2.0).all()  # not trusted at all
    assert (masks[1] == -2.0).all()  # absent is absent


@pytest.mark.parametrize(
    ("last", "trust", "kept"),
    [
        (blob(20, 20), 0.8, False),
        (blob(5, 58), 0.8, True),
        (blob(20, 20), 0.3, True),
    ],
    ids=["followed", "not where expected", "flow explains nothing"],
)
def test_a_larger_piece_elsewhere_is_not_the_object(
    last: torch.Tensor, trust: float, kept: bool
) -> None:
    """A neighbour is taken for it only if it cannot have stayed where it was."""
    yy, xx = np.mgrid[:SIDE, :SIDE]
    neighbour = torch.from_numpy((yy - 46) ** 2 + (xx - 46) ** 2 < 12**2)
    output = MaskOutput(
        low_res_masks=torch.where(neighbour, 9.0, blob(20, 22)),
        iou_scores=torch.zeros(1, 1),
        object_score_logits=torch.tensor([[3.0]]),
        object_pointer=torch.zeros(1, 8),
    )
    shares = torch.where(neighbour, 0.1, torch.full(last.shape, trust))
    carried = Carried(logits=last, trust=shares)
    inside = steadied(output, [carried]).low_res_masks[0, 0] > 0
    assert bool(inside[neighbour].any()) is kept
    if last[0, 0, 20, 20] > 0:
        assert inside[20, 21]


def test_a_moved_mask_is_trusted_where_the_flow_explains_the_picture() -> None:
    before = texture()
    now = np.roll(before, 4, axis=0)
    now[:, SIDE:] = texture(seed=1)[:, SIDE:]  # the right half is another one
    trust = motion_between(before[..., None], now[..., None], SIDE).trust[0, 0]
    inner = slice(8, -8)
    assert trust.shape == (SIDE, SIDE)
    assert trust[inner, 6:24].mean() > 0.75
    assert trust[inner, 40:58].mean() < 0.5
    same = motion_between(before[..., None], before[..., None], SIDE).trust
    assert same.min() == same.max() == pytest.approx(0.9)


def test_objects_that_share_a_window_share_its_flow(
    opened: Callable[..., Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def counted(*pictures: Any) -> Any:
        asked.append(1)
        return motion_between(*pictures)

    monkeypatch.setattr("napari_sam2.tracking.frames.motion_between", counted)
    session = opened(zoom=False)
    for k, place in enumerate(((16, 20), (30, 40)), start=1):
        mask = np.zeros((48, 64), bool)
        mask[place[0] - 6 : place[0] + 6, place[1] - 6 : place[1] + 6] = True
        session.add_mask(k, 0, mask)
    for _ in session.propagate(frames=range(3)):
        pass
    assert len(asked) == 2


def test_the_last_mask_is_moved_before_it_is_given(
    opened: Callable[..., Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A neighbour that cannot be read any more is not moved, and tracking goes on."""
    session = opened(zoom=True)
    mask = np.zeros((48, 64), bool)
    mask[8:24, 12:28] = True
    session.add_mask(1, 0, mask)
    earlier = session._engine.earlier
    session.preview(0)
    found = session._state.objects[1]
    moved = earlier.previous(found, 1, reverse=False)
    kept = found.bank.conditioning[0].mask_logits
    assert moved is not None
    assert kept is not None
    assert not torch.equal(moved.logits, kept)
    assert centre_of(moved.logits) != centre_of(kept)

    def unreadable(frame_idx: int, window: Any) -> Any:
        raise FrameReadError("gone")

    monkeypatch.setattr(session._engine.frames, "picture", unreadable)
    unmoved = earlier.previous(found, 2, reverse=True)
    assert unmoved is None  # there is no neighbour on that side
    session._engine.frames._motions.clear()
    unmoved = earlier.previous(found, 1, reverse=False)
    assert torch.equal(unmoved.logits, kept)
    assert (unmoved.trust == 0.5).all()


def centre_of(logits: torch.Tensor) -> tuple[float, ...]:
    inside = np.argwhere(logits[0, 0].float().numpy() > 0)
    return tuple(inside.mean(0)) if len(inside) else ()
