from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from napari_sam2.model import SAM2, build_model, preset
from napari_sam2.tracking import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SHAPE = (14, 48, 64)


def make_model(name: str, side: int) -> SAM2:
    """Build a small network with lively random weights that sees all objects."""
    torch.manual_seed(3)
    model = build_model(preset(name, image_size=side)).eval()
    model.requires_grad_(requires_grad=False)
    for key, weight in model.named_parameters():
        if "obj_ptr" in key or "maskmem_tpos" in key or key.endswith("gamma"):
            weight.normal_(0, 0.3)
        if "output_hypernetworks_mlps" in key and "layers.2.weight" in key:
            weight.mul_(30)  # decided masks, as of a trained network
    model.sam_mask_decoder.pred_obj_score_head.layers[2].bias.fill_(8.0)
    return model


@pytest.fixture(autouse=True, scope="package")
def _one_thread() -> Iterator[None]:
    """Networks this small are slower on several threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def nano() -> SAM2:
    return make_model("nano", 64)


@pytest.fixture(scope="session")
def tiny() -> SAM2:
    return make_model("sam2.1-tiny", 64)


@pytest.fixture(scope="session")
def movie() -> np.ndarray:
    rng = np.random.default_rng(1)
    frames = rng.integers(0, 60, SHAPE, dtype=np.uint8)
    yy, xx = np.mgrid[: SHAPE[1], : SHAPE[2]]
    for t in range(SHAPE[0]):
        frames[t][(yy - 16 - t) ** 2 + (xx - 20 - 2 * t) ** 2 < 60] += 120
        frames[t][(yy - 34) ** 2 + (xx - 50 + t) ** 2 < 40] += 180
    return frames


@pytest.fixture
def opened(nano: SAM2, movie: np.ndarray) -> Iterator[Callable[..., Session]]:
    """Give a function that opens sessions and closes them in the end."""
    sessions = []

    def make(
        stack: object = None, model: SAM2 | None = None, **given: object
    ) -> Session:
        given = {"axes": "TYX", "contrast_limits": (0, 255)} | given
        session = Session(model or nano, movie if stack is None else stack, **given)
        sessions.append(session)
        return session

    yield make
    for session in sessions:
        session.close()
