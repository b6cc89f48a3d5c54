"""What the user did, each a stretch of a session's steps: one Undo takes one back."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from napari_sam2.tracking import Session
    from napari_sam2.widgets.frame_prompts import FramePrompts, PromptKey

    Prompts = Mapping[PromptKey, FramePrompts]


class Turn(Protocol):
    """Takes something back, or does it again."""

    def __call__(self, *, undo: bool) -> str | None:
        """Do so; return what it was, in words."""


@dataclass(frozen=True, kw_only=True)
class Deed:
    """One thing the user did.

    Attributes
    ----------
    before, after : int
        Where the session stood, see `Session.position`.
    prompts : mapping or None
        The clicks and drawings of before, if the deed changed those.
    outside : sequence of callable
        Each takes back (``undo=True``) or does again what was done of it outside the
        session; says what it was.
    """

    before: int
    after: int
    prompts: Prompts | None = None
    outside: Sequence[Turn] = ()


class Deeds:
    """The deeds of one session, done and taken back."""

    def __init__(self) -> None:
        self._done: list[Deed] = []
        self._undone: list[Deed] = []
        self._removed = False

    @contextlib.contextmanager
    def one(
        self, session: Session, prompts: Prompts | None = None
    ) -> Generator[list[Turn], None, None]:
        """Take all steps within for one deed, even if it fails in the middle.

        Yields a list, for what is done outside the session.
        """
        before, outside = session.position, list[Turn]()
        try:
            yield outside
        finally:
            after = session.position
            if after > before or outside:
                self._done.append(
                    Deed(before=before, after=after, prompts=prompts, outside=outside)
                )
                self._undone.clear()
                self._removed = False

    def leads_back_to(self, session: Session, prompts: Prompts) -> bool:
        """Whether to undo is what it takes to have these clicks and drawings again."""
        last = self._done[-1] if self._done else None
        return (
            last is not None
            and last.after == session.position
            and last.prompts == prompts
        )

    def take_back(self, session: Session) -> bool:
        """Take the latest deed back because the user removed what it had given.

        To take that removal back is to have the deed again. Returns whether the deed
        was known.
        """
        self._removed = self._turn(session, undo=True) is not None
        return self._removed

    def turn(self, session: Session, *, undo: bool) -> str | None:
        """Take the latest deed back, or the latest one taken back forth again.

        Returns
        -------
        str or None
            Its last step in words; None if there is no deed, or its first steps are
            too long ago to be known.
        """
        removed, self._removed = self._removed, False
        if undo and removed:
            name = self._turn(session, undo=False)
            return None if name is None else f"removal of {name}"
        return self._turn(session, undo=undo)

    def _turn(self, session: Session, *, undo: bool) -> str | None:
        source, other = (self._done, self._undone)[:: 1 if undo else -1]
        if not source:
            return None
        deed = source[-1]
        goal = deed.before if undo else deed.after
        known = len(session.undoable if undo else session.redoable)
        steps = abs(session.position - goal)
        if session.position != (deed.after if undo else deed.before) or steps > known:
            source.clear()
            return None
        name = None
        for turn in deed.outside:
            name = turn(undo=undo)
        for _ in range(steps):
            name = session.undo() if undo else session.redo()
        other.append(source.pop())
        return name
