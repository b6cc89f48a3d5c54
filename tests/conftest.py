"""What every test gets: a display or a clear failure, clean settings, no leaks."""

from __future__ import annotations

import gc
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from napari_sam2.model.config import ModelConfig

# Before napari reads its settings: a test must neither see nor change the user's.
_SETTINGS = tempfile.TemporaryDirectory(prefix="napari-sam2-tests-")
os.environ["NAPARI_CONFIG"] = str(Path(_SETTINGS.name) / "settings.yaml")
os.environ["NAPARI_SAM2_SESSIONS"] = str(Path(_SETTINGS.name) / "sessions")
os.environ.setdefault("QT_API", "pyqt6")

GUI_FIXTURES = frozenset(
    {
        "make_napari_viewer",
        "make_napari_viewer_proxy",
        "qapp",
        "qtbot",
        "qtmodeltester",
    }
)
NO_DISPLAY = (
    "This test opens windows and needs a display. Install the Debian package 'xvfb' "
    "(apt-get install -y xvfb libgl1-mesa-dri; python tests/machine.py names whatever "
    "else is missing), or run where DISPLAY is set."
)


def display_is_missing() -> bool:
    """Whether a Qt window would abort the whole process.

    pytest-xvfb has set DISPLAY by the time this runs if Xvfb is installed.
    """
    if not sys.platform.startswith("linux"):
        return False
    return not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def opens_windows(item: pytest.Item) -> bool:
    """Whether a test needs Qt."""
    return not GUI_FIXTURES.isdisjoint(getattr(item, "fixturenames", ()))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail, not skip and not abort, where a GUI test has no display."""
    if opens_windows(item) and display_is_missing():
        pytest.fail(NO_DISPLAY, pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Leave what was there before a GUI test out of the search for garbage.

    napari's fixtures search a hundred times a test, which takes half of its time where
    torch's and all former tests' objects are looked through again and again.
    """
    gui = opens_windows(item)
    if gui:
        gc.freeze()
    else:
        gc.unfreeze()
    result = yield
    if gui:
        gc.collect()
    return result


def pytest_report_header() -> str:
    """Say which display the GUI tests will use."""
    display = os.environ.get("DISPLAY", "none")
    return f"display: {display} (Xvfb: {shutil.which('Xvfb') or 'not installed'})"


@pytest.fixture(autouse=True)
def _no_leaked_widgets(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail the test that leaves a top-level widget behind."""
    if not opens_windows(request.node):
        yield
        return
    from qtpy.QtWidgets import QApplication

    # Held, not compared by id: a freed widget's address is used again.
    before = list(QApplication.topLevelWidgets())
    yield
    leaked = [w for w in _living_widgets() if w not in before]
    if leaked:
        names = ", ".join(f"{type(w).__name__}({w.objectName()!r})" for w in leaked)
        for widget in leaked:
            widget.close()
            widget.deleteLater()
        pytest.fail(f"top-level widgets left behind: {names}", pytrace=False)


def _living_widgets() -> list[object]:
    """Return the top-level widgets that nobody has asked to be deleted."""
    from qtpy.QtCore import QCoreApplication, QEvent
    from qtpy.QtWidgets import QApplication

    gc.collect()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    QApplication.processEvents()
    return list(QApplication.topLevelWidgets())


@pytest.fixture(scope="session")
def pico_config() -> ModelConfig:
    """Describe a network small enough to be trained within a test."""
    from napari_sam2.model.config import HieraConfig, ModelConfig

    return ModelConfig(
        name="pico",
        image_size=64,
        hiera=HieraConfig(
            embed_dim=16,
            num_heads=1,
            stages=(1, 1, 1, 1),
            global_blocks=(2,),
            windows=(8, 4, 4, 2),
        ),
        dim=32,
        memory_dim=16,
        memory_layers=1,
        memory_ff=64,
        decoder_heads=2,
        decoder_ff=64,
        prompt_mask_channels=16,
        dense_prompts=True,
    )


@pytest.fixture
def pico(monkeypatch: pytest.MonkeyPatch, pico_config: ModelConfig) -> ModelConfig:
    """Make the small network a preset, for as long as a test runs."""
    from napari_sam2.model.config import PRESETS

    monkeypatch.setitem(PRESETS, "pico", pico_config)
    return pico_config
