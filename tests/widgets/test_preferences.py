"""Preferences: napari's page made of our manifest, and what follows from it."""

from __future__ import annotations

import pytest
import yaml
from napari.settings import get_plugin_settings
from npe2 import PluginManifest

from napari_sam2.widgets.confidence_colours import COLOUR_MAPS
from napari_sam2.widgets.engine import Catalogue, ModelInfo, Request
from napari_sam2.widgets.keys import KEYS
from napari_sam2.widgets.preferences import PLUGIN, Preferences, read_preferences
from napari_sam2.widgets.tracking_engine import TrackingEngine

MANIFEST = PluginManifest.from_distribution(PLUGIN)
PAGES = MANIFEST.contributions.configurations


@pytest.fixture
def settings(plugin_settings, npe2pm, monkeypatch):
    """Settings of our own, in a file of this test."""
    monkeypatch.delenv("NAPARI_SAM2_MODELS", raising=False)
    if PLUGIN not in npe2pm:
        npe2pm.register(MANIFEST)
    return get_plugin_settings(PLUGIN)


def test_the_manifest_has_our_defaults(settings):
    chosen = read_preferences()
    assert chosen.keys == {action.name: action.key for action in KEYS}
    defaults = Preferences(keys=chosen.keys)
    assert chosen == defaults
    assert PAGES["general"].properties["colours"].enum == list(COLOUR_MAPS)


def test_every_key_says_what_it_does():
    for action in KEYS:
        words = PAGES["keys"].properties[action.name].description
        assert words == action.words[0].upper() + action.words[1:]


def test_what_is_preferred_is_kept_in_a_file(settings, tmp_path):
    settings.general.device = "cpu"
    settings.general.model_folder = str(tmp_path / "models")
    settings.keys.follow = "Shift-F"
    kept = yaml.safe_load(settings.config_path.read_text())
    assert kept["general"]["device"] == "cpu"
    chosen = read_preferences()
    assert chosen.device == "cpu"
    assert chosen.model_folder == tmp_path / "models"
    assert chosen.keys["follow"] == "Shift-F"
    with pytest.raises(ValueError, match="sideways"):
        settings.general.device = "sideways"


def test_the_environment_goes_first(settings, tmp_path, monkeypatch):
    settings.general.model_folder = str(tmp_path)
    monkeypatch.setenv("NAPARI_SAM2_MODELS", str(tmp_path / "other"))
    assert read_preferences().model_folder is None


def test_without_being_installed_the_defaults_hold(plugin_settings, npe2pm):
    assert read_preferences() == Preferences()


def test_the_panel_is_opened_as_preferred(settings, viewer, movie, open_bench):
    settings.general.strip_opens = False
    settings.general.colours = "magma"
    settings.general.device = "cpu"
    settings.general.precision = "half"
    settings.keys.lock = "J"
    viewer.add_image(movie, name="movie")
    bench = open_bench()
    panel = bench.widget.panel
    assert panel.strip.isVisibleTo(panel)
    assert panel.strip.colours == "magma"
    assert bench.widget.models.choice.device == "cpu"
    assert panel.device.currentText() == "cpu"
    assert bench.engine.requests[-1].model.precision == "half"
    assert "J" in {str(key) for key in viewer.keymap}
    assert "K" not in {str(key) for key in viewer.keymap}
    panel.copy.click()
    bench.click(0, 20, 20)
    panel.strip_below.click()
    assert bench.widget.reviewing.strips[-1].colours == "magma"


def test_a_preferred_device_that_is_not_here_is_left(settings, viewer, open_bench):
    settings.general.device = "mps"
    bench = open_bench()
    assert bench.widget.models.choice.device == "auto"
    two_gpus = Catalogue(
        models=(ModelInfo(name="nano", here=True),),
        devices=("auto", "cpu", "cuda:0", "cuda:1"),
    )
    bench.widget.panel.device.addItem("cuda")
    bench.widget.panel.device.setCurrentText("cuda")
    bench.widget.models.show_catalogue(two_gpus)
    assert bench.widget.models.choice.device == "cuda"


def test_half_precision_and_another_folder_reach_the_model(tmp_path, movie):
    import torch

    from napari_sam2.widgets.engine import ModelChoice
    from napari_sam2.widgets.target import Target

    (tmp_path / "sam2.1_hiera_small.pt").write_bytes(b"")
    engine = TrackingEngine(models=tmp_path)
    here = {info.name: info.here for info in engine.catalogue().models}
    assert here["sam2.1-small"]
    assert not here["sam2.1-tiny"]
    target = Target(
        data=movie,
        name="m",
        shape=movie.shape,
        followed=0,
        held=(0, 0, 0),
        axes="TYX",
        contrast_limits=(0.0, 4000.0),
    )
    choice = ModelChoice(device="cpu", precision="half")
    engine.open(Request(model=choice, target=target), 0)
    assert engine._model.dtype == torch.bfloat16
    engine.close()
