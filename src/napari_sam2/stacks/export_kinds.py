"""All that labels can be exported as, by name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sam2.stacks.ctc_writing import write_ctc
from napari_sam2.stacks.cutouts import write_background, write_cutouts, write_mask
from napari_sam2.stacks.davis import write_davis
from napari_sam2.stacks.errors import StackError
from napari_sam2.stacks.exports import needed_dtype, write_planes
from napari_sam2.stacks.labelled import LabelledStack
from napari_sam2.stacks.measurements import write_measurements
from napari_sam2.stacks.overlay import write_overlay
from napari_sam2.stacks.plot import write_plot
from napari_sam2.stacks.sav import write_sav
from napari_sam2.stacks.stack import Stack
from napari_sam2.stacks.writing import Progress

if TYPE_CHECKING:
    from napari_sam2.stacks.labels_store import LabelsArray, LabelsStore

__all__ = ["EXPORTS", "ExportKind", "export", "guess_kind"]

ARRAYS = (".tif", ".tiff", ".zarr")


@dataclass(frozen=True, kw_only=True)
class ExportKind:
    """One thing that labels can be exported as.

    Attributes
    ----------
    title : str
        Its name, for a menu.
    about : str
        What it is, in one sentence.
    endings : tuple of str
        Of the file, the usual one first; "" is a folder.
    needs_image : bool
        Whether it cannot be made without the image.
    write : callable
        ``write(labelled_stack, path, **options)`` gives the generator that does it.
        Its keyword arguments are the options.
    """

    title: str
    about: str
    endings: tuple[str, ...]
    needs_image: bool = False
    write: Callable[..., Progress]


def write_label_file(stack: LabelledStack, path: str | Path) -> Progress:
    """Write the chosen objects and frames as labels; see `save_labels`."""
    return write_planes(
        Path(path).expanduser(),
        stack.plane,
        stack.shape,
        needed_dtype(stack.plane, stack.n_frames, stack.dtype),
        stack.axes,
        stack.steps,
        check=stack.check_seen,
    )


EXPORTS: dict[str, ExportKind] = {
    "tif": ExportKind(
        title="Labels, TIFF",
        about="Every object's id in every pixel, for Fiji and any other program.",
        endings=(".tif", ".tiff"),
        write=write_label_file,
    ),
    "zarr": ExportKind(
        title="Labels, zarr",
        about="The same in a folder, for labels too large for one file.",
        endings=(".zarr",),
        write=write_label_file,
    ),
    "csv": ExportKind(
        title="Measurements, CSV",
        about="Area, place, shape, brightness and speed of each object in each frame.",
        endings=(".csv",),
        write=write_measurements,
    ),
    "plot": ExportKind(
        title="Plot over time, PNG",
        about="One measurement, such as the area, with a line for each object.",
        endings=(".png",),
        write=write_plot,
    ),
    "overlay": ExportKind(
        title="Overlay movie",
        about="The image with outlines, tint and numbers, to show.",
        endings=(".mp4", ".gif"),
        needs_image=True,
        write=write_overlay,
    ),
    "mask": ExportKind(
        title="Mask",
        about="1 on the chosen objects, 0 elsewhere.",
        endings=ARRAYS,
        write=write_mask,
    ),
    "cutouts": ExportKind(
        title="Cut-outs",
        about="A crop of the image that follows each object, intensities as they are.",
        endings=("", *ARRAYS),
        needs_image=True,
        write=write_cutouts,
    ),
    "background": ExportKind(
        title="Background replaced",
        about="The image with everything but the chosen objects set to one value.",
        endings=ARRAYS,
        needs_image=True,
        write=write_background,
    ),
    "sav": ExportKind(
        title="SA-V, JSON",
        about="Masklets in COCO's run-length encoding, to train SAM 2 and others.",
        endings=(".json",),
        write=write_sav,
    ),
    "davis": ExportKind(
        title="DAVIS folders",
        about="JPEG frames and label images with a palette.",
        endings=("",),
        write=write_davis,
    ),
    "ctc": ExportKind(
        title="Cell Tracking Challenge folders",
        about="Label images and the text of tracks, to compare and evaluate.",
        endings=("",),
        write=write_ctc,
    ),
}


def export(
    kind: str,
    labels: "LabelsStore | LabelsArray | Stack",
    path: str | Path,
    *,
    image: Stack | None = None,
    objects: Sequence[int] | None = None,
    frames: range | None = None,
    axes: str | None = None,
    scale: Sequence[float] | None = None,
    units: Sequence[str] | None = None,
    **options: Any,
) -> Progress:
    """Export labels as one of `EXPORTS`, a frame a step.

    Parameters
    ----------
    kind : str
        A key of `EXPORTS`.
    labels, image, objects, frames, axes, scale, units
        As `LabelledStack` takes them.
    path : path
        A file with one of the kind's endings, or a folder.
    **options
        Of the kind's `write`.

    Returns
    -------
    generator
        Yields (steps done, of how many) and returns the path. Nothing is at `path`
        before the last step; closing the generator, and any error, leave what was
        there untouched.

    Raises
    ------
    StackError
        At once, when there is no such kind, the ending is another, the image is
        missing, or the labels do not fit it.
    """
    known = EXPORTS.get(kind)
    if known is None:
        raise StackError(f"{kind!r} is no format; choose from {', '.join(EXPORTS)}.")
    ending = _ending(Path(path))
    if ending not in known.endings and not ("" in known.endings and ending == ""):
        named = " or ".join(e or "no ending (a folder)" for e in known.endings)
        raise StackError(
            f"{Path(path).name} does not suit {known.title}; give a name with {named}."
        )
    if known.needs_image and image is None:
        raise StackError(f"{known.title} needs the image too; give it with the labels.")
    stack = LabelledStack(
        labels,
        image,
        objects=objects,
        frames=frames,
        axes=axes,
        scale=scale,
        units=units,
    )
    return known.write(stack, path, **options)


def guess_kind(path: str | Path) -> str:
    """Name the format that a file's ending stands for.

    Raises
    ------
    StackError
        When it stands for none, as a folder's.
    """
    ending = _ending(Path(path))
    for kind, known in EXPORTS.items():
        if ending and ending in known.endings:
            return kind
    raise StackError(
        f"{Path(path).name} does not say what to write; choose a format: "
        f"{', '.join(EXPORTS)}."
    )


def _ending(path: Path) -> str:
    """Return a file's ending; "" for a folder that is there, or a name with others."""
    ending = path.suffix.lower()
    known = {e for kind in EXPORTS.values() for e in kind.endings}
    return ending if ending in known else ""
