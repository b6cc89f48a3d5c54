"""``napari-sam2 models``: which models there are, and getting them."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from napari_sam2.model import registry
from napari_sam2.model.own_models import own_models, read_card

if TYPE_CHECKING:
    import argparse
    from pathlib import Path


def run(args: argparse.Namespace) -> int:
    """List the models, or download those asked for."""
    if args.sha256 and len(args.download) != 1:
        raise ValueError("--sha256 belongs to exactly one --download NAME.")
    for name in args.download:
        registry.find_checkpoint(name)  # a misspelt name before the first megabyte
    for name in args.download:
        path = _download(name, args)
        print(f"{name}: {path}")
    if not args.download:
        _list(args)
    return 0


def _download(name: str, args: argparse.Namespace) -> object:
    from tqdm import tqdm

    with tqdm(desc=name, unit="B", unit_scale=True, unit_divisor=1000) as bar:

        def progress(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done - bar.n)

        return registry.download(
            name,
            base_url=args.base_url,
            folder=args.folder,
            sha256=args.sha256,
            progress=progress,
        )


def _own_row(name: str, path: Path) -> dict[str, object]:
    card = read_card(path)
    return {
        "name": name,
        "megabytes": round(path.stat().st_size / 1e6, 1),
        "path": str(path),
        "card": None if card is None else asdict(card),
    }


def _list(args: argparse.Namespace) -> None:
    rows: list[dict[str, object]] = []
    for checkpoint in registry.CHECKPOINTS.values():
        try:
            path = registry.checkpoint_path(checkpoint.name, folder=args.folder)
        except registry.MissingCheckpointError:
            path = None
        size = path.stat().st_size if path else checkpoint.n_bytes
        rows.append(
            {
                "name": checkpoint.name,
                "megabytes": round(size / 1e6, 1) if size else None,
                "path": str(path) if path else None,
            }
        )
    rows += [_own_row(name, path) for name, path in own_models(args.folder).items()]
    if args.json:
        print(json.dumps(rows))
        return
    for row in rows:
        megabytes = f"{row['megabytes']} MB" if row["megabytes"] else ""
        print(f"{row['name']:18}{megabytes:>10}  {row['path'] or 'not downloaded'}")
    print("\nDownload with: napari-sam2 models --download NAME")
    print(f"Models folder: {args.folder or registry.models_folder()}")
