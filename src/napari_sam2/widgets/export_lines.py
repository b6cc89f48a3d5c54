"""An export as the lines one would type in napari's console."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam2.widgets.export_sources import NO_UNIT

if TYPE_CHECKING:
    from napari_sam2.widgets.exporting import ExportTask
    from napari_sam2.widgets.target import Target

IMPORTS = "from napari_sam2.stacks import export, finish, open_stack"
NO_STEPS = (1.0, 1.0, 1.0), (NO_UNIT,) * 3


def export_line(task: ExportTask, *, labels: str, image: str) -> str:
    """Return the line that writes the file.

    Parameters
    ----------
    task : ExportTask
        What was written.
    labels, image : str
        Python that gives them.
    """
    given = [repr(task.kind), labels, repr(str(task.path))]
    if task.image is not None:
        given.append(f"image={image}")
    if task.objects is not None:
        given.append(f"objects={list(task.objects)!r}")
    if len(task.frames) < task.labels.n_frames:
        given.append(f"frames={task.frames!r}")
    if (task.scale, task.units) != NO_STEPS:
        given += [f"scale={task.scale!r}", f"units={task.units!r}"]
    if task.axes != "TYX" and task.image is None:
        given.append(f"axes={task.axes!r}")
    given += [f"{name}={value!r}" for name, value in task.options.items()]
    return f"finish(export({', '.join(given)}))"


def export_lines(task: ExportTask) -> list[str]:
    """Return lines that write the file again, of layers by their names.

    `IMPORTS` goes before them.
    """
    lines = [f"labels = {opened(task.labels)}"]
    if task.image is not None:
        lines.append(f"image = {opened(task.image)}")
    return [*lines, export_line(task, labels="labels", image="image")]


def opened(target: Target) -> str:
    """Return what opens the frames of a layer by its name."""
    options = [f"axes={target.axes!r}"]
    if target.contrast_limits is not None:
        low, high = target.contrast_limits
        options.append(f"contrast_limits=({low!r}, {high!r})")
    if target.fixed:
        options.append(f"fixed={dict(target.fixed)!r}")
    level = "" if target.level is None else f"[{target.level}]"
    data = f"viewer.layers[{target.name!r}].data{level}"
    return f"open_stack({data}, {', '.join(options)})"
