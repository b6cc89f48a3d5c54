"""The side of the picture: offered where it helps, told to the engine, kept."""

from __future__ import annotations

from napari_sam2.widgets import console_lines
from napari_sam2.widgets.engine import SIDES, Catalogue, ModelChoice, ModelInfo
from napari_sam2.widgets.engine_parts import default_loader, model_info

TINY = ModelInfo(name="sam2.1-tiny", here=True, sizes=SIDES)
BOTH = Catalogue(
    models=(ModelInfo(name="nano", here=True), TINY), devices=("auto", "cpu")
)


def test_official_models_offer_smaller_pictures():
    assert model_info("sam2.1-tiny").sizes == (1024, 768, 512)
    assert model_info("nano").sizes == ()


def test_the_side_is_chosen_beside_the_model(viewer, movie, open_bench):
    viewer.add_image(movie, name="movie")
    bench = open_bench()
    models, panel = bench.widget.models, bench.widget.panel
    models.show_catalogue(BOTH)
    assert not panel.detail.isVisibleTo(panel)
    models.choose("sam2.1-tiny")
    assert panel.detail.isVisibleTo(panel)
    assert models.choice.image_size is None
    panel.detail.setCurrentText("512 px")
    assert models.choice.image_size == 512
    bench.settle()
    assert bench.engine.requests[-1].model == models.choice
    assert panel.console.text().endswith(
        "load_model('sam2.1-tiny', dtype='auto', image_size=512)"
    )
    models.show_catalogue(BOTH)  # as after a download
    assert models.choice.image_size == 512
    models.choose("nano")
    assert not panel.detail.isVisibleTo(panel)
    assert models.choice.image_size is None


def test_a_saved_session_takes_its_side_along(viewer, open_bench):
    bench = open_bench()
    models = bench.widget.models
    models.show_catalogue(BOTH)
    models.prefer("sam2.1-tiny", 768)
    assert models.choice.image_size == 768
    models.prefer("sam2.1-tiny", None)
    assert models.choice.image_size == 768  # the first sessions did not say


def test_a_saved_session_takes_its_memories_along(viewer, movie, open_bench):
    viewer.add_image(movie, name="movie")
    bench = open_bench()
    models = bench.widget.models
    models.show_catalogue(BOTH)
    assert models.choice.recent_memories is None
    models.prefer("nano", None, 2)
    bench.settle()
    assert bench.engine.requests[-1].model.recent_memories == 2
    assert "recent_memories=2" in bench.widget.panel.console.text()
    models.prefer("sam2.1-huge", None, 3)  # not here: the present one goes on
    assert models.choice.recent_memories == 2
    models.choose("sam2.1-tiny")
    assert models.choice.recent_memories is None
    models.prefer("sam2.1-tiny", None, 3)
    models.prefer("sam2.1-tiny")
    assert models.choice.recent_memories is None


def test_large_files_are_taken_for_official_ones(tmp_path, viewer, open_bench):
    small, large = tmp_path / "mine.safetensors", tmp_path / "theirs.pt"
    small.write_bytes(b"")
    with large.open("wb") as file:
        file.truncate(60 * 2**20)
    models = open_bench().widget.models
    models.add_file(small)
    assert models.info.sizes == ()
    models.add_file(large)
    assert models.info.sizes == SIDES


def test_the_side_reaches_the_network():
    choice = ModelChoice(device="cpu", precision="full", image_size=192)
    assert default_loader(choice).config.image_size == 192
    line = console_lines.model_line(choice)
    assert line == "model = load_model('nano', device='cpu', image_size=192)"


def test_the_memories_reach_the_network():
    choice = ModelChoice(device="cpu", precision="full", recent_memories=0)
    assert default_loader(choice).config.recent_memories == 0
    line = console_lines.model_line(choice)
    assert line == "model = load_model('nano', device='cpu', recent_memories=0)"
