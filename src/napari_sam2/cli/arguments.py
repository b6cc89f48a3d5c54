"""Arguments that several commands understand alike."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def parse_fixed(given: list[str]) -> dict[str, int] | None:
    """Return ``["Z=3"]`` as ``{"Z": 3}``."""
    fixed = {}
    for text in given:
        found = re.fullmatch(r"([A-Za-z])=(\d+)", text.strip())
        if not found:
            raise ValueError(f"--fixed {text} is not of the form Z=3.")
        fixed[found[1].upper()] = int(found[2])
    return fixed or None


def parse_frames(given: str | None, n_frames: int) -> range | None:
    """Return ``"10:20"`` as ``range(10, 20)``, within the movie."""
    if given is None:
        return None
    found = re.fullmatch(r"(\d*):(\d*)", given.strip())
    if not found:
        raise ValueError(f"--frames {given} is not of the form START:STOP, e.g. 0:100.")
    start, stop = int(found[1] or 0), int(found[2] or n_frames)
    if not 0 <= start < stop <= n_frames:
        raise ValueError(
            f"--frames {given} does not lie within the movie's 0:{n_frames}."
        )
    return range(start, stop)


def add_image_options(command: argparse.ArgumentParser, name: str) -> None:
    """Add what says how an image is opened."""
    command.add_argument(
        "--axes", help=f"axes of {name} as stored, e.g. TYX, ZYX, TCYX, YXC"
    )
    command.add_argument(
        "--fixed",
        action="append",
        default=[],
        metavar="AXIS=N",
        help="keep a further axis at one position, e.g. Z=3 (may be repeated)",
    )
    command.add_argument(
        "--channels",
        type=_channel,
        nargs="+",
        metavar="N|FILE",
        help=f"up to three channels of {name}, used as red, green and blue; or one or "
        f"two more files of its shape, green and blue where {name} is red",
    )
    command.add_argument(
        "--contrast-limits",
        nargs="+",
        type=float,
        metavar="LOW HIGH",
        help="grey levels shown as black and white, one pair for all channels or one "
        "for each (default: robust percentiles)",
    )


def _channel(text: str) -> int | str:
    """Return the number of a channel, or a file."""
    return int(text) if re.fullmatch(r"-?\d+", text) else text


def add_model_options(command: argparse.ArgumentParser) -> None:
    """Add what says which model to use, and where it computes."""
    command.add_argument(
        "--model",
        default="nano",
        metavar="NAME|PATH",
        help="a model of 'napari-sam2 models', or a checkpoint file (default: nano)",
    )
    add_device_option(command)


def add_precision_option(command: argparse.ArgumentParser) -> None:
    """Add what says how exactly a model computes."""
    command.add_argument(
        "--precision",
        choices=("auto", "full", "half"),
        default="auto",
        help="full is float32, half bfloat16; auto takes half where the machine "
        "computes faster so (default: auto)",
    )


def add_speed_options(command: argparse.ArgumentParser) -> None:
    """Add what makes a model quicker: smaller pictures, fewer memories."""
    command.add_argument(
        "--image-size",
        type=int,
        metavar="PX",
        help="side that the model resizes pictures to, a multiple of 32; smaller is "
        "much faster and coarser, such as 512 for the official models "
        "(default: what it was trained with)",
    )
    command.add_argument(
        "--recent-memories",
        type=int,
        metavar="N",
        help="recent frames that each frame is compared with, 0 to 6; fewer are "
        "quicker, with the official models on CPUs above all, and follow less surely "
        "(default: 6)",
    )


def add_device_option(command: argparse.ArgumentParser) -> None:
    """Add what says where a model computes."""
    command.add_argument(
        "--device", default="auto", help="auto, cpu, cuda or mps (default: auto)"
    )
