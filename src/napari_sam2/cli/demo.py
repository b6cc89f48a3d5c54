"""``napari-sam2 demo``: a sample movie, one click, the cell in every frame."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_sam2.cli import EXIT_INTERRUPTED

if TYPE_CHECKING:
    import argparse

    from napari_sam2.model import Precision
    from napari_sam2.stacks.samples import Sample

# In a process of its own: a missing Qt library or a dead display aborts Qt, and with
# Qt everything around it.
_OPEN_A_WINDOW = "from qtpy.QtWidgets import QApplication; QApplication([])"


def run(args: argparse.Namespace) -> int:
    """Open napari on the sample movie, or do the same without a window."""
    reason = "--headless was given" if args.headless else why_no_window()
    if reason is None:
        from napari_sam2.widgets.demo import run_demo

        run_demo()
        return 0
    print(f"No window is opened ({reason}); the demo runs without one.")
    return run_headless(
        Path(args.output),
        model=args.model,
        device=args.device,
        precision=args.precision,
    )


def why_no_window() -> str | None:
    """Return why no window can be opened here, or None if one can."""
    displays = ("DISPLAY", "WAYLAND_DISPLAY")
    if sys.platform.startswith("linux") and not any(map(os.environ.get, displays)):
        return "there is no display"
    try:
        tried = subprocess.run(
            [sys.executable, "-c", _OPEN_A_WINDOW],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "the display does not answer"
    if tried.returncode == 0:
        return None
    if "QtBindingsNotFoundError" in tried.stderr:
        return "no Qt is installed; pip install 'napari-sam2[all]' brings one"
    lines = [line.strip() for line in tried.stderr.splitlines() if line.strip()]
    return f"Qt cannot start: {lines[0] if lines else 'it gives no reason'}"


def run_headless(
    folder: Path,
    *,
    model: str = "nano",
    device: str = "auto",
    precision: Precision = "auto",
) -> int:
    """Track one click through the sample movie and write what came of it.

    Writes ``movie.tif``, ``prompts.csv``, ``labels.tif`` and ``overview.png``.
    """
    from napari_sam2.cli.contact_sheet import write_contact_sheet
    from napari_sam2.cli.following import follow
    from napari_sam2.model import load_model
    from napari_sam2.stacks import open_stack, save_labels
    from napari_sam2.stacks.samples import cells_movie
    from napari_sam2.tracking import Session

    sample = cells_movie()
    folder.mkdir(parents=True, exist_ok=True)
    write_inputs(sample, folder)
    frame, y, x = sample.click
    print(
        f"Sample movie of {len(sample.image)} frames; one click on a cell in frame 0."
    )
    labels, picture = folder / "labels.tif", folder / "overview.png"
    with (
        open_stack(sample.image, axes=sample.axes) as stack,
        Session(load_model(model, device=device, dtype=precision), stack) as session,
    ):
        session.add_points(1, frame, [(y, x)], [1])
        followed = follow(session)
        save_labels(session.labels, labels)
        planes = np.asarray(session.labels)
        write_contact_sheet(picture, stack, planes, clicks=[sample.click])
    found = np.count_nonzero(planes.any(axis=(1, 2)))
    print(
        f"The cell was found in {found} of {len(planes)} frames "
        f"({followed.frames_per_second:.1f} frames/s, {session.computes})."
    )
    print(f"Labels:  {labels}")
    print(f"Picture: {picture}")
    return EXIT_INTERRUPTED if followed.interrupted else 0


def write_inputs(sample: Sample, folder: Path) -> None:
    """Write the movie and the click, so that `track` can be tried on them."""
    import tifffile

    frame, y, x = sample.click
    tifffile.imwrite(
        folder / "movie.tif", sample.image, metadata={"axes": sample.axes}, ome=False,
        imagej=True,
    )  # fmt: skip
    (folder / "prompts.csv").write_text(
        f"object_id,frame,kind,y,x,y2,x2,label\n1,{frame},point,{y:.1f},{x:.1f},,,1\n",
        encoding="utf-8",
    )
