"""What the window says and offers, without a screen: Qt's own offscreen platform.

The real tray on a virtual screen is in test_tray_places.py and test_desk_wishes.py.
"""

from itertools import pairwise

import pytest
from PySide6 import QtCore, QtGui, QtTest, QtWidgets
from pytestqt.qtbot import QtBot

from fallow.shared.moments import Moment
from fallow.shared.runs import Progress, Reason
from fallow.tray.overview import DAY, DayShown
from fallow.tray.status import AgentStatus, RunStatus, SensorStatus, Span
from fallow.tray.ui.day import DayPicture
from fallow.tray.ui.run_rows import RunRows
from fallow.tray.ui.window import Window
from fallow.tray.view import ONLY_LOOK, Finish, PauseFor, Quit, menu

NOW = 1_800_000_000.0
RUN = RunStatus("sweep", "re100", "ana", "running", "a/0/1", progress=Progress(0.43, "step 43"))
IDLE = AgentStatus("idle", "online", "away")
Key = QtCore.Qt.Key


class Clock:
    def __init__(self) -> None:
        self.wall = NOW

    def now(self) -> Moment:
        return Moment(self.wall - NOW, self.wall)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def window_of(qtbot: QtBot, status: AgentStatus | None, clock: Clock | None = None) -> Window:
    window = Window(clock or Clock())
    qtbot.addWidget(window)
    window.show_menu(menu(status, str), status, NOW)
    return window


def said(window: Window) -> str:
    """All texts that can be seen, a line each."""
    labels = [each for each in window.findChildren(QtWidgets.QLabel) if each.isVisibleTo(window)]
    return "\n".join(label.text() for label in labels)


def buttons(window: Window) -> dict[str, QtWidgets.QPushButton]:
    """By what a screen reader calls them, in their order."""
    found = window.findChildren(QtWidgets.QPushButton)
    there = sorted(
        (each for each in found if not each.isHidden()),
        key=lambda each: (each.mapTo(window, QtCore.QPoint()).y(), each.x()),
    )
    return {each.accessibleName(): each for each in there}


def test_it_says_and_offers_what_the_menu_does(qtbot: QtBot) -> None:
    window = window_of(qtbot, IDLE)
    found = buttons(window)
    assert list(found) == [
        *("Pause", "Resume", "Use this computer while I work", "Send the job elsewhere"),
        *("Finish then stop", "Preferences", "About", "Quit"),
    ]
    assert [name for name, each in found.items() if not each.isEnabled()] == [
        *("Resume", "Send the job elsewhere")
    ]
    assert "Waiting for work" in said(window)
    with qtbot.waitSignal(window.chosen) as chosen:
        found["Quit"].click()
    assert chosen.args == [Quit()]
    with qtbot.waitSignal(window.chosen) as chosen:
        found["Pause"].menu().actions()[1].trigger()
    assert chosen.args == [PauseFor(3600.0)]


def test_it_goes_when_there_is_a_tray_and_else_stays(qtbot: QtBot) -> None:
    window = window_of(qtbot, None)
    window.show()
    window.stays = True
    assert window.close() is False
    window.stays = False
    assert window.close() is True


def test_escape_closes_it(qtbot: QtBot) -> None:
    window = window_of(qtbot, IDLE)
    window.show()
    QtTest.QTest.keyClick(window, Key.Key_Escape)
    assert not window.isVisible()


def test_a_run_has_its_bar_and_its_facts(qtbot: QtBot, clock: Clock) -> None:
    run = RunStatus(
        *("sweep", "re100", "ana", "running", "a/0/1"),
        run_seconds=700.0,
        progress=Progress(0.43, "step 43"),
        eta_seconds=1200.0,
        cores=1.97,
        memory=3 << 29,
    )
    window = window_of(qtbot, AgentStatus("running", "online", "away", runs=(run,)), clock)
    window.show()
    assert "re100 of sweep" in said(window)
    assert "for ana: running" in said(window)
    facts = "43% step 43 · ran 11 min 40 s · about 20 min left · 2.0 cores · 1.5 GiB of memory"
    assert facts in said(window)
    (bar,) = window.findChildren(QtWidgets.QProgressBar)
    assert bar.value() == 430
    clock.wall += 20
    qtbot.waitUntil(lambda: "ran 12 min 00 s" in said(window), timeout=30_000)


