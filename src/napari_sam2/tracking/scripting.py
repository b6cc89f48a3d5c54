"""What was done in a session as the lines of Python that do it again.

The journal is followed line by line, so edits, undo and runs that were stopped come out
as they were. Masks are no text: they go into a file beside, which the lines load.
"""

from __future__ import annotations

import contextlib
import re
import zipfile
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2.stacks.writing import written_beside
from napari_sam2.tracking.drawn_prompts import OutlinePrompt, ScribblePrompt
from napari_sam2.tracking.prompt_json import prompt_from_json
from napari_sam2.tracking.prompts import BoxPrompt, MaskPrompt, PointPrompt
from napari_sam2.tracking.saving import read_start
from napari_sam2.tracking.session_file import ENDING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sam2.tracking.prompts import Prompt

    Entry = Mapping[str, Any]

ARRAYS_ENDING = "-script.npz"
_ARRAY_NAME = re.compile(r"mask\d+|start_frames|start_planes")
_FRAMES = ("frame", "continue")
_DEFAULTS = {
    "retention": "recent",
    "max_conditioning": 8,
    "meta_behaviour": False,
    "non_overlapping_memory": False,
    "memory_selection": "default",
}


@dataclass(kw_only=True)
class Script:
    """Lines that do again what a journal says.

    Attributes
    ----------
    lines
        They need `session`, `stack`, and the `imports`.
    imports
        Lines to go before all others.
    arrays
        What `saved` has to hold, by name: see `write_arrays`.
    """

    lines: list[str] = field(default_factory=list)
    imports: list[str] = field(default_factory=list)
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)

    def need(self, line: str) -> None:
        """Import something, once."""
        if line not in self.imports:
            self.imports.append(line)

    def keep(self, name: str, array: NDArray[Any]) -> str:
        """Put an array into the file beside; return what gives it."""
        self.arrays[name] = array
        return f"saved[{name!r}]"


def changed_settings(settings: Mapping[str, Any], *, zoom: bool) -> str:
    """Return the arguments of `Session` that are not the defaults, as Python.

    Parameters
    ----------
    settings
        As a session's header has them.
    zoom
        What `zoom` is by default with its model.
    """
    usual = {**_DEFAULTS, "zoom": zoom}
    return "".join(
        f", {name}={value!r}"
        for name, value in settings.items()
        if usual.get(name) != value
    )


def write_script(entries: Sequence[Entry], folder: Path) -> Script:
    """Write what a journal says as Python.

    Parameters
    ----------
    entries
        The journal's lines, from the first on.
    folder
        The session's, for the labels it began with.
    """
    script = Script()
    objects = _Objects()
    for at, entry in enumerate(entries):
        what = entry["do"]
        if what == "propagate":
            _begin_run(script, entries, at, objects)
        elif what in _FRAMES:
            _go_on(script, entries, at)
        elif what == "start":
            _start(script, entry, folder)
        elif what == "prompt":
            _prompt(script, prompt_from_json(entry["prompt"]), entry)
        elif what not in ("plane", "done", "scores"):
            script.lines.append(_line(entry))
        objects.note(entry)
    return script


def arrays_path(folder: Path) -> Path:
    """Return where the masks of a session's script are kept: beside its folder."""
    return folder.with_name(f"{folder.name.removesuffix(ENDING)}{ARRAYS_ENDING}")


def write_arrays(script: Script, path: Path) -> None:
    """Write the masks that a script loads; without any, remove those of an earlier one.

    Raises
    ------
    ExportError
        If they cannot be written; an earlier file stays then.
    """
    if script.arrays:
        with written_beside(path) as part:
            np.savez_compressed(part, allow_pickle=False, **script.arrays)
    elif _holds_arrays(path):
        with contextlib.suppress(OSError):  # nobody reads it any more
            path.unlink()


def remove_orphans(folder: Path, before: float) -> None:
    """Remove the masks of scripts whose sessions have gone from a folder.

    Other files stay, whatever they are called, and so do those whose script may still
    be on somebody's clipboard.

    Parameters
    ----------
    folder
        Where sessions are kept.
    before
        Seconds since 1970: files written later stay.
    """
    for path in folder.glob(f"*{ARRAYS_ENDING}"):
        session = path.with_name(f"{path.name.removesuffix(ARRAYS_ENDING)}{ENDING}")
        with contextlib.suppress(OSError):  # it has gone, or another time
            old = path.stat().st_mtime < before
            if old and not session.exists() and _holds_arrays(path):
                path.unlink()


def _holds_arrays(path: Path) -> bool:
    """Whether a file holds what `write_arrays` writes, and nothing else."""
    try:
        with np.load(path) as held:
            names = list(held) if isinstance(held, np.lib.npyio.NpzFile) else []
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return False
    return bool(names) and all(_ARRAY_NAME.fullmatch(name) for name in names)


def frames_text(frames: Sequence[int]) -> str:
    """Return frames as short Python: one number, a range, or a list."""
    wanted = [int(t) for t in frames]
    if len(wanted) == 1:
        return str(wanted[0])
    return span_text(wanted)


def span_text(frames: Sequence[int]) -> str:
    """Return frames as a range where they are one, else as a list."""
    if len(frames) > 1 and all(b == a + 1 for a, b in pairwise(frames)):
        return repr(range(frames[0], frames[-1] + 1))
    return repr(list(frames))


