"""A session that keeps everything gives Meta's predictor's numbers, frame by frame."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image

from napari_sam2.model import SAM2
from napari_sam2.model.mask_decoder import choose_masks
from napari_sam2.model.sam2 import normalise
from napari_sam2.tracking import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SIDE = 256
# Meta's coordinates as fractions of (w, h).
A, B, NEGATIVE, C = (0.30, 0.33), (0.36, 0.40), (0.70, 0.68), (0.52, 0.80)
BOX1, BOX2 = (0.14, 0.17, 0.45, 0.48), (0.58, 0.56, 0.83, 0.80)
LATER_BOX = (0.35, 0.38, 0.66, 0.69)
TINY = ["sam2.1-tiny", "sam2-tiny"]


@pytest.fixture
def opened(clip: Callable[..., np.ndarray]) -> Iterator[Callable[..., Session]]:
    """Give a function that opens a session as Meta's predictor would."""
    sessions = []

    def make(ref: Any, frames: np.ndarray | None = None, **given: Any) -> Session:
        given = {"meta_behaviour": True, "retention": "all", "lanes": 1} | given
        session = Session(
            ref.model,
            clip() if frames is None else frames,
            axes="TYXC",
            contrast_limits=(0, 255),
            **given,
        )
        sessions.append(session)
        return session

    yield make
    for session in sessions:
        session.close()


def click(fraction: tuple[float, float], shape: Any = (SIDE, SIDE)) -> list[Any]:
    """Return Meta's point as our (y, x): it lacks the half pixel of a centre."""
    x, y = fraction
    scale_y, scale_x = shape[0] / SIDE, shape[1] / SIDE
    return [(y * shape[0] + 0.5 * scale_y - 0.5, x * shape[1] + 0.5 * scale_x - 0.5)]


def box(fractions: tuple[float, ...]) -> tuple[float, ...]:
    """Return Meta's box as our edges: Meta takes corners for pixels."""
    x, y, x2, y2 = (f * SIDE + 0.5 for f in fractions)
    return y, x, y2, x2


def run(session: Session, *args: Any, **kwargs: Any) -> list[Any]:
    return list(session.propagate(*args, **kwargs, everything=True))


def check_object(ref: Any, session: Session, run_name: str, object_id: int = 1) -> None:
    bank = session.bank(object_id)
    stem = f"{run_name}/obj{object_id}"
    frames = ref[f"{stem}/frames"].tolist()
    found = [bank.at(t) for t in frames]
    assert None not in found
    ours = {
        "low_res": torch.cat([m.mask_logits[:, 0] for m in found]),
        "score": np.array([m.object_score for m in found]),
        "obj_ptr": torch.cat([m.pointer for m in found]),
    }
    report = {kind: ref.difference(f"{stem}/{kind}", x) for kind, x in ours.items()}
    log_differences(f"{ref.name} {stem}", report)
    for kind, difference in report.items():
        assert difference < ref.tolerance(f"{stem}/{kind}"), (stem, kind)
    assert [t in bank.conditioning for t in frames] == ref[f"{stem}/cond"].tolist()
    for key in ref.arrays:
        if key.startswith(f"{stem}/maskmem"):
            check_memory(bank.at(int(key.split("maskmem")[1])).spatial, ref[key])


def check_memory(ours: torch.Tensor, theirs: np.ndarray) -> None:
    """Compare bfloat16 numbers: equal, but for one unit in the last place."""
    ours = ours.float().numpy()
    ulp = 2.0 ** (np.floor(np.log2(np.maximum(np.abs(theirs), 1e-3))) - 7)
    assert (np.abs(ours - theirs.astype(np.float32)) <= 1.01 * ulp).all()


def log_differences(name: str, report: dict[str, float]) -> None:
    """Append what was measured to the file that PARITY_LOG names, if any."""
    if path := os.environ.get("PARITY_LOG"):
        with Path(path).open("a") as file:
            file.write(json.dumps({"run": name, **report}) + "\n")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """Collect the predicted IoUs of every decoder call."""
    kept: list[np.ndarray] = []
    decode = SAM2.decode

    def kept_too(model: SAM2, embedding: Any, features: Any, prompts: Any) -> Any:
        raw = decode(model, embedding, features, prompts)
        painted = prompts.mask_logits is not None and bool((prompts.labels < 0).all())
        row = np.full(3, np.nan, np.float32)
        if prompts.multimask and not painted:
            row[:] = raw.iou_scores[0, 1:]
        else:
            row[0] = raw.iou_scores[0, int(choose_masks(raw, multimask=False)[0])]
        kept.append(row)
        return raw

    monkeypatch.setattr(SAM2, "decode", kept_too)
    return kept


