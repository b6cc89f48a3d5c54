"""The npe2 manifest is valid and every command in it can be imported."""

from __future__ import annotations

import pytest
from npe2 import PluginManifest
from npe2.manifest.utils import import_python_name

MANIFEST = PluginManifest.from_distribution("napari-sam2")


def test_manifest_validates_with_imports():
    MANIFEST.validate_imports()


@pytest.mark.parametrize(
    ("menu", "command"),
    [
        ("napari/layers/segment", "napari-sam2.track"),
        ("napari/layers/track", "napari-sam2.track"),
        ("napari/layers/annotate", "napari-sam2.adapt"),
    ],
)
def test_widgets_are_in_the_layers_menus(menu, command):
    commands = [item.command for item in MANIFEST.contributions.menus[menu]]
    assert commands == [command]


def test_samples_open_as_layers():
    from napari.layers import Layer

    keys = [sample.key for sample in MANIFEST.contributions.sample_data]
    assert keys == ["cells-movie", "cells-stack", "cells3d"]
    for command in MANIFEST.contributions.commands:
        if command.id.startswith("napari-sam2.sample_"):
            (given,) = import_python_name(command.python_name)()
            layer = Layer.create(*given)
            assert layer.ndim == 3
            assert layer.axis_labels[1:] == ("y", "x")


def test_reader_takes_files_and_folders():
    (reader,) = MANIFEST.contributions.readers
    assert reader.accepts_directories
    for pattern in ("*.tif", "*.tiff", "*.zarr", "*.npy"):
        assert pattern in reader.filename_patterns
