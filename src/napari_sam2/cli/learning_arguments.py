"""What ``napari-sam2 evaluate``, ``train`` and ``finetune`` understand."""

from __future__ import annotations

import argparse
from typing import Any

from napari_sam2.cli.arguments import (
    add_device_option,
    add_model_options,
    add_speed_options,
)

_EVALUATE_EXAMPLES = """\
DATA is a folder with pairs like cells_image.tif and cells_labels.tif (pictures, or
movies with labels of the same frames), with folders images and labels, a DAVIS or Cell
Tracking Challenge folder, or one of SA-V annotations with their frames. Tasks:

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


def add_evaluate(commands: Any) -> argparse.ArgumentParser:
    """Add ``napari-sam2 evaluate``."""
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
    add_device_option(evaluate)
    add_speed_options(evaluate)
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


def add_train(commands: Any) -> argparse.ArgumentParser:
    """Add ``napari-sam2 train``."""
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


def add_finetune(commands: Any) -> argparse.ArgumentParser:
    """Add ``napari-sam2 finetune``."""
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
    add_model_options(finetune)
    finetune.add_argument(
        "--json", action="store_true", help="print the scores as JSON"
    )
    finetune.add_argument("--quiet", action="store_true", help="no progress bars")
    return finetune
