"""What the command line understands."""

from __future__ import annotations

import argparse
import sys
from typing import Any, NoReturn

from napari_sam2.cli.arguments import (
    add_device_option,
    add_image_options,
    add_model_options,
    add_precision_option,
    add_speed_options,
)
from napari_sam2.cli.export_arguments import add_export
from napari_sam2.cli.learning_arguments import add_evaluate, add_finetune, add_train

_TRACK_EXAMPLES = """\
prompts.csv has the header object_id,frame,kind,y,x,y2,x2,label. A point has y and x
and label 1 (on the object) or 0 (not on it); a box has y,x,y2,x2 and no label: rows
y <= r < y2, columns x <= c < x2. Coordinates are pixels of the image as stored, with
pixel centres at integers.

  object_id,frame,kind,y,x,y2,x2,label
  1,0,point,120,87,,,1
  2,0,box,40,200,75,240,

Ctrl-C keeps the frames done (exit status 130).
"""


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are one sentence."""

    def error(self, message: str) -> NoReturn:
        sentence = message[0].upper() + message[1:].rstrip(".")
        print(f"{self.prog}: {sentence}; see {self.prog} --help.", file=sys.stderr)
        raise SystemExit(2)


class _Version(argparse.Action):
    """Look the version up only when it is asked for."""

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        from napari_sam2 import __version__

        print(f"napari-sam2 {__version__}")
        raise SystemExit(0)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = _Parser(
        prog="napari-sam2",
        description="Click a cell once, and it is segmented through the whole movie.",
    )
    parser.add_argument(
        "--version", action=_Version, nargs=0, help="print the version and stop"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (
        _add_demo,
        _add_track,
        add_export,
        _add_replay,
        add_evaluate,
        _add_models,
        add_train,
        add_finetune,
    ):
        command = add(commands)
        command.add_argument(
            "-v",
            "--verbose",
            action="store_true",
            help="log what happens, and show where an error came from",
        )
    return parser


def _add_demo(commands: Any) -> argparse.ArgumentParser:
    demo: argparse.ArgumentParser = commands.add_parser(
        "demo",
        help="see it work on a sample movie",
        description="Open napari with a sample movie and one click placed. Without a "
        "display, track that click (with --model, on --device) and write a labels file "
        "and a picture.",
    )
    demo.add_argument(
        "--headless", action="store_true", help="open no window even if one could be"
    )
    demo.add_argument(
        "--output",
        default="napari-sam2-demo",
        metavar="FOLDER",
        help="folder for what is written without a display (default: %(default)s)",
    )
    add_model_options(demo)
    add_precision_option(demo)
    return demo


def _add_track(commands: Any) -> argparse.ArgumentParser:
    track: argparse.ArgumentParser = commands.add_parser(
        "track",
        help="segment prompted objects through a movie or stack",
        description="Segment the objects in PROMPTS through every frame of INPUT.",
        epilog=_TRACK_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    track.add_argument(
        "input",
        metavar="INPUT",
        help="TIFF, OME-TIFF, zarr, OME-Zarr, .npy, or a folder of images",
    )
    track.add_argument("--prompts", metavar="CSV", help="clicks and boxes (see below)")
    track.add_argument(
        "--mask-prompts",
        metavar="LABELS",
        help="label image whose objects are prompts; its ids become object ids",
    )
    track.add_argument(
        "--mask-frame",
        type=int,
        default=0,
        metavar="N",
        help="frame the label image belongs to (default: 0)",
    )
    track.add_argument(
        "--output", required=True, metavar="OUT", help="labels to write: .tif or .zarr"
    )
    add_image_options(track, "INPUT")
    track.add_argument(
        "--direction",
        choices=("forward", "backward", "both"),
        default="both",
        help="from the prompts towards the end, the start, or both (default: both)",
    )
    track.add_argument(
        "--frames", metavar="START:STOP", help="segment these frames only, STOP not in"
    )
    track.add_argument(
        "--repeat-over",
        metavar="AXIS",
        help="then do the same at all positions of a further axis, from where --fixed "
        "holds it (default: 0): with T, volumes in time, each through its planes",
    )
    track.add_argument(
        "--session",
        metavar="FOLDER",
        help="keep everything in FOLDER.sam2.zarr as it is done; if it is there "
        "already, go on with it: only what is new or was not finished is tracked",
    )
    add_model_options(track)
    add_precision_option(track)
    add_speed_options(track)
    track.add_argument(
        "--json",
        action="store_true",
        help="print one last line: frames, objects, seconds, frames_per_second, "
        "peak_memory_mb",
    )
    track.add_argument("--quiet", action="store_true", help="no progress bar")
    return track


def _add_replay(commands: Any) -> argparse.ArgumentParser:
    replay: argparse.ArgumentParser = commands.add_parser(
        "replay",
        help="do a session again and compare the labels",
        description="Do again everything that was done in SESSION, and say where the "
        "labels differ. Exit status 0 if they are the same, 1 if not.",
    )
    replay.add_argument("session", metavar="SESSION", help="a folder NAME.sam2.zarr")
    replay.add_argument(
        "--input", metavar="INPUT", help="the image, if it has moved since"
    )
    replay.add_argument(
        "--output", metavar="FOLDER", help="keep the replay as a session of its own"
    )
    replay.add_argument(
        "--model",
        metavar="NAME|PATH",
        help="another model (default: the one the session was made with)",
    )
    add_device_option(replay)
    replay.add_argument("--json", action="store_true", help="print the differences")
    replay.add_argument("--quiet", action="store_true", help="no progress bar")
    return replay


def _add_models(commands: Any) -> argparse.ArgumentParser:
    models: argparse.ArgumentParser = commands.add_parser(
        "models",
        help="list the models, or download some",
        description="List the models and where they are, or download some of them.",
    )
    models.add_argument(
        "--download", nargs="+", default=[], metavar="NAME", help="fetch these models"
    )
    models.add_argument(
        "--folder",
        help="folder of the models (default: $NAPARI_SAM2_MODELS or the user's cache)",
    )
    models.add_argument(
        "--base-url",
        metavar="URL",
        help="take the files from here: https://, http:// or file://",
    )
    models.add_argument(
        "--sha256", help="expected hash, where none is published (one model at a time)"
    )
    models.add_argument("--json", action="store_true", help="print the list as JSON")
    return models
