"""A machine without a display is told what to install, and GUI tests fail on it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
MACHINE = ROOT / "tests" / "machine.py"


def run(*command, **changes):
    hidden = {"DISPLAY", "WAYLAND_DISPLAY"}
    environment = {k: v for k, v in os.environ.items() if k not in hidden}
    return subprocess.run(
        [sys.executable, *map(str, command)],
        capture_output=True,
        text=True,
        check=False,
        env=environment | changes,
    )


def test_missing_xvfb_is_named(tmp_path):
    done = run(MACHINE, PATH=str(tmp_path))
    assert done.returncode == 1
    assert "apt-get install -y" in done.stderr
    assert "xvfb" in done.stderr


def test_a_display_will_do(tmp_path):
    assert run(MACHINE, PATH=str(tmp_path), DISPLAY=":7").returncode == 0


def test_gui_tests_fail_and_do_not_skip(tmp_path):
    conftest = (ROOT / "tests" / "conftest.py").read_text()
    (tmp_path / "conftest.py").write_text(conftest)
    (tmp_path / "test_gui.py").write_text("def test_window(qtbot):\n    pass\n")
    done = run(
        "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", tmp_path, tmp_path,
        PATH=str(tmp_path),
    )  # fmt: skip
    assert done.returncode == 1
    assert "Install the Debian package 'xvfb'" in done.stdout
    assert "1 error" in done.stdout
    assert "skipped" not in done.stdout


def test_the_ci_script_installs_every_package():
    script = ROOT / ".ci" / "run"
    if not script.exists():  # an unpacked sdist
        return
    sys.path.insert(0, str(ROOT / "tests"))
    try:
        import machine
    finally:
        sys.path.pop(0)
    installed = script.read_text().split()
    assert not set(machine.LIBRARIES.values()) - set(installed)
    assert "xvfb" in installed
