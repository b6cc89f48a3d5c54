"""The trunk is the same, however many rows it takes at a time."""

from __future__ import annotations

import pytest
import torch

from napari_sam2.model import layers
from napari_sam2.model.config import HieraConfig
from napari_sam2.model.hiera import Hiera
from napari_sam2.model.layers import in_bands


@pytest.fixture
def trunk() -> Hiera:
    torch.manual_seed(0)
    return Hiera(
        HieraConfig(
            embed_dim=16,
            num_heads=1,
            stages=(1, 2, 3, 1),
            global_blocks=(4,),
            background_size=(7, 7),
            windows=(8, 4, 14, 7),
        )
    )


@pytest.mark.parametrize("band", [1, 300, 1000])
@pytest.mark.parametrize("shape", [(1, 256, 256), (2, 96, 160)], ids=str)
def test_bands_are_the_whole(
    trunk: Hiera,
    band: int,
    shape: tuple[int, int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Windows of 14 are padded in both, at the end of the last band.
    pixels = torch.randn(shape[0], 3, *shape[1:])
    whole = [x.detach() for x in trunk(pixels)]  # with gradients nothing is cut
    monkeypatch.setattr(layers, "BAND", band)
    with torch.inference_mode():
        found = trunk(pixels)
    for a, b in zip(found, whole, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


def test_bands_have_whole_windows_and_about_so_many_tokens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(layers, "BAND", 100)
    x = torch.arange(2 * 30 * 4 * 3.0).reshape(2, 30, 4, 3)
    rows: list[int] = []

    def step(band: torch.Tensor) -> torch.Tensor:
        rows.append(band.shape[1])
        return band + 1

    with torch.no_grad():
        torch.testing.assert_close(in_bands(step, x, multiple=5), x + 1)
    assert rows == [10, 10, 10]  # two pictures, four columns: 80 tokens
    rows.clear()
    in_bands(step, x.requires_grad_(), multiple=5)
    assert rows == [30]
