"""Lend, finish, send elsewhere, pause, resume: by menu, by window and by command, at a real desk.

What was asked for outlives the death of agent and tray. Its desk counts as used for ten minutes, so
that nothing but what was asked for lets jobs run or keeps them away.
"""

import time
from collections.abc import Iterator

import pytest

from desktop.menu_by_dbus import MenuByDBus
from desktop.virtual_desktop import VirtualDesktop
from fallow.tray.status import AgentStatus
from main_job.conftest import Coordinator
from main_job.desk import Desk
from main_job.real import Group, config, one_job
from main_job.workstation import ticks
from waiting import wait_until

USED = 'idle_after = "10m"\nsettle = "0s"\nforeign_cpu = 1.0\n'
PATIENCE = 40.0


@pytest.fixture
def group(coordinator: Coordinator) -> Iterator[Group]:
    with Group(coordinator) as made:
        yield made


@pytest.fixture
def desktop() -> Iterator[VirtualDesktop]:
    with VirtualDesktop("sni") as screen:
        yield screen


@pytest.fixture
def desk(group: Group, desktop: VirtualDesktop) -> Iterator[Desk]:
    place = group.workstation(configuration=config(USED), covers_terminals=True)
    with desktop.menu() as menu:
        yield Desk(place, desktop, menu)
    assert desktop.log("tray") == ""


class ByMenu:
    """Clicks in the icon's menu, over D-Bus."""

    def __init__(self, desk: Desk) -> None:
        self.menu: MenuByDBus = desk.menu

    def ask(self, *path: str) -> None:
        def there() -> bool:
            try:
                return self.menu.item(*path).enabled
            except LookupError:
                return False

        wait_until(there, PATIENCE, f"{path} in the menu")
        self.menu.click(*path)


class ByWindow:
    """Keys, and for the pause a real pointer, in the window."""

    KEYS = {  # noqa: RUF012
        "Use this computer while I work": "alt+u",
        "Finish then stop": "alt+f",
        "Send the job elsewhere": "alt+s",
        "Resume": "alt+r",
    }

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def ask(self, *path: str) -> None:
        # What cannot be chosen in the menu cannot be pressed in the window.
        by_menu = ByMenu(self.desk)
        wait_until(lambda: path[0] in self.desk.menu.labels(), PATIENCE, f"{path} to be offered")
        wait_until(lambda: self.desk.menu.item(path[0]).enabled, PATIENCE, f"{path} to be possible")
        screen = self.desk.screen
        if not screen.windows():
            by_menu.ask("Window")
        (window,) = wait_until(screen.windows, PATIENCE, "the window")
        if path[0] == "Pause":
            screen.click(1, (window.x + 70, window.y + window.height - 110))
        else:
            screen.key(self.KEYS[path[0]])
        if len(path) > 1:
            wait_until(screen.popups, PATIENCE, "the menu of the button")
            # The second line.
            screen.key("Down")
            screen.key("Down")
            screen.key("Return")


class ByCommand:
    """The verbs of `tray` in a terminal."""

    WORDS = {  # noqa: RUF012
        "Use this computer while I work": ("lend", "1h"),
        "Finish then stop": ("finish",),
        "Send the job elsewhere": ("eject",),
        "Pause": ("pause", "1h"),
        "Resume": ("resume",),
    }

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def ask(self, *path: str) -> None:
        done = self.desk.place.verb(*self.WORDS[path[0]])
        assert done.returncode == 0, done.stderr


def status(desk: Desk) -> AgentStatus:
    found = desk.place.quick_status()
    assert isinstance(found, AgentStatus)
    return found


def kinds(desk: Desk) -> list[str]:
    return [reason.kind for reason in status(desk).reasons]


@pytest.mark.parametrize("way", [ByMenu, ByWindow, ByCommand])
def test_what_is_asked_for_outlives_agent_and_tray(
    group: Group, desk: Desk, way: type[ByMenu | ByWindow | ByCommand]
) -> None:
    person = way(desk)
    group.submit(one_job("while :; do :; done"))
    assert "input" in kinds(desk)
    asked = time.time()

    person.ask("Use this computer while I work", "1 hour")
    desk.place.wait_for_run("running")
    until = status(desk).lent_until
    assert until is not None
    assert 3590 < until - asked < 3600 + PATIENCE
    desk.crash()
    desk.place.wait_for_run("running")
    again = status(desk).lent_until
    assert again is not None
    assert abs(again - until) < 1.0
    desk.screen.key("a")
    pids = desk.place.pids()
    before = ticks(pids)
    wait_until(lambda: ticks(pids) > before, PATIENCE, "it to run although somebody types")

    person.ask("Finish then stop")
    wait_until(lambda: status(desk).finishing, PATIENCE, "the agent to know")
    desk.crash()
    assert status(desk).finishing
    assert status(desk).state == "finishing"
    group.submit(one_job("echo second", "second"))
    assert desk.place.wait_for_run("running").batch == "b"

    person.ask("Send the job elsewhere")
    wait_until(lambda: group.job("b")["evictions"] == 1, PATIENCE, "the job to leave")
    assert status(desk).lent_until is None
    sent = next(reason.until for reason in status(desk).reasons if reason.kind == "eject")
    assert sent is not None
    desk.crash()
    assert any(reason.kind == "eject" for reason in status(desk).reasons)
    assert status(desk).finishing
    assert group.job("b")["state"] == "queued"
    assert not desk.place.pids()

    person.ask("Pause", "1 hour")
    wait_until(lambda: status(desk).paused_by_hand, PATIENCE, "the pause")
    desk.crash()
    assert status(desk).paused_by_hand
    person.ask("Resume")
    wait_until(lambda: not status(desk).paused_by_hand, PATIENCE, "the end of the pause")
    assert not status(desk).finishing
    assert "eject" not in kinds(desk)
    assert group.job("second")["state"] == "queued", "somebody is at the desk"
