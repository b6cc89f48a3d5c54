"""``napari-sam2 export``: labels, and what they mark in the image, in another form."""

from __future__ import annotations

import contextlib
import inspect
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from napari_sam2.cli import EXIT_INTERRUPTED
from napari_sam2.cli.arguments import parse_fixed, parse_frames
from napari_sam2.cli.following import gentle_interrupt
from napari_sam2.stacks import open_stack
from napari_sam2.stacks.export_kinds import EXPORTS, export, guess_kind

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from napari_sam2.stacks import Stack
    from napari_sam2.stacks.labels_store import LabelsArray
    from napari_sam2.stacks.writing import Progress

SESSION_ENDING = ".sam2.zarr"
# Options of the formats by how they are called here; --name is called differently.
OPTIONS = ("column", "fps", "numbers", "size", "blank", "value", "flat", "truth")
NAMES = {"sav": "video_id", "davis": "clip", "ctc": "movie"}


def run(args: argparse.Namespace) -> int:
    """Export, with a progress bar; Ctrl-C leaves nothing half-written."""
    kind = args.format or guess_kind(args.to)
    options = kind_options(args, kind)
    for name in ("labels", "image"):
        given = getattr(args, name)
        if given and Path(args.to).exists() and _same(args.to, given):
            raise ValueError(f"--to is the {name} file itself; give another name.")
    with contextlib.ExitStack() as held:
        labels, image = held.enter_context(opened(args, kind))
        shape: tuple[int, ...] = labels.shape
        work = export(
            kind,
            labels,
            args.to,
            image=image,
            objects=args.objects,
            frames=parse_frames(args.frames, shape[0]),
            **options,
        )
        path = follow(work, quiet=args.quiet)
    if path is None:
        return EXIT_INTERRUPTED
    print(f"{EXPORTS[kind].title}: {path}", file=sys.stderr)
    return 0


def follow(work: Progress, *, quiet: bool) -> Path | None:
    """Do the work with a progress bar; return None if Ctrl-C ended it."""
    with (
        gentle_interrupt() as interruption,
        tqdm(unit=" steps", disable=quiet, leave=False) as bar,
        contextlib.closing(work),
    ):
        while not interruption.seen:
            try:
                done, bar.total = next(work)
            except StopIteration as end:
                path: Path = end.value
                return path
            bar.update(done - bar.n)
    return None


def kind_options(args: argparse.Namespace, kind: str) -> dict[str, Any]:
    """Return the options that were given, or say which one the format lacks."""
    taken = inspect.signature(EXPORTS[kind].write).parameters
    options = {}
    for name in OPTIONS:
        value = getattr(args, name)
        if value is None:
            continue
        if name not in taken:
            shown = "no-numbers" if name == "numbers" else name
            raise ValueError(f"--{shown} does not apply to the format {kind}.")
        options[name] = value
    if args.name is not None:
        if kind not in NAMES:
            raise ValueError(f"--name does not apply to the format {kind}.")
        options[NAMES[kind]] = args.name
    return options


@contextlib.contextmanager
def opened(
    args: argparse.Namespace, kind: str
) -> Iterator[tuple[Stack | LabelsArray, Stack | None]]:
    """Open the labels, and the image if one was given or the session knows it."""
    image_options = {
        "axes": args.axes,
        "fixed": parse_fixed(args.fixed),
        "channels": args.channels,
        "contrast_limits": args.contrast_limits,
    }
    with contextlib.ExitStack() as held:
        image = None
        if args.image:
            image = held.enter_context(open_stack(args.image, **image_options))
        folder = session_folder(args.labels)
        if folder is not None:
            if image is None and (args.axes or args.fixed or args.channels):
                raise ValueError(
                    "--axes, --fixed and --channels are of --image; a session knows "
                    "how its own image was opened."
                )
            labels, known = open_session_labels(
                folder,
                wanted=image is None,
                needed=EXPORTS[kind].needs_image,
                contrast_limits=args.contrast_limits,
            )
            if known is not None:
                image = held.enter_context(known)
            yield labels, image
        else:
            axes = None if image is not None else args.axes
            yield held.enter_context(open_stack(args.labels, axes=axes)), image


def session_folder(labels: str) -> Path | None:
    """Return the folder of a session, with or without its ending; None for others."""
    place = Path(labels).expanduser()
    if place.name.endswith(SESSION_ENDING):
        return place
    with_ending = place.with_name(place.name + SESSION_ENDING)
    return with_ending if not place.exists() and with_ending.is_dir() else None


def open_session_labels(
    folder: Path,
    *,
    wanted: bool,
    needed: bool,
    contrast_limits: list[float] | None,
) -> tuple[LabelsArray, Stack | None]:
    """Return a session's labels, and its image if it is wanted and still there."""
    # Sessions know the network, which is slow to import and needed here only.
    from napari_sam2.tracking.resuming import reopen_stack
    from napari_sam2.tracking.session_file import (
        SessionFileError,
        read_header,
        read_labels,
    )

    header = read_header(folder)
    labels = read_labels(folder, header)
    if not wanted:
        return labels, None
    if contrast_limits is not None:
        low, high = contrast_limits
        n_channels = len(header.contrast_limits)
        header = replace(header, contrast_limits=[(low, high)] * n_channels)
    try:
        return labels, reopen_stack(header, None, folder)
    except SessionFileError as error:
        if needed:
            raise ValueError(
                f"The image of {folder.name} cannot be opened; say where it is with "
                "--image."
            ) from error
        print(
            f"The image of {folder.name} cannot be opened and is left out; --image "
            "says where it is.",
            file=sys.stderr,
        )
        return labels, None


def _same(a: str, b: str) -> bool:
    return Path(a).resolve() == Path(b).expanduser().resolve()