def test_nothing_is_cut_when_names_are_long(qtbot: QtBot) -> None:
    name = "a long name of a batch " * 4
    runs = tuple(
        RunStatus(
            *(name, f"job {number} {name}", "ana", "running", f"a/{number}/1"),
            run_seconds=7300.0,
            paused_seconds=3000.0,
            progress=Progress(0.5, "a long word about it " * 4),
        )
        for number in range(3)
    )
    window = window_of(qtbot, IDLE)
    window.show()
    status = AgentStatus("running", "online", "away", runs=runs, day=SPANS)
    window.show_menu(menu(status, str), status, NOW)
    qtbot.waitUntil(lambda: len(window.findChildren(QtWidgets.QProgressBar)) == 3)
    QtWidgets.QApplication.processEvents()
    for label in window.findChildren(QtWidgets.QLabel):
        if label.isVisible() and label.text():
            assert label.height() >= label.heightForWidth(label.width()), label.text()
    boxes = [each for each in window.findChildren(QtWidgets.QGroupBox) if each.isVisible()]
    (rows,) = window.findChildren(RunRows)
    assert all(box.geometry().top() > rows.geometry().bottom() for box in boxes)


def test_on_a_small_screen_the_middle_is_scrolled_and_the_buttons_stay(qtbot: QtBot) -> None:
    runs = tuple(
        RunStatus("sweep", f"re{number}", "ana", "running", f"a/{number}/1", run_seconds=70.0)
        for number in range(30)
    )
    status = AgentStatus("running", "online", "away", runs=runs, day=SPANS)
    window = window_of(qtbot, status)
    window.show()
    room = window.screen().availableGeometry().height()
    assert window.height() <= room
    (area,) = window.findChildren(QtWidgets.QScrollArea)
    qtbot.waitUntil(lambda: area.verticalScrollBar().maximum() > 0, timeout=30_000)
    quit_button = buttons(window)["Quit"]
    assert quit_button.mapTo(window, quit_button.rect().bottomLeft()).y() < window.height()
    assert area.focusPolicy() != QtCore.Qt.FocusPolicy.NoFocus, "scrolled by keyboard too"


def test_the_countdown_ticks_while_somebody_looks_and_only_then(qtbot: QtBot, clock: Clock) -> None:
    here = Reason("input", "you are here", NOW + 600)
    window = window_of(qtbot, AgentStatus("paused", "online", "present", (here,), (RUN,)), clock)
    first = "Jobs go on in 10 min 00 s if nobody touches keyboard or mouse."
    window.show()
    assert first in said(window)
    clock.wall += 59
    qtbot.waitUntil(lambda: "Jobs go on in 9 min 01 s" in said(window), timeout=30_000)
    (ticks,) = window.findChildren(QtCore.QTimer)
    assert ticks.isActive()
    window.hide()
    assert not ticks.isActive()
    window.show()
    assert ticks.isActive()


def test_rows_of_runs_stay_while_they_change(qtbot: QtBot) -> None:
    window = window_of(qtbot, AgentStatus("running", "online", "away", runs=(RUN,)))
    (bar,) = window.findChildren(QtWidgets.QProgressBar)
    other = RunStatus("sweep", "re200", "bo", "staging", "a/1/1")
    further = RunStatus(*("sweep", "re100", "ana", "running", "a/0/1"), progress=Progress(0.5))
    both = AgentStatus("running", "online", "away", runs=(other, further))
    window.show_menu(menu(both, str), both, NOW)
    assert bar in window.findChildren(QtWidgets.QProgressBar)
    assert bar.value() == 500
    window.show_menu(menu(IDLE, str), IDLE, NOW)
    assert "re100" not in said(window)


def test_the_sensors_are_in_words(qtbot: QtBot) -> None:
    sensors = (
        SensorStatus("pynput", True, last_activity=NOW - 90),
        SensorStatus("mutter", False, "there is no GNOME here"),
    )
    window = window_of(qtbot, AgentStatus("idle", "online", "away", sensors=sensors))
    assert "1 of 2 sensors can tell whether you are here." in said(window)
    assert "Keyboard and mouse: works; last saw somebody 1 min 30 s ago" in said(window)
    assert "Idle time of the desktop: sees nothing: there is no GNOME here" in said(window)


def test_who_may_only_look_sees_grey_buttons_and_why(qtbot: QtBot) -> None:
    window = window_of(qtbot, AgentStatus("idle", "online", "away", may_change=False))
    found = buttons(window)
    for name in ("Pause", "Use this computer while I work", "Finish then stop"):
        assert not found[name].isEnabled()
        assert found[name].toolTip() == ONLY_LOOK
        assert found[name].accessibleDescription() == ONLY_LOOK
    assert found["About"].isEnabled()
    window.show_menu(menu(IDLE, str), IDLE, NOW)
    assert found["Pause"].isEnabled(), "the same button, now to be used"


# -- by keyboard alone


