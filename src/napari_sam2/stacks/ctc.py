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
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_sam2.stacks.clips import Clip, FrameLabels, LabelImages, folder_stack
from napari_sam2.stacks.errors import StackError
from napari_sam2.stacks.labelled import compact
from napari_sam2.stacks.source import short_name
from napari_sam2.stacks.tiff_source import TiffSource

__all__ = [
    "CtcClip",
    "CtcTrack",
    "ctc_movies",
    "read_ctc",
    "read_tracks",
]

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
    outlines : LabelImages or None
        Beside true tracks, whose labels may be no more than markers: the true
        segmentations, if there are any, under labels of their own.
    """

    tracks: tuple[CtcTrack, ...]
    outlines: LabelImages | None = None

    @property
    def parents(self) -> dict[int, int]:
        """By label, the label it descends from."""
        return {t.label: t.parent for t in self.tracks if t.parent}

    @property
    def outlined(self) -> FrameLabels:
        """The true segmentations under the labels of their tracks.

        Raises
        ------
        StackError
            When there are none.
        """
        if self.outlines is None:
            raise StackError(
                f"{self.name} has markers of its tracks and no segmentations (SEG), so "
                "where cells end is not known; give data that has them."
            )
        return _Outlined(self.outlines, self.labels)


class _Outlined(FrameLabels):
    """Segmentations called as the markers in them; those without one are left out."""

    def __init__(self, outlines: LabelImages, markers: FrameLabels) -> None:
        self._outlines, self._markers = outlines, markers
        self.shape, self.dtype = outlines.shape, markers.dtype

    @property
    def annotated(self) -> tuple[int, ...]:
        """Frames that have a segmentation."""
        return self._outlines.annotated

    def plane(self, frame_idx: int) -> NDArray[Any]:
        """Read one frame, (Y, X)."""
        ids, places = compact(self._outlines.plane(frame_idx))
        labels = np.zeros(len(ids), self.dtype)
        if frame_idx in self.annotated:
            markers = self._markers.plane(frame_idx)
            for label in np.unique(markers[markers > 0]):
                # A marker that touches several is in the one it shares most with.
                labels[np.bincount(places[markers == label]).argmax()] = label
            labels[0] = 0
        plane: NDArray[Any] = labels[places]
        return plane


def ctc_movies(root: str | Path) -> list[str]:
    """Name the movies of a data set that have true tracks, in order.

    Parameters
    ----------
    root : path
        The folder that holds ``01``, ``01_GT`` and so on.

    Returns
    -------
    list of str
        Empty if `root` is no such folder.
    """
    place = Path(root).expanduser()
    suffix, _, text = PLACES["TRA"]
    return sorted(
        f.name
        for f in place.glob("[0-9][0-9]")
        if f.is_dir() and (place / f"{f.name}{suffix}" / str(text)).is_file()
    )


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
    suffix, stem, _ = PLACES["SEG"]
    outlines = _numbered(place / f"{movie}{suffix}", rf"{stem}_?(\d+)\.tif")
    name = f"{place.name}-{movie}"
    files = [images[t] for t in sorted(images)]
    return CtcClip(
        name=name,
        image=folder_stack(files, name) if files else None,
        labels=LabelImages(masks, n_frames, lambda path: _read_mask(path, changed)),
        tracks=tracks,
        outlines=(
            LabelImages(outlines, n_frames, lambda path: _read_mask(path, {}))
            if kind == "TRA" and outlines
            else None
        ),
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
