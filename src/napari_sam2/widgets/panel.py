"""What the panel looks like: plain Qt widgets in the order of the work, no behaviour.

Every part is an attribute that `TrackWidget` connects to.
"""

from __future__ import annotations

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QFormLayout,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_sam2.widgets import messages
from napari_sam2.widgets.further import Further
from napari_sam2.widgets.heat_strip import HeatStrip
from napari_sam2.widgets.objects_table import ObjectsTable
from napari_sam2.widgets.panel_parts import (
    PRIMARY,
    combo_box,
    console_row,
    heading,
    row,
    status_line,
)
from napari_sam2.widgets.session_menu import SessionMenu

HELP = (
    "<table cellspacing='0' cellpadding='1'>"
    "<tr><td><b>click</b></td><td>&nbsp; this belongs to the cell</td></tr>"
    "<tr><td><b>Ctrl + click</b></td><td>&nbsp; this does not</td></tr>"
    "<tr><td><b>Shift + click</b></td><td>&nbsp; begin the next cell</td></tr>"
    "</table>"
)


ROUND = (
    "QToolButton { border: 1px solid #8a909c; border-radius: 9px; min-width: 16px;"
    " max-width: 16px; min-height: 16px; max-height: 16px; font-weight: bold; }"
    "QToolButton:hover { border-color: #ffb000; color: #ffb000; }"
)


