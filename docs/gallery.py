"""Draw the contact sheets of the synthetic training pictures for the docs.

python docs/gallery.py [--out docs/images] [--columns 6] [--shrink 2]
"""

from __future__ import annotations

import argparse
import typing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from skimage import io

from napari_sam2.training.optics import STYLES, Style
from napari_sam2.training.synthetic import draw_clip, draw_picture

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sam2.training.scenes import Kind

    Image = NDArray[np.float32]

GAP = 4
CLIPS: tuple[tuple[Kind, Style, bool], ...] = (
    ("spread", "phase", False),
    ("nuclei", "fluorescence", False),
    ("branching", "fluorescence", False),
    ("vesicles", "brightfield", False),
    ("nuclei", "fluorescence", True),
    ("tissue", "fluorescence", True),
    ("spread", "brightfield", True),
    ("neuropil", "em", True),
)
"""What is drawn, with which microscope, and whether it is a stack; a row each."""


def outlined(image: Image, labels: NDArray[np.int32]) -> Image:
    """Return the picture with each object's outline in its own bright colour."""
    edge = np.zeros(labels.shape, bool)
    edge[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    edge[1:] |= labels[1:] != labels[:-1]
    colours = np.random.default_rng(1).uniform(0.2, 1, (int(labels.max()) + 1, 3))
    colours[0] = 1
    colours[1:, 0] = 1
    colours[1:, 2] *= 0.4
    drawn = image.copy()
    drawn[edge] = colours[labels[edge]]
    return drawn


def smaller(picture: Image, factor: int) -> Image:
    """Average blocks of factor x factor pixels, so that the page stays light."""
    size = picture.shape[0] // factor
    blocks = picture.reshape(size, factor, size, factor, 3)
    return np.asarray(blocks.mean(axis=(1, 3)), dtype=np.float32)


def sheet(pictures: list[Image], columns: int) -> NDArray[np.uint8]:
    """Tile equally large pictures (H, W, 3) into one 8-bit image."""
    size = pictures[0].shape[0] + GAP
    rows = -(-len(pictures) // columns)
    canvas = np.ones((rows * size - GAP, columns * size - GAP, 3), np.float32)
    for k, picture in enumerate(pictures):
        y, x = k // columns * size, k % columns * size
        canvas[y : y + picture.shape[0], x : x + picture.shape[1]] = picture
    return np.asarray(np.rint(canvas * 255), dtype=np.uint8)


def main() -> None:
    """Write synthetic_gallery.png, synthetic_outlines.png and synthetic_clips.png.

    The rows of the first two are the kinds of microscope, those of the last `CLIPS`.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    parser.add_argument("--columns", type=int, default=6)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--shrink", type=int, default=2, choices=(1, 2, 4))
    wish = parser.parse_args()
    wish.out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(wish.seed)
    drawn = [
        draw_picture(rng, kind=kinds[k % len(kinds)], style=style)
        for style in typing.get_args(Style)
        for kinds in [[kind for kind in STYLES if style in STYLES[kind]]]
        for k in range(wish.columns)
    ]
    plain = [image for image, _ in drawn]
    marked = [outlined(image, labels) for image, labels in drawn]
    clips = [
        outlined(frame, labels)
        for kind, style, stack in CLIPS
        for frame, labels in zip(
            *draw_clip(rng, n_frames=8, kind=kind, style=style, stack=stack),
            strict=True,
        )
    ]
    for name, pictures, columns in (
        ("synthetic_gallery.png", plain, wish.columns),
        ("synthetic_outlines.png", marked, wish.columns),
        ("synthetic_clips.png", clips, 8),
    ):
        tiles = [smaller(picture, wish.shrink) for picture in pictures]
        io.imsave(wish.out / name, sheet(tiles, columns), check_contrast=False)


if __name__ == "__main__":
    main()
