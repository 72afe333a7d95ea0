"""The icon, its menu and its window as one: what the agent says is shown, what is clicked is said.

Not how the program starts (`app`), and no decision: each intent becomes one request to the agent.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

import msgspec
from PySide6 import QtCore, QtWidgets

from fallow.shared.account import public_keys
from fallow.shared.clock import SystemClock
from fallow.shared.errors import FallowError
from fallow.shared.waker import Waker
from fallow.tray import autostart, habits, hours, local, notices, view
from fallow.tray.line import Line
from fallow.tray.local import NoticeIs
from fallow.tray.status import AgentStatus
from fallow.tray.ui.icon import TrayIcon
from fallow.tray.ui.notify import Notifier
from fallow.tray.ui.one_per_session import Session
from fallow.tray.ui.own_agent import OwnAgent
from fallow.tray.ui.shown_menu import ShownMenu
from fallow.tray.ui.theme import application

if TYPE_CHECKING:
    from fallow.tray.ui.preferences import Preferences
    from fallow.tray.ui.window import Window

# Seconds: an agent that dies again and again is left to a person, who reads why.
REVIVE_EVERY = 30.0


class Tray(QtCore.QObject):
    """All that this desktop session has of Fallow.

    `takes_agent_along` is whether a person quits, and with the icon ends the agent that it started;
    `session_closes` whether the session does, so that this agent gives its jobs back first.
    """

    # Emitted in the line's thread, received in Qt's.
    status_came = QtCore.Signal(object)
    refused = QtCore.Signal(object)
    told = QtCore.Signal(object)

    def __init__(self, data_dir: Path, session: Session, agent: OwnAgent) -> None:
        super().__init__()
        self._clock = SystemClock()
        self._agent = agent
        self._data_dir = data_dir
        self._habits = habits.load(habits.place())
        self._preferences: Preferences | None = None
        self.takes_agent_along = False
        self.session_closes = False
        self._answered = False
        self._revive_at = 0.0
        self._menu: view.Menu | None = None
        self._status: AgentStatus | None = None
        self._came = 0.0
        self._boxes: dict[str, QtWidgets.QMessageBox] = {}
        self._session = session
        self._shown_menu = ShownMenu(self)
        self._shown_menu.chosen.connect(self._choose)
        self._window: Window | None = None
        self._icon = TrayIcon(self._shown_menu.menu, self)
        self._icon.activated.connect(self._open_window)
        self._icon.trayless.connect(self._without_tray)
        self._icon.appeared.connect(self._with_tray)
        self._icon.drawn_by_panel.connect(self._shown_menu.draw_for)
        self._told = notices.Told(met=self._habits.met)
        self.notifier = Notifier(self._icon, not self._habits.notify, self)
        self._knocks = QtCore.QSocketNotifier(
            session.fileno(), QtCore.QSocketNotifier.Type.Read, self
        )
        self._knocks.activated.connect(self._knocked)
        self.status_came.connect(self._take)
        self.refused.connect(self._complain)
        self.told.connect(self._tell)
        self.line = Line(
            *(data_dir, self.status_came.emit, self.refused.emit),
            on_notice=self.told.emit,
            keys_of=self._keys,
        )

    def start(self) -> None:
        """Starts an agent where none answers, and the line to it."""
        self._ensure_agent()
        self.line.start()

    def _ensure_agent(self) -> None:
        try:
            self._agent.ensure()
        except FallowError as error:
            self._complain(error)

    # -- what comes

    def _take(self, status: AgentStatus | None) -> None:
        self._revive(status)
        first = self._menu is None
        now = self._clock.now().wall
        last_words = self._agent.last_words() if status is None else ()
        menu = view.menu(status, lambda wall: hours.say(wall, now), last_words)
        self._status, self._came = status, now
        if menu != self._menu:
            self._menu = menu
            self._shown_menu.show(menu)
            self._icon.show(menu)
        if self._window is not None and self._window.isVisible():
            self._window.show_menu(menu, status, now)
        if first:
            self._icon.start()
        self._notify(status, menu)

    def _notify(self, status: AgentStatus | None, menu: view.Menu) -> None:
        boot = self._clock.now().boot
        self._told, found = notices.notices(self._told, status, menu, boot)
        for notice in found:
            self.notifier.show(notice)
        if self._told.met and not self._habits.met:
            self._habits = msgspec.structs.replace(self._habits, met=True)
            # A file that cannot be written only means to be told again.
            with contextlib.suppress(FallowError):
                habits.save(habits.place(), self._habits)

    def _keys(self) -> tuple[str, ...]:
        """Whom the coordinator may tell of things here; asked in the line's thread."""
        return () if self.notifier.muted else ("uid", *public_keys())

    def _tell(self, notice: NoticeIs) -> None:
        """The end of a batch of this person's, who asked to be told."""
        kind = f"batch-{notice.id}"
        self.notifier.show(notices.Notice(kind, notice.title, notice.text, "idle"))

    def _revive(self, status: AgentStatus | None) -> None:
        """What a dead agent left running, nobody stops when somebody sits down."""
        if status is not None:
            self._answered = True
            return
        now = self._clock.now().boot
        if self._agent.pid is not None and self._answered and now >= self._revive_at:
            self._answered = False
            self._revive_at = now + REVIVE_EVERY
            self._ensure_agent()

    def _knocked(self) -> None:
        if self._session.answer():
            self._open_window()

    def _open_window(self) -> Window:
        # Made only now: in most sessions nobody opens it, and it holds megabytes.
        if self._window is None:
            from fallow.tray.ui.window import Window

            self._window = Window(self._clock)
            self._window.chosen.connect(self._choose)
        if self._menu is not None:
            self._window.show_menu(self._menu, self._status, self._came)
        self._window.bring_up()
        return self._window

    def _open_preferences(self) -> None:
        from fallow.tray.ui.preferences import Preferences
        from fallow.tray.whereabouts import default_data_dir

        if self._preferences is None:
            start = autostart.command(self._data_dir, default_data_dir())
            self._preferences = Preferences(self._data_dir, start, self._habits)
            self._preferences.kept.connect(self._keep_habits)
            self._preferences.destroyed.connect(self._closed_preferences)
        self._preferences.showNormal()
        self._preferences.raise_()
        self._preferences.activateWindow()

    def _closed_preferences(self) -> None:
        self._preferences = None

    def _keep_habits(self, kept: habits.Habits) -> None:
        self._habits = kept
        self.notifier.muted = not kept.notify

    def _without_tray(self) -> None:
        self._open_window().stays = True

    def _with_tray(self) -> None:
        if self._window is None:
            return
        # The window stood in for the icon; one that a person opened stays.
        if self._window.stays:
            self._window.hide()
        self._window.stays = False

    # -- what is asked

    def _choose(self, intent: view.Intent) -> None:
        match intent:
            case view.PauseFor(seconds=seconds):
                self.line.say(local.PauseFor(seconds))
            case view.PauseUntilTomorrow():
                self.line.say(local.PauseFor(hours.until_tomorrow(self._clock.now().wall)))
            case view.Resume():
                self.line.say(local.Resume())
            case view.LendFor(seconds=seconds):
                self.line.say(local.LendFor(seconds))
            case view.Eject():
                self.line.say(local.Eject())
            case view.Finish():
                self.line.say(local.Finish())
            case view.OpenWindow():
                self._open_window()
            case view.OpenPreferences():
                self._open_preferences()
            case view.StartAgent():
                self._ensure_agent()
                self.line.retry()
            case view.About():
                # As the windows: most sessions need none of it.
                from fallow.tray.ui.about import about

                self._keep("about", about())
            case view.Quit():
                self._quit()
            case _:
                assert_never(intent)

    def _complain(self, error: FallowError) -> None:
        from fallow.tray.ui.about import complain

        # The same complaint twice is one box.
        if error.title not in self._boxes:
            self._keep(error.title, complain(error))

    def _keep(self, name: str, box: QtWidgets.QMessageBox) -> None:
        if (before := self._boxes.pop(name, None)) is not None:
            before.close()
        self._boxes[name] = box
        box.finished.connect(lambda _=0: self._boxes.pop(name, None))

    def expect_the_end(self) -> None:
        """The session closes, and this icon with it."""
        self.session_closes = True

    def close_with_session(self) -> None:
        """The session closes now."""
        self.expect_the_end()
        QtWidgets.QApplication.exit(0)

    def _quit(self) -> None:
        """Whoever quits wants nothing of Fallow: an agent that this icon started ends with it."""
        self.takes_agent_along = self._agent.pid is not None
        # quit() would first ask the window, which refuses to go.
        QtWidgets.QApplication.exit(0)


