"""The window: what runs, why not and until when, the last day, and a button for every verb.

Not what it says (`view` and `overview` make the values). Where there is no tray it stands in for
the icon. Its opposite is `shown_menu`, the same verbs as a menu.
"""

from itertools import pairwise

from PySide6 import QtCore, QtGui, QtWidgets

from fallow.shared.clock import Clock
from fallow.tray import hours
from fallow.tray.overview import Overview, overview
from fallow.tray.status import AgentStatus
from fallow.tray.ui.day import DayPicture
from fallow.tray.ui.pictures import picture
from fallow.tray.ui.run_rows import RunRows
from fallow.tray.ui.verb_buttons import VerbButtons
from fallow.tray.view import Item, Menu, OpenWindow, Separator, verbs

TICK_MS = 1000
WIDTH = 480
MOST_OF_SCREEN = 0.9


class Window(QtWidgets.QWidget):
    """Shows a Menu and the status that it was made from; `chosen` carries the Intent of a click."""

    chosen = QtCore.Signal(object)

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._status: AgentStatus | None = None
        self._came = 0.0
        self._notes: list[str] = []
        self.stays = False
        self.setWindowTitle("Fallow")
        self._icon = QtWidgets.QLabel()
        self._headline = _label()
        font = self._headline.font()
        font.setBold(True)
        font.setPointSizeF(font.pointSizeF() * 1.15)
        self._headline.setFont(font)
        self._countdown = _label()
        self._texts = _label()
        self._runs = RunRows()
        self._day = DayPicture()
        self._sensors = _label()
        self._sensors.setAccessibleName("What sees whether you are here")
        self._coordinator = _label()
        self._verbs = VerbButtons(columns=2)
        self._others = VerbButtons(columns=3)
        for buttons in (self._verbs, self._others):
            buttons.chosen.connect(self.chosen)
        self._lay_out()
        self._ticks = QtCore.QTimer(self)
        self._ticks.setInterval(TICK_MS)
        self._ticks.timeout.connect(self._tick)

    def show_menu(self, menu: Menu, status: AgentStatus | None, came: float) -> None:
        """Shows this from now on; the status came at wall-clock second `came`."""
        self._status, self._came = status, came
        icon = picture(menu.icon)
        self.setWindowIcon(icon)
        self.setWindowTitle(f"Fallow: {menu.alt}")
        self._icon.setPixmap(icon.pixmap(48, 48))
        self._icon.setAccessibleName(menu.alt)
        texts, groups = _parts(menu)
        _say(self._headline, menu.headline[:1].upper() + menu.headline[1:])
        self._notes = [" ".join(texts[1:])] if status is None else list(status.notes)
        self._verbs.show_items(verbs(status))
        self._others.show_items(
            tuple(item for group in groups[1:] for item in group if item.intent != OpenWindow())
        )
        row = [*self._verbs.buttons, *self._others.buttons]
        for before, after in pairwise(row):
            self.setTabOrder(before, after)
        self._tick()

    def bring_up(self) -> None:
        """To the front, from wherever it is."""
        self.showNormal()
        self.raise_()
        self.activateWindow()

    # -- events

    def showEvent(self, event: QtGui.QShowEvent) -> None:
        super().showEvent(event)
        self._ticks.start()
        self._tick()

    def hideEvent(self, event: QtGui.QHideEvent) -> None:
        # Nobody looks: nothing is to be counted.
        self._ticks.stop()
        super().hideEvent(event)

    def changeEvent(self, event: QtCore.QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QtCore.QEvent.Type.WindowStateChange:
            if self.isMinimized():
                self._ticks.stop()
            elif self.isVisible():
                self._ticks.start()
                self._tick()

    def keyPressEvent(self, event: QtGui.QKeyEvent) -> None:
        if event.key() == QtCore.Qt.Key.Key_Escape:
            self.close()
        else:
            super().keyPressEvent(event)

    def closeEvent(self, event: QtGui.QCloseEvent) -> None:
        """Without a tray it is all that people have of Fallow: then it only goes down."""
        if self.stays:
            event.ignore()
            self.showMinimized()
        else:
            event.accept()

    # -- what changes by the second

    def _tick(self) -> None:
        now = self._clock.now().wall
        shown = Overview()
        if self._status is not None:
            shown = overview(self._status, self._came, now, lambda wall: hours.say(wall, now))
        _show(self._countdown, shown.countdown)
        _show(self._texts, "\n".join((*self._notes, *shown.reasons)))
        self._runs.show_runs(shown.runs)
        self._day_box.setVisible(shown.day is not None)
        if shown.day is not None:
            self._day.show_day(shown.day)
        self._sensor_box.setVisible(bool(shown.sight))
        lines = (f"{each.name}: {each.text}" for each in shown.sensors)
        _say(self._sensors, "\n".join((f"{shown.sight}.", *lines)))
        _show(self._coordinator, shown.coordinator)
        self._grow()

    def _grow(self) -> None:
        """As high as all of it, while the screen has room; beyond that its middle is scrolled."""
        layout = self.layout()
        if layout is None:
            return
        self._middle.updateGeometry()
        layout.activate()
        room = int(self.screen().availableGeometry().height() * MOST_OF_SCREEN)
        needed = min(layout.totalHeightForWidth(self.width()), room)
        if needed > self.height():
            self.resize(self.width(), needed)

    def _lay_out(self) -> None:
        top = QtWidgets.QHBoxLayout()
        top.setSpacing(12)
        top.addWidget(self._icon, 0, QtCore.Qt.AlignmentFlag.AlignTop)
        words = QtWidgets.QVBoxLayout()
        for label in (self._headline, self._countdown, self._texts, self._coordinator):
            words.addWidget(label)
        words.addStretch()
        top.addLayout(words, 1)
        self._day_box = _box("The last 24 hours", self._day)
        self._sensor_box = _box("Who sees whether you are here", self._sensors)
        whole = QtWidgets.QVBoxLayout(self)
        whole.setSpacing(10)
        whole.addLayout(top)
        self._middle = _Scrolled(self._runs, self._day_box, self._sensor_box)
        whole.addWidget(self._middle, 1)
        whole.addWidget(self._verbs)
        whole.addWidget(self._others)
        self.setMinimumWidth(WIDTH)
        self.resize(WIDTH, 0)


class _Scrolled(QtWidgets.QScrollArea):
    """Widgets below each other, which wants to be as high as they are and can do with less."""

    def __init__(self, *widgets: QtWidgets.QWidget) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        inner = QtWidgets.QWidget()
        self._column = QtWidgets.QVBoxLayout(inner)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(10)
        for each in widgets:
            self._column.addWidget(each)
        self._column.addStretch(1)
        self.setWidget(inner)

    def sizeHint(self) -> QtCore.QSize:
        high = self._column.totalHeightForWidth(self.viewport().width())
        return QtCore.QSize(WIDTH - 40, max(high, 0))

    def minimumSizeHint(self) -> QtCore.QSize:
        return QtCore.QSize(200, 60)


def _label() -> QtWidgets.QLabel:
    label = QtWidgets.QLabel()
    # Names of jobs are text, whatever they look like.
    label.setTextFormat(QtCore.Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    return label


def _box(title: str, content: QtWidgets.QWidget) -> QtWidgets.QGroupBox:
    box = QtWidgets.QGroupBox(title)
    QtWidgets.QVBoxLayout(box).addWidget(content)
    return box


def _say(label: QtWidgets.QLabel, text: str) -> None:
    if label.text() != text:
        label.setText(text)


def _show(label: QtWidgets.QLabel, text: str) -> None:
    _say(label, text)
    label.setVisible(bool(text))


def _parts(menu: Menu) -> tuple[list[str], list[tuple[Item, ...]]]:
    """The texts of a menu, and its groups of what can be asked."""
    texts: list[str] = []
    groups: list[list[Item]] = [[]]
    for item in menu.items:
        if isinstance(item, Separator):
            groups.append([])
        elif item.intent is None and not item.children:
            texts.append(item.text)
        else:
            groups[-1].append(item)
    return texts, [tuple(group) for group in groups if group]
