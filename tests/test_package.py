"""Importing the package is cheap, and its vocabulary is whole."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points, version
from pathlib import Path

import pytest

import napari_sam2

HEAVY = ("torch", "napari", "qtpy", "PyQt6", "PySide6", "magicgui", "numpy", "zarr")


def test_import_pulls_neither_torch_nor_qt_nor_napari():
    code = (
        "import sys, napari_sam2; napari_sam2.__version__; "
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_importing_the_command_line_is_cheap_too():
    code = (
        "import sys, napari_sam2.cli; "
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", napari_sam2.__all__)
def test_every_public_name_resolves(name):
    assert getattr(napari_sam2, name) is not None
    assert name in dir(napari_sam2)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'tarck'"):
        _ = napari_sam2.tarck


def test_version_is_the_distributions():
    assert napari_sam2.__version__ == version("napari-sam2")


def test_entry_points():
    (script,) = entry_points(group="console_scripts", name="napari-sam2")
    assert script.value == "napari_sam2.cli:main"
    (manifest,) = entry_points(group="napari.manifest", name="napari-sam2")
    assert manifest.value == "napari_sam2:napari.yaml"


def test_root_manifest_is_a_link_to_the_packaged_one():
    root = Path(__file__).parent.parent
    if not (root / ".git").exists():  # an unpacked sdist carries only the real one
        return
    assert (root / "napari.yaml").is_symlink()
    assert (root / "napari.yaml").resolve() == (
        root / "src" / "napari_sam2" / "napari.yaml"
    )
