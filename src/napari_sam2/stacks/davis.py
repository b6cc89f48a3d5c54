"""Clips in the folders of DAVIS: JPEG frames, and labels as PNGs with a palette.

Source: the layout of DAVIS 2016 and 2017; the palette is PASCAL VOC's.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_sam2.stacks.clips import Clip, LabelImages, folder_stack
from napari_sam2.stacks.errors import StackError
from napari_sam2.stacks.files import TIFF_ENDINGS, image_files
from napari_sam2.stacks.label_images import LabelFile, read_numbers
from napari_sam2.stacks.labelled import LabelledStack
from napari_sam2.stacks.writing import Progress, picture_bytes, staged_folders

__all__ = ["davis_clips", "davis_palette", "read_davis", "write_davis"]

IMAGES, LABELS = "JPEGImages", "Annotations"
FLAT_IMAGES = "frames"
FLAT_LABELS = ("masks", "mask", "labels", "label", "cp_masks")
VOID = 255  # "do not score", in palette images
HIGHEST_ID = 254
JPEG_QUALITY = 95


def davis_clips(root: str | Path, *, framed: bool = False) -> list[str]:
    """Name the clips that have labels, in order.

    Parameters
    ----------
    root : path
        The folder that holds ``Annotations``, or ``frames`` and ``masks`` of one
        clip, which is called as the folder is.
    framed : bool
        Whether to leave out clips without frames.

    Returns
    -------
    list of str
        Empty if `root` is no such folder.
    """
    place = Path(root).expanduser()
    flat = _flat_labels(place)
    if flat is not None:
        found = {place.name: (place / FLAT_IMAGES, flat)}
    else:
        labels, images = _resolution(place / LABELS), _resolution(place / IMAGES)
        clips = labels.iterdir() if labels.is_dir() else ()
        found = {f.name: (images / f.name, f) for f in clips if f.is_dir()}
    return sorted(
        name
        for name, (images, labels) in found.items()
        if image_files(labels) and (images.is_dir() or not framed)
    )


def read_davis(root: str | Path, clip: str | None = None) -> Clip:
    """Open a clip, without reading its frames.

    Parameters
    ----------
    root : path
        A folder with ``JPEGImages/CLIP`` and ``Annotations/CLIP`` (or
        ``JPEGImages/480p/CLIP`` and so on), or with ``frames`` and ``masks`` (or
        ``labels``).
    clip : str, optional
        Which, if there are several.

    Returns
    -------
    Clip
        Its frames are those of the images, or of the labels if there are none.
        Masks that are only black and white become object 1.

    Raises
    ------
    StackError
        When there is no such clip, or a label image has no frame.
    """
    place = Path(root).expanduser()
    flat = _flat_labels(place)
    if flat is not None:
        name, images, labels = place.name, place / FLAT_IMAGES, flat
    else:
        name = clip or _only(davis_clips(place), place)
        images = _resolution(place / IMAGES) / name
        labels = _resolution(place / LABELS) / name
    masks = image_files(labels) if labels.is_dir() else []
    if not masks:
        raise StackError(f"{place} has no label images of {name}; check the name.")
    frames = image_files(images) if images.is_dir() else masks
    return Clip(
        name=name,
        image=folder_stack(frames, name) if images.is_dir() else None,
        labels=LabelImages(_by_frame(masks, frames), len(frames), read_mask),
    )


def _by_frame(masks: list[Path], frames: list[Path]) -> dict[int, Path]:
    """Find the frames of label images: by name or, if all are others, by order."""
    numbers = {f.stem: number for number, f in enumerate(frames)}
    strays = [f.name for f in masks if f.stem not in numbers]
    if len(strays) == len(masks) == len(frames):
        return dict(enumerate(masks))
    if strays:
        raise StackError(
            f"{masks[0].parent} has label images without a frame, such as "
            f"{strays[0]}; add the frame or remove the label image."
        )
    return {numbers[f.stem]: f for f in masks}


def read_mask(path: Path) -> NDArray[Any]:
    """Read a label image as DAVIS has them.

    Parameters
    ----------
    path : Path
        A PNG with a palette, whose 255 is void; or a grey or black-and-white one,
        which is one object if it has only 0 and 255. Or a TIFF.

    Returns
    -------
    ndarray of int
        (Y, X), object ids.

    Raises
    ------
    StackError
        When it is another kind of picture.
    """
    if path.suffix.lower() in TIFF_ENDINGS:
        with LabelFile(path) as labels:
            return labels.plane(0)
    else:
        plane, mode = read_numbers(path)
    if plane.dtype.kind not in "biu" or plane.ndim != 2:
        raise StackError(
            f"{path.name} is no label image (its mode is {mode}); give PNGs with a "
            "palette, or grey ones."
        )
    if plane.dtype.kind == "b":
        return plane.astype(np.uint8)
    if mode == "P":
        plane[plane == VOID] = 0
    elif plane.dtype == np.uint8 and np.isin(plane, (0, 255)).all():
        plane[plane == 255] = 1
    return plane


def write_davis(
    stack: LabelledStack, path: str | Path, *, clip: str = "", flat: bool = False
) -> Progress:
    """Write a clip into the folders of DAVIS, a frame a step.

    Frames are JPEGs of 8 bits by the image's contrast limits: what is seen, not
    what was measured. Frames that are there already are left as they are.

    Parameters
    ----------
    stack : LabelledStack
        Labels, and the image if its frames are wanted.
    path : path
        The folder that is to hold ``JPEGImages`` and ``Annotations``.
    clip : str
        The clip's name; the image's, else the folder's, by default.
    flat : bool
        Whether to write ``frames`` and ``masks`` instead, for one clip.

    Yields
    ------
    (int, int)
        Frames done, and of how many.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    StackError
        When an id is above 254, or other files are in the way.
    ExportError
        When writing fails; what was there is untouched.
    """
    root = Path(path).expanduser()
    image = stack.image
    name = clip or (image.name if image is not None and image.path else root.name)
    images = FLAT_IMAGES if flat else f"{IMAGES}/{name}"
    labels = FLAT_LABELS[0] if flat else f"{LABELS}/{name}"
    draws = image is not None and not (root / images).exists()
    parts = {labels: r"\d+\.png"}
    if draws:
        parts = {images: r"\d+\.jpg", **parts}
    palette = davis_palette().ravel().tolist()
    with staged_folders(root, parts) as part:
        for folder in parts:
            (part / folder).mkdir(parents=True)
        for index in range(stack.n_frames):
            plane = stack.plane(index)
            if plane.max(initial=0) > HIGHEST_ID:
                raise StackError(
                    f"DAVIS's label images hold ids to {HIGHEST_ID}, and frame "
                    f"{stack.frames[index]} has {plane.max()}; choose fewer objects, "
                    "or export as SA-V or TIFF."
                )
            mask = Image.fromarray(plane.astype(np.uint8))
            mask.putpalette(palette)
            file = part / labels / f"{index:05d}.png"
            file.write_bytes(picture_bytes(mask))
            if draws:
                seen = stack.picture().read(stack.frames[index])
                picture = Image.fromarray(np.rint(seen * 255).astype(np.uint8))
                file = part / images / f"{index:05d}.jpg"
                data = picture_bytes(
                    picture, "JPEG", quality=JPEG_QUALITY, subsampling=0
                )
                file.write_bytes(data)
            yield index + 1, stack.n_frames
        stack.check_seen()
    return root


def davis_palette() -> NDArray[np.uint8]:
    """Return the colours of ids 0 to 255.

    Returns
    -------
    ndarray of uint8
        (256, 3), red, green and blue. An id's bits are dealt to the three in turn,
        the lowest to their highest bits.
    """
    ids = np.arange(256)
    palette = np.zeros((256, 3), np.uint8)
    for level in range(8):
        for colour in range(3):
            bit = (ids >> (3 * level + colour)) & 1
            palette[:, colour] |= (bit << (7 - level)).astype(np.uint8)
    return palette


def _resolution(folder: Path) -> Path:
    """Step into ``480p`` or ``Full-Resolution`` where the data set has them."""
    for name in ("480p", "Full-Resolution"):
        if (folder / name).is_dir() and not image_files(folder / name):
            return folder / name
    return folder


def _flat_labels(folder: Path) -> Path | None:
    """Return the label images' folder where one folder is one clip."""
    found = (folder / name for name in FLAT_LABELS)
    flat = (folder / FLAT_IMAGES).is_dir()
    return next((f for f in found if f.is_dir() and (flat or f.name == "masks")), None)


def _only(clips: list[str], root: Path) -> str:
    if not clips:
        raise StackError(
            f"{root} has no folder {LABELS} with clips; give the folder that holds "
            f"{IMAGES} and {LABELS}."
        )
    if len(clips) != 1:
        shown = ", ".join(clips[:5]) + (", …" if len(clips) > 5 else "")
        raise StackError(f"{root} has {len(clips)} clips ({shown}); name one.")
    return clips[0]
