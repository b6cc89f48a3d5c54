"""Masklets as the SA-V data set has them: one JSON file a video, COCO RLE a mask.

Source: the README and the example of ``sav_dataset`` in SAM 2's repository.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2.stacks.clips import Clip, FrameLabels, folder_stack
from napari_sam2.stacks.errors import StackError
from napari_sam2.stacks.files import FRAME_ENDINGS, FolderSource, image_files
from napari_sam2.stacks.labelled import LabelledStack, Track, find_tracks
from napari_sam2.stacks.pairs import open_fitting, shared_name
from napari_sam2.stacks.rle import decode_rle, encode_plane
from napari_sam2.stacks.stack import Stack
from napari_sam2.stacks.writing import Progress, written_beside
from napari_sam2.stacks.zarr_source import looks_like_zarr

__all__ = ["SavLabels", "find_sav", "read_sav", "read_sav_clip", "write_sav"]

KINDS = r"_(?:manual|auto)$"  # by hand, or by a model
VIDEOS = (".mp4", ".mov", ".avi", ".mkv", ".webm")

# Units of time in seconds, by the names that stacks use.
SECONDS = {
    "millisecond": 0.001,
    "second": 1.0,
    "minute": 60.0,
    "hour": 3600.0,
    "day": 86400.0,
}


class SavLabels(FrameLabels):
    """Labels in an SA-V file; a frame is decoded when it is asked for.

    Made by `read_sav`.

    Parameters
    ----------
    video : dict
        What the file says.
    name : str
        For messages.

    Attributes
    ----------
    video_id : str
        The video's name.
    object_ids : tuple of int
        Ids in the labels, in the file's order: its masklet ids, all one higher if
        there is a masklet 0.
    frame_step : int
        Frame ``t`` here is frame ``t * frame_step`` of the video: SA-V annotates 6
        of its 24 frames a second.
    shape : (T, Y, X)
        T annotated frames.
    dtype : dtype
        uint16, or uint32 for high ids.
    """

    def __init__(self, video: dict[str, Any], name: str) -> None:
        try:
            self._frames: list[list[Any]] = video["masklet"]
            n_video = int(video.get("video_frame_count") or len(self._frames))
            height, width = int(video["video_height"]), int(video["video_width"])
            ids = [int(i) for i in video["masklet_id"]]
        except (KeyError, TypeError, ValueError) as error:
            raise StackError(
                f"{name} is not an SA-V annotation: {error} is missing or of another "
                "kind; give VIDEO_manual.json or VIDEO_auto.json."
            ) from error
        if not self._frames or any(len(f) != len(ids) for f in self._frames):
            raise StackError(
                f"{name} does not give each of its {len(ids)} masklets in each of its "
                f"{len(self._frames)} frames; the file is damaged, get it again."
            )
        if len(set(ids)) != len(ids) or min(ids, default=0) < 0:
            raise StackError(f"{name} has masklet ids {ids}; give each its own.")
        self._name = name
        self.video_id = str(video.get("video_id", name))
        self.object_ids = tuple(i + (0 in ids) for i in ids)
        self.frame_step = max(1, round(n_video / len(self._frames)))
        self.shape = (len(self._frames), height, width)
        self.dtype = np.dtype(
            np.uint16 if max(self.object_ids, default=0) < 2**16 else np.uint32
        )

    def masks(self, frame_idx: int) -> NDArray[np.bool_]:
        """Decode a frame's masks.

        Parameters
        ----------
        frame_idx : int
            0 to T - 1.

        Returns
        -------
        ndarray of bool
            (O, Y, X), in the order of `object_ids`; masks may overlap.

        Raises
        ------
        StackError
            When a mask is damaged or of another size.
        """
        masks = np.zeros((len(self.object_ids), *self.shape[1:]), bool)
        for mask, rle in zip(masks, self._frames[frame_idx], strict=True):
            if rle is None:
                continue
            decoded = decode_rle(rle)
            if decoded.shape != mask.shape:
                raise StackError(
                    f"{self._name} has a mask of {decoded.shape} pixels in frame "
                    f"{frame_idx} of a video of {mask.shape}; get the file again."
                )
            mask[:] = decoded
        return masks

    def plane(self, frame_idx: int) -> NDArray[Any]:
        """Draw a frame's masks, the largest first, so that parts stay visible.

        Returns
        -------
        ndarray of int
            (Y, X).
        """
        masks = self.masks(frame_idx)
        plane = np.zeros(self.shape[1:], self.dtype)
        for which in np.argsort(-masks.sum(axis=(1, 2)), kind="stable"):
            plane[masks[which]] = self.object_ids[which]
        return plane


def read_sav(path: str | Path) -> SavLabels:
    """Read the masklets of a video.

    Parameters
    ----------
    path : path
        ``VIDEO_manual.json`` or ``VIDEO_auto.json``.

    Returns
    -------
    SavLabels
        Nothing is decoded yet.

    Raises
    ------
    StackError
        When it is no such file.
    """
    place = Path(path).expanduser()
    try:
        video = json.loads(place.read_bytes())
    except OSError as error:
        raise StackError(
            f"{place} could not be opened ({error.strerror or error}); check the path."
        ) from error
    except ValueError as error:
        raise StackError(
            f"{place.name} is not a whole JSON file; get it again."
        ) from error
    if not isinstance(video, dict):
        raise StackError(f"{place.name} is not an SA-V annotation of one video.")
    return SavLabels(video, place.name)


def find_sav(folder: str | Path) -> dict[str, tuple[Path, Path]]:
    """Find annotations that have their video beside them.

    Parameters
    ----------
    folder : path
        A folder with ``VIDEO_manual.json`` (or ``VIDEO_auto.json``, if there is no
        other, or ``VIDEO.json``), and the frames in a folder ``VIDEO`` or ``frames``,
        or in one file such as ``VIDEO.tif`` or ``VIDEO_image.tif``.

    Returns
    -------
    dict of str to (Path, Path)
        By the video's name, its annotation and its frames.
    """
    found: dict[str, tuple[Path, Path]] = {}
    place = Path(folder).expanduser()
    entries = sorted(f for f in place.iterdir() if not f.name.startswith("."))
    # Those by hand come last and win.
    for file in (f for f in entries if f.suffix.lower() == ".json" and f.is_file()):
        name = re.sub(KINDS, "", shared_name(file))
        named = (f for f in entries if shared_name(f) == name and _is_video(f))
        video = next(named, place / "frames")
        if video.exists() and b'"masklet_id"' in file.read_bytes():
            found[name] = file, video
    return found


def read_sav_clip(path: str | Path, video: str | Path) -> Clip:
    """Open a video with its masklets, without reading its frames.

    Parameters
    ----------
    path : path
        The annotation.
    video : path
        A folder of frames, all of them or those that are annotated; or one file of
        the annotated ones.

    Raises
    ------
    StackError
        When one cannot be read, or they do not go together.
    """
    labels, place = read_sav(path), Path(video).expanduser()
    if place.suffix.lower() in VIDEOS:
        raise StackError(
            f"Frames of videos such as {place.name} are not read here; unpack them "
            f"into a folder {place.stem} beside it (ffmpeg -i {place.name} "
            f"{place.stem}/%05d.jpg)."
        )
    name = shared_name(place)
    if not place.is_dir() or not (files := image_files(place)):
        return Clip(name=name, image=open_fitting(place, labels.shape), labels=labels)
    if len(files) == labels.shape[0]:
        return Clip(name=name, image=folder_stack(files, name), labels=labels)
    annotated = files[:: labels.frame_step]
    if len(annotated) != labels.shape[0]:
        raise StackError(
            f"{place} has {len(files)} frames, but {Path(path).name} annotates "
            f"{labels.shape[0]}, one in {labels.frame_step}; unpack the video again."
        )
    return Clip(name=name, image=Stack(FolderSource(annotated, name)), labels=labels)


def _is_video(path: Path) -> bool:
    if path.is_dir():
        return bool(image_files(path)) or looks_like_zarr(path)
    return path.suffix.lower() in (*FRAME_ENDINGS, ".npy", *VIDEOS)


def write_sav(
    stack: LabelledStack, path: str | Path, *, video_id: str = ""
) -> Progress:
    """Write masklets as SA-V's files have them, a frame a step, in two passes.

    What labels cannot say (environment, split, edited frames, stability) is null.

    Parameters
    ----------
    stack : LabelledStack
        Labels; no image is needed.
    path : path
        ``.json``; replaced at the end.
    video_id : str
        The video's name; the file's by default.

    Yields
    ------
    (int, int)
        Steps done, and of how many.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    StackError
        When there is no object.
    ExportError
        When writing fails; what was there is untouched.
    """
    place = Path(path).expanduser()
    n_frames = stack.n_frames
    with written_beside(place) as unfinished:
        tracks = yield from find_tracks(stack, of=2 * n_frames)
        if not tracks:
            raise StackError("These labels hold no object, so there is no masklet.")
        areas = np.zeros((n_frames, len(tracks)), np.int64)
        with unfinished.open("w", encoding="ascii") as file:
            head = json.dumps(_video_fields(stack, video_id or place.stem))
            file.write(f'{head[:-1]}, "masklet": [')
            for index in range(n_frames):
                plane = stack.plane(index)
                masks = encode_plane(plane, list(tracks))
                file.write(f"{', ' if index else ''}{json.dumps(masks)}")
                areas[index] = _areas(plane, list(tracks))
                yield n_frames + index + 1, 2 * n_frames
            tail = json.dumps(_masklet_fields(stack, tracks, areas))
            file.write(f"], {tail[1:]}")
    return place


def _areas(plane: NDArray[Any], object_ids: Sequence[int]) -> list[int]:
    found, counts = np.unique(plane, return_counts=True)
    area = dict(zip(found.tolist(), counts.tolist(), strict=True))
    return [area.get(i, 0) for i in object_ids]


def _video_fields(stack: LabelledStack, video_id: str) -> dict[str, Any]:
    step = SECONDS.get(stack.units[0])
    n_frames, height, width = (float(n) for n in stack.shape)
    return {
        "video_id": video_id,
        "video_duration": None if step is None else n_frames * stack.scale[0] * step,
        "video_frame_count": n_frames,
        "video_height": height,
        "video_width": width,
        "video_resolution": height * width,
        "video_environment": None,
        "video_split": None,
    }


def _masklet_fields(
    stack: LabelledStack, tracks: dict[int, Track], areas: NDArray[np.int64]
) -> dict[str, Any]:
    visible = areas > 0  # (T, O)
    sizes = [float(a[v].mean()) for a, v in zip(areas.T, visible.T, strict=True)]
    n_objects = len(tracks)
    return {
        "masklet_id": list(tracks),
        "masklet_size_rel": [s / (stack.height * stack.width) for s in sizes],
        "masklet_size_abs": sizes,
        "masklet_size_bucket": [_bucket(s) for s in sizes],
        "masklet_visibility_changes": [
            int((v[t.frames[0] + 1 :] != v[t.frames[0] : -1]).sum())
            for v, t in zip(visible.T, tracks.values(), strict=True)
        ],
        "masklet_first_appeared_frame": [float(t.frames[0]) for t in tracks.values()],
        "masklet_frame_count": [stack.n_frames] * n_objects,
        "masklet_edited_frame_count": [None] * n_objects,
        "masklet_type": ["manual"] * n_objects,
        "masklet_stability_score": [None] * n_objects,
        "masklet_num": n_objects,
    }


def _bucket(size: float) -> str:
    return "small" if size < 32**2 else "medium" if size < 96**2 else "large"
