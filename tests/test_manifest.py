"""The npe2 manifest is valid and every command in it can be imported."""

from __future__ import annotations

import pytest
from npe2 import PluginManifest

MANIFEST = PluginManifest.from_distribution("napari-sam2")


def test_manifest_validates_with_imports():
    MANIFEST.validate_imports()


@pytest.mark.parametrize("menu", ["napari/layers/segment", "napari/layers/track"])
def test_widget_is_in_the_layers_menus(menu):
    commands = [item.command for item in MANIFEST.contributions.menus[menu]]
    assert commands == ["napari-sam2.track"]


def test_reader_takes_files_and_folders():
    (reader,) = MANIFEST.contributions.readers
    assert reader.accepts_directories
    for pattern in ("*.tif", "*.tiff", "*.zarr", "*.npy"):
        assert pattern in reader.filename_patterns
