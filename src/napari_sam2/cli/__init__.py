"""The command line: parse, call, print. Nothing here computes.

Each command lives in its own module, which is imported only when it is asked for:
``napari-sam2 --help`` must not wait for torch.
"""

from __future__ import annotations

import importlib
import logging
import sys
from typing import TYPE_CHECKING

from napari_sam2.cli.parser import build_parser

if TYPE_CHECKING:
    from collections.abc import Sequence

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; None: those of the process.

    Returns
    -------
    int
        0 done, 2 bad input (one sentence on stderr), 130 interrupted.
    """
    args = build_parser().parse_args(argv)
    logging.basicConfig(level=logging.DEBUG if args.verbose else logging.WARNING)
    command = importlib.import_module(f"napari_sam2.cli.{args.command}")
    try:
        status: int = command.run(args)
    except (ValueError, OSError, ImportError) as error:
        if args.verbose:
            raise
        print(f"napari-sam2 {args.command}: {_sentence(error)}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return EXIT_INTERRUPTED
    return status


def _sentence(error: Exception) -> str:
    """Return what the error says on one line."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}."
    return " ".join(str(error).split()) or f"{type(error).__name__}."
