"""What the panel says: one sentence at a time, and what to do next."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from napari_sam2.tracking.results import Seen
    from napari_sam2.tracking.shelf import Earlier
    from napari_sam2.widgets.cells import Cells
    from napari_sam2.widgets.engine import Direction, Edit, FrameNews

logger = logging.getLogger(__name__)

NO_IMAGE = (
    "<b>Open an image first.</b> Drag a movie or a stack into the window, or take "
    "File > Open Sample > SAM 2."
)
LOADING = "Getting the model ready … you can click already."
BELONGS = "Next click:  +  belongs to the cell"
BELONGS_NOT = "Next click:  −  does not belong to it"
DEVICE = "Where the network computes; auto takes a GPU if it can"
COPIED = "Copied: paste it into napari's console."
CLICK = "<b>Click on a cell</b> in the picture."
FLAT_ONLY = (
    "<b>Switch to 2-D</b> to click on cells (the button with the cube, lower left)."
)
OUTSIDE = "That click lies beside the image; click on a cell inside it."
ANOTHER_LAYER = "To go on, press <b>Click</b>, and click on a cell."
ANOTHER_IMAGE = (
    "To work on the image that came, choose it under <b>Layer</b>; to go on with yours,"
    " press <b>Click</b>."
)
BAD_BOX = "That box holds no cell: press beside it, drag across it, let go."
BAD_SCRIBBLE = "That scribble lies beside the image; draw it along a cell inside it."
BAD_OUTLINE = "That outline holds no pixel of the image; draw it around a cell."
SCRIBBLE = "<b>Draw along the cell</b>: press, drag, let go. <b>Ctrl</b>: not this."
OUTLINE = "<b>Draw around the cell</b>: press, drag, let go. It is taken as it is."
NOTHING_PROMPTED = "There is nothing to follow yet: click on a cell first."
NO_FRAMES = (
    "No frame lies in that direction and range: change the range, or press Both."
)
UP_TO_DATE = (
    "Everything there is <b>up to date</b>. Click to correct a frame, or tick "
    "<b>Again</b> to do all of it once more."
)
RECOVERED = "Everything is as you left it. Click to correct, or follow."
NO_DOUBT = "No doubtful frame in that direction."
NO_UNDO = "There is nothing to take back."
NO_REDO = "There is nothing to do again."
NOT_FOUND_HERE = "Click on the cell in this frame first; then it can be locked."
NOT_FOUND_ANYWHERE = "This cell is in no frame yet: click on it first."
WRONG_AXES = (
    "Cells are clicked on pictures of the last two axes; press Ctrl+T or Ctrl+E until "
    "the layer's rows and columns are shown."
)
GO_ON = "Click to correct, <b>Shift + click</b> for the next cell, or follow."
PAINTED = "Your painting is taken as it is."
CUT = "What you drew around is taken away."
NOTHING_TO_CUT = (
    "There is nothing of this cell to take away here: draw around what belongs to it "
    "first."
)
OBSTACLES = (NO_IMAGE, LOADING, FLAT_ONLY, WRONG_AXES, ANOTHER_LAYER, ANOTHER_IMAGE)
OTHER_CONTRAST = (
    "You see another contrast than the model does: it goes on with the one in which "
    "the cells were begun."
)
NEW_CONTRAST = (
    "The model sees the new contrast. <b>Again</b> and Forward ▶ follow everything in "
    "it once more."
)
COLOUR_GONE = "A layer that was one of the colours is gone; the others stay."
STOPPING = "Stopping after this frame …"
LAYER_GONE = (
    "Stopped, because its Labels layer was removed. Click again to get it back."
)


SAVING = "Saving …"
LOOKING, NOTHING_RECENT = "Looking …", "Nothing yet"
LOOKING_FOR_IMAGE = "Opening the image of this session …"


def session_state(home: Path | None, unsaved: bool) -> str:
    """Say in a few words how the work is kept."""
    if home is None:
        return "kept, but under no name yet"
    name = session_name(home)
    return f"changes to {name}, not saved" if unsaved else f"saved as you go: {name}"


def session_name(path: Path) -> str:
    """Return what the user called a session."""
    return path.name.removesuffix(".sam2.zarr")


def saved(path: Path) -> str:
    """Say where a session is now."""
    return (
        f"<b>Saved</b> as {session_name(path)} in {path.parent}; what you do from now "
        "on is kept there."
    )


def unsaved(home: Path | None) -> str:
    """Say what is not saved."""
    if home is None:
        return "<b>Save what you did?</b> It has no name and place of its own yet."
    return f"<b>Save what you did since {session_name(home)} was saved?</b>"


def recent(found: Earlier) -> str:
    """Describe a session in a menu."""
    cells, frames = _counted(found.objects, "cell"), _counted(found.frames, "frame")
    when = time.strftime("%d %b %H:%M", time.localtime(found.when))
    name = f"{session_name(found.path)}: " if found.saved else ""
    return f"{name}{found.image}, {when}, {cells}, {frames} done"


def next_object(object_id: int) -> str:
    """Ask for the next cell."""
    return f"<b>Click on the next cell</b>; it will be cell {object_id}."


def found(news: FrameNews, object_id: int, *, n_frames: int) -> str:
    """Say what a click found."""
    new = news.objects.get(object_id)
    if new is None:
        return CLICK
    if not new.area:
        return (
            f"<b>Nothing found</b> for cell {object_id} here. Click nearer to its "
            "middle, or drag a box around it."
        )
    return (
        f"Cell {object_id}: {new.area} pixels. Wrong? Click what is missing, "
        "<b>Ctrl + click</b> what is too much. Right? "
        + to_go_on(news.frame_idx, n_frames)
    )


def to_go_on(frame_idx: int, n_frames: int) -> str:
    """Say what comes after a frame that is right: the side that has others."""
    if n_frames == 1:
        return "<b>Shift + click</b> the next."
    button = "◀ Back" if frame_idx == n_frames - 1 else "Forward ▶"
    return f"Press <b>{button}</b> to follow."


def nothing_beyond(
    direction: Direction, given: Collection[int], here: int, n_frames: int
) -> str | None:
    """Say that no frame lies beyond those that a user gave; None if some do."""
    if direction == "forward" and min(given) == n_frames - 1:
        side, end = "after", n_frames - 1
    elif direction == "backward" and max(given) == 0:
        side, end = "before", 0
    else:
        return None
    which = "this one" if here == end else f"frame {end}, where you clicked"
    return f"There is no frame {side} {which}."


def following(n_objects: int) -> str:
    """Say that frames are being filled."""
    what = "the cell" if n_objects == 1 else f"{n_objects} cells"
    return f"Following {what} … look around meanwhile; <b>Stop</b> keeps what is done."


def seen(what: Seen, object_id: int, *, whole: bool) -> str:
    """Say what the picture is that the model sees."""
    side, (height, width) = what.picture.shape[0], what.shape
    part = "the whole frame" if whole else f"the {height} × {width} around it"
    return (
        f"To find cell {object_id} the model sees <b>{side} × {side} pixels</b>, made "
        f"of {part}. Untick the box to see the image."
    )


def needed(estimate: str) -> str:
    """Say what a long run takes."""
    return f"{estimate}. Look around meanwhile; <b>Stop</b> keeps what is done."


def finished(n_frames: int, seconds: float, unread: int) -> str:
    """Say that the end was reached."""
    lost = f" {_counted(unread, 'frame')} could not be read." if unread else ""
    time_taken = f"{seconds:.0f} s" if seconds >= 1 else "less than a second"
    return (
        f"<b>Done:</b> {_counted(n_frames, 'frame')} in {time_taken}.{lost} Where it "
        "is wrong, go to the frame, click to correct it, and follow again from there."
    )


def doubtful(frame_idx: int, cells: Cells) -> str:
    """Say which cells to look at in a frame."""
    which = [i for i in cells.ids if cells[i].doubtful[frame_idx]]
    what = ", ".join(cells.title(i) for i in which)
    return (
        f"Frame {frame_idx}: look at <b>{what}</b>. Wrong? Click to correct. Right? "
        "Press <b>Enter</b>."
    )


def earlier(found: Earlier) -> str:
    """Offer an earlier session, on a button."""
    cells, frames = _counted(found.objects, "cell"), _counted(found.frames, "frame")
    when = time.strftime("%d %b %H:%M", time.localtime(found.when))
    return f"Go on from {when}: {cells}, {frames}"


def edited(edit: Edit, cells: Cells) -> str:
    """Say what an edit did."""
    cell = cells.title(edit.object_id)
    cell = f"{cell[0].upper()}{cell[1:]}"
    other = cells.title(edit.other)
    many = len(edit.frames) != 1
    first = edit.frames[0] if edit.frames else 0
    where = f"in {len(edit.frames)} frames" if many else f"in frame {first}"
    gone = "all frames"
    if cells.home:  # other volumes have sessions of their own
        gone += " of this volume, and of those where it was repeated"
    return {
        "absent": f"{cell} is <b>not there</b> {where}; following goes by it.",
        "lock": f"{cell} is <b>locked</b> {where}: it stays as it is, and following "
        "goes by it.",
        "unlock": f"{cell} is free again {where}.",
        "merge": f"It is one with {other} now.",
        "remove": f"Cell {edit.object_id} is gone from {gone}.",
        "rename": f"Cell {edit.object_id} is called {edit.name}."
        if edit.name
        else f"Cell {edit.object_id} has no name any more.",
        "split": f"{cell} ends before frame {first}; from there on it is a new cell.",
        "swap": f"{cell} and {other} have traded places from frame {first} on.",
    }[edit.verb] + " <b>Ctrl + Z</b> takes it back."


def turned(what: str, *, undo: bool) -> str:
    """Say what was taken back or done again."""
    return f"{'Taken back' if undo else 'Done again'}: {what}."


def stopped(frame_idx: int | None) -> str:
    """Say that the user stopped it."""
    where = "" if frame_idx is None else f" at frame {frame_idx}"
    return f"<b>Stopped</b>{where}; what is done stays. Correct it or follow again."


def taken(count: int, name: str, frame_idx: int) -> str:
    """Say that labels were taken over."""
    return f"{_counted(count, 'cell')} taken from {name!r} on frame {frame_idx}."


def missing_model(name: str, note: str) -> str:
    """Say that a model has to be fetched."""
    size = f" ({note})" if note else ""
    return f"{name}{size} is not on this machine yet: press <b>Download</b>."


def progress(done: int, total: int, seconds: float) -> str:
    """Say how far, how fast, how long still."""
    if not done or seconds <= 0:
        return f"0 / {total} frames"
    speed = done / seconds
    left = max(total - done, 0) / speed
    minutes, rest = divmod(round(left), 60)
    clock = f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
    return f"{done} / {total}   {speed:.1f} frames/s   {clock} left"


def sentence(error: Exception) -> str:
    """Return one clear sentence for an error; the log keeps the rest."""
    text = str(error).strip().split("\n")[0]
    kind = type(error).__name__
    if isinstance(error, MemoryError) or kind == "OutOfMemoryError":
        return (
            "There is not enough memory for this model; choose a smaller model, or the "
            "device cpu."
        )
    if isinstance(error, KeyError):
        text = text.strip("'\"")
    if text.endswith(".") and isinstance(
        error, ValueError | OSError | IndexError | KeyError
    ):
        return text
    logger.error("unexpected error in the worker", exc_info=error)
    return f"That failed ({kind}: {text or 'no reason given'}); see napari's log."


def computing(how: str) -> str:
    """Say where and how the network computes now."""
    return f"{DEVICE}.\nNow: {how}." if how else DEVICE


def _counted(number: int, what: str) -> str:
    """Return ``"1 frame"`` or ``"2 frames"``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
