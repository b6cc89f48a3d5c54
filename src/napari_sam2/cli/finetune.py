"""``napari-sam2 finetune``: adapt a model to labelled data, show what it brought."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from napari_sam2.cli import EXIT_INTERRUPTED
from napari_sam2.cli.following import gentle_interrupt
from napari_sam2.evaluation.datasets import find_data
from napari_sam2.model import load_model, own_models
from napari_sam2.model.own_models import check_name
from napari_sam2.training.finetuning import FinetuneConfig, finetune, keep
from napari_sam2.training.own_data import Annotated

if TYPE_CHECKING:
    import argparse
    from collections.abc import Generator, Sequence

    from napari_sam2.training.finetuning import Outcome, Progress

PHASES = {
    "looking": ("looking through labels", "frame"),
    "before": ("measuring before", "object"),
    "learning": ("learning", "step"),
    "after": ("measuring after", "object"),
}


def run(args: argparse.Namespace) -> int:
    """Adapt, print the table, keep the model if it is better."""
    name = check_name(args.name)
    if name in own_models() and not args.replace:
        raise ValueError(
            f"There is a model {name!r} of your own already; choose another --name, or "
            "say --replace."
        )
    config = FinetuneConfig(
        part=args.part, steps=args.steps, held_aside=args.held_aside, seed=args.seed
    )
    model = load_model(args.model, device=args.device)
    with contextlib.ExitStack() as opened:
        items = _annotated(args.data, opened, quiet=args.quiet)
        outcome = _followed(finetune(model, items, config), quiet=args.quiet)
        if outcome is None:
            print("Stopped; nothing was kept.", file=sys.stderr)
            return EXIT_INTERRUPTED
    kept = None
    if outcome.gain > 0 or args.keep:
        names = [item.name for item in items]
        kept = keep(outcome, name, config, parent=model.origin, data=names)
    print(_as_json(outcome, kept) if args.json else _as_text(outcome, name, kept))
    return 0


def _annotated(
    data: Sequence[str], opened: contextlib.ExitStack, *, quiet: bool
) -> list[Annotated]:
    items = []
    for place in data:
        found = find_data(Path(place))
        if not quiet:
            print(found, file=sys.stderr)
        for files in (*found.pictures, *found.movies):
            clip = opened.enter_context(files.open())
            items.append(
                Annotated(name=files.name, stack=clip.picture(), labels=clip.outlined)
            )
    return items


def _followed(
    work: Generator[Progress, None, Outcome], *, quiet: bool
) -> Outcome | None:
    """Show progress until the end; None if Ctrl-C came before it."""
    shown = ""
    with contextlib.ExitStack() as held, contextlib.closing(work):
        interruption = held.enter_context(gentle_interrupt())
        bar = held.enter_context(tqdm(disable=True))
        while not interruption.seen:
            try:
                news = next(work)
            except StopIteration as end:
                outcome: Outcome = end.value
                return None if interruption.seen else outcome
            if news.phase != shown:
                bar.close()
                words, unit = PHASES[news.phase]
                bar = held.enter_context(
                    tqdm(total=news.total, desc=words, unit=unit, disable=quiet)
                )
                shown = news.phase
            bar.update(news.done - bar.n)
            if news.loss is not None:
                bar.set_postfix_str(f"loss {news.loss:.3f}", refresh=False)
    return None


def _as_text(outcome: Outcome, name: str, kept: Path | None) -> str:
    lines = [
        f"Learned from {outcome.learned} objects; mean IoU of objects held aside:",
        f"{'':12}{'before':>8}{'after':>8}{'objects':>9}",
    ]
    for task, scores in outcome.before.items():
        before, after = np.mean(scores), np.mean(outcome.after[task])
        lines.append(f"{task:12}{before:8.3f}{after:8.3f}{len(scores):9}")
    if kept is None:
        lines.append(
            "It did not get better, so it was not kept (--keep keeps it all the same). "
            "More objects, or more --steps, may help."
        )
    else:
        lines.append(f"Kept as {kept}; use it with --model {name}.")
    return "\n".join(lines)


def _as_json(outcome: Outcome, kept: Path | None) -> str:
    return json.dumps(
        {
            "learned": outcome.learned,
            "aside": outcome.aside,
            "before": outcome.before,
            "after": outcome.after,
            "kept": None if kept is None else str(kept),
        }
    )
