"""What the export window says, and what it reads from what is typed."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sam2.widgets.exporting import Step, Written
    from napari_sam2.widgets.target import Target

NO_LABELS = (
    "<b>There are no labels yet:</b> click on a cell first, or open labels as a layer."
)
FOLLOWING = (
    "Cells are being followed right now: frames that are filled after you press "
    "<b>Export</b> will not be in it."
)
CANCELLED = "Cancelled; nothing was written."
CANCELLING = "Cancelling …"
READING, WRITING = "Reading labels", "Writing"
SECONDS_BEFORE_GUESSING = 1.0
LONGEST_SPAN = 100_000
LINK = "#ffb000"
WORDS = {  # at the end of the name that is suggested
    "csv": "measurements",
    "plot": "plot",
    "tif": "labels",
    "zarr": "labels",
    "overlay": "overlay",
    "mask": "mask",
    "cutouts": "cutouts",
    "background": "background",
    "sav": "sav",
    "davis": "davis",
    "ctc": "ctc",
}


def no_image(title: str, labels: str) -> str:
    """Say that an image is needed."""
    return (
        f"{title} needs an image with as many pixels as {labels!r}; open it as a layer."
    )


def replacing(path: Path, *, folder: bool) -> str:
    """Ask before something is written over."""
    what = "write into it" if folder else "write over it"
    return (
        f"<b>{html.escape(path.name)} is there already.</b> Press Export again to "
        f"{what}, or choose another name."
    )


def own_file(path: Path) -> str:
    """Refuse to write over what is being read."""
    return f"{path.name} is the file that a layer is read from; choose another name."


def written(result: Written) -> str:
    """Say what was written."""
    cells = "1 cell" if result.cells == 1 else f"{result.cells:,} cells"
    frames = "1 frame" if result.frames == 1 else f"{result.frames:,} frames"
    return f"Wrote <b>{html.escape(result.path.name)}</b> ({cells}, {frames})."


def folder_link(path: Path) -> str:
    """Return a link that shows the folder a file is in."""
    link = f'<a style="color: {LINK}" href="{path.parent.as_uri()}">'
    return f" {link}Open its folder</a>"


def held(target: Target, words: dict[int, str]) -> str:
    """Say where the axes that are not followed are held; "" where there is none."""
    places = [
        f"{words[axis].partition(',')[0]} at {target.held[axis]}"
        for axis in sorted(words)
        if axis != target.followed
    ]
    return f"{', '.join(places)}, as its slider stands" if places else ""


def progress(step: Step, seconds: float) -> str:
    """Say how far it is, and how long it still takes."""
    doing = READING if step.phase == "reading" else WRITING
    share = step.done / step.of
    text = f"{doing}: {share:.0%}"
    if not step.done or seconds < SECONDS_BEFORE_GUESSING:
        return text
    minutes, rest = divmod(round(seconds * (step.of - step.done) / step.done), 60)
    clock = f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
    return f"{text}   {clock} left"


def cell_numbers(text: str) -> tuple[int, ...]:
    """Read numbers of cells, such as ``"1, 4-6"``.

    Raises
    ------
    ValueError
        One sentence that says how to write them.
    """
    numbers: set[int] = set()
    parts = [part for part in re.split(r"[,;\s]+", text.strip()) if part]
    for part in parts:
        match = re.fullmatch(r"(\d{1,9})(?:[-–](\d{1,9}))?", part)
        low, high = (0, 0) if match is None else (match[1], match[2] or match[1])
        if not 0 < int(low) <= int(high) < int(low) + LONGEST_SPAN:
            parts = []
            break
        numbers.update(range(int(low), int(high) + 1))
    if not parts:
        raise ValueError("Write cells by their numbers, such as 3 or 1, 4-6.")
    return tuple(sorted(numbers))
