"""Size, place, brightness and shape of every object in every frame, as a table.

Shapes: N objects of a frame, C channels.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2.stacks.errors import StackError
from napari_sam2.stacks.labelled import LabelledStack, compact
from napari_sam2.stacks.writing import Progress, written_beside

if TYPE_CHECKING:
    from collections.abc import Generator

    from pandas import DataFrame

__all__ = ["measure", "measurements", "plottable", "write_measurements"]

# What scikit-image calls it, and what the table does.
SHAPE = {
    "area": "area",
    "centroid-0": "y",
    "centroid-1": "x",
    "bbox-0": "y_min",
    "bbox-1": "x_min",
    "bbox-2": "y_end",
    "bbox-3": "x_end",
    "perimeter": "perimeter",
    "axis_major_length": "major_axis",
    "axis_minor_length": "minor_axis",
    "eccentricity": "eccentricity",
    "solidity": "solidity",
    "orientation": "orientation",
}
SCALED = ("area_scaled", "y_scaled", "x_scaled", "speed_scaled")
INTENSITY = ("mean", "min", "max", "sum")


def measurements(
    stack: LabelledStack,
) -> "Generator[tuple[int, int], None, DataFrame]":
    """Measure every object in every frame, a frame a step.

    Parameters
    ----------
    stack : LabelledStack
        Labels; with an image, intensities are measured in its stored numbers.

    Yields
    ------
    (int, int)
        Frames done, and of how many.

    Returns
    -------
    pandas.DataFrame
        A row an object and frame, sorted by them. In pixels of the frame: area,
        y and x (the centroid, pixel centres at integers), y_min, x_min, y_end and
        x_end (the bounding box, ends not in it), perimeter, major_axis and minor_axis
        (of the ellipse of the same second moments), step (of the centroid from the
        last frame the object was in, divided by the frames in between). Without
        unit: eccentricity, solidity (share of the convex hull), orientation (of the
        major axis, degrees from the vertical, counter-clockwise, -90 to 90). By the
        image's scale: time, area_scaled, y_scaled, x_scaled, speed_scaled (step by
        time), in what space_unit and time_unit say. With an image: intensity_mean,
        _min, _max and _sum, with the channel's number behind if there are several.

    Raises
    ------
    StackError
        When a frame cannot be read, or a chosen object is in none of them.
    """
    import pandas as pd  # slow to import, and needed here only

    tables = []
    for index in range(stack.n_frames):
        frame_idx = stack.frames[index]
        raw = None if stack.image is None else stack.image.read_raw(frame_idx)
        columns = measure(stack.plane(index), raw)
        n_objects = len(columns["object_id"])
        tables.append(pd.DataFrame({"frame": np.full(n_objects, frame_idx), **columns}))
        yield index + 1, stack.n_frames
    stack.check_seen()
    table = pd.concat(tables, ignore_index=True)
    table = table.sort_values(["object_id", "frame"], ignore_index=True)
    return _with_scale(table, stack)


def measure(plane: NDArray[Any], raw: NDArray[Any] | None) -> dict[str, NDArray[Any]]:
    """Measure the objects of one frame.

    Parameters
    ----------
    plane : ndarray of int
        (Y, X), object ids.
    raw : ndarray, optional
        (Y, X) or (Y, X, C), stored numbers.

    Returns
    -------
    dict of str to ndarray
        (N,) each; see `measurements`.
    """
    from skimage.measure import regionprops_table

    ids, places = compact(plane)
    n_ids = len(ids)
    names = list(dict.fromkeys(name.split("-")[0] for name in SHAPE))
    found = regionprops_table(  # type: ignore[no-untyped-call]
        places, properties=names
    )
    columns = {"object_id": ids[1:].astype(np.int64)}
    columns |= {ours: found[theirs] for theirs, ours in SHAPE.items()}
    columns["orientation"] = np.degrees(columns["orientation"])
    columns["area"] = columns["area"].astype(np.int64)
    if raw is None:
        return columns
    channels = [raw] if raw.ndim == 2 else list(np.moveaxis(raw, -1, 0))
    for number, channel in enumerate(channels):
        end = f"_{number}" if len(channels) > 1 else ""
        values = _intensities(places, channel, n_ids)
        columns |= {f"intensity_{k}{end}": v for k, v in values.items()}
    return columns


def plottable(stack: LabelledStack) -> list[str]:
    """Name the columns of the stack's table that are measured; reads one frame."""
    raw = None if stack.image is None else stack.image.read_raw(stack.frames[0])
    names = list(measure(stack.plane(0), raw))
    return [*names[1:], "step", *SCALED]


def write_measurements(stack: LabelledStack, path: str | Path) -> Progress:
    """Write the table of `measurements` as a CSV file, a frame a step.

    Parameters
    ----------
    stack : LabelledStack
        Labels, and the image whose intensities are wanted.
    path : path
        ``.csv``; replaced at the end.

    Yields
    ------
    (int, int)
        Frames done, and of how many.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    StackError
        As `measurements` does.
    ExportError
        When writing fails; what was there is untouched.
    """
    place = Path(path).expanduser()
    with written_beside(place) as unfinished:
        table = yield from measurements(stack)
        table.to_csv(unfinished, index=False, float_format="%.7g")
    return place


def _intensities(
    places: NDArray[np.int32], channel: NDArray[Any], n_ids: int
) -> dict[str, NDArray[Any]]:
    """Return mean, min, max and sum of the stored numbers, (N,) each."""
    owner = places.ravel()
    values = channel.ravel()
    areas = np.bincount(owner, minlength=n_ids)[1:]
    sums = np.bincount(owner, weights=values, minlength=n_ids)[1:]
    order = np.argsort(owner, kind="stable")
    starts = np.searchsorted(owner[order], np.arange(1, n_ids))
    sorted_values = values[order]
    low, high = (
        (f.reduceat(sorted_values, starts) if n_ids > 1 else sorted_values[:0])
        for f in (np.minimum, np.maximum)
    )
    return dict(zip(INTENSITY, (sums / areas, low, high, sums), strict=True))


def _with_scale(table: "DataFrame", stack: LabelledStack) -> "DataFrame":
    """Add steps, and what follows from the size of a pixel and of a step."""
    if table.empty:
        raise StackError("These labels hold no object, so there is nothing to measure.")
    size_t, size_y, size_x = stack.scale
    of_object = table.groupby("object_id")
    passed = of_object["frame"].diff()
    down, right = of_object["y"].diff(), of_object["x"].diff()
    table["step"] = np.hypot(down, right) / passed
    table["time"] = table["frame"] * size_t
    table["area_scaled"] = table["area"] * (size_y * size_x)
    table["y_scaled"] = table["y"] * size_y
    table["x_scaled"] = table["x"] * size_x
    table["speed_scaled"] = np.hypot(down * size_y, right * size_x) / (passed * size_t)
    table["space_unit"] = stack.units[2]
    table["time_unit"] = stack.units[0]
    first = ["object_id", "frame", "time"]
    return table[first + [name for name in table.columns if name not in first]]
