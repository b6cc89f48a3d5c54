"""The transformers library's own SAM 2, with the same weights, agrees."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from napari_sam2.evaluation.peers import translated
from napari_sam2.model import PromptTensors
from napari_sam2.model.sam2 import normalise
from napari_sam2.tracking import Session

if TYPE_CHECKING:
    from collections.abc import Callable

SIDE = 256
FRAMES = 5
POINT = (0.30 * SIDE, 0.33 * SIDE)  # (x, y)
BOX = (0.58 * SIDE, 0.56 * SIDE, 0.83 * SIDE, 0.80 * SIDE)


def small(config: Any) -> Any:
    """Set a configuration to 256 x 256 pictures."""
    vision = config.vision_config
    vision.backbone_config.image_size = [SIDE, SIDE]
    vision.backbone_feature_sizes = [[64, 64], [32, 32], [16, 16]]
    config.prompt_encoder_config.image_size = SIDE
    config.image_size = SIDE
    config.memory_attention_rope_feat_sizes = [SIDE // 16, SIDE // 16]
    return config


@pytest.fixture(scope="module")
def theirs(state_of: Callable[[str], dict[str, torch.Tensor]]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs, not ours
        from transformers import Sam2VideoConfig, Sam2VideoModel

        model = Sam2VideoModel(small(Sam2VideoConfig())).eval()
    wanted = model.state_dict()
    state = translated(state_of("sam2.1-tiny"))
    assert state.keys() == wanted.keys()
    model.load_state_dict(state)
    return model


def run_theirs(
    model: Any, pixels: torch.Tensor, points: list[Any], labels: list[int]
) -> np.ndarray:
    """Return the low-resolution logits of each frame, (T, s, s)."""
    from transformers.models.sam2_video.modeling_sam2_video import (
        Sam2VideoInferenceSession,
    )

    session = Sam2VideoInferenceSession(
        video=pixels, video_height=SIDE, video_width=SIDE, dtype=torch.float32
    )
    index = session.obj_id_to_idx(1)
    given = {
        "point_coords": torch.tensor([[points]], dtype=torch.float32),
        "point_labels": torch.tensor([[labels]], dtype=torch.int32),
    }
    session.add_point_inputs(index, 0, given)
    session.obj_with_new_inputs = [1]
    with torch.inference_mode():
        model(session, frame_idx=0)
        outputs = list(model.propagate_in_video_iterator(session, start_frame_idx=0))
    found = {out.frame_idx: out.pred_masks for out in outputs}
    return np.stack([found[t].numpy().reshape(64, 64) for t in range(FRAMES)])


def run_ours(model: Any, frames: np.ndarray, add: Callable[[Session], None]) -> Any:
    with Session(
        model, frames, axes="TYXC", contrast_limits=(0, 255), retention="all"
    ) as session:
        add(session)
        for _ in session.propagate():
            pass
        bank = session.bank(1)
        return np.stack([bank.at(t).mask_logits[0, 0].numpy() for t in range(FRAMES)])


def test_click_through_a_clip(reference: Any, theirs: Any, clip: Any) -> None:
    frames = clip(FRAMES)
    pixels = normalise(torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255)
    x, y = POINT
    ours = run_ours(
        reference("sam2.1-tiny").model, frames, lambda s: s.add_points(1, 0, (y, x), 1)
    )
    agree = run_theirs(theirs, pixels, [[x, y]], [1])
    assert np.abs(ours - agree).max() < 1e-3
    assert ours.std() > 1


def test_box_through_a_clip(reference: Any, theirs: Any, clip: Any) -> None:
    frames = clip(FRAMES)
    pixels = normalise(torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255)
    x, y, x2, y2 = BOX
    edges = (y + 0.5, x + 0.5, y2 + 0.5, x2 + 0.5)
    ours = run_ours(
        reference("sam2.1-tiny").model, frames, lambda s: s.add_box(1, 0, edges)
    )
    agree = run_theirs(theirs, pixels, [[x, y], [x2, y2]], [2, 3])
    assert np.abs(ours - agree).max() < 1e-3


def test_picture(
    reference: Any, state_of: Callable[[str], dict[str, torch.Tensor]], clip: Any
) -> None:
    """The image model, all three masks of a click."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from transformers import Sam2Config, Sam2Model

        model = Sam2Model(small(Sam2Config())).eval()
    state = translated(state_of("sam2.1-tiny"))
    wanted = model.state_dict()
    model.load_state_dict({key: state[key] for key in wanted})
    pixels = normalise(torch.from_numpy(clip(1)).permute(0, 3, 1, 2).float() / 255)
    mine = reference("sam2.1-tiny").model
    with torch.inference_mode():
        answer = model(
            pixel_values=pixels,
            input_points=torch.tensor([[[POINT]]]),
            input_labels=torch.tensor([[[1]]]),
        )
        features = mine.encode_image(pixels)
        raw = mine.decode(
            mine.without_memory(features),
            features,
            PromptTensors(points=torch.tensor([[POINT]]), labels=torch.tensor([[1]])),
        )
    assert (answer.pred_masks[0, 0] - raw.masks[0, 1:]).abs().max() < 1e-3
    assert (answer.iou_scores[0, 0] - raw.iou_scores[0, 1:]).abs().max() < 1e-4
