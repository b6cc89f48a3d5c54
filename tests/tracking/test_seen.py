"""What the network sees is what it is shown, pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_sam2.model.sam2 import normalise
from napari_sam2.tracking import Session


@pytest.fixture
def watched(nano, monkeypatch):
    """A model, and the pictures it encodes."""
    pictures = []
    encode = nano.encode_image

    def watch(x):
        pictures.append(x.clone())
        return encode(x)

    monkeypatch.setattr(nano, "encode_image", watch)
    return nano, pictures


def as_encoded(seen):
    return normalise(torch.from_numpy(seen.picture).permute(2, 0, 1)[None])


@pytest.mark.parametrize("zoom", [True, False])
def test_it_is_what_was_encoded(watched, zoom):
    model, pictures = watched
    movie = np.random.default_rng(0).integers(0, 4000, (3, 150, 200), np.uint16)
    with Session(model, movie, zoom=zoom) as session:
        session.add_box(1, 1, (60, 60, 80, 85))
        session.preview(1)
        seen = session.seen(1, 1)
        assert torch.equal(as_encoded(seen), pictures[-1])
        assert seen.picture.min() >= 0
        assert seen.picture.max() <= 1
        assert seen.shape == ((96, 96) if zoom else (150, 200))
        whole = session.seen(2)
        assert (whole.corner, whole.shape) == ((0, 0), (150, 200))
        with pytest.raises(IndexError):
            session.seen(3)


def test_each_frame_is_seen_through_its_own_window(nano):
    movie = np.zeros((2, 150, 200), np.uint8)
    with Session(nano, movie, zoom=True) as session:
        for frame, (y, x) in enumerate([(10, 10), (120, 170)]):
            mask = np.zeros(movie.shape[1:], bool)
            mask[y : y + 20, x : x + 20] = True
            session.add_mask(1, frame, mask)
            session.preview(frame)
        corners = [session.seen(frame, 1).corner for frame in (0, 1)]
        assert corners[0] == (0, 0)
        assert corners[1][0] > 40
        assert corners[1][1] > 90
