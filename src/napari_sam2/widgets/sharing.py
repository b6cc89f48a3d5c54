"""The window's share of the interpreter while another thread computes.

Each time the event loop calls a Python function it waits for the interpreter's lock, up
to the switch interval while another thread runs Python; napari's window needs a dozen
such calls for one redraw. docs/performance.md has what a shorter interval brings.
"""

from __future__ import annotations

import sys

SWITCH_SECONDS = 0.001


class _Sharing:
    """How many threads compute for a window; the interval is the process's."""

    count = 0
    usual = 0.0


def begin_sharing() -> None:
    """Let the window have its turn sooner; end it as often with `end_sharing`."""
    if _Sharing.count == 0:
        _Sharing.usual = sys.getswitchinterval()
        sys.setswitchinterval(min(SWITCH_SECONDS, _Sharing.usual))
    _Sharing.count += 1


def end_sharing() -> None:
    """Let the interpreter be shared as it was before the first began."""
    if _Sharing.count == 1:
        sys.setswitchinterval(_Sharing.usual)
    _Sharing.count = max(_Sharing.count - 1, 0)
