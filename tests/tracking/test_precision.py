"""Precision: by name, by the machine, and close enough on a real network."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
import torch

from napari_sam2 import Session, load_model
from napari_sam2.model import fastest_dtype
from napari_sam2.stacks.samples import cells_movie

if TYPE_CHECKING:
    from pathlib import Path

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"amx_bf16": True, "avx512_bf16": False}, torch.bfloat16),
        ({"avx512_bf16": False, "avx2": True}, torch.float32),
        ({}, torch.float32),
    ],
)
def test_half_where_the_processor_multiplies_it_faster(
    found: dict[str, bool], expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found, raising=False)
    assert fastest_dtype(CPU) == expected
    assert load_model("nano", device="cpu", dtype="auto").dtype == expected


def test_precision_by_name() -> None:
    assert load_model("nano", device="cpu").dtype == torch.float32
    assert load_model("nano", device="cpu", dtype="half").dtype == torch.bfloat16
    assert load_model("nano", device="cpu", dtype="full").dtype == torch.float32
    with pytest.raises(ValueError, match="use auto, full, half"):
        load_model("nano", device="cpu", dtype="double")  # type: ignore[arg-type]


def test_masks_in_half_are_those_in_full() -> None:
    sample = cells_movie(n_frames=6)
    frame, y, x = sample.click
    planes = []
    for dtype in ("full", "half"):
        model = load_model("nano", device="cpu", dtype=dtype)
        with Session(model, sample.image, axes=sample.axes) as session:
            session.add_points(1, frame, [(y, x)])
            list(session.propagate())
            planes.append(np.asarray(session.labels) == 1)
            assert str(model.dtype).removeprefix("torch.") in session.computes
    full, half = planes
    agreement = (full & half).sum((1, 2)) / (full | half).sum((1, 2))
    assert agreement.mean() > 0.98


def test_a_smaller_input_is_another_configuration_of_the_same_weights(
    tmp_path: Path,
) -> None:
    sample = cells_movie(n_frames=3)
    movie = tmp_path / "movie.tif"
    tifffile.imwrite(movie, sample.image, photometric="minisblack")
    frame, y, x = sample.click
    planes = []
    for size in (None, 192):
        model = load_model("nano", device="cpu", image_size=size)
        assert model.config.image_size == (size or 256)
        path = tmp_path / f"{size}.sam2.zarr"
        with Session(model, movie, axes="TYX", path=path) as session:
            session.add_points(1, frame, [(y, x)])
            list(session.propagate())
            planes.append(np.asarray(session.labels) == 1)
        with Session.open(path, device="cpu") as again:
            assert again.model.config.image_size == (size or 256)
    full, small = planes
    assert (full & small).sum() / (full | small).sum() > 0.8
    assert (full != small).any()


def test_an_input_of_odd_size_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 32, not 500"):
        load_model("nano", device="cpu", image_size=500)


def test_fewer_memories_are_another_configuration_of_the_same_weights(
    tmp_path: Path,
) -> None:
    sample = cells_movie(n_frames=6)
    movie = tmp_path / "movie.tif"
    tifffile.imwrite(movie, sample.image, photometric="minisblack")
    frame, y, x = sample.click
    planes = []
    for recent in (None, 6, 1):
        model = load_model("nano", device="cpu", recent_memories=recent)
        assert model.config.recent_memories == (6 if recent is None else recent)
        path = tmp_path / f"{recent}.sam2.zarr"
        with Session(model, movie, axes="TYX", path=path) as session:
            session.add_points(1, frame, [(y, x)])
            list(session.propagate(frames=range(4)))
        with Session.open(path, device="cpu") as again:
            assert again.model.config == model.config
            list(again.propagate())
            planes.append(np.asarray(again.labels) == 1)
        table = json.loads((path / "session.json").read_text())
        assert table["recent_memories"] == (1 if recent == 1 else None)
    full, all_six, few = planes
    assert (full == all_six).all()
    assert (full & few).sum() / (full | few).sum() > 0.8
    assert (full != few).any()


def test_sessions_of_before_there_was_a_choice_have_all_memories(
    tmp_path: Path,
) -> None:
    movie = tmp_path / "movie.tif"
    tifffile.imwrite(movie, cells_movie(n_frames=3).image, photometric="minisblack")
    model = load_model("nano", device="cpu", recent_memories=2)
    path = tmp_path / "a.sam2.zarr"
    Session(model, movie, axes="TYX", path=path).close()
    said = path / "session.json"
    table = json.loads(said.read_text())
    assert table.pop("recent_memories") == 2
    said.write_text(json.dumps(table))
    with Session.open(path, device="cpu") as again:
        assert again.model.config.recent_memories == 6


@pytest.mark.parametrize("recent", [-1, 7])
def test_more_memories_than_weights_know_are_refused(recent: int) -> None:
    with pytest.raises(ValueError, match=f"from 0 to 6, not {recent}"):
        load_model("nano", device="cpu", recent_memories=recent)


def test_a_session_is_opened_again_in_its_precision(tmp_path: Path) -> None:
    sample = cells_movie(n_frames=3)
    movie = tmp_path / "movie.tif"
    tifffile.imwrite(movie, sample.image, photometric="minisblack")
    model = load_model("nano", device="cpu", dtype="half")
    with Session(model, movie, axes="TYX", path=tmp_path / "a.sam2.zarr") as session:
        path = session.path
    assert path is not None
    with Session.open(path, device="cpu") as again:
        assert again.model.dtype == torch.bfloat16
    said = path / "session.json"
    table = json.loads(said.read_text())
    del table["precision"]  # as before there was a choice
    said.write_text(json.dumps(table))
    with Session.open(path, device="cpu") as again:
        assert again.model.dtype == torch.float32
