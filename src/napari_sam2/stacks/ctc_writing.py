"""Labels into the folders of the Cell Tracking Challenge; `ctc` tells their layout."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_sam2.stacks.ctc import PLACES, CtcTrack, Kind
from napari_sam2.stacks.errors import StackError
from napari_sam2.stacks.labelled import LabelledStack, Track, compact, find_tracks
from napari_sam2.stacks.writing import Progress, staged_folders

__all__ = ["split_tracks", "write_ctc"]

HIGHEST_LABEL = 65_535


def write_ctc(
    stack: LabelledStack,
    path: str | Path,
    *,
    movie: str = "01",
    truth: bool = False,
    parents: Mapping[int, int] | None = None,
) -> Progress:
    """Write labels into the challenge's folders, a frame a step, in two passes.

    An object that is away in between is split into tracks of new labels. Images that
    are there already are left as they are.

    Parameters
    ----------
    stack : LabelledStack
        Labels of a movie, and the image if ``01`` is wanted as well.
    path : path
        The data set's folder.
    movie : str
        Which movie of it.
    truth : bool
        Whether to write ``01_GT`` (TRA and SEG) instead of ``01_RES``.
    parents : mapping of int to int, optional
        The mother of each daughter object.

    Yields
    ------
    (int, int)
        Steps done, and of how many.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    StackError
        When these are no labels of a movie, there are too many tracks, a mother is
        not before her daughter, or other files are in the way.
    ExportError
        When writing fails; what was there is untouched.
    """
    root = Path(path).expanduser()
    if stack.axes[0] != "T":
        raise StackError(
            "The Cell Tracking Challenge's folders hold movies, and these labels "
            f"follow {stack.axes[0]}; export as TIFF instead."
        )
    n_frames = stack.n_frames
    digits = max(3, len(str(n_frames - 1)))
    kinds: tuple[Kind, ...] = ("TRA", "SEG") if truth else ("RES",)
    parts = {
        f"{movie}{PLACES[k][0]}": rf"{PLACES[k][1]}\d+\.tif|{PLACES[k][2]}"
        for k in kinds
    }
    draws = stack.image is not None and not (root / movie).exists()
    if draws:
        parts = {movie: r"t\d+\.tif", **parts}
    with staged_folders(root, parts) as part:
        found = yield from find_tracks(stack, of=2 * n_frames)
        tracks = split_tracks(found.values(), parents or {})
        for folder in parts:
            (part / folder).mkdir(parents=True)
        for index in range(n_frames):
            plane = _relabelled(stack.plane(index), index, tracks)
            for kind in kinds:
                suffix, stem, _ = PLACES[kind]
                _write(
                    part / f"{movie}{suffix}" / f"{stem}{index:0{digits}d}.tif", plane
                )
            if draws:
                raw = stack.picture().read_raw(stack.frames[index])
                _write(part / movie / f"t{index:0{digits}d}.tif", raw)
            yield n_frames + index + 1, 2 * n_frames
        suffix, _, text = PLACES[kinds[0]]
        lines = sorted((t.label, t.begin, t.end, t.parent) for _, t in tracks)
        (part / f"{movie}{suffix}" / str(text)).write_text(
            "".join(f"{' '.join(map(str, line))}\n" for line in lines), "ascii"
        )
    return root


Owned = tuple[int, CtcTrack]  # an object's id and one of its tracks


def split_tracks(found: Iterable[Track], parents: Mapping[int, int]) -> list[Owned]:
    """Make tracks without gaps of objects that may have some.

    Parameters
    ----------
    found : iterable of Track
        The objects.
    parents : mapping of int to int
        The mother of each daughter object.

    Returns
    -------
    list of (object id, CtcTrack)
        An object's first track has the object's id, its later ones new labels, each
        the child of the one before.

    Raises
    ------
    StackError
        When there are too many, or a mother is not before her daughter.
    """
    objects = {track.object_id: track for track in found}
    following = max(objects, default=0) + 1
    tracks: list[Owned] = []
    last: dict[int, CtcTrack] = {}
    for object_id, track in objects.items():
        for begin, end in _stretches(track.frames):
            before = last.get(object_id)
            label = object_id
            if before is not None:
                label, following = following, following + 1
            last[object_id] = CtcTrack(
                label=label, begin=begin, end=end, parent=before.label if before else 0
            )
            tracks.append((object_id, last[object_id]))
    if following - 1 > HIGHEST_LABEL:
        raise StackError(
            f"The Cell Tracking Challenge's labels end at {HIGHEST_LABEL:,}, and these "
            f"objects would need {following - 1:,}; choose fewer objects or renumber "
            "them from 1."
        )
    return [
        (i, _with_mother(i, t, last, parents) if t.label == i else t) for i, t in tracks
    ]


def _with_mother(
    object_id: int,
    track: CtcTrack,
    last: Mapping[int, CtcTrack],
    parents: Mapping[int, int],
) -> CtcTrack:
    mother = parents.get(object_id)
    if mother is None:
        return track
    if mother not in last or last[mother].end >= track.begin:
        raise StackError(
            f"Object {mother} cannot be the mother of object {object_id}: it does not "
            f"end before frame {track.begin}."
        )
    return CtcTrack(
        label=track.label,
        begin=track.begin,
        end=track.end,
        parent=last[mother].label,
    )


def _stretches(frames: list[int]) -> Iterator[tuple[int, int]]:
    """Give the first and last of each run of frames without a gap."""
    breaks = np.flatnonzero(np.diff(frames) > 1) + 1
    for run in np.split(np.asarray(frames), breaks):
        yield int(run[0]), int(run[-1])


def _relabelled(
    plane: NDArray[Any], index: int, tracks: list[Owned]
) -> NDArray[np.uint16]:
    ids, places = compact(plane)
    now = {i: t.label for i, t in tracks if t.begin <= index <= t.end}
    labels = np.array([now.get(i, 0) for i in ids.tolist()], np.uint16)
    renamed: NDArray[np.uint16] = labels[places]
    return renamed


def _write(path: Path, plane: NDArray[Any]) -> None:
    photometric = "rgb" if plane.ndim == 3 and plane.shape[2] == 3 else "minisblack"
    tifffile.imwrite(path, plane, photometric=photometric, compression="zlib")
