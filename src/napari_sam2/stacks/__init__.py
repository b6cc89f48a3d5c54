"""Where pixels come from and labels go.

Any array or file is brought to frames along one axis, read one at a time with
faithful intensity; labels are kept and written one frame at a time.
"""

from napari_sam2.stacks.errors import ExportError, FrameReadError, StackError
from napari_sam2.stacks.export_kinds import EXPORTS, export
from napari_sam2.stacks.exports import save_labels
from napari_sam2.stacks.labels_store import LabelsStore, open_labels_store
from napari_sam2.stacks.stack import Stack, open_stack
from napari_sam2.stacks.writing import finish

__all__ = [
    "EXPORTS",
    "ExportError",
    "FrameReadError",
    "LabelsStore",
    "Stack",
    "StackError",
    "export",
    "finish",
    "open_labels_store",
    "open_stack",
    "save_labels",
]
