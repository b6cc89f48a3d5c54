"""Who writes into a folder: one process at a time, known by a small file.

It holds a process and a machine. What a process has left that is no more is taken over.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from pathlib import Path


def holder(lock: Path) -> str | None:
    """Return which living process has a lock, in words, or None."""
    try:
        pid, host = lock.read_text(encoding="utf-8").split()
        if host == socket.gethostname() and not psutil.pid_exists(int(pid)):
            return None
    except (OSError, ValueError):
        return None
    return f"process {pid} on {host}"


def take(lock: Path) -> str | None:
    """Have a lock from now on, unless another one has it.

    Returns
    -------
    str or None
        Who has it, in words; None if it is ours now.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    other = holder(lock)
    if other is not None:
        return other
    lock.unlink(missing_ok=True)
    try:
        with lock.open("x", encoding="utf-8") as file:  # of two at once, one fails
            file.write(f"{os.getpid()} {socket.gethostname()}")
    except FileExistsError:
        return holder(lock) or "another process"
    return None
