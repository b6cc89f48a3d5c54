"""Draw docs/images/export.png: what the sample movie looks like exported.

python docs/make_export_picture.py [--out docs/images/export.png]

An overlay, a replaced background, a plot and a cut-out that follows one cell, all
made by the functions that `napari-sam2 export` calls, and read back from their files.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image, ImageDraw, ImageFont

from napari_sam2.stacks import export, finish, open_stack
from napari_sam2.stacks.samples import cells_movie

SIDE, GAP, TITLE = 400, 16, 34
FRAME, CHOSEN, KEPT = 24, 1, [1, 3, 5, 6, 10, 15]
PAPER, INK = (255, 255, 255), (40, 40, 40)


def grey(plane: np.ndarray, high: float) -> Image.Image:
    """Return stored numbers as a picture, `high` as white."""
    shown = np.clip(plane.astype(float) / high, 0, 1)
    return Image.fromarray(np.rint(255 * shown).astype(np.uint8)).convert("RGB")


def main() -> None:
    """Export the sample movie, and put what came out on one sheet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("docs/images/export.png"))
    out = parser.parse_args().out
    sample = cells_movie()
    image = open_stack(sample.image)
    high = np.percentile(sample.image, 99.9)
    with tempfile.TemporaryDirectory() as folder:

        def exported(kind: str, name: str, **options: object) -> Path:
            path = Path(folder) / name
            return finish(export(kind, sample.labels, path, image=image, **options))

        with Image.open(exported("overlay", "overlay.gif")) as movie:
            movie.seek(FRAME)
            overlay = movie.convert("RGB")
        whole = tifffile.imread(
            exported("background", "b.tif", value=300, objects=KEPT)
        )
        crops = tifffile.imread(exported("cutouts", "c.tif", size=64, objects=[CHOSEN]))
        with Image.open(exported("plot", "x.png", column="x", objects=KEPT)) as drawn:
            plot = drawn.convert("RGB")
    wide = round(SIDE * plot.width / plot.height)
    width = 2 * SIDE + wide + 2 * GAP
    n_crops = width // (SIDE // 3 + GAP)
    sheet = Image.new("RGB", (width, SIDE + SIDE // 3 + 2 * TITLE + GAP), PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=20)
    row = [
        ("overlay.gif", overlay, SIDE),
        ("background.tif", grey(whole[FRAME], high), SIDE),
        ("x.png", plot, wide),
    ]
    left = 0
    for title, picture, across in row:
        pen.text((left, 4), title, INK, font)
        sheet.paste(picture.resize((across, SIDE)), (left, TITLE))
        left += across + GAP
    top = TITLE + SIDE + GAP
    pen.text((0, top), f"cutouts, object {CHOSEN}", INK, font)
    for place, t in enumerate(np.linspace(0, len(crops) - 1, n_crops).round()):
        crop = grey(crops[int(t)], high).resize((SIDE // 3, SIDE // 3))
        sheet.paste(crop, (place * (SIDE // 3 + GAP), top + TITLE - 4))
    sheet.save(out, optimize=True)


if __name__ == "__main__":
    main()
