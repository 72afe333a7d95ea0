"""Notifications as a desktop shows them: by its service, a started one too, or as a balloon."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6 import QtWidgets
from pytestqt.qtbot import QtBot

from desktop.agent_end import AgentEnd
from desktop.mocked_bus import PYTHON, MockedBus, available
from desktop.shown_tray import settled_icon, show_tray
from desktop.virtual_desktop import VirtualDesktop
from fallow.shared.runs import Progress
from fallow.tray.local import Here, NoticeIs, Shown
from fallow.tray.notices import Notice
from fallow.tray.sensors.bus import Bus, Unanswered
from fallow.tray.status import AgentStatus, RunStatus
from fallow.tray.ui.icon import TrayIcon
from fallow.tray.ui.notify import PATH, SERVICE, Notifier
from waiting import wait_until

RUN = RunStatus("a <b> & c", "re100", "ana", "running", "a/0/1", progress=Progress(0.43))
GOES = RunStatus("a <b> & c", "re100", "ana", "ending", "a/0/1", leaving=True)
DAEMON = (PYTHON, "-m", "dbusmock", "--session", "--template", "notification_daemon")


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[AgentEnd]:
    with AgentEnd(tmp_path) as agent:
        yield agent


def start_daemon(desktop: VirtualDesktop) -> None:
    if not available():
        pytest.skip("python-dbusmock is not installed here")
    desktop.spawn(*DAEMON, name="daemon")
    bus = Bus("session", desktop.env["DBUS_SESSION_BUS_ADDRESS"])

    def there() -> bool:
        try:
            bus.turn(10.0)
            return bool(bus.ask(SERVICE, PATH, f"{SERVICE}.GetServerInformation"))
        except Unanswered:
            return False

    wait_until(there, 30, "the notification service")
    bus.hang_up()


def shown(desktop: VirtualDesktop) -> list[str]:
    """What the service was asked to show, a line each."""
    return [line for line in desktop.log("daemon").splitlines() if " Notify " in line]


def test_first_job_and_moved_work_are_notified(
    sni_desktop: VirtualDesktop, agent: AgentEnd
) -> None:
    start_daemon(sni_desktop)
    show_tray(sni_desktop, agent.data_dir)
    with sni_desktop.menu() as menu:
        menu.wait_for_icon()
    agent.say(AgentStatus("running", "online", "away", runs=(RUN,)))
    (first,) = wait_until(lambda: shown(sni_desktop), 30, "the first job")
    assert "The first job of your group is here" in first
    assert "re100 of a &lt;b> &amp; c, for ana" in first
    assert "running.svg" in first
    agent.say(AgentStatus("running", "online", "away", runs=(GOES,)))
    (_, moved) = wait_until(lambda: shown(sni_desktop)[1:] and shown(sni_desktop), 30, "the move")
    assert "moves to another computer" in moved
    # A second tray of the same person does not tell of a first job again.
    kept = Path(sni_desktop.env["XDG_CONFIG_HOME"]) / "fallow" / "tray.json"
    assert '"met": true' in kept.read_text()


def test_who_wants_none_gets_none(sni_desktop: VirtualDesktop, agent: AgentEnd) -> None:
    start_daemon(sni_desktop)
    kept = Path(sni_desktop.env["XDG_CONFIG_HOME"]) / "fallow" / "tray.json"
    kept.parent.mkdir(parents=True)
    kept.write_text('{"notify": false}')
    show_tray(sni_desktop, agent.data_dir)
    with sni_desktop.menu() as menu:
        menu.wait_for_icon()
        agent.say(AgentStatus("running", "online", "away", runs=(RUN,)))
        wait_until(lambda: "running" in menu.tooltip, 30, "the run")
    # Kept is said after shown.
    wait_until(lambda: '"met": true' in kept.read_text(), 30, "it to be known")
    assert shown(sni_desktop) == []
    # And nobody learns who is logged in here.
    assert agent.said(Here) == [Here(())]


def test_the_end_of_a_batch_is_told_to_who_submitted_it(
    sni_desktop: VirtualDesktop, agent: AgentEnd
) -> None:
    start_daemon(sni_desktop)
    joined = Path(sni_desktop.env["XDG_CONFIG_HOME"]) / "fallow" / "coordinators.json"
    joined.parent.mkdir(parents=True)
    joined.write_text('{"coordinators": [{"public": "mine"}, {"name": "joined long ago"}]}')
    show_tray(sni_desktop, agent.data_dir)
    wait_until(lambda: agent.said(Here), 30, "the tray to say whose it is")
    agent.tell("somebody else's", NoticeIs(6, "Not for you", "x"))
    agent.tell("mine", NoticeIs(7, "ana:b has ended", "All 2 jobs succeeded."))
    wait_until(lambda: agent.said(Shown), 30, "it to be shown")
    (line,) = wait_until(lambda: shown(sni_desktop), 30, "the notification")
    assert "ana:b has ended" in line
    assert agent.said(Here) == [Here(("uid", "mine"))]
    assert agent.said(Shown) == [Shown(7)]


def test_a_service_that_does_not_run_is_started(
    qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on most desktops, where the bus starts it when somebody first asks."""
    if not available():
        pytest.skip("python-dbusmock is not installed here")
    log = tmp_path / "daemon.log"
    command = " ".join((*DAEMON, "--logfile", str(log)))
    (tmp_path / f"{SERVICE}.service").write_text(
        f"[D-BUS Service]\nName={SERVICE}\nExec={command}\n"
    )
    with MockedBus(tmp_path) as bus:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bus.address)
        notifier = Notifier(TrayIcon(QtWidgets.QMenu()), muted=False)
        notifier.show(Notice("first", "A title", "A text"))
        wait_until(lambda: log.exists() and " Notify " in log.read_text(), 30, "the notification")
        # A second of its kind takes the place of the first.
        notifier.show(Notice("first", "Another title", "A text"))
        wait_until(lambda: "Another title" in log.read_text(), 30, "the second")
    first, second = (line for line in log.read_text().splitlines() if " Notify " in line)
    assert 'Notify "Fallow" 0 ' in first
    assert 'Notify "Fallow" 1 ' in second


def test_without_a_service_there_is_a_balloon(
    xembed_desktop: VirtualDesktop, agent: AgentEnd
) -> None:
    show_tray(xembed_desktop, agent.data_dir)
    settled_icon(xembed_desktop)
    assert xembed_desktop.popups() == []
    agent.say(AgentStatus("running", "online", "away", runs=(RUN,)))
    wait_until(xembed_desktop.popups, 30, "the balloon")
