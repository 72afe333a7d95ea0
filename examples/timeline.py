"""Draws who ran what and when: one row per workstation, running and paused time, key presses.

A picture for the demo, not the product's report. Times are seconds from the start of the demo.
Run as `python examples/timeline.py SPANS.json OUT.png`.
"""

import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QFont, QGuiApplication, QImage, QPainter, QPen

COLOURS = {
    "running": "#2f7d5b",
    "building": "#7b6bb0",
    "staging": "#b9c4cc",
    "paused": "#e0a23b",
    "collecting": "#8fb7a5",
}
NAMES = {
    "staging": "fetching inputs",
    "building": "building",
    "running": "running",
    "paused": "paused",
    "collecting": "sending results",
}
INK, FAINT, PAPER, LANE = "#22303a", "#7a8891", "#ffffff", "#f1f4f6"
LEFT, RIGHT, TOP, ROW, BAR = 150, 30, 92, 74, 36


@dataclass
class Span:
    start: float
    end: float
    state: str
    text: str = ""


@dataclass
class Row:
    name: str
    spans: list[Span] = field(default_factory=list)
    presses: list[float] = field(default_factory=list)


def read(path: Path) -> tuple[str, list[Row]]:
    """The title and rows in a file of spans."""
    told = json.loads(path.read_text())
    rows = [
        Row(row["name"], [Span(**span) for span in row["spans"]], row.get("presses", []))
        for row in told["rows"]
    ]
    return told["title"], rows


def draw(title: str, rows: list[Row], out: Path, width: int = 1200) -> None:
    """Writes the picture as PNG."""
    _ = QGuiApplication.instance() or QGuiApplication([])
    end = max((span.end for row in rows for span in row.spans), default=1.0)
    height = TOP + ROW * len(rows) + 86
    image = QImage(width * 2, height * 2, QImage.Format.Format_RGB32)
    image.fill(QColor(PAPER))
    painter = QPainter(image)
    painter.scale(2, 2)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    scale = (width - LEFT - RIGHT) / end

    _text(painter, 24, 38, title, 17, INK, bold=True)
    _legend(painter, 24, 66)
    for number, row in enumerate(rows):
        _row(painter, row, TOP + number * ROW, scale, width)
    _axis(painter, TOP + ROW * len(rows), end, scale)
    painter.end()
    if not image.save(str(out)):
        raise OSError(f"cannot write {out}")


def _text(
    painter: QPainter, x: float, y: float, text: str, size: int, colour: str, *, bold: bool = False
) -> None:
    font = QFont("DejaVu Sans")
    font.setPixelSize(size)
    font.setBold(bold)
    painter.setFont(font)
    painter.setPen(QColor(colour))
    painter.drawText(QPointF(x, y), text)


def _legend(painter: QPainter, x: float, y: float) -> None:
    for state, name in NAMES.items():
        painter.fillRect(QRectF(x, y - 10, 12, 12), QColor(COLOURS[state]))
        if state == "paused":
            _hatch(painter, QRectF(x, y - 10, 12, 12))
        _text(painter, x + 18, y, name, 12, INK)
        x += 36 + painter.fontMetrics().horizontalAdvance(name)
    painter.setPen(QPen(QColor("#c0392b"), 2))
    painter.drawLine(QPointF(x + 5, y - 11), QPointF(x + 5, y + 3))
    _text(painter, x + 14, y, "somebody types", 12, INK)


def _hatch(painter: QPainter, box: QRectF) -> None:
    painter.fillRect(box, QColor(COLOURS["paused"]))
    painter.fillRect(box, QBrush(QColor("#f2cd8b"), Qt.BrushStyle.BDiagPattern))


def _row(painter: QPainter, row: Row, y: float, scale: float, width: int) -> None:
    painter.fillRect(QRectF(LEFT, y + 8, width - LEFT - RIGHT, BAR), QColor(LANE))
    _text(painter, 24, y + 31, row.name, 14, INK, bold=True)
    for span in row.spans:
        box = QRectF(LEFT + span.start * scale, y + 8, (span.end - span.start) * scale, BAR)
        if span.state == "paused":
            _hatch(painter, box)
        else:
            painter.fillRect(box.adjusted(0.5, 0, -0.5, 0), QColor(COLOURS[span.state]))
        if span.text and box.width() > 8 * len(span.text):
            ink = INK if span.state in {"paused", "staging"} else PAPER
            _text(painter, box.x() + 5, y + 31, span.text, 11, ink)
    painter.setPen(QPen(QColor("#c0392b"), 1.5))
    for press in row.presses:
        x = LEFT + press * scale
        painter.drawLine(QPointF(x, y + 2), QPointF(x, y + BAR + 14))


def _axis(painter: QPainter, y: float, end: float, scale: float) -> None:
    step = next((s for s in (1, 2, 5, 10, 20, 30, 60, 120) if end / s <= 12), 300)
    for second in range(0, int(end) + 1, step):
        x = LEFT + second * scale
        painter.setPen(QPen(QColor(FAINT), 1))
        painter.drawLine(QPointF(x, y), QPointF(x, y + 6))
        _text(painter, x - 6, y + 22, str(second), 11, FAINT)
    _text(painter, LEFT, y + 46, "seconds since the start", 12, FAINT)


if __name__ == "__main__":
    draw(*read(Path(sys.argv[1])), Path(sys.argv[2]))
