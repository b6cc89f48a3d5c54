"""Simulated users click where a user would."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sam2.training.clicks import corrective_click, first_click, shaky_box


def blob(seed: int, side: int = 40) -> np.ndarray:
    """Return a mask of a few discs, at least one pixel large."""
    rng = np.random.default_rng(seed)
    yy, xx = np.mgrid[:side, :side]
    mask = np.zeros((side, side), bool)
    for _ in range(int(rng.integers(1, 4))):
        y, x = rng.integers(0, side, 2)
        mask |= (yy - y) ** 2 + (xx - x) ** 2 <= rng.integers(0, 90)
    return mask


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10_000))
def test_first_click_is_on_the_object(seed: int) -> None:
    mask = blob(seed)
    x, y = first_click(np.random.default_rng(seed), mask)
    assert x == int(x)
    assert y == int(y)
    assert mask[int(y), int(x)]


def test_first_clicks_are_often_in_the_middle_and_sometimes_elsewhere() -> None:
    yy, xx = np.mgrid[:41, :61]
    mask = (yy - 20) ** 2 + (xx - 30) ** 2 <= 144
    rng = np.random.default_rng(0)
    clicks = [first_click(rng, mask) for _ in range(200)]
    middle = sum(click == (30.0, 20.0) for click in clicks)
    assert 70 < middle < 130
    assert len(set(clicks)) > 50


def test_boxes_are_tight_or_nearly() -> None:
    mask = np.zeros((60, 80), bool)
    mask[10:30, 20:60] = True
    rng = np.random.default_rng(0)
    boxes = np.array([shaky_box(rng, mask) for _ in range(200)])
    tight = np.array([19.5, 9.5, 59.5, 29.5])
    exact = (boxes == tight).all(1)
    assert 70 < exact.sum() < 130
    off = np.abs(boxes - tight)
    assert off[:, ::2].max() <= 8  # a fifth of 40
    assert off[:, 1::2].max() <= 4
    assert off[~exact].max() > 1


def test_boxes_stay_in_the_picture() -> None:
    mask = np.zeros((50, 50), bool)
    mask[0:50, 30:50] = True
    rng = np.random.default_rng(1)
    boxes = np.array([shaky_box(rng, mask) for _ in range(50)])
    assert boxes.min() >= -0.5
    assert boxes.max() <= 49.5


@pytest.mark.parametrize(("missed", "label"), [(True, 1), (False, 0)])
def test_corrective_click_falls_into_the_error(missed: bool, label: int) -> None:
    target = torch.zeros(12, 16, 16)
    target[:, 4:12, 4:12] = 1
    found = target.clone()
    found[:, 6:10, 9 if missed else 12 : 12 if missed else 15] = 0 if missed else 1
    wrong = found != target
    generator = torch.Generator().manual_seed(0)
    points, labels = corrective_click(found * 8 - 4, target, generator)
    assert points.shape == (12, 1, 2)
    assert labels.flatten().tolist() == [label] * 12
    cells = ((points[:, 0] - 1.5) / 4).long()
    assert torch.equal(cells.float() * 4 + 1.5, points[:, 0])
    assert all(wrong[i, y, x] for i, (x, y) in enumerate(cells.tolist()))


def test_corrective_click_prefers_the_middle_of_the_large_error() -> None:
    target = torch.zeros(1, 32, 32)
    found = torch.full((1, 32, 32), -5.0)
    found[0, 4:20, 4:20] = 5
    found[0, 30, 30] = 5
    generator = torch.Generator().manual_seed(0)
    points, _ = corrective_click(
        found.expand(400, -1, -1), target.expand(400, -1, -1), generator
    )
    x, y = ((points[:, 0] - 1.5) / 4).long().T
    assert ((x < 20) & (y < 20)).float().mean() > 0.98
    inner = (x >= 6) & (x < 18) & (y >= 6) & (y < 18)
    assert inner.float().mean() > 144 / 256  # more than by area


def test_nothing_to_correct_gives_a_click_on_the_object() -> None:
    target = torch.zeros(5, 16, 16)
    target[:, 2:5, 7:9] = 1
    generator = torch.Generator().manual_seed(0)
    points, labels = corrective_click(target * 8 - 4, target, generator)
    x, y = ((points[:, 0] - 1.5) / 4).long().T
    assert labels.flatten().tolist() == [1] * 5
    assert target[torch.arange(5), y, x].all()