def check_calls(ref: Any, calls: list[np.ndarray], run_name: str) -> None:
    """Compare all decoder calls of a run, in their order."""
    theirs, ours = ref[f"{run_name}/iou_calls"], np.stack(calls)
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4)


def test_click(sized: Any, opened: Any, clip: Any, calls: Any) -> None:
    check_click(sized, opened, clip, calls)


def test_click_of_the_older_version(
    reference: Any, opened: Any, clip: Any, calls: Any
) -> None:
    check_click(reference("sam2-tiny"), opened, clip, calls)


def check_click(ref: Any, opened: Any, clip: Any, calls: Any) -> None:
    length = len(ref["click/obj1/frames"])
    session = opened(ref, clip(length))
    session.add_points(1, 0, click(A), 1)
    conditioned: dict[int, torch.Tensor] = {}
    recall_frames(ref.model, conditioned)
    try:
        results = run(session)
    finally:
        del ref.model.condition_on_memory
    check_object(ref, session, "click")
    check_calls(ref, calls, "click")
    for key in ref.arrays:
        if key.startswith("click/pix_feat_with_mem"):
            t = int(key.split("with_mem")[1])
            assert ref.difference(key, conditioned[t][:, ::8]) < 2e-2, key
    for result in results:
        logits = torch.from_numpy(
            ref["click/obj1/low_res"][result.frame_idx : 1 + result.frame_idx]
        )
        upsampled = torch.nn.functional.interpolate(
            logits[None].float(), size=(SIDE, SIDE), mode="bilinear"
        )[0, 0]
        different = (upsampled.numpy() > 0) != (result.labels == 1)
        assert np.count_nonzero(different) <= 20  # logits of about ±0.001


def recall_frames(model: Any, into: dict[int, torch.Tensor]) -> None:
    """Keep what memory attention answers; frame 0 is the prompted one."""
    original = type(model).condition_on_memory

    def kept(*args: Any, **kwargs: Any) -> torch.Tensor:
        out = original(model, *args, **kwargs)
        into[len(into) + 1] = out
        return out

    model.condition_on_memory = kept


def test_other_shapes(
    reference: Any, opened: Any, clip: Any, monkeypatch: pytest.MonkeyPatch, calls: Any
) -> None:
    """Frames prepared as Meta's video loader does: 8 bits, bicubic."""

    def by_pillow(frame: np.ndarray, side: int) -> torch.Tensor:
        image = Image.fromarray(np.round(frame * 255).astype(np.uint8))
        small = np.asarray(image.resize((side, side)), np.float32) / 255
        return normalise(torch.from_numpy(small).permute(2, 0, 1)[None])

    monkeypatch.setattr("napari_sam2.tracking.frames.to_pixels", by_pillow)
    ref = reference("sam2.1-tiny")
    shape = (180, 320)
    session = opened(ref, clip(5, *shape))
    session.add_points(1, 0, click(A, shape), 1)
    results = run(session)
    check_object(ref, session, "click_180x320")
    check_calls(ref, calls, "click_180x320")
    bits = np.unpackbits(ref["click_180x320/video_mask_bits"], count=5 * 180 * 320)
    ours = np.stack([r.labels for r in results])
    assert np.count_nonzero(ours != bits.reshape(5, *shape)) <= 20


def test_mask(reference: Any, opened: Any, calls: Any) -> None:
    ref = reference("sam2.1-tiny")
    session = opened(ref)
    mask = np.unpackbits(ref["mask/prompt_bits"], count=SIDE * SIDE)
    session.add_mask(1, 0, mask.reshape(SIDE, SIDE))
    results = run(session)
    check_object(ref, session, "mask")
    check_calls(ref, calls, "mask")
    np.testing.assert_array_equal(results[0].labels, mask.reshape(SIDE, SIDE))


def test_reverse(reference: Any, opened: Any, calls: Any) -> None:
    ref = reference("sam2.1-tiny")
    session = opened(ref)
    session.add_points(1, 4, click(B), 1)
    results = run(session, "both")
    assert [r.frame_idx for r in results] == [4, 5, 6, 7, 8, 3, 2, 1, 0]
    check_object(ref, session, "reverse")
    check_calls(ref, calls, "reverse")


