"""The last day of this workstation as a picture: height and pattern tell, colour only helps.

Not where it comes from (`overview` makes the DayShown). Its opposite is the sentence that says the
same to who cannot see it, which is its accessible description.
"""

from PySide6 import QtCore, QtGui, QtWidgets

from fallow.tray.overview import DAY_WORDS, Bar, DayShown
from fallow.tray.status import DayState

STRIP = 34
_COLOURS: dict[DayState, str] = {
    "ran": "#2f9e52",
    "paused": "#e8862e",
    "free": "#b98f3f",
    "off": "#8a8f98",
}
# Full, two thirds and a third of the strip; off is the bare line below.
_HEIGHTS: dict[DayState, float] = {"ran": 1.0, "paused": 0.66, "free": 0.3, "off": 0.0}


class DayPicture(QtWidgets.QWidget):
    """A strip of 24 hours, the present at its right end, with the hours and a legend below."""

    def __init__(self) -> None:
        super().__init__()
        self._day = DayShown((), (), "")
        self.setAccessibleName("The last 24 hours of this computer")
        self.setSizePolicy(
            QtWidgets.QSizePolicy.Policy.Expanding, QtWidgets.QSizePolicy.Policy.Fixed
        )

    def show_day(self, day: DayShown) -> None:
        """Shows this from now on."""
        if day == self._day:
            return
        self._day = day
        self.setAccessibleDescription(day.text)
        self.setToolTip(day.text)
        self.update()

    def sizeHint(self) -> QtCore.QSize:
        line = self.fontMetrics().height()
        return QtCore.QSize(420, STRIP + 2 * line + 14)

    def minimumSizeHint(self) -> QtCore.QSize:
        return QtCore.QSize(260, self.sizeHint().height())

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        painter = QtGui.QPainter(self)
        ink = self.palette().color(QtGui.QPalette.ColorRole.WindowText)
        strip = QtCore.QRectF(0.5, 0.5, self.width() - 1, STRIP)
        painter.fillRect(strip, self.palette().color(QtGui.QPalette.ColorRole.Base))
        for bar in self._day.bars:
            self._bar(painter, strip, bar, ink)
        faint = QtGui.QColor(ink)
        faint.setAlphaF(0.5)
        painter.setPen(faint)
        painter.setBrush(QtCore.Qt.BrushStyle.NoBrush)
        painter.drawRect(strip)
        painter.setPen(ink)
        line = self.fontMetrics().height()
        self._hours(painter, strip, line)
        self._legend(painter, strip.bottom() + line + 10, line, ink)
        painter.end()

    def _bar(
        self, painter: QtGui.QPainter, strip: QtCore.QRectF, bar: Bar, ink: QtGui.QColor
    ) -> None:
        left = strip.left() + bar.start * strip.width()
        # A short run is still to be seen.
        wide = max((bar.end - bar.start) * strip.width(), 1.0)
        high = _HEIGHTS[bar.state] * strip.height()
        if high:
            box = QtCore.QRectF(left, strip.bottom() - high, wide, high)
            _fill(painter, box, bar.state, ink)

    def _hours(self, painter: QtGui.QPainter, strip: QtCore.QRectF, line: int) -> None:
        top = strip.bottom() + 4
        width = self.fontMetrics().horizontalAdvance
        now = "now"
        end = strip.right() - width(now)
        painter.drawText(QtCore.QPointF(end, top + line * 0.8), now)
        for share, words in self._day.marks:
            x = strip.left() + share * strip.width()
            painter.drawLine(QtCore.QPointF(x, strip.bottom()), QtCore.QPointF(x, top))
            # An hour that has just passed would be written into the "now".
            if x + 3 + width(f"{words} ") <= end:
                painter.drawText(QtCore.QPointF(x + 3, top + line * 0.8), words)

    def _legend(self, painter: QtGui.QPainter, top: float, line: int, ink: QtGui.QColor) -> None:
        x = 0.5
        for state, words in DAY_WORDS.items():
            frame = QtCore.QRectF(x, top + 1, line - 2, line - 2)
            high = _HEIGHTS[state] * frame.height()
            if high:
                low = QtCore.QRectF(frame.left(), frame.bottom() - high, frame.width(), high)
                _fill(painter, low, state, ink)
            painter.setPen(ink)
            painter.setBrush(QtCore.Qt.BrushStyle.NoBrush)
            painter.drawRect(frame)
            painter.drawText(QtCore.QPointF(frame.right() + 5, top + line * 0.8), words)
            x = frame.right() + 5 + self.fontMetrics().horizontalAdvance(words) + 16


def _fill(painter: QtGui.QPainter, box: QtCore.QRectF, state: DayState, ink: QtGui.QColor) -> None:
    colour = QtGui.QColor(_COLOURS[state])
    if state != "paused":
        painter.fillRect(box, colour)
        return
    colour.setAlphaF(0.5)
    painter.fillRect(box, colour)
    # In the colour of the text, which can be read on any ground.
    painter.fillRect(box, QtGui.QBrush(ink, QtCore.Qt.BrushStyle.BDiagPattern))
