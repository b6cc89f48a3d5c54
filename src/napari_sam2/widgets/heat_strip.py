"""The heat strip: every cell in every frame at one look; a click goes there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QPoint, QRect, QSize, Qt, QTimer, Signal
from qtpy.QtGui import QColor, QImage, QPainter, QPen
from qtpy.QtWidgets import QAbstractScrollArea, QFrame, QToolTip

from napari_sam2.widgets.cells import Cells
from napari_sam2.widgets.colours import object_colour
from napari_sam2.widgets.confidence_colours import COLOUR_MAPS, confidence_colours
from napari_sam2.widgets.strip_picture import StripPicture

if TYPE_CHECKING:
    from qtpy.QtGui import (
        QHelpEvent,
        QKeyEvent,
        QMouseEvent,
        QPaintEvent,
        QResizeEvent,
    )

ROW, GUTTER, SWATCH = 16, 58, 9  # pixels
REDRAW_MILLISECONDS = 100
EDGE = 7  # pixels that a line or a mark reaches over its frame
LEAST_ROWS, MOST_ROWS = 3, 8
FAR = 10  # frames, with Page Up and Page Down
BACKGROUND, TEXT = QColor(38, 41, 48), QColor(240, 241, 242)
QUIET, CHOSEN = QColor(160, 164, 172), QColor(90, 95, 105)
HINT = "Follow a cell, and see here how sure each frame is. Click = go there."
NOT_HERE = "Nothing was followed in this volume yet."
TIP = "Bright = doubtful, dark = sure, striped = to be done again. Click = go there."


class HeatStrip(QAbstractScrollArea):
    """One row a cell, one column a frame, coloured by confidence.

    Attributes
    ----------
    chosen : Signal(int, int)
        The user went to a frame, and a cell.
    undocked : Signal()
        napari has taken the strip out of its dock.
    colours : str
        Which of `COLOUR_MAPS`.
    """

    chosen = Signal(int, int)
    undocked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._cells, self._ids, self._current, self._frame = Cells(1), [1], 1, 0
        self.colours = COLOUR_MAPS[0]
        self._colours = confidence_colours(self.colours)
        self._dirty: tuple[int, int] | None = None
        self._picture = StripPicture(1, 1, ROW, self._colours)
        self._drawn: tuple[object, ...] = ()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(REDRAW_MILLISECONDS)
        self._timer.timeout.connect(self._draw_if_dirty)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMinimumHeight(LEAST_ROWS * ROW + 4)
        self.setAccessibleName("Review strip")
        if (port := self.viewport()) is not None:
            port.setMouseTracking(True)
        if (bar := self.verticalScrollBar()) is not None:
            bar.setSingleStep(1)
            bar.valueChanged.connect(self._scrolled)

    def sizeHint(self) -> QSize:
        """Ask for as many rows as there are, within reason."""
        return QSize(400, min(max(len(self._ids), LEAST_ROWS), MOST_ROWS) * ROW + 4)

    def use(self, cells: Cells, current: int, frame_idx: int) -> None:
        """Show another image's cells."""
        self._cells, self._current, self._frame = cells, current, frame_idx
        self.changed()

    def set_colours(self, name: str) -> None:
        """Take another of `COLOUR_MAPS`."""
        self.colours, self._colours = name, confidence_colours(name)
        self.changed()

    def show_frame(self, frame_idx: int) -> None:
        """Mark the frame that the user looks at."""
        if frame_idx != self._frame:
            before, self._frame = self._frame, frame_idx
            self._update(before, before)
            self._update(frame_idx, frame_idx)

    def changed(self, current: int | None = None) -> None:
        """Draw all anew, and another cell as the current one."""
        self._current = self._current if current is None else current
        self._ids = self._cells.ids or [self._current]
        self._set_range()
        if current is not None:
            self._scroll_to_current()
        self.frames_done(0, self._cells.n_frames - 1)

    def frames_done(self, first: int, last: int) -> None:
        """Draw some frames anew: now, or at the next of ten times a second."""
        was = self._dirty or (first, last)
        self._dirty = min(first, was[0]), max(last, was[1])
        if not self._timer.isActive():
            self._draw_if_dirty()

    @property
    def hint(self) -> str:
        """What is said where there is nothing to be seen."""
        followed = not all(cell.unknown for cell in self._cells.values())
        return NOT_HERE if followed else HINT

    def words_at(self, position: QPoint) -> str:
        """Say what is known at a place in the strip."""
        object_id = self._cell_at(position.y())
        if object_id is None:
            return TIP
        title = self._cells.title(object_id)
        if position.x() < GUTTER:
            return title
        self._prepare()
        frames = self._picture.frames_at(position.x() - GUTTER)
        cell = self._cells[object_id]
        # Of several frames in one column that with the lowest confidence is shown.
        frame = min(frames, key=lambda t: (not cell.known[t], cell.confidence[t]))
        return f"{title}, frame {frame}: {cell.words(frame)}"

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the rows that are in sight, as far as they have changed."""
        port = self.viewport()
        if port is None or event is None:
            return
        self._prepare()
        painter = QPainter(port)
        changed = event.rect()
        painter.fillRect(changed, BACKGROUND)
        left = max(changed.left() - GUTTER, 0)
        part = self._picture.pixels[:, left : changed.right() + 1 - GUTTER]
        height, width = part.shape[:2]
        rgb = QImage.Format.Format_RGB32
        image = QImage(part.tobytes(), width, height, 4 * width, rgb)
        painter.drawImage(GUTTER + left, 0, image)
        for row, object_id in enumerate(self._shown()):
            if object_id == self._current:
                painter.setPen(QPen(TEXT, 1))
                painter.drawRect(0, row * ROW - 1, port.width() - 1, ROW)
            if changed.left() < GUTTER:
                self._paint_title(painter, row, object_id)
        if not any(cell.known.any() for cell in self._cells.values()):
            painter.setPen(QUIET)
            where = port.rect().adjusted(GUTTER + 8, ROW, 0, 0)
            painter.drawText(where, Qt.AlignmentFlag.AlignLeft, self.hint)
        at = GUTTER + round(self._picture.column_of(self._frame))
        painter.fillRect(at - 2, 0, 4, port.height(), QColor(0, 0, 0, 190))
        painter.fillRect(at - 1, 0, 2, port.height(), Qt.GlobalColor.white)
        if self.hasFocus():
            painter.setPen(QPen(QColor(255, 176, 0), 1))
            painter.drawRect(port.rect().adjusted(0, 0, -1, -1))
        painter.end()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Fit more or fewer rows in."""
        super().resizeEvent(event)
        self._set_range()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Go to the frame and the cell that were clicked."""
        if event is not None and event.button() == Qt.MouseButton.LeftButton:
            position = event.position().toPoint()
            self._go(position, self._cell_at(position.y()))

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Go along with the mouse, in the cell that was clicked."""
        if event is not None and event.buttons() & Qt.MouseButton.LeftButton:
            self._go(event.position().toPoint(), self._current)

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """End a drag."""
        if event is not None:
            event.accept()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Go to other frames and cells with the arrow keys."""
        if event is None:
            return
        last, place = self._cells.n_frames - 1, self._ids.index(self._current_id())
        frames = {
            Qt.Key.Key_Left: self._frame - 1,
            Qt.Key.Key_Right: self._frame + 1,
            Qt.Key.Key_PageUp: self._frame - FAR,
            Qt.Key.Key_PageDown: self._frame + FAR,
            Qt.Key.Key_Home: 0,
            Qt.Key.Key_End: last,
        }
        rows = {Qt.Key.Key_Up: place - 1, Qt.Key.Key_Down: place + 1}
        key = Qt.Key(event.key())
        if event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier or (
            key not in {*frames, *rows}
        ):
            event.ignore()  # napari's window hands it to the picture
            return
        frame = min(max(frames.get(key, self._frame), 0), last)
        row = min(max(rows.get(key, place), 0), len(self._ids) - 1)
        self.chosen.emit(frame, self._ids[row])

    def event(self, event: QEvent | None) -> bool:
        """Notice when napari takes the strip out of its dock."""
        changed = event is not None and event.type() == QEvent.Type.ParentChange
        if changed and self.parent() is None:
            self.undocked.emit()
        return super().event(event)

    def viewportEvent(self, event: QEvent | None) -> bool:
        """Say what is known under the mouse."""
        if event is not None and event.type() == QEvent.Type.ToolTip:
            help_event: QHelpEvent = event  # type: ignore[assignment]
            words = self.words_at(help_event.pos())
            QToolTip.showText(help_event.globalPos(), words, self)
            return True
        return super().viewportEvent(event)

    def _current_id(self) -> int:
        return self._current if self._current in self._ids else self._ids[0]

    def _go(self, position: QPoint, object_id: int | None) -> None:
        self._prepare()
        frame = self._picture.frame_at(position.x() - GUTTER)
        if position.x() < GUTTER:  # on its name: the cell, not the frame
            frame = self._frame
        self.chosen.emit(frame, self._current_id() if object_id is None else object_id)

    def _first_row(self) -> int:
        bar = self.verticalScrollBar()
        return 0 if bar is None else bar.value()

    def _rows_in_sight(self) -> int:
        port = self.viewport()
        return 1 if port is None else max(port.height() // ROW, 1)

    def _shown(self) -> list[int]:
        first = self._first_row()
        return self._ids[first : first + self._rows_in_sight() + 1]

    def _cell_at(self, y: int) -> int | None:
        row = y // ROW
        shown = self._shown()
        return shown[row] if 0 <= row < len(shown) else None

    def _set_range(self) -> None:
        bar, rows = self.verticalScrollBar(), self._rows_in_sight()
        if bar is not None:
            bar.setRange(0, max(len(self._ids) - rows, 0))
            bar.setPageStep(rows)

    def _scroll_to_current(self) -> None:
        bar = self.verticalScrollBar()
        if bar is not None:
            row = self._ids.index(self._current_id())
            low, high = row - self._rows_in_sight() + 1, row
            bar.setValue(min(max(bar.value(), low), high))

    def _scrolled(self) -> None:
        if (port := self.viewport()) is not None:
            port.update()

    def _draw_if_dirty(self) -> None:
        if self._dirty is not None:
            self._timer.start()
            self._update(*self._dirty)

    def _update(self, first: int, last: int) -> None:
        """Let the columns of some frames be painted, and of all frames the names."""
        port = self.viewport()
        if port is None:
            return
        if first <= 0 and last >= self._cells.n_frames - 1:
            port.update()
            return
        half = self._picture.width / self._picture.n_frames / 2 + EDGE
        left = self._picture.column_of(first) - half
        right = self._picture.column_of(last) + half
        port.update(GUTTER + int(left), 0, int(right - left) + 1, port.height())

    def _prepare(self) -> None:
        """Bring the picture up to date: all of it, or the frames that changed."""
        port, shown = self.viewport(), self._shown()
        width = 1 if port is None else max(port.width() - GUTTER, 1)
        layout = (width, self._cells.n_frames, tuple(shown), id(self._colours))
        if layout[:2] != self._drawn[:2] or self._drawn[3:] != layout[3:]:
            self._picture = StripPicture(
                width, self._cells.n_frames, ROW, self._colours
            )
        cells = [self._cells[object_id] for object_id in shown]
        if layout != self._drawn:
            self._picture.draw(cells)
        elif self._dirty is not None:
            self._picture.draw(cells, *self._dirty)
        self._drawn, self._dirty = layout, None

    def _paint_title(self, painter: QPainter, row: int, object_id: int) -> None:
        """Write which cell a row is; the current one stands out."""
        top, chosen = row * ROW, object_id == self._current
        colour = QColor.fromRgbF(*(float(v) for v in object_colour(object_id)))
        if chosen:
            painter.fillRect(1, top, GUTTER - 1, ROW - 1, CHOSEN)
        down = (ROW - 1 - SWATCH) // 2
        painter.fillRect(4, top + down, SWATCH, SWATCH, colour)
        font = painter.font()
        font.setBold(chosen)
        font.setPixelSize(11)
        painter.setFont(font)
        painter.setPen(TEXT if chosen else QUIET)
        room = GUTTER - SWATCH - 12
        title = self._cells[object_id].name or str(object_id)
        text = painter.fontMetrics().elidedText(
            title, Qt.TextElideMode.ElideRight, room
        )
        where = QRect(SWATCH + 9, top, room, ROW - 1)
        painter.drawText(where, Qt.AlignmentFlag.AlignVCenter, text)