class Panel(QScrollArea):
    """The parts of the dock widget, from the image to the console line."""

    def __init__(self) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(8, 4, 8, 4)
        column.setSpacing(4)
        self.status = status_line()
        column.addWidget(self.status)
        self.help_button = QToolButton()
        self.help_button.setText("?")
        self.help_button.setToolTip("What mouse and keys do (?)")
        self.help_button.setStyleSheet(ROUND)
        self.recover = QPushButton()
        self.recover.setToolTip("Take up the work done on this image before")
        self.recover.hide()
        column.addWidget(self.recover)
        self.session_menu = SessionMenu()
        column.addWidget(self.session_menu)
        self.new_contrast = QPushButton("Use the new contrast")
        self.new_contrast.setToolTip(
            "Let the model see the picture as you see it now. Labels, clicks and locks "
            "stay; what was done before can no longer be undone"
        )
        self.new_contrast.hide()
        column.addWidget(self.new_contrast)
        for title, build in (
            ("1   Image", self._image_part),
            ("2   Click on a cell", self._prompt_part),
            ("3   Follow it", self._follow_part),
            ("4   Review it", self._review_part),
            ("", self._export_part),
            ("", self._console_part),
        ):
            if title:
                head = row(heading(title))
                if build == self._prompt_part:
                    head.addWidget(self.help_button)
                column.addLayout(head)
            column.addLayout(build())
        column.addStretch(1)
        self.setWidget(inside)
        self.setMinimumWidth(inside.minimumSizeHint().width() + 12)

    def sizeHint(self) -> QSize:
        """Ask for the room that shows everything without scrolling."""
        return QSize(340, 800)

    def _image_part(self) -> QFormLayout:
        self.image = combo_box("The Image layer to work on")
        self.axis = combo_box(
            "Frames are counted along this axis; the other sliders stay"
        )
        self.model = combo_box("nano comes with the plugin; larger ones are more exact")
        self.detail = combo_box(
            "Side of the picture that the model works on. At 512 px an official model "
            "is about seven times faster, and small things get lost"
        )
        self.detail.setMaximumWidth(96)
        self.detail.hide()
        self.model_file = QToolButton()
        self.model_file.setText("…")
        self.model_file.setToolTip("Use a checkpoint file (.pt, .safetensors)")
        self.download = QPushButton("Download")
        self.download.setToolTip("Fetch this model once; it is kept for later")
        self.download.hide()
        self.level = combo_box(
            "Finer shows more, and takes more time; the labels are as fine as this"
        )
        self.further = Further()
        self.device = self.further.device
        self.image_form = form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.setSpacing(4)
        form.addRow("Layer", self.image)
        form.addRow("Follow", self.axis)
        form.addRow("Level", self.level)
        form.addRow("Model", row(self.model, self.detail, self.model_file))
        form.addRow("", self.download)
        form.addRow(self.further)
        return form

    def _prompt_part(self) -> QVBoxLayout:
        self.click_tool = _tool("Click", "Click on a cell: one click is often enough")
        self.box_tool = _tool("Box", "Drag a box around a cell")
        self.scribble_tool = _tool("Scribble", "Draw a line along a cell")
        self.outline_tool = _tool(
            "Outline", "Draw a line around a cell; what it holds is used as it is"
        )
        self.paint_tool = _tool("Paint", "Paint the cell by hand; it is used as it is")
        tools = (
            self.click_tool,
            self.box_tool,
            self.scribble_tool,
            self.outline_tool,
            self.paint_tool,
        )
        self.tools = QButtonGroup(self)
        for button in tools:
            self.tools.addButton(button)
        self.sign = QPushButton(messages.BELONGS)
        self.sign.setCheckable(True)
        self.sign.setToolTip("Whether a plain click adds to the cell or takes away (T)")
        self.hover = QCheckBox("Preview")
        self.hover.setToolTip(
            "Show what a click would give while the mouse is over the picture (W)"
        )
        self.objects = ObjectsTable()
        self.new_object = QPushButton("New cell")
        self.new_object.setToolTip("The next click begins another cell (M)")
        self.undo = QPushButton("Undo")
        self.undo.setToolTip("Take the last thing back, whatever it was (Ctrl+Z)")
        self.redo = QPushButton("Redo")
        self.redo.setToolTip("Do again what was taken back (Ctrl+Shift+Z)")
        self.lock = QPushButton("Lock")
        self.lock.setToolTip(
            "Keep the selected cell as it is in the frame you look at, or no longer (K)"
        )
        self.delete_object = QPushButton("Delete")
        self.delete_object.setToolTip("Delete the selected cell from all frames")
        self.more = QPushButton("More …")
        self.more.setToolTip("Hide, lock, swap, join or split the selected cell")
        self.start_layer = combo_box(
            "Labels that you have already, for example Cellpose's"
        )
        self.use_labels = QPushButton("Use")
        self.use_labels.setToolTip(
            "Take every object of these labels on the frame you look at, and follow it"
        )
        self.help = QLabel(HELP)
        self.help.setTextFormat(Qt.TextFormat.RichText)
        self.start_label = QLabel("Start from")
        part = QVBoxLayout()
        part.setSpacing(4)
        part.addLayout(row(*tools))
        signs = row(self.sign, self.hover)
        signs.setStretch(0, 1)
        part.addLayout(signs)
        part.addWidget(self.help)
        part.addWidget(self.objects)
        part.addLayout(row(self.new_object, self.undo, self.redo))
        part.addLayout(row(self.lock, self.delete_object, self.more))
        part.addLayout(row(self.start_label, self.start_layer, self.use_labels))
        return part

    def _follow_part(self) -> QVBoxLayout:
        self.backward = QPushButton("◀ Back")
        self.backward.setToolTip("From the last clicked frame to the first frame")
        self.both = QPushButton("◀ Both ▶")
        self.both.setToolTip("From the first clicked frame to both ends")
        self.forward = QPushButton("Forward ▶")
        self.forward.setStyleSheet(PRIMARY)
        self.forward.setToolTip("From the first clicked frame to the last frame (G)")
        self.first, self.last = QSpinBox(), QSpinBox()
        self.first.setToolTip("First frame to fill")
        self.last.setToolTip("Last frame to fill")
        for box in (self.first, self.last):
            box.setFixedWidth(92)
        self.watch = QCheckBox("Show frames as they fill")
        self.watch.setToolTip("Move the slider along while frames are filled")
        self.watch.setChecked(True)
        self.again = QCheckBox("Again")
        self.again.setToolTip(
            "Follow through frames that are up to date as well; otherwise only what a "
            "correction touches is done again"
        )
        self.repeat = combo_box(
            "Then do the same everywhere along a further axis: each cell is followed "
            "over it in the plane you clicked in, and from there through all planes"
        )
        self.repeat_row = QWidget()
        self.repeat_row.setLayout(row(QLabel("Repeat"), self.repeat))
        self.repeat_row.hide()
        self.progress = QProgressBar()
        self.progress.setTextVisible(True)
        self.progress.setFormat("")
        self.stop = QPushButton("Stop")
        self.stop.setToolTip("Stop after this frame; what is done stays (G)")
        self.stop.setEnabled(False)
        part = QVBoxLayout()
        part.setSpacing(4)
        part.addLayout(row(self.backward, self.both, self.forward))
        span = row(QLabel("Frames"), self.first, QLabel("to"), self.last)
        span.addStretch(1)
        part.addLayout(span)
        part.addWidget(self.repeat_row)
        part.addLayout(row(self.watch, self.again))
        part.addLayout(row(self.progress, self.stop))
        return part

    def _review_part(self) -> QVBoxLayout:
        self.previous_doubtful = QPushButton("◀")
        self.previous_doubtful.setToolTip("The doubtful frame before (Shift+N)")
        self.next_doubtful = QPushButton("Doubtful ▶")
        self.next_doubtful.setToolTip("The next doubtful frame (N)")
        self.accept = QPushButton("Right ✓")
        self.accept.setToolTip(
            "The selected cell is right here: lock it, and on to the next (Enter)"
        )
        self.strip_below = QPushButton("Strip below")
        self.strip_below.setCheckable(True)
        self.strip_below.setToolTip("Show the strip under the picture, or here")
        self.previous_doubtful.setFixedWidth(34)
        self.strip = HeatStrip()
        self.strip.setFixedHeight(100)
        part = QVBoxLayout()
        part.setSpacing(4)
        part.addLayout(
            row(
                self.previous_doubtful,
                self.next_doubtful,
                self.accept,
                self.strip_below,
            )
        )
        part.addWidget(self.strip)
        return part

    def _export_part(self) -> QHBoxLayout:
        self.export = QPushButton("Export…")
        self.export.setToolTip(
            "Measurements, plots, labels, movies, cut-outs: write what was found"
        )
        part = row(heading("5   Export"), self.export)
        part.setStretch(1, 1)
        part.setAlignment(self.export, Qt.AlignmentFlag.AlignBottom)
        return part

    def _console_part(self) -> QGridLayout:
        self.console, self.copy, part = console_row(
            "what you do, as Python",
            "The line that does what you just did",
            "Copy everything done so far as a script",
        )
        return part


def _tool(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setCheckable(True)
    button.setToolTip(tip)
    return button
