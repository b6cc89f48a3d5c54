"""Where pixels come from and labels go.

Any array or file is brought to frames along one axis, read one at a time with
faithful intensity; labels are kept and written one frame at a time.
"""

from napari_sam2.stacks.errors import ExportError, FrameReadError, StackError
from napari_sam2.stacks.exports import save_labels
from napari_sam2.stacks.labels_store import LabelsStore, open_labels_store
from napari_sam2.stacks.stack import Stack, open_stack

__all__ = [
    "ExportError",
    "FrameReadError",
    "LabelsStore",
    "Stack",
    "StackError",
    "open_labels_store",
    "open_stack",
    "save_labels",
]