def _line(entry: Entry) -> str:
    """Return the line that does one thing again.

    Raises
    ------
    ValueError
        If nothing is known of it.
    """
    what, first, second = entry["do"], entry.get("first"), entry.get("second")
    start = entry.get("start")
    if what == "preview":
        return f"session.preview({entry['frame']})"
    if what == "clear":
        return f"session.clear_prompts({entry['object']}, {entry['frame']})"
    if what == "remove":
        return f"session.remove_object({entry['object']})"
    if what == "name":
        return f"session.rename({entry['object']}, {entry['name']!r})"
    if what == "lock":
        masks = entry["masks"]
        frames = frames_text([mask["frame"] for mask in masks])
        return f"session.lock({masks[0]['object']}, {frames})"
    if what == "unlock":
        return f"session.unlock({entry['object']}, {frames_text(entry['frames'])})"
    if what in ("swap", "merge"):
        return f"session.{what}({first}, {second}, {start})"
    if what == "split":
        return f"session.split({first}, {start}, {second})"
    if what == "open":
        return "session.reopen()  # it was closed here, and opened again"
    if what in ("undo", "redo"):
        return f"session.{what}()"
    msg = f"nothing is known of {what!r}"
    raise ValueError(msg)


def _prompt(script: Script, prompt: Prompt, entry: Entry) -> None:
    object_id, frame = prompt.object_id, prompt.frame_idx
    again = ", replace=True" if entry.get("replace") else ""
    if isinstance(prompt, OutlinePrompt):
        text = f"session.{_outlines(object_id, frame, prompt)}"
    elif isinstance(prompt, ScribblePrompt) and not again:
        path, label = list(prompt.path), prompt.labels[0]
        text = f"session.add_scribble({object_id}, {frame}, {path}, {label})"
    elif isinstance(prompt, PointPrompt):
        points, labels = list(prompt.points), list(prompt.labels)
        text = f"session.add_points({object_id}, {frame}, {points}, {labels}{again})"
    elif isinstance(prompt, BoxPrompt) and again:
        script.need("from napari_sam2.tracking.prompts import BoxPrompt")
        text = f"session.add_prompt({prompt!r}{again})"
    elif isinstance(prompt, BoxPrompt):
        text = f"session.add_box({object_id}, {frame}, {prompt.box})"
    else:
        script.need("import numpy as np")
        text = f"session.add_mask({object_id}, {frame}, {_mask(script, prompt)}"
    script.lines.append(text)


def _outlines(object_id: int, frame: int, prompt: OutlinePrompt) -> str:
    if len(prompt.outlines) == 1:
        (one,) = prompt.outlines
        return f"add_{one.kind}({object_id}, {frame}, {list(one.vertices)})"
    lines = [(o.kind, list(o.vertices), o.label) for o in prompt.outlines]
    return f"add_outlines({object_id}, {frame}, {lines})"


def _mask(script: Script, prompt: MaskPrompt) -> str:
    mask = prompt.mask
    if not mask.any():
        return "np.zeros(stack.shape[1:], bool))  # it is not there"
    name = f"mask{sum(key.startswith('mask') for key in script.arrays)}"
    return f"{script.keep(name, mask)})"


def _start(script: Script, entry: Entry, folder: Path) -> None:
    if not entry["frames"]:
        return
    planes = np.stack([plane for _, plane in read_start(folder, entry["frames"])])
    frames = script.keep("start_frames", np.array(entry["frames"], np.int64))
    kept = script.keep("start_planes", planes)
    script.lines.append(f"session.begin_with(zip({frames}, {kept}, strict=True))")


def _begin_run(
    script: Script, entries: Sequence[Entry], at: int, objects: _Objects
) -> None:
    """Write a propagation: whole, or as far as it went before it was stopped."""
    entry = entries[at]
    call = repr(entry["direction"])
    if entry["frames"] is not None:
        call += f", frames={span_text(entry['frames'])}"
    if not objects.are_all(entry["objects"]):
        call += f", object_ids={entry['objects']!r}"
    if entry["everything"]:
        call += ", everything=True"
    if _stretch(entries, at + 1).whole:
        script.lines.append(f"for result in session.propagate({call}):")
        script.lines.append("    print(result.frame_idx)")
    else:
        script.lines.append(f"run = session.propagate({call})")


def _go_on(script: Script, entries: Sequence[Entry], at: int) -> None:
    """Write the frames a run went on for, once for each stretch without a break."""
    before = entries[at - 1]["do"] if at else ""
    if before in _FRAMES:
        return
    stretch = _stretch(entries, at)
    if stretch.whole and before == "propagate":
        return  # all of it was written there
    script.need("from itertools import islice")
    script.lines.append(f"for result in islice(run, {stretch.frames}):")
    script.lines.append("    print(result.frame_idx)")
    later = (entry["do"] for entry in entries[stretch.end :])
    if next((do for do in later if do in (*_FRAMES, "propagate")), "") not in _FRAMES:
        script.lines.append("run.close()  # here it was stopped")


@dataclass(frozen=True, kw_only=True)
class _Stretch:
    """Frames of a run without a break: how many, where it ends, and if for good."""

    frames: int
    end: int
    whole: bool


def _stretch(entries: Sequence[Entry], at: int) -> _Stretch:
    end = at
    while end < len(entries) and entries[end]["do"] in _FRAMES:
        end += 1
    return _Stretch(
        frames=sum(entry["do"] == "frame" for entry in entries[at:end]),
        end=end,
        whole=end < len(entries) and entries[end]["do"] == "done",
    )


class _Objects:
    """Which objects there are, as far as that is plain from the journal."""

    def __init__(self) -> None:
        self._known: set[int] = set()
        self._plain = True

    def note(self, entry: Entry) -> None:
        what = entry["do"]
        if what == "prompt":
            self._known.add(entry["prompt"]["object"])
        elif what == "split":
            self._known.add(entry["second"])
        elif what == "remove":
            self._known.discard(entry["object"])
        elif what in ("undo", "redo", "clear", "merge", "unlock", "lock"):
            self._plain = False

    def are_all(self, object_ids: Sequence[int]) -> bool:
        return self._plain and self._known == set(object_ids)