def test_every_button_is_reached_by_tab_in_order(qtbot: QtBot) -> None:
    paused = AgentStatus("paused", "online", "barred", runs=(RUN,), paused_by_hand=True)
    window = window_of(qtbot, None)
    window.show()
    window.show_menu(menu(paused, str), paused, NOW)
    qtbot.waitUntil(window.isActiveWindow, timeout=30_000)
    found = buttons(window)
    assert list(found)[:3] == ["Pause", "Resume", "Use this computer while I work"]
    first = next(iter(found.values()))
    first.setFocus()
    passed = [window.focusWidget()]
    for _ in range(len(found) - 1):
        QtTest.QTest.keyClick(window.focusWidget(), Key.Key_Tab)
        passed.append(window.focusWidget())
    assert passed == list(found.values())


def test_letters_press_buttons_and_no_two_the_same(qtbot: QtBot) -> None:
    paused = AgentStatus("paused", "online", "barred", runs=(RUN,), paused_by_hand=True)
    window = window_of(qtbot, paused)
    window.show()
    letters = {
        name: button.shortcut().toString().removeprefix("Alt+")
        for name, button in buttons(window).items()
    }
    assert all(letters.values()), letters
    assert len(set(letters.values())) == len(letters), letters
    qtbot.waitUntil(window.isActiveWindow, timeout=30_000)
    with qtbot.waitSignal(window.chosen) as chosen:
        QtTest.QTest.keyClick(window, Key.Key_F, QtCore.Qt.KeyboardModifier.AltModifier)
    assert chosen.args == [Finish()]


def test_buttons_keep_place_and_focus_whatever_was_asked(qtbot: QtBot) -> None:
    window = window_of(qtbot, IDLE)
    window.show()
    qtbot.waitUntil(window.isActiveWindow, timeout=30_000)
    before = list(buttons(window).values())
    buttons(window)["Pause"].setFocus()
    paused = AgentStatus("paused", "online", "barred", paused_by_hand=True)
    window.show_menu(menu(paused, str), paused, NOW)
    assert list(buttons(window).values()) == before
    assert buttons(window)["Resume"].isEnabled()
    assert window.focusWidget() is buttons(window)["Pause"]


# -- the last day

SPANS = (
    Span(NOW - DAY, NOW - DAY * 0.75, "ran"),
    Span(NOW - DAY * 0.75, NOW - DAY * 0.5, "paused"),
    Span(NOW - DAY * 0.5, NOW - DAY * 0.25, "free"),
)


def test_the_last_day_is_said_too(qtbot: QtBot) -> None:
    window = window_of(qtbot, AgentStatus("idle", "online", "away", day=SPANS))
    (day,) = window.findChildren(DayPicture)
    assert day.isVisibleTo(window)
    assert day.accessibleDescription() == (
        "The last 24 hours: jobs ran 6 h 00 min, jobs paused 6 h 00 min, "
        "free, no jobs 6 h 00 min, off 6 h 00 min."
    )
    none = window_of(qtbot, IDLE)
    assert not none.findChildren(DayPicture)[0].isVisibleTo(none)


@pytest.mark.parametrize(("share", "written"), [(0.5, True), (0.95, False)])
def test_an_hour_is_not_written_into_the_present(qtbot: QtBot, share: float, written: bool) -> None:
    pictures = []
    for words in ("18:00", ""):
        day = DayPicture()
        qtbot.addWidget(day)
        day.show_day(DayShown((), ((share, words),), "a day"))
        day.resize(400, day.sizeHint().height())
        pictures.append(day.grab().toImage())
    assert (pictures[0] != pictures[1]) == written


@pytest.mark.parametrize("ground", ["#ffffff", "#1b1e20"])
def test_its_states_differ_without_colour(qtbot: QtBot, ground: str) -> None:
    """By how much of the strip is inked: each quarter of it by a tenth at least."""
    window = window_of(qtbot, AgentStatus("idle", "online", "away", day=SPANS))
    (day,) = window.findChildren(DayPicture)
    palette = day.palette()
    for role in (QtGui.QPalette.ColorRole.Base, QtGui.QPalette.ColorRole.Window):
        palette.setColor(role, QtGui.QColor(ground))
    day.setPalette(palette)
    day.resize(400, day.sizeHint().height())
    image = day.grab().toImage().convertToFormat(QtGui.QImage.Format.Format_Grayscale8)
    plain = QtGui.qGray(QtGui.QColor(ground).rgb())
    inked = []
    for quarter in range(4):
        points = [
            (x, y) for x in range(quarter * 100 + 5, quarter * 100 + 95) for y in range(3, 32)
        ]
        inks = [abs(QtGui.qGray(image.pixel(x, y)) - plain) > 40 for x, y in points]
        inked.append(sum(inks) / len(inks))
    assert all(more - less > 0.1 for more, less in pairwise(inked)), inked
