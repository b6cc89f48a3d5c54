"""What ``napari-sam2 export`` understands."""

from __future__ import annotations

import argparse
from typing import Any

from napari_sam2.cli.arguments import add_image_options

# The keys of stacks.export_kinds.EXPORTS, without the time to import them.
_FORMATS = (
    "tif",
    "zarr",
    "csv",
    "plot",
    "overlay",
    "mask",
    "cutouts",
    "background",
    "sav",
    "davis",
    "ctc",
)

_EXAMPLES = """\
OUT's ending says what is written; --format says the rest.

  napari-sam2 export cells.tif --image movie.tif --to cells.csv
  napari-sam2 export cells.sam2.zarr --to cells.mp4 --fps 15
  napari-sam2 export cells.tif --image movie.tif --to crops --format cutouts
  napari-sam2 export cells.tif --to cells.json
  napari-sam2 export cells.tif --to Fluo --format ctc --name 02

OUT is written beside and renamed when it is whole: Ctrl-C leaves what was there
(exit status 130).
"""


def add_export(commands: Any) -> argparse.ArgumentParser:
    """Add ``export`` to the commands."""
    export: argparse.ArgumentParser = commands.add_parser(
        "export",
        help="write labels, measurements, movies, cut-outs or data sets",
        description="Write LABELS, and what they mark in IMAGE, in another form.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    export.add_argument(
        "labels",
        metavar="LABELS",
        help="a label file, or a session NAME.sam2.zarr, which knows its image",
    )
    export.add_argument("--image", metavar="IMAGE", help="what was segmented")
    export.add_argument(
        "--to", required=True, metavar="OUT", help="file or folder to write"
    )
    export.add_argument(
        "--format",
        choices=_FORMATS,
        help="what to write (default: what the ending of OUT stands for)",
    )
    export.add_argument(
        "--objects", type=int, nargs="+", metavar="ID", help="these objects only"
    )
    export.add_argument(
        "--frames", metavar="START:STOP", help="these frames only, STOP not in"
    )
    add_image_options(export, "IMAGE")
    _add_format_options(export)
    export.add_argument("--quiet", action="store_true", help="no progress bar")
    return export


def _add_format_options(export: argparse.ArgumentParser) -> None:
    export.add_argument(
        "--column",
        metavar="NAME",
        help="plot: what to draw, a column of the CSV (default: area)",
    )
    export.add_argument(
        "--fps", type=float, help="overlay: frames a second (default: 10)"
    )
    export.add_argument(
        "--no-numbers",
        dest="numbers",
        action="store_const",
        const=False,
        help="overlay: without the objects' ids",
    )
    export.add_argument(
        "--size",
        type=int,
        metavar="N",
        help="cutouts: side in pixels (default: a quarter more than the object)",
    )
    export.add_argument(
        "--blank",
        action="store_const",
        const=True,
        help="cutouts: without what surrounds the object",
    )
    export.add_argument(
        "--value",
        type=float,
        nargs="+",
        metavar="V",
        help="background, cutouts: what to fill with, in stored numbers (default: 0)",
    )
    export.add_argument(
        "--name", help="sav, davis, ctc: the video's, clip's or movie's name"
    )
    export.add_argument(
        "--flat",
        action="store_const",
        const=True,
        help="davis: folders frames and masks instead",
    )
    export.add_argument(
        "--truth",
        action="store_const",
        const=True,
        help="ctc: write 01_GT instead of 01_RES",
    )
