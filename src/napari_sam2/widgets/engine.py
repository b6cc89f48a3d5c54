"""What runs in the worker thread: the model, the session, and nothing of Qt.

Every call brings the whole request (model, stack, prompts), and the engine redoes only
what differs from the last one; so a request that was dropped for a newer one is never
missed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from napari_sam2.tracking.results import Seen
    from napari_sam2.tracking.review import ObjectReview
    from napari_sam2.tracking.shelf import Earlier
    from napari_sam2.widgets.frame_prompts import FramePrompts, PromptKey
    from napari_sam2.widgets.kept_sessions import Recovered, Saved, SessionScript
    from napari_sam2.widgets.target import Target

Direction = Literal["forward", "backward", "both"]


@dataclass(frozen=True, kw_only=True)
class ModelChoice:
    """Which network, and where it computes.

    Attributes
    ----------
    name : str
        ``"nano"``, an official name, or a file.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``, …
    precision : str
        ``"full"`` is float32, ``"half"`` bfloat16, ``"auto"`` what is fastest.
    version : int
        Another one when the file of that name was replaced.
    image_size : int or None
        Side that pictures are resized to, px; None for what it was trained with.
    recent_memories : int or None
        How many recent frames each frame attends to; None for all.
    """

    name: str = "nano"
    device: str = "auto"
    precision: str = "auto"
    version: int = 0
    image_size: int | None = None
    recent_memories: int | None = None


@dataclass(frozen=True, kw_only=True)
class Request:
    """Everything an answer depends on."""

    model: ModelChoice
    target: Target
    prompts: Mapping[PromptKey, FramePrompts] = field(default_factory=dict)


SIDES = (1024, 768, 512)
"""Sides of the picture that official models can work on, px; the first is theirs."""


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """A model known by name, as the panel offers it.

    Attributes
    ----------
    name : str
        What `ModelChoice` takes.
    here : bool
        Whether its file is on this machine.
    note : str
        Size or origin, for people.
    tip : str
        More about it, shown where the mouse rests.
    version : int
        As `ModelChoice` has it.
    sizes : tuple of int
        Sides of the picture to choose from, px, the one it was trained with first.
    """

    name: str
    here: bool
    note: str = ""
    tip: str = ""
    version: int = 0
    sizes: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """What this machine offers."""

    models: tuple[ModelInfo, ...]
    devices: tuple[str, ...]


FLAG_WORDS = {
    1: "jumps",
    2: "swells or shrinks",
    4: "vanishes",
    8: "lies where another is",
}
"""What `ObjectNews.flags` say, by bit."""


@dataclass(frozen=True, kw_only=True)
class ObjectNews:
    """What was found of one object in one frame.

    Attributes
    ----------
    confidence : float
        How sure one can be of its mask, or that the object is not there, 0 to 1.
    area : int
        Pixels; 0 where the object is not in the frame.
    flags : int
        Bits of `FLAG_WORDS`.
    """

    confidence: float
    area: int
    flags: int = 0


@dataclass(frozen=True, kw_only=True)
class FrameNews:
    """One frame was written into the labels, or why it could not be."""

    frame_idx: int
    objects: Mapping[int, ObjectNews]
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class Repeat:
    """What to do at all positions of a further axis.

    Attributes
    ----------
    over : str
        Letter of the axis, of `Target.axes`.
    direction, frames
        As in `Engine.propagate`.
    """

    over: str
    direction: Direction = "both"
    frames: range | None = None


@dataclass(frozen=True, kw_only=True)
class PlaneNews:
    """One plane of a repetition was written into the labels.

    Attributes
    ----------
    place : tuple of int
        Where in the image: an index for each axis but Y and X.
    objects : mapping of int to ObjectNews
        What was found there.
    again : bool
        Whether it was written in this part of the repetition before.
    error : str or None
        Why it could not be done.
    """

    place: tuple[int, ...]
    objects: Mapping[int, ObjectNews] = field(default_factory=dict)
    again: bool = False
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class Painted:
    """What is known of a frame that the user painted in.

    Attributes
    ----------
    selected : int
        The label that was painted with.
    areas : mapping of int to int
        Pixels of each object before, where known; others were not painted on.
    """

    selected: int
    areas: Mapping[int, int]


@dataclass(frozen=True, kw_only=True, eq=False)
class Standing:
    """How everything stands, after something was done or taken back.

    Attributes
    ----------
    what : str
        What was done, in words.
    prompts : mapping of (object_id, frame_idx) to FramePrompts
        All clicks and drawings.
    masks : tuple of (object_id, frame_idx)
        All painted or taken masks.
    objects : mapping of int to ObjectReview
        What is known of each object.
    names : mapping of int to str
        The names that objects were given.
    """

    what: str
    prompts: Mapping[PromptKey, FramePrompts]
    masks: tuple[PromptKey, ...]
    objects: Mapping[int, ObjectReview]
    names: Mapping[int, str]


Verb = Literal["absent", "lock", "merge", "remove", "rename", "split", "swap", "unlock"]


@dataclass(frozen=True, kw_only=True)
class Edit:
    """Something done to an object as a whole, or to its mask in some frames.

    Attributes
    ----------
    verb : str
        "absent": it is not in `frames`; "lock" and "unlock" it there; "remove" it;
        "rename" it; from the first of `frames` on "swap" it with `other`, "merge" it
        into `other`, "split" off a new one.
    object_id, other : int
        Which.
    frames : tuple of int
        Where.
    name : str
        To be called.
    """

    verb: Verb
    object_id: int
    other: int = 0
    frames: tuple[int, ...] = ()
    name: str = ""


class Engine(Protocol):
    """The panel's view of the work. Called from the worker thread only.

    Attributes
    ----------
    computes : str
        Where and how the open session computes, in a few words; read by anyone.
    """

    computes: str

    def catalogue(self) -> Catalogue:
        """Find out which models and devices are here."""

    def download(
        self, name: str, report: Callable[[int, int | None], None]
    ) -> ModelInfo:
        """Fetch the model called `name`, reporting bytes done and in all."""

    def open(self, request: Request, frame_idx: int) -> Any:
        """Get ready to answer on a frame; return the labels, shaped like the image."""

    def preview(self, request: Request, frame_idx: int) -> FrameNews:
        """Segment one frame from its prompts."""

    def suppose(
        self,
        request: Request,
        object_id: int,
        frame_idx: int,
        point: tuple[float, float],
        label: int,
        *,
        afresh: bool,
    ) -> list[NDArray[np.float64]] | None:
        """Say what a click would give, as lines (N, 2) around it; remember nothing.

        None where that would take more than a moment: on a frame that was not looked
        at yet (unless `afresh`), or with anything in the request that is news.
        """

    def frames_to_do(
        self,
        request: Request,
        direction: Direction,
        frames: range | None,
        *,
        everything: bool,
    ) -> int:
        """Return how many frames `propagate` would go through."""

    def estimate(
        self,
        request: Request,
        direction: Direction,
        frames: range | None,
        *,
        everything: bool,
    ) -> str:
        """Say what `propagate` needs: memory, disk, time."""

    def propagate(
        self,
        request: Request,
        direction: Direction,
        frames: range | None,
        *,
        everything: bool,
    ) -> Generator[FrameNews, None, None]:
        """Follow all objects, frame by frame, where they are not up to date."""

    def finish_ahead(self) -> None:
        """Wait until nothing is computed beside; between two frames of a run."""

    def planes_to_repeat(
        self, request: Request, repeat: Repeat, *, everything: bool
    ) -> int:
        """Return how many planes `repeat` would go through."""

    def repeat(
        self, request: Request, repeat: Repeat, *, everything: bool
    ) -> Generator[PlaneNews, None, None]:
        """Do what was done in a stack at all positions of a further axis."""

    def repeated(
        self, request: Request, index: tuple[int, ...]
    ) -> Mapping[int, ObjectReview] | None:
        """Say what a repetition knows of the volume at an index of the image.

        None where it was not repeated; nothing is opened or told for it.
        """

    def review(
        self, request: Request, object_ids: Collection[int]
    ) -> Mapping[int, ObjectReview]:
        """Say what is known of some objects, those that there are, in all frames."""

    def turn(self, request: Request, *, undo: bool) -> Standing | None:
        """Take back what was done last, or do it again; None if there is nothing."""

    def edit(self, request: Request, edit: Edit) -> Standing:
        """Do something to an object."""

    def earlier(self, request: Request) -> Earlier | None:
        """Find the newest session that was made on this image before."""

    def recover(self, request: Request, earlier: Earlier) -> Recovered:
        """Go on with an earlier session."""

    def save(self, request: Request, path: Path, *, replace: bool) -> Path:
        """Go on in a folder of the user's; return it with its ending."""

    def discard(self) -> None:
        """Throw the present session away, unless it was saved under a name."""

    def look_at(self, path: Path) -> Saved:
        """Say what a session was made on and with."""

    def script(self, request: Request) -> SessionScript:
        """Write all that was done in the session as Python."""

    def take_masks(
        self,
        request: Request,
        frame_idx: int,
        plane: Callable[[], Any],
        painted: Painted | None = None,
    ) -> tuple[int, ...]:
        """Take objects of a label plane (Y, X) as prompts; return their ids."""

    def seen(self, request: Request, frame_idx: int, object_id: int) -> Seen:
        """Return what goes into the network for an object in a frame."""

    def forget(self, target: Target) -> None:
        """Let go of an image that has left the viewer."""

    def close(self) -> None:
        """Give back memory and files."""
