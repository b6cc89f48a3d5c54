"""``napari-sam2 track``: prompts and a movie in, labels out."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sam2.cli import EXIT_INTERRUPTED
from napari_sam2.cli.arguments import parse_fixed, parse_frames
from napari_sam2.cli.following import Followed, follow, repeat
from napari_sam2.model import load_model
from napari_sam2.stacks import FrameReadError, open_stack, save_labels
from napari_sam2.tracking import Session
from napari_sam2.tracking.prompts import masks_from_labels, read_prompts_csv
from napari_sam2.tracking.repeating import Repetition
from napari_sam2.tracking.session_file import session_path

if TYPE_CHECKING:
    import argparse

    from napari_sam2.stacks import Stack
    from napari_sam2.tracking.prompts import MaskPrompt, Prompt


def run(args: argparse.Namespace) -> int:
    """Segment the prompted objects through the movie."""
    output = checked_output(args.output, args.input)
    session_folder = None if args.session is None else session_path(args.session)
    resumed = session_folder is not None and session_folder.exists()
    if not args.prompts and not args.mask_prompts and not resumed:
        raise ValueError(
            "Nothing is prompted; give --prompts CSV, --mask-prompts LABELS, or both."
        )
    fixed = parse_fixed(args.fixed) or {}
    if args.repeat_over:
        fixed.setdefault(args.repeat_over.upper(), 0)
    with open_stack(
        args.input,
        axes=args.axes,
        contrast_limits=args.contrast_limits,
        fixed=fixed or None,
        channels=args.channels,
    ) as stack:
        frames = parse_frames(args.frames, stack.n_frames)
        prompts: list[Prompt] = []
        if args.prompts:
            prompts += read_prompts_csv(args.prompts)
        if args.mask_prompts:
            prompts += read_masks(args.mask_prompts, args.mask_frame, stack)
        model = load_model(
            args.model,
            device=args.device,
            dtype=args.precision,
            image_size=args.image_size,
            recent_memories=args.recent_memories,
        )
        if resumed and session_folder is not None:
            session = Session.open(session_folder, model=model, stack=stack)
        else:
            session = Session(model, stack, path=session_folder)
        with session:
            known = set(session.prompts)
            for prompt in prompts:
                if prompt not in known:
                    session.add_prompt(prompt)
            if not args.quiet and session.frames_to_do(args.direction, frames):
                print(session.estimate(args.direction, frames), file=sys.stderr)
            followed = follow(
                session, direction=args.direction, frames=frames, quiet=args.quiet
            )
            output.parent.mkdir(parents=True, exist_ok=True)
            if args.repeat_over:
                followed = repeat_over(session, args, frames, followed, output)
            else:
                save_labels(session.labels, output)
            computes = session.computes
    report(followed, output, computes, as_json=args.json)
    if followed.unread:
        raise FrameReadError(
            f"{counted(len(followed.unread), 'frame')} could not be read; the first: "
            f"{followed.unread[0]}"
        )
    return EXIT_INTERRUPTED if followed.interrupted else 0


def repeat_over(
    session: Session,
    args: argparse.Namespace,
    frames: range | None,
    first: Followed,
    output: Path,
) -> Followed:
    """Repeat what was followed at all positions of an axis, and write all labels."""
    followed = first
    with Repetition(session, args.repeat_over) as repetition:
        if first.interrupted:
            repetition.copy_base()
        else:
            more = repeat(
                repetition, direction=args.direction, frames=frames, quiet=args.quiet
            )
            followed = replace(
                more,
                frames=first.frames + more.frames,
                objects=first.objects,
                seconds=first.seconds + more.seconds,
                unread=first.unread + more.unread,
            )
        save_labels(repetition.labels, output, axes=repetition.axes)
    return followed


def report(followed: Followed, output: Path, computes: str, *, as_json: bool) -> None:
    """Say what was done, in words on stderr and, if asked, as one line on stdout."""
    stopped = " until it was interrupted" if followed.interrupted else ""
    print(
        f"{counted(followed.objects, 'object')} through "
        f"{counted(followed.frames, 'frame')}{stopped} in "
        f"{followed.seconds:.1f} s ({followed.frames_per_second:.2f} frames/s, "
        f"{computes}); "
        f"labels are in {output}",
        file=sys.stderr,
    )
    if as_json:
        numbers = {
            "frames": followed.frames,
            "objects": followed.objects,
            "seconds": round(followed.seconds, 3),
            "frames_per_second": round(followed.frames_per_second, 3),
            "peak_memory_mb": round(followed.peak_memory_mb, 1),
            "computes": computes,
        }
        print(json.dumps(numbers), flush=True)


def counted(number: int, what: str) -> str:
    """Return ``"1 frame"`` or ``"2 frames"``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def checked_output(output: str, source: str) -> Path:
    """Return where to write, or say why not there, before anything is computed."""
    path = Path(output)
    if path.suffix.lower() not in (".tif", ".tiff", ".zarr"):
        raise ValueError(f"--output {output} must end in .tif or .zarr.")
    if path.exists() and Path(source).exists() and path.samefile(source):
        raise ValueError("--output is the input itself; give another name.")
    if path.is_dir() and path.suffix.lower() != ".zarr":
        raise ValueError(f"--output {output} is a folder; give the name of a file.")
    holds_array = (path / ".zarray").exists() or (path / "zarr.json").exists()
    if path.is_dir() and any(path.iterdir()) and not holds_array:
        raise ValueError(
            f"--output {output} is a folder with other things in it; give a new name."
        )
    return path


def read_masks(path: str, frame_idx: int, stack: Stack) -> list[MaskPrompt]:
    """Return the objects of a label image as prompts on frame `frame_idx`.

    A label movie gives the objects of its frame `frame_idx`.
    """
    if not 0 <= frame_idx < stack.n_frames:
        raise ValueError(
            f"--mask-frame {frame_idx} does not exist; the movie has frames 0 to "
            f"{stack.n_frames - 1}."
        )
    with open_stack(path) as labels:
        plane = labels.read_raw(frame_idx if labels.n_frames > 1 else 0)
    return masks_from_labels(frame_idx, plane)
