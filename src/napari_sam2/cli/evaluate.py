"""``napari-sam2 evaluate``: how good models are on data with labels."""

from __future__ import annotations

import contextlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from napari_sam2.cli import EXIT_INTERRUPTED
from napari_sam2.cli.following import gentle_interrupt
from napari_sam2.cli.track import counted
from napari_sam2.evaluation.datasets import find_data
from napari_sam2.evaluation.report import as_text
from napari_sam2.evaluation.results import Results
from napari_sam2.evaluation.tasks import Settings, measure, plan
from napari_sam2.model import load_model

if TYPE_CHECKING:
    import argparse

    from napari_sam2.cli.following import Interruption
    from napari_sam2.evaluation.datasets import DataSet
    from napari_sam2.evaluation.tasks import Job

SHOWN = 10


def run(args: argparse.Namespace) -> int:
    """Measure, print a table, and write what was found."""
    output = None if args.output is None else checked_folder(Path(args.output))
    settings = Settings(
        tasks=tuple(args.tasks),
        max_pictures=args.max_pictures or None,
        max_objects=args.max_objects or None,
        max_frames=args.max_frames,
        seed=args.seed,
    )
    sets = named_apart([find_data(Path(path)) for path in args.data])
    jobs = plan(sets, settings)
    if not args.quiet:
        for data in sets:
            print(f"{data}, {limits(data, jobs, settings)}", file=sys.stderr)
    if not jobs:
        raise ValueError(
            f"None of this data is good for {' and '.join(args.tasks)}; give other "
            "--tasks, or pictures or movies with labels."
        )
    models = {
        name: load_model(
            name,
            device=args.device,
            image_size=args.image_size,
            recent_memories=args.recent_memories,
        )
        for name in args.model
    }
    results = Results(models=models, sets=sets, settings=settings)
    if output is not None:  # not after hours of work
        output.mkdir(parents=True, exist_ok=True)
    with (
        gentle_interrupt() as interruption,
        tqdm(
            total=len(jobs) * len(models),
            unit="job",
            disable=args.quiet,
            mininterval=1,
            miniters=0,
        ) as bar,
    ):
        try:
            work(results, jobs, bar, interruption)
        except KeyboardInterrupt:  # the second one
            interruption.seen = True
        except BaseException:
            results.interrupted = True
            if output is not None:
                results.write(output)
            raise
        results.interrupted = interruption.seen
    report(results, output, as_json=args.json)
    return EXIT_INTERRUPTED if results.interrupted else 0


def work(
    results: Results, jobs: list[Job], bar: tqdm[None], interruption: Interruption
) -> None:
    """Do all jobs with every model, until Ctrl-C; leave out what cannot be read."""
    for name, model in results.models.items():
        for job in jobs:
            what = f"{name}, {job.files.name}: {', '.join(job.tasks)}"
            steps = measure(model, name, job, results.settings)
            with contextlib.closing(steps):
                try:
                    for count, finding in enumerate(steps, start=1):
                        if finding is not None:
                            results.add(name, job.data, finding)
                        if interruption.seen:
                            return
                        bar.set_postfix_str(f"{what}, step {count}", refresh=False)
                        bar.update(0)
                except (ValueError, OSError) as error:
                    reason = f"{job.files.name}: {error}"
                    if reason not in results.left_out:
                        results.left_out.append(reason)
            bar.update()


def report(results: Results, output: Path | None, *, as_json: bool) -> None:
    """Print the table, or everything as one line, and write the folder."""
    for reason in results.left_out[:SHOWN]:
        print(f"Left out: {reason}", file=sys.stderr)
    if len(results.left_out) > SHOWN:
        print(f"and {len(results.left_out) - SHOWN} more.", file=sys.stderr)
    if results.interrupted:
        print("Interrupted: not everything was measured.", file=sys.stderr)
    if output is not None:
        results.write(output)
        print(f"Table, numbers and pictures are in {output}.", file=sys.stderr)
    if as_json:
        print(json.dumps(results.as_json()), flush=True)
    elif results.scores:
        print(as_text(results.rows))
    elif not results.interrupted:
        raise ValueError(
            "There was no object to measure; give labels with objects of at least "
            f"{results.settings.min_area} pixels."
        )


def checked_folder(output: Path) -> Path:
    """Return where to write, or say why not there, before anything is computed."""
    if output.exists() and not output.is_dir():
        raise ValueError(f"--output {output} is a file; give the name of a folder.")
    return output


def named_apart(sets: list[DataSet]) -> list[DataSet]:
    """Call data sets of one name by their paths."""
    names = [data.name for data in sets]
    return [
        replace(data, name=str(data.path)) if names.count(data.name) > 1 else data
        for data in sets
    ]


def limits(data: DataSet, jobs: list[Job], settings: Settings) -> str:
    """Say how much of a data set is measured."""
    of_set = [job for job in jobs if job.data == data.name]
    items = len({job.files.name for job in of_set})
    if not items:
        return "of which nothing is good for these tasks"
    objects = "all objects"
    if settings.max_objects:
        objects = f"up to {counted(settings.max_objects, 'object')}"
    return f"of which {items} {'is' if items == 1 else 'are'} measured, {objects} each"