def run(data_dir: Path, session: Session, agent: OwnAgent) -> int:
    """Shows the icon until somebody quits it, a signal ends it, or (1) its screen goes."""
    # Nothing here is drawn by OpenGL, whose libraries take megabytes.
    os.environ.setdefault("QT_XCB_GL_INTEGRATION", "none")
    app = application(os.environ, sys.argv[0])
    app.setApplicationName("fallow")
    app.setDesktopFileName("fallow-tray")
    app.setQuitOnLastWindowClosed(False)
    tray = Tray(data_dir, session, agent)
    waker = Waker()
    notifier = QtCore.QSocketNotifier(waker.fileno(), QtCore.QSocketNotifier.Type.Read)
    # Python sees a signal only when Python code runs: the notifier is that code.
    notifier.activated.connect(lambda *_: waker.drain())
    signal.signal(signal.SIGINT, lambda *_: app.exit(0))
    # How a session ends its programs; some ask them first.
    app.commitDataRequest.connect(lambda _session: tray.expect_the_end())
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: tray.close_with_session())
    with waker.woken_by_signals():
        tray.start()
        # Not 0 when the screen has gone.
        code = app.exec()
    # The agent sees no more of this desk from here on.
    tray.line.close()
    if tray.takes_agent_along:
        agent.end()
    elif tray.session_closes:
        agent.leave()
    return code
