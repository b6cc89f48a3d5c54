"""Movies in the folders of the Cell Tracking Challenge.

For movie 01: images ``01/t000.tif``; tracks ``01_GT/TRA/man_track000.tif`` with
``man_track.txt``; segmentations ``01_GT/SEG/man_seg000.tif``, often of some frames
only; results ``01_RES/mask000.tif`` with ``res_track.txt``. The text has a line
``L B E P`` for each track: its label, first and last frame, its parent's label or 0.
A track is in all its frames, so a cell that is away for a while is several tracks, the
later the children of the earlier.

Source: the challenge's conventions for naming and file content.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_sam2.stacks.clips import Clip, LabelImages, folder_stack
from napari_sam2.stacks.errors import StackError
from napari_sam2.stacks.labelled import LabelledStack, Track, compact, find_tracks
from napari_sam2.stacks.source import short_name
from napari_sam2.stacks.tiff_source import TiffSource
from napari_sam2.stacks.writing import Progress, staged_folders

__all__ = ["CtcClip", "CtcTrack", "read_ctc", "read_tracks", "write_ctc"]

HIGHEST_LABEL = 65_535
Kind = Literal["TRA", "SEG", "RES"]
# Folder after the movie's number, name of the label images, and of the tracks' text.
PLACES: dict[Kind, tuple[str, str, str | None]] = {
    "TRA": ("_GT/TRA", "man_track", "man_track.txt"),
    "SEG": ("_GT/SEG", "man_seg", None),
    "RES": ("_RES", "mask", "res_track.txt"),
}


@dataclass(frozen=True, kw_only=True)
class CtcTrack:
    """One line of the text.

    Attributes
    ----------
    label : int
        L, 1 to 65,535.
    begin, end : int
        B and E, the first and last frame.
    parent : int
        P, the label of the track it goes on from, or 0.
    """

    label: int
    begin: int
    end: int
    parent: int = 0


@dataclass(frozen=True, kw_only=True)
class CtcClip(Clip):
    """A movie with its labels and tracks.

    Attributes
    ----------
    tracks : tuple of CtcTrack
        As in the text; empty for segmentations.
    """

    tracks: tuple[CtcTrack, ...]


def read_ctc(
    root: str | Path,
    movie: str = "01",
    *,
    kind: Kind = "TRA",
    join_gaps: bool = False,
) -> CtcClip:
    """Open a movie of the challenge, without reading its frames.

    Parameters
    ----------
    root : path
        The data set's folder, which holds ``01``, ``01_GT`` and so on.
    movie : str
        Which one.
    kind : {"TRA", "SEG", "RES"}
        Which labels: true tracks, true segmentations, or results.
    join_gaps : bool
        Whether a track that is its parent's only child and begins after a gap gets
        the parent's label: the cell was only away.

    Returns
    -------
    CtcClip
        Its frames are those of the images, or of the labels if there are none.

    Raises
    ------
    StackError
        When something is missing or the text cannot be understood.
    """
    place = Path(root).expanduser()
    suffix, stem, text = PLACES[kind]
    folder = place / f"{movie}{suffix}"
    masks = _numbered(folder, rf"{stem}_?(\d+)\.tif")
    if not masks:
        raise StackError(
            f"{folder} has no {stem}000.tif; give the folder that holds {movie} and "
            f"{movie}{suffix.split('/')[0]}, and the right movie."
        )
    images = _numbered(place / movie, r"t(\d+)\.tif")
    n_frames = max([*masks, *images]) + 1
    if images and set(images) != set(range(n_frames)):
        missing = min(set(range(n_frames)) - set(images))
        raise StackError(f"{place / movie} lacks frame {missing}; get it again.")
    tracks = () if text is None else read_tracks(folder / text)
    changed = _joined(tracks) if join_gaps else {}
    name = f"{place.name}-{movie}"
    files = [images[t] for t in sorted(images)]
    return CtcClip(
        name=name,
        image=folder_stack(files, name) if files else None,
        labels=LabelImages(masks, n_frames, lambda path: _read_mask(path, changed)),
        tracks=tracks,
    )


def read_tracks(path: str | Path) -> tuple[CtcTrack, ...]:
    """Read ``man_track.txt`` or ``res_track.txt``.

    Raises
    ------
    StackError
        When it is not there, or a line is not ``L B E P``.
    """
    place = Path(path)
    try:
        lines = place.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError) as error:
        raise StackError(
            f"{place} could not be read ({getattr(error, 'strerror', error)}); the "
            "label images need it beside them."
        ) from error
    tracks = []
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words:
            continue
        if len(words) != 4 or not all(word.isdecimal() for word in words):
            raise StackError(
                f"Line {number} of {place.name} is not 'label begin end parent': "
                f"{line.strip()[:40]!r}."
            )
        label, begin, end, parent = map(int, words)
        tracks.append(CtcTrack(label=label, begin=begin, end=end, parent=parent))
    return tuple(tracks)


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


def _joined(tracks: Iterable[CtcTrack]) -> dict[int, int]:
    """Say which labels become which, so that a cell is one object over its gaps."""
    known = {t.label: t for t in tracks}
    children: dict[int, list[int]] = {}
    for track in known.values():
        children.setdefault(track.parent, []).append(track.label)
    becomes: dict[int, int] = {}
    for label, track in sorted(known.items(), key=lambda item: item[1].begin):
        parent = known.get(track.parent)
        if parent is None or len(children[parent.label]) > 1:
            continue
        if track.begin > parent.end + 1:
            becomes[label] = becomes.get(track.parent, track.parent)
    return becomes


def _read_mask(path: Path, changed: Mapping[int, int]) -> NDArray[Any]:
    source = TiffSource(path)
    try:
        plane = source.read((slice(None),) * len(source.shape))
    finally:
        source.close()
    if plane.ndim != 2 or plane.dtype.kind not in "iu":
        raise StackError(
            f"{short_name(path)} is no label image of one plane; volumes over time "
            "are not read here."
        )
    if not changed:
        return plane
    ids, places = compact(plane)
    labels = np.array([changed.get(i, i) for i in ids.tolist()], plane.dtype)
    joined: NDArray[Any] = labels[places]
    return joined


def _numbered(folder: Path, pattern: str) -> dict[int, Path]:
    """Find files by the number in their name."""
    if not folder.is_dir():
        return {}
    found = {f: re.fullmatch(pattern, f.name) for f in folder.iterdir()}
    return {int(match[1]): file for file, match in found.items() if match}


def _write(path: Path, plane: NDArray[Any]) -> None:
    photometric = "rgb" if plane.ndim == 3 and plane.shape[2] == 3 else "minisblack"
    tifffile.imwrite(path, plane, photometric=photometric, compression="zlib")
