from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from napari_sam2.model import build_model, preset
from napari_sam2.tracking import Session
from napari_sam2.tracking.masks import Patch, tidy
from napari_sam2.tracking.windows import Window, whole
from napari_sam2.tracking.zoom import patch_extent, zoom_scores

if TYPE_CHECKING:
    from napari_sam2.model import SAM2

SHAPE = (400, 400)
WINDOW = Window(y=96, x=96, height=192, width=192)


def disc(side: int, radius: float, y: float, x: float) -> torch.Tensor:
    """Logits of ±8: a disc in a side x side map."""
    at = torch.arange(side, dtype=torch.float32)
    far = (at[:, None] - y) ** 2 + (at[None] - x) ** 2
    return torch.where(far < radius**2, 8.0, -8.0)


def scores(
    *masks: torch.Tensor, clicks: list[tuple[tuple[float, float], int]]
) -> list[float]:
    logits = torch.stack(masks)
    ious = torch.full((len(masks),), 0.8)
    return zoom_scores(logits, ious, WINDOW, SHAPE, clicks).tolist()


MIDDLE = ((192.0, 192.0), 1)


def test_a_mask_beside_the_click_scores_badly() -> None:
    hit, beside = scores(disc(64, 12, 32, 32), disc(64, 12, 14, 14), clicks=[MIDDLE])
    assert hit > beside + 3


def test_a_negative_click_in_the_mask_costs() -> None:
    masks = disc(64, 24, 32, 32), disc(64, 10, 32, 32)
    large, small = scores(*masks, clicks=[MIDDLE])
    assert large == pytest.approx(small)
    large, small = scores(*masks, clicks=[MIDDLE, ((192.0, 240.0), 0)])
    assert small > large + 2


def test_a_mask_cut_off_by_its_window_costs_but_not_at_the_frames_edge() -> None:
    whole_disc, cut = disc(64, 12, 32, 32), disc(64, 34, 32, 32)
    free, touching = scores(whole_disc, cut, clicks=[MIDDLE])
    assert free > touching
    logits, ious = torch.stack((whole_disc, cut)), torch.full((2,), 0.8)
    frame = whole((192, 192))
    same = zoom_scores(logits, ious, frame, frame.shape, [((96.0, 96.0), 1)])
    assert same[0].item() == pytest.approx(same[1].item())


def test_a_speck_in_a_large_window_scores_badly() -> None:
    fine, speck = scores(disc(64, 12, 32, 32), disc(64, 1.5, 32, 32), clicks=[MIDDLE])
    assert fine > speck + 0.5


def test_tidy_keeps_the_largest_piece_and_fills_it() -> None:
    logits = np.full((20, 20), -3.0, np.float32)
    logits[2:12, 2:12] = 3
    logits[6, 6] = -3
    logits[16:18, 16:18] = 3
    kept = tidy(Patch(corner=(5, 7), logits=logits))
    assert kept.corner == (5, 7)
    expected = np.zeros((20, 20), np.bool_)
    expected[2:12, 2:12] = True
    np.testing.assert_array_equal(kept.logits > 0, expected)
    found = patch_extent(kept)
    assert found is not None
    assert (found.top, found.left, found.bottom, found.right) == (7, 9, 17, 19)
    nothing = Patch(corner=(0, 0), logits=np.full((3, 3), -1, np.float32))
    assert tidy(nothing) is nothing
    assert patch_extent(nothing) is None


@pytest.fixture
def blobs() -> np.ndarray:
    """(6, 400, 400) uint8: a disc of 12 px that moves 10 px a frame."""
    at = np.arange(400)
    frames = [
        (at[:, None] - 100) ** 2 + (at[None] - 100 - 10 * t) ** 2 < 144
        for t in range(6)
    ]
    return (np.stack(frames) * 200 + 20).astype(np.uint8)


def test_windows_follow_and_labels_stay_in_place(blobs: np.ndarray) -> None:
    """The network sees windows; labels, boxes and clicks are of the frame."""
    torch.manual_seed(0)
    model: SAM2 = build_model("nano").eval()
    with Session(model, blobs, axes="TYX") as session:
        session.add_mask(1, 0, blobs[0] > 100)
        result = session.preview(0)
        np.testing.assert_array_equal(result.labels == 1, blobs[0] > 100)
        assert session.bank(1).conditioning[0].window.shape == (96, 96)
        for _ in session.propagate():
            pass
        memory = session.bank(1).recent[5]
        assert memory.window.holds((100, 100)) or memory.window == whole(SHAPE)


def test_official_networks_see_whole_frames(blobs: np.ndarray) -> None:
    torch.manual_seed(0)
    model = build_model(preset("sam2.1-tiny", image_size=64)).eval()
    with Session(model, blobs[:2], axes="TYX") as session:
        session.add_box(1, 0, (88, 88, 112, 112))
        session.preview(0)
        assert session.bank(1).conditioning[0].window == whole(SHAPE)


def test_the_answer_to_clicks_does_not_depend_on_looking_between(
    blobs: np.ndarray,
) -> None:
    torch.manual_seed(1)
    model = build_model("nano").eval()
    planes = []
    for look in (True, False):
        with Session(model, blobs[:1], axes="TYX") as session:
            for point, label in (((100, 100), 1), ((100, 130), 0), ((92, 100), 1)):
                session.add_points(1, 0, [point], [label])
                if look:
                    session.preview(0)
            planes.append(session.preview(0).labels)
    np.testing.assert_array_equal(*planes)
