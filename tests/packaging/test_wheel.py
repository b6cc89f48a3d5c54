"""The wheel and the sdist build, and the wheel works alone in an empty environment."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.wheel

ROOT = Path(__file__).parents[2]
CHECKPOINT_LIMIT = 12_000_000


def run(*command, **kwargs):
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False, **kwargs
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """Build the sdist, and the wheel from the sdist."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT)
    return out


@pytest.fixture(scope="session")
def wheel(built):
    (path,) = built.glob("*.whl")
    return path


def test_sdist_carries_what_building_and_testing_needs(built):
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.split("/", 1)[-1] for name in archive.getnames()}
    assert {"pyproject.toml", "constraints.txt", "tox.ini", "LICENSE"} <= names
    assert "src/napari_sam2/napari.yaml" in names
    assert "tests/conftest.py" in names


def test_wheel_carries_the_package_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        sizes = {info.filename: info.file_size for info in archive.infolist()}
    tops = {name.split("/", 1)[0] for name in sizes}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"napari_sam2"}
    assert {"napari_sam2/napari.yaml", "napari_sam2/py.typed"} <= set(sizes)
    checkpoint = sizes["napari_sam2/model/checkpoints/nano.safetensors"]
    assert 100_000 < checkpoint <= CHECKPOINT_LIMIT
    assert any(name.endswith("licenses/LICENSE") for name in sizes)


@pytest.fixture(scope="session")
def installed(wheel, tmp_path_factory):
    """Install the wheel alone into an empty environment; return its scripts' folder."""
    home = tmp_path_factory.mktemp("empty")
    venv.EnvBuilder(with_pip=True).create(home)
    scripts = home / ("Scripts" if os.name == "nt" else "bin")
    pip = (scripts / "python", "-m", "pip", "install", "-q", "--no-compile")
    run(*pip, "-c", ROOT / "constraints.txt", wheel)
    return scripts


def test_demo_runs_without_a_display_or_qt(installed, tmp_path):
    hidden = {"DISPLAY", "WAYLAND_DISPLAY", "PYTHONPATH"}
    environment = {k: v for k, v in os.environ.items() if k not in hidden}
    said = run(installed / "napari-sam2", "demo", cwd=tmp_path, env=environment)
    assert "there is no display" in said
    for name in ("labels.tif", "overview.png"):
        written = tmp_path / "napari-sam2-demo" / name
        assert str(written.relative_to(tmp_path)) in said
        assert written.stat().st_size > 1000


def test_everything_imported_is_declared(installed, tmp_path):
    run(installed / "python", "-m", "pip", "check")
    code = (
        "import importlib, pkgutil, napari_sam2\n"
        "for m in pkgutil.walk_packages(napari_sam2.__path__, 'napari_sam2.'):\n"
        "    if not m.name.startswith('napari_sam2.widgets'):  # these need a Qt\n"
        "        importlib.import_module(m.name)\n"
    )
    run(installed / "python", "-c", code, cwd=tmp_path)
