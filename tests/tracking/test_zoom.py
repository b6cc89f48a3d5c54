from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_sam2.model import SAM2, build_model, preset
from napari_sam2.tracking import Session
from napari_sam2.tracking.masks import Patch, tidy
from napari_sam2.tracking.prompts import PointPrompt
from napari_sam2.tracking.scouting import scouted_windows, zoom_scores
from napari_sam2.tracking.windows import Window, whole
from napari_sam2.tracking.zoom import patch_extent

if TYPE_CHECKING:
    from napari_sam2.tracking.prompts import Prompt

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


def clicks(*points: tuple[float, float], label: int = 1) -> list[Prompt]:
    """One prompt a click, as a user gives them."""
    return [
        PointPrompt(object_id=1, frame_idx=0, points=(point,), labels=(label,))
        for point in points
    ]


def test_windows_of_clicks_stay_while_they_hold_all() -> None:
    first = clicks((200, 200))
    windows = list(scouted_windows(first, SHAPE))
    assert [w.height for w in windows] == [96, 192, 400]
    near = [*first, *clicks((230, 180)), *clicks((170, 225), label=0)]
    assert list(scouted_windows(near, SHAPE)) == windows
    # The smallest does not hold this one: it goes to where it holds both, and stays.
    far = [*near[:1], *clicks((260, 200))]
    small, *others = scouted_windows(far, SHAPE)
    assert others == windows[1:]
    assert small.shape == (96, 96)
    assert small.holds((200, 200))
    assert small.holds((260, 200))
    assert small != windows[0]
    further = [*far, *clicks((258, 200), (256, 200), (254, 200))]
    assert next(scouted_windows(further, SHAPE)) == small
    # Where none of a size holds all, it is left out; the frame always holds all.
    assert list(scouted_windows([*near, *clicks((390, 390))], SHAPE)) == windows[-1:]
    assert list(scouted_windows(clicks((200, 200), label=0), SHAPE)) == []


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How often the encoder and the mask decoder ran."""
    counts = {"encode_image": 0, "decode": 0}
    for name in counts:
        original = getattr(SAM2, name)

        def spy(*args: Any, name: str = name, original: Any = original, **named: Any):
            counts[name] += 1
            return original(*args, **named)

        monkeypatch.setattr(SAM2, name, spy)
    return counts


def test_a_further_click_encodes_nothing(
    blobs: np.ndarray, counted: dict[str, int]
) -> None:
    torch.manual_seed(1)
    with Session(build_model("nano").eval(), blobs[:1], axes="TYX") as session:
        session.add_points(1, 0, [(100, 100)])
        session.preview(0)
        assert counted == {"encode_image": 3, "decode": 4}  # 96, 192, 400; the answer
        for count, (point, label) in enumerate(
            [((108, 94), 1), ((120, 120), 0), ((92, 106), 1)], start=2
        ):
            counted.update(encode_image=0, decode=0)
            session.add_points(1, 0, [point], label)
            session.preview(0)
            assert counted["encode_image"] == 0
            # One decoding; all of them again where another window or mask is better.
            assert counted["decode"] in (1, count)
        counted.update(encode_image=0, decode=0)
        session.undo()
        session.add_points(1, 0, [(92, 107)])
        session.preview(0)
        assert counted["encode_image"] == 0
        # Beside the smallest window another one of its size is looked through.
        session.add_points(1, 0, [(160, 107)])
        session.preview(0)
        assert counted["encode_image"] == 1


def test_the_encodings_of_several_objects_are_kept(
    blobs: np.ndarray, counted: dict[str, int]
) -> None:
    """The budget is for a large frame: six windows and four objects."""
    frame = np.tile(blobs[:1], (1, 5, 5))
    torch.manual_seed(1)
    with Session(build_model("nano").eval(), frame, axes="TYX") as session:
        points = [(100, 100), (100, 500), (900, 900), (1700, 500)]
        for object_id, point in enumerate(points, start=1):
            session.add_points(object_id, 0, [point])
        session.preview(0)
        counted.update(encode_image=0)
        for object_id, (y, x) in enumerate(points, start=1):
            session.add_points(object_id, 0, [(y + 4, x - 3)])
        session.preview(0)
        assert counted["encode_image"] == 0


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    given=st.lists(
        st.tuples(st.integers(40, 199), st.integers(40, 199), st.integers(0, 1)),
        min_size=2,
        max_size=5,
    ),
    gone=st.integers(0, 4),
)
def test_a_click_taken_away_is_as_if_it_had_not_been(
    nano: SAM2, given: list[tuple[int, int, int]], gone: int
) -> None:
    """Whatever was looked at before, the remaining prompts decide."""
    picture = np.random.default_rng(0).integers(0, 255, (1, 240, 240), np.uint8)
    kept = [one for at, one in enumerate(given) if at != gone]
    with Session(nano, picture, axes="TYX", zoom=True) as session:
        for y, x, label in given:
            session.add_points(1, 0, [(y, x)], label)
            session.preview(0)
        session.undo()
        undone = session.preview(0).labels
        session.clear_prompts(1, 0)
        for y, x, label in kept:
            session.add_points(1, 0, [(y, x)], label)
            session.preview(0)
        found = session.preview(0).labels
    for prompts, expected in ((given[:-1], undone), (kept, found)):
        with Session(nano, picture, axes="TYX", zoom=True) as session:
            for y, x, label in prompts:
                session.add_points(1, 0, [(y, x)], label)
            np.testing.assert_array_equal(session.preview(0).labels, expected)
