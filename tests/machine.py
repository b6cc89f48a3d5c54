"""Does this machine have what a napari window needs? If not, say what to install.

Run before the tests (``python tests/machine.py``), because a missing library stops
napari's and Qt's pytest plugins before any test could say so.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import sys

LIBRARIES = {  # shared library: Debian 12's package
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libdbus-1.so.3": "libdbus-1-3",
    "libfontconfig.so.1": "libfontconfig1",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
}


def missing_packages() -> list[str]:
    """Return the Debian packages that a window here would need; [] elsewhere."""
    if not sys.platform.startswith("linux"):
        return []
    missing = [package for name, package in LIBRARIES.items() if not _loads(name)]
    has_display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if not has_display and shutil.which("Xvfb") is None:
        missing += ["xvfb", "libgl1-mesa-dri"]
    return missing


def advice(packages: list[str]) -> str:
    """Return the sentence that says how to get `packages`."""
    return (
        "The tests open windows and this machine lacks what that needs. Install it: "
        f"apt-get install -y {' '.join(packages)}"
    )


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    packages = missing_packages()
    if packages:
        sys.exit(advice(packages))