def test_box_and_correction_as_meta_does_it(
    reference: Any, opened: Any, calls: Any
) -> None:
    ref = reference("sam2.1-tiny")
    session = opened(ref)
    session.add_box(1, 0, box(BOX1))
    run(session)
    check_object(ref, session, "box_refine/pass1")
    session.add_points(1, 4, click(NEGATIVE), 0)
    session.preview(4)
    corrected = session.bank(1).at(4)
    key = "box_refine/click4"
    assert ref.difference(f"{key}/low_res", corrected.mask_logits[0]) < 1e-3
    assert abs(float(ref[f"{key}/score"][0]) - corrected.object_score) < 1e-3
    run(session, frames=range(5, 9))
    check_object(ref, session, "box_refine/pass2_from5")
    check_calls(ref, calls, "box_refine/pass2_from5")


def test_correction_as_conditioning_frame(
    reference: Any, opened: Any, calls: Any
) -> None:
    """Our default: a correction stays when propagating over it again."""
    ref = reference("sam2.1-tiny")
    session = opened(ref, meta_behaviour=False)
    session.add_box(1, 0, box(BOX1))
    run(session)
    session.add_points(1, 4, click(NEGATIVE), 0)
    run(session)
    check_object(ref, session, "box_refine/cond_pass2")
    check_calls(ref, calls, "box_refine/cond_pass2")


@pytest.mark.parametrize("name", TINY)
def test_several_objects(reference: Any, opened: Any, name: str, calls: Any) -> None:
    ref = reference(name)
    session = opened(ref)
    session.add_points(1, 0, click(A), 1)
    session.add_box(2, 2, box(BOX2))
    run(session)
    for object_id in (1, 2):
        check_object(ref, session, "multi/pass1", object_id)
    session.add_points(3, 5, click(C), 1)
    run(session, frames=range(5, 9))
    for object_id in (1, 2, 3):
        check_object(ref, session, "multi/pass2", object_id)
    check_calls(ref, calls, "multi/pass2")


def test_long(reference: Any, opened: Any, clip: Any, calls: Any) -> None:
    ref = reference("sam2.1-tiny")
    session = opened(ref, clip(24))
    session.add_points(1, 0, click(A), 1)
    session.add_box(1, 10, box(LATER_BOX))
    run(session)
    check_object(ref, session, "long")
    check_calls(ref, calls, "long")


@pytest.mark.parametrize("name", TINY)
def test_object_that_comes_and_goes(
    reference: Any, opened: Any, clip: Any, name: str, calls: Any
) -> None:
    ref = reference(name)
    frames = clip()
    for t in ref.meta["flicker/inverted_frames"]:
        frames[t] = 255 - frames[t]
    yy, xx = np.mgrid[0:SIDE, 0:SIDE]
    bits = reference("sam2.1-tiny")["mask/prompt_bits"]
    mask = np.unpackbits(bits, count=SIDE * SIDE).reshape(SIDE, SIDE)
    assert mask[(yy == 84) & (xx == 76)].all()  # the disc around A
    bias = ref.model.sam_mask_decoder.pred_obj_score_head.layers[2].bias
    shift = ref.meta["flicker/subtract_from_obj_score_bias"]
    bias.data -= shift
    try:
        session = opened(ref, frames)
        session.add_mask(1, 0, mask)
        results = run(session)
    finally:
        bias.data += shift
    check_object(ref, session, "flicker")
    check_calls(ref, calls, "flicker")
    seen = ref["flicker/obj1/score"] > 0
    assert [r.scores[1].object_score > 0.5 for r in results] == seen.tolist()
    assert not any(r.labels.any() for r in results if not seen[r.frame_idx])


def test_recent_retention_is_the_same_in_one_walk(reference: Any, opened: Any) -> None:
    """What is dropped was out of reach."""
    ref = reference("sam2.1-tiny")
    session = opened(ref, retention="recent", meta_behaviour=False)
    session.add_points(1, 0, click(A), 1)
    run(session)
    bank = session.bank(1)
    assert bank.at(1).spatial is None
    theirs = ref["click/obj1/low_res"][8]
    assert np.abs(bank.at(8).mask_logits[0, 0].numpy() - theirs).max() < 1e-3
