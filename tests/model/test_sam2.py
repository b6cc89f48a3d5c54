"""The network's steps: shapes, precisions, and what must not matter."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from napari_sam2.model import SAM2, PromptTensors, build_model, normalise, preset
from napari_sam2.model.mask_decoder import DecoderOutput, choose_masks
from napari_sam2.model.prompt_encoder import draw_prompts

SIDE = 64


@pytest.fixture(scope="module", params=["nano", "sam2.1-tiny", "sam2-tiny"])
def model(request: pytest.FixtureRequest) -> SAM2:
    torch.manual_seed(0)
    built = build_model(preset(request.param, image_size=SIDE)).eval()
    return built.requires_grad_(requires_grad=False)


def pixels(count: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return normalise(torch.rand(count, 3, SIDE, SIDE, generator=generator))


def clicks(objects: int) -> PromptTensors:
    return PromptTensors(
        points=torch.arange(objects * 2.0).reshape(objects, 1, 2) * 5,
        labels=torch.ones(objects, 1, dtype=torch.long),
    )


def test_shapes_of_every_step(model: SAM2) -> None:
    c, m, s, e = model.config.dim, model.config.memory_dim, SIDE // 4, SIDE // 16
    features = model.encode_image(pixels(2))
    assert features.embedding.shape == (2, c, e, e)
    assert features.skip4.shape == (2, c // 8, s, s)
    assert features.skip8.shape == (2, c // 4, 2 * e, 2 * e)
    one = features[1]
    assert one.embedding.shape == (1, c, e, e)
    assert one.nbytes * 2 == features.nbytes
    assert model.without_memory(one).shape == (1, c, e, e)
    out = model.decode_masks(model.without_memory(one), one, clicks(3))
    assert out.low_res_masks.shape == (3, 1, s, s)
    assert out.iou_scores.shape == (3,)
    assert out.object_score_logits.shape == (3, 1)
    assert out.object_pointer.shape == (3, c)
    memory = model.encode_memory(
        one, out.low_res_masks, out.object_score_logits, prompted=True
    )
    assert memory.shape == (3, m, e, e)
    conditioned = model.condition_on_memory(
        one, [(memory, 6), (memory, 0)], [(out.object_pointer, 1.0)]
    )
    assert conditioned.shape == (3, c, e, e)
    tracked = model.decode_masks(conditioned, one, PromptTensors.empty(3))
    assert tracked.low_res_masks.shape == (3, 1, s, s)


def test_pictures_and_objects_do_not_touch_each_other(model: SAM2) -> None:
    both, one = model.encode_image(pixels(2)), model.encode_image(pixels(2)[1:])
    torch.testing.assert_close(both[1].embedding, one.embedding, atol=1e-4, rtol=1e-4)
    embedding = model.without_memory(one)
    together = model.decode(embedding, one, clicks(3))
    for i in range(3):
        single = PromptTensors(
            points=clicks(3).points[i : i + 1], labels=clicks(3).labels[i : i + 1]
        )
        alone = model.decode(embedding, one, single)
        torch.testing.assert_close(
            alone.masks[0], together.masks[i], atol=1e-4, rtol=1e-4
        )


def test_a_mask_prompt_is_answered_with_itself(model: SAM2) -> None:
    features = model.encode_image(pixels())
    masks = torch.zeros(2, 1, SIDE, SIDE)
    masks[0, :, 16:40, 8:32] = 1
    out = model.decode_mask_prompt(features, masks)
    assert (out.low_res_masks[0, 0, 5:9, 3:7] > 9).all()
    assert (out.low_res_masks[0, 0, 12:] < -9).all()
    assert out.object_score_logits.flatten().tolist() == [10, -10]
    torch.testing.assert_close(out.object_pointer[1], model.no_obj_ptr[0])


def test_an_absent_object_has_no_mask_and_its_own_pointer(model: SAM2) -> None:
    features = model.encode_image(pixels())
    bias = model.sam_mask_decoder.pred_obj_score_head.layers[2].bias
    before = bias.clone()
    try:
        bias.fill_(-100)
        out = model.decode_masks(model.without_memory(features), features, clicks(1))
    finally:
        bias.copy_(before)
    assert (out.low_res_masks == -1024).all()
    torch.testing.assert_close(out.object_pointer, model.no_obj_ptr)


def test_the_order_of_memories_does_not_matter(model: SAM2) -> None:
    torch.manual_seed(1)
    features = model.encode_image(pixels())
    e, m = SIDE // 16, model.config.memory_dim
    memories = [(torch.randn(1, m, e, e), row) for row in (6, 2, 1, 0)]
    pointers = [(torch.randn(1, model.config.dim), float(d)) for d in (1, 2, 5)]
    one = model.condition_on_memory(features, memories, pointers)
    other = model.condition_on_memory(features, memories[::-1], pointers[::-1])
    torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
    moved = [(mem, row - 1) for mem, row in memories if row] + memories[-1:]
    assert not torch.allclose(
        one, model.condition_on_memory(features, moved, pointers), atol=1e-4
    )


def test_without_memories_the_frame_has_no_past(model: SAM2) -> None:
    features = model.encode_image(pixels())
    torch.testing.assert_close(
        model.condition_on_memory(features, []), model.without_memory(features)
    )


def test_only_older_versions_ignore_the_time_of_pointers(model: SAM2) -> None:
    torch.manual_seed(1)
    features = model.encode_image(pixels())
    memory = torch.randn(1, model.config.memory_dim, SIDE // 16, SIDE // 16)
    pointer = 5 * torch.randn(1, model.config.dim)
    near, far = (
        model.condition_on_memory(features, [(memory, 0)], [(pointer, d)])
        for d in (1.0, 9.0)
    )
    assert torch.equal(near, far) != model.config.pointer_time_encoding


def output(masks: torch.Tensor, ious: list[float]) -> DecoderOutput:
    return DecoderOutput(
        masks=masks[None],
        iou_scores=torch.tensor([ious]),
        tokens=torch.zeros(1, 4, 8),
        object_score_logits=torch.ones(1, 1),
    )


def test_masks_are_chosen_by_ambiguity_and_stability() -> None:
    masks = torch.full((4, 10, 10), -5.0)
    masks[0, :5] = 5.0
    stable = output(masks, [0.2, 0.3, 0.9, 0.4])
    assert [int(i) for i in choose_masks(stable, multimask=True)] == [2, 2]
    assert [int(i) for i in choose_masks(stable, multimask=False)] == [0, 0]
    masks[0, 5:] = 0.01  # a rim that comes and goes with the threshold
    unstable = replace(stable, masks=masks[None])
    assert [int(i) for i in choose_masks(unstable, multimask=False)] == [2, 0]
    masks[0] = -5.0  # an empty mask is a stable one
    empty = replace(stable, masks=masks[None])
    assert [int(i) for i in choose_masks(empty, multimask=False)] == [0, 0]


def test_prompts_are_drawn_where_they_are() -> None:
    points = torch.tensor([[[19.5, 7.5], [40.0, 40.0]], [[7.5, 15.5], [39.5, 31.5]]])
    labels = torch.tensor([[1, 0], [2, 3]])
    maps = draw_prompts(points, labels, SIDE // 4, SIDE)
    assert maps.shape == (2, 3, 16, 16)
    assert maps[0, 0].argmax() == 2 * 16 + 5 or maps[0, 0].argmax() == 1 * 16 + 4
    assert maps[0, 1].argmax() == 10 * 16 + 10 or maps[0, 1].argmax() == 9 * 16 + 9
    assert not maps[1, :2].any()
    assert not maps[0, 2].any()
    filled = maps[1, 2]
    assert (filled[4:8, 2:10] == 1).all()
    assert filled.sum() == 4 * 8


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_runs_and_is_near(model: SAM2, dtype: torch.dtype) -> None:
    half = build_model(model.config).eval().requires_grad_(requires_grad=False)
    half.load_state_dict(model.state_dict())
    half = half.to(dtype)
    answers = []
    for net in (model, half):
        features = net.encode_image(pixels().to(net.dtype))
        assert features.embedding.dtype == net.dtype
        points = torch.tensor([[[33.3, 20.7], [50.0, 50.0]]])
        prompts = PromptTensors(points=points, labels=torch.tensor([[1, 0]]))
        first = net.decode_masks(net.without_memory(features), features, prompts)
        memory = net.encode_memory(
            features, first.low_res_masks, first.object_score_logits, prompted=True
        )
        embedding = net.condition_on_memory(
            features, [(memory, 0)], [(first.object_pointer, 1.0)]
        )
        empty = PromptTensors.empty(1)
        answers.append(net.decode(embedding, features, empty).masks.float())
    spread = answers[0].std()
    assert (answers[0] - answers[1]).abs().mean() < 0.1 * spread
