"""Promptable segmentation of movies: prompts, memory bank, session."""

from napari_sam2.tracking.prompts import PromptError
from napari_sam2.tracking.results import FrameResult, ObjectScore
from napari_sam2.tracking.session import Session
from napari_sam2.tracking.session_file import SessionFileError

__all__ = ["FrameResult", "ObjectScore", "PromptError", "Session", "SessionFileError"]
