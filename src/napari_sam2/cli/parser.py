"""What the command line understands."""

from __future__ import annotations

import argparse
import sys
from typing import Any, NoReturn

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


_EVALUATE_EXAMPLES = """\
DATA is a folder with pairs like cells_image.tif and cells_labels.tif (pictures, or
movies with labels of the same frames), with folders images and labels, or a DAVIS or
Cell Tracking Challenge folder. Tasks:

  clicks      pictures: 1, 3 and 5 clicks, each where the answer is worst
  box         pictures: the tight box of every object
  whole       pictures: one click on every object at once
  first-mask  movies: every mask of the first frame, followed
  offline     movies: 3 clicks on each of N frames, the worst one next
  online      movies: the same in one pass, stopping where the answer is bad
  tracks      movies: one click where each track begins; SEG, DET and TRA

Ctrl-C keeps what was measured (exit status 130).
"""
TASKS = ("clicks", "box", "whole", "first-mask", "offline", "online", "tracks")


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
        _add_replay,
        _add_evaluate,
        _add_models,
        _add_train,
        _add_finetune,
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
    _add_model_options(demo)
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
    track.add_argument(
        "--axes", help="axes of INPUT as stored, e.g. TYX, ZYX, TCYX, YXC"
    )
    track.add_argument(
        "--fixed",
        action="append",
        default=[],
        metavar="AXIS=N",
        help="keep a further axis at one position, e.g. Z=3 (may be repeated)",
    )
    track.add_argument(
        "--channels",
        type=int,
        nargs="+",
        metavar="N",
        help="up to three channels, used as red, green and blue",
    )
    track.add_argument(
        "--contrast-limits",
        nargs=2,
        type=float,
        metavar=("LOW", "HIGH"),
        help="grey levels shown as black and white (default: robust percentiles)",
    )
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
        "--session",
        metavar="FOLDER",
        help="keep everything in FOLDER.sam2.zarr as it is done; if it is there "
        "already, go on with it: only what is new or was not finished is tracked",
    )
    _add_model_options(track)
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
    replay.add_argument(
        "--device", default="auto", help="auto, cpu, cuda or mps (default: auto)"
    )
    replay.add_argument("--json", action="store_true", help="print the differences")
    replay.add_argument("--quiet", action="store_true", help="no progress bar")
    return replay


def _add_evaluate(commands: Any) -> argparse.ArgumentParser:
    evaluate: argparse.ArgumentParser = commands.add_parser(
        "evaluate",
        help="say how good models are on data with labels",
        description="Measure models on labelled pictures and movies, your own or "
        "public ones, with a simulated user.",
        epilog=_EVALUATE_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    evaluate.add_argument(
        "data", nargs="+", metavar="DATA", help="folders with labelled data"
    )
    evaluate.add_argument(
        "--model",
        nargs="+",
        default=["nano"],
        metavar="NAME|PATH",
        help="models to compare (default: nano)",
    )
    evaluate.add_argument(
        "--tasks",
        nargs="+",
        default=list(TASKS),
        choices=TASKS,
        metavar="TASK",
        help="what to measure (default: everything; see below)",
    )
    evaluate.add_argument(
        "--output", metavar="FOLDER", help="write table, numbers and pictures there"
    )
    evaluate.add_argument(
        "--max-objects",
        type=_count,
        default=10,
        metavar="N",
        help="objects of a picture or movie, 0 for all (default: %(default)s)",
    )
    evaluate.add_argument(
        "--max-pictures",
        type=_count,
        default=50,
        metavar="N",
        help="pictures of a folder, evenly spread, 0 for all (default: %(default)s)",
    )
    evaluate.add_argument(
        "--max-frames",
        type=_positive,
        default=8,
        metavar="N",
        help="frames to click on, offline and online (default: %(default)s)",
    )
    evaluate.add_argument(
        "--seed",
        type=_count,
        default=0,
        metavar="N",
        help="for another choice of objects (default: %(default)s)",
    )
    evaluate.add_argument(
        "--device", default="auto", help="auto, cpu, cuda or mps (default: auto)"
    )
    evaluate.add_argument(
        "--json", action="store_true", help="print everything as one line of JSON"
    )
    evaluate.add_argument(
        "--quiet", action="store_true", help="no progress bar, say nothing else"
    )
    return evaluate


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 0 up")
    return int(text)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1 up")
    return int(text)


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


def _add_train(commands: Any) -> argparse.ArgumentParser:
    train: argparse.ArgumentParser = commands.add_parser(
        "train",
        help="train a model",
        description="Train a model as CONFIG says; a stopped run is taken up again.",
    )
    train.add_argument("config", metavar="CONFIG", help="training configuration (TOML)")
    train.add_argument("--output", metavar="FOLDER", help="instead of CONFIG's output")
    train.add_argument(
        "--data-dir", metavar="FOLDER", help="instead of CONFIG's data_dir"
    )
    train.add_argument("--device", help="instead of CONFIG's device: auto, cpu, cuda")
    return train


def _add_finetune(commands: Any) -> argparse.ArgumentParser:
    finetune: argparse.ArgumentParser = commands.add_parser(
        "finetune",
        help="adapt a model to your own labelled data",
        description="Adapt a model to the objects labelled in DATA, and say what that "
        "brought on objects that were held aside. It is kept among the models if it "
        "became better.",
    )
    finetune.add_argument(
        "data",
        nargs="+",
        metavar="DATA",
        help="folder with images and labels, or an image that has its labels beside it",
    )
    finetune.add_argument(
        "--name", required=True, help="what to call the adapted model"
    )
    finetune.add_argument(
        "--part",
        choices=("decoder", "memory", "lora", "all"),
        default="lora",
        help="what may change: the mask decoder; everything behind the image encoder; "
        "that and low-rank changes of the encoder; everything (default: %(default)s)",
    )
    finetune.add_argument(
        "--steps", type=int, default=300, metavar="N", help="default: %(default)s"
    )
    finetune.add_argument(
        "--held-aside",
        type=float,
        default=0.3,
        metavar="SHARE",
        help="share of the objects to measure on (default: %(default)s)",
    )
    finetune.add_argument("--seed", type=int, default=0, metavar="N")
    finetune.add_argument(
        "--keep", action="store_true", help="keep the model even if it is no better"
    )
    finetune.add_argument(
        "--replace", action="store_true", help="replace an own model of that name"
    )
    _add_model_options(finetune)
    finetune.add_argument(
        "--json", action="store_true", help="print the scores as JSON"
    )
    finetune.add_argument("--quiet", action="store_true", help="no progress bars")
    return finetune


def _add_model_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--model",
        default="nano",
        metavar="NAME|PATH",
        help="a model of 'napari-sam2 models', or a checkpoint file (default: nano)",
    )
    command.add_argument(
        "--device", default="auto", help="auto, cpu, cuda or mps (default: auto)"
    )
