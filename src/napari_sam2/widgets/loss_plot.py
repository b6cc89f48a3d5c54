"""The loss of every step as it comes: dots, and a smoothed line through them."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

SMOOTHING = 0.9
LINE = QColor("#ffb000")
MARGIN_LEFT, MARGIN, MARGIN_BELOW = 36.0, 8.0, 18.0
MOST_DOTS = 2000
CUT_PERCENT = 95.0  # a few bad steps must not flatten all others


class LossPlot(QWidget):
    """Draws losses over steps."""

    def __init__(self) -> None:
        super().__init__()
        self._total = 0
        self._losses: list[float] = []
        self._smooth: list[float] = []
        self._average = 0.0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip(
            "How wrong the model is on what it learns from, step by step: it should "
            "fall, then level off"
        )

    @property
    def losses(self) -> tuple[float, ...]:
        """What is drawn as dots."""
        return tuple(self._losses)

    @property
    def smoothed(self) -> tuple[float, ...]:
        """What is drawn as a line: averages in which old steps fade."""
        return tuple(self._smooth)

    def begin(self, total: int) -> None:
        """Draw nothing yet; make room for `total` steps."""
        self._total = total
        self._losses.clear()
        self._smooth.clear()
        self._average = 0.0
        self.update()

    def add(self, loss: float) -> None:
        """Add the loss of the next step."""
        self._losses.append(loss)
        self._average = SMOOTHING * self._average + (1 - SMOOTHING) * loss
        weight = 1 - SMOOTHING ** len(self._losses)
        self._smooth.append(self._average / weight)
        self.update()

    def sizeHint(self) -> QSize:
        """Ask for the width there is, and a low strip of it."""
        return QSize(300, 104)

    def paintEvent(self, _event: QPaintEvent | None) -> None:
        """Draw frame, dots, line, and the numbers at the edges."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        area = QRectF(self.rect()).adjusted(MARGIN_LEFT, MARGIN, -MARGIN, -MARGIN_BELOW)
        ink = self.palette().windowText().color()
        faint, dots = QColor(ink), QColor(ink)
        faint.setAlpha(28)
        dots.setAlpha(110)
        painter.fillRect(area, faint)
        if self._losses:
            self._paint_losses(painter, area, ink, dots)
        else:
            painter.setPen(dots)
            painter.drawText(
                area, Qt.AlignmentFlag.AlignCenter, "the loss appears here"
            )
        painter.end()

    def _paint_losses(
        self, painter: QPainter, area: QRectF, ink: QColor, dots: QColor
    ) -> None:
        low, high = self._limits()
        painter.save()
        painter.setClipRect(area)
        round_pen = QPen(dots, 3.0)
        round_pen.setCapStyle(Qt.PenCapStyle.RoundCap)
        painter.setPen(round_pen)
        painter.drawPoints(self._points(self._losses, area, low, high))
        painter.setPen(QPen(LINE, 2.0))
        painter.drawPolyline(self._points(self._smooth, area, low, high))
        painter.restore()
        painter.setPen(ink)
        right = Qt.AlignmentFlag.AlignRight
        left_of = QRectF(0, 0, MARGIN_LEFT - 4, 14)
        for value, y in ((high, area.top() - 2), (low, area.bottom() - 12)):
            painter.drawText(left_of.translated(0, y), right, f"{value:.2f}")
        below = QRectF(area.left(), area.bottom() + 2, area.width(), MARGIN_BELOW - 2)
        painter.drawText(below, Qt.AlignmentFlag.AlignLeft, "loss")
        painter.drawText(below, right, f"step {len(self._losses)} of {self._total}")

    def _limits(self) -> tuple[float, float]:
        """Return the losses at the lower and the upper edge."""
        low = min(self._losses)
        usual = np.percentile(self._losses, CUT_PERCENT, method="lower")
        high = max(float(usual), max(self._smooth))
        room = 0.05 * (high - low) or 0.5
        return max(low - room, 0.0), high + room

    def _points(
        self, values: list[float], area: QRectF, low: float, high: float
    ) -> QPolygonF:
        stride = 1 + len(values) // MOST_DOTS
        across = area.width() / max(self._total - 1, 1)
        up = area.height() / (high - low)
        return QPolygonF(
            [
                QPointF(area.left() + step * across, area.bottom() - up * (value - low))
                for step, value in list(enumerate(values))[::stride]
            ]
        )
