"""What can go wrong between a file and a frame, each said in one sentence."""

__all__ = ["ExportError", "FrameReadError", "StackError"]


class StackError(ValueError):
    """The input cannot be followed as it is; the message says what to change."""


class FrameReadError(StackError):
    """One frame of an otherwise open stack cannot be read."""


class ExportError(StackError):
    """Labels could not be written; what was at the destination is untouched."""
