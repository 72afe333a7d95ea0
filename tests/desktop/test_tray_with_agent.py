"""The installed `tray` with a real agent: who starts whom, who ends whom, and what both then say.

Not jobs: those are in tests/main_job. The agent here has joined no coordinator, which the icon
says as soon as nothing more urgent is to be said.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen
from typing import Any

import psutil
import pytest
from PIL import Image

from desktop.menu_by_dbus import MenuByDBus
from desktop.shown_tray import icon_shown, wait_for_icon
from desktop.virtual_desktop import VirtualDesktop
from fallow.shared.clock import SystemClock
from fallow.shared.errors import Unreachable
from fallow.shared.runs import Reason
from fallow.tray.local import LocalClient
from fallow.tray.status import AgentStatus
from waiting import wait_until

SCRIPT = str(Path(sys.executable).parent / "tray")


class Desk:
    """One data folder, and all that runs on it."""

    def __init__(self, desktop: VirtualDesktop, data_dir: Path) -> None:
        self.desktop = desktop
        self.data_dir = data_dir

    def tray(self, name: str = "tray") -> Popen[bytes]:
        return self.desktop.spawn(SCRIPT, "--data-dir", str(self.data_dir), name=name)

    def agent(self) -> Popen[bytes]:
        words = (SCRIPT, "agent", "--data-dir", str(self.data_dir))
        agent = self.desktop.spawn(*words, name="agent")
        wait_until(self.status, 15, "the agent")
        return agent

    def status(self) -> AgentStatus | None:
        """What the agent says; None when there is none."""
        try:
            with LocalClient(self.data_dir) as client:
                return client.status()
        except Unreachable:
            return None

    def kinds(self) -> list[str]:
        """The reasons why no jobs may run."""
        status = self.status()
        return [reason.kind for reason in status.reasons] if status is not None else []

    def reasons(self) -> tuple[Reason, ...]:
        status = self.status()
        return status.reasons if status is not None else ()

    def pid(self) -> int:
        status = self.status()
        return status.pid if status is not None else 0

    def verb(self, *words: str) -> Any:
        done = subprocess.run(
            [SCRIPT, *words, "--json", "--data-dir", self.data_dir],
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def desk(sni_desktop: VirtualDesktop, tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(sni_desktop, tmp_path / "agent")
    yield desk
    # One that the tray started is no child of the desktop.
    if pid := desk.pid():
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: desk.status() is None, 20, "the agent to end")


@pytest.fixture
def menu(desk: Desk) -> Iterator[MenuByDBus]:
    with desk.desktop.menu() as menu:
        yield menu


def test_the_tray_brings_its_agent_and_takes_it_along(desk: Desk, menu: MenuByDBus) -> None:
    tray = desk.tray()
    wait_for_icon(menu, "attention", 20)
    assert menu.tooltip == "Fallow: this computer has not joined a coordinator yet"
    pid = desk.pid()
    assert pid not in (0, tray.pid)
    menu.click("Quit")
    assert tray.wait(10) == 0
    wait_until(lambda: not psutil.pid_exists(pid), 20, "its agent to end")
    assert desk.desktop.log("tray") == ""


def test_a_tray_leaves_an_agent_that_was_there_and_leaves_it_blind(
    desk: Desk, menu: MenuByDBus
) -> None:
    agent = desk.agent()
    assert desk.kinds()[0] == "blind"
    tray = desk.tray()
    wait_for_icon(menu, "attention", 20)
    wait_until(lambda: "blind" not in desk.kinds(), 20, "the agent to see this desk")
    assert desk.pid() == agent.pid
    menu.click("Quit")
    assert tray.wait(10) == 0
    wait_until(lambda: desk.kinds()[0] == "blind", 20, "the agent to see nothing")
    assert agent.poll() is None


def test_a_tray_that_is_killed_leaves_its_agent_blind(desk: Desk, menu: MenuByDBus) -> None:
    tray = desk.tray()
    wait_for_icon(menu, "attention", 20)
    wait_until(lambda: desk.kinds() and "blind" not in desk.kinds(), 20, "the agent to see")
    pid = desk.pid()
    tray.kill()
    wait_until(lambda: desk.kinds()[0] == "blind", 15, "the agent to see nothing")
    assert desk.pid() == pid


def test_a_pause_from_the_menu_outlives_tray_and_agent(desk: Desk, menu: MenuByDBus) -> None:
    first = desk.tray()
    wait_for_icon(menu, "attention", 20)
    menu.click("Pause", "1 hour")
    wait_for_icon(menu, "paused_by_you")
    asked = SystemClock().now().wall
    said = desk.verb("status")
    assert said["state"] == "paused"
    assert said["paused_by_hand"] is True
    assert said["reasons"][0]["kind"] == "pause"
    assert said["reasons"][0]["until"] == pytest.approx(asked + 3600, abs=15)
    assert menu.tooltip.startswith("Fallow: paused, you asked for a pause, until ")
    os.kill(desk.pid(), signal.SIGKILL)
    first.kill()
    first.wait()
    wait_until(lambda: menu.icons() == [], 15, "the icon to leave")
    desk.tray("second")
    wait_for_icon(menu, "paused_by_you", 20)
    again = desk.verb("status")["reasons"][0]
    assert again["until"] == pytest.approx(said["reasons"][0]["until"], abs=2)
    # One resumes by command, and the icon follows.
    desk.verb("resume")
    wait_for_icon(menu, "attention")
    assert "Resume" not in menu.labels()


def test_typing_is_said_with_its_end(desk: Desk, menu: MenuByDBus) -> None:
    desk.data_dir.mkdir(mode=0o700)
    (desk.data_dir / "agent.toml").write_text(
        '[presence]\nidle_after = "2s"\nsettle = "0s"\nforeign_cpu = 1.0\n'
    )
    desk.tray()
    wait_for_icon(menu, "attention", 20)
    wait_until(lambda: "input" not in desk.kinds(), 20, "a free desk")
    desk.desktop.key("a")
    wait_until(lambda: "input" in desk.kinds(), 2, "the agent to know")
    said = desk.verb("status")
    reason = next(each for each in said["reasons"] if each["kind"] == "input")
    assert reason["text"] == "you are here"
    assert reason["until"] == pytest.approx(SystemClock().now().wall + 2, abs=2)
    sensors = {each["name"]: each for each in said["sensors"]}
    assert sensors["pynput"]["healthy"] is True
    assert sensors["xscreensaver"]["source"] == "tray"
    wait_until(lambda: "input" not in desk.kinds(), 20, "a free desk again")


def test_an_agent_that_died_is_started_again_and_then_from_the_menu(
    desk: Desk, menu: MenuByDBus
) -> None:
    desk.tray()
    wait_for_icon(menu, "attention", 20)
    first = desk.pid()
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: desk.pid() not in (0, first), 30, "another agent, started by itself")
    wait_until(lambda: "Pause" in menu.labels(), 15, "the menu to know it")
    before = desk.pid()
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: "Start it again" in menu.labels(), 15, "the menu to offer it")
    assert icon_shown(menu) == "attention"
    menu.click("Start it again")
    wait_until(lambda: "Pause" in menu.labels(), 15, "the new agent")
    assert desk.pid() not in (0, before)


def test_an_agent_that_cannot_start_says_why_in_the_menu(desk: Desk, menu: MenuByDBus) -> None:
    desk.data_dir.mkdir(mode=0o700)
    (desk.data_dir / "agent.toml").write_text("[presence]\nidle_afterr = 1\n")
    tray = desk.tray()
    wait_for_icon(menu, "attention", 30)
    assert menu.tooltip == "Fallow: the part that runs jobs does not answer"
    assert any("idle_afterr" in label for label in menu.labels())
    (desk.data_dir / "agent.toml").unlink()
    menu.click("Start it again")
    wait_until(lambda: "Pause" in menu.labels(), 15, "the agent")
    assert not any("idle_afterr" in label for label in menu.labels())
    menu.click("Quit")
    assert tray.wait(15) == 0


def test_preferences_change_the_file_and_what_the_agent_does(desk: Desk, menu: MenuByDBus) -> None:
    desk.data_dir.mkdir(mode=0o700)
    rules = desk.data_dir / "agent.toml"
    rules.write_text("# ours\n[presence]\nforeign_cpu = 1.0\n")
    desk.tray()
    wait_for_icon(menu, "attention", 30)
    menu.click("Preferences")
    (window,) = wait_until(desk.desktop.windows, 30, "the window")
    assert window.name == "Fallow: Preferences"
    # By keyboard alone: to the first field of the first page, and what stands there is replaced.
    picture = desk.desktop.folder / "preferences.png"

    def filled() -> bool:
        """The first field is white, and no longer the grey of one that is not filled in."""
        shot = Image.open(desk.desktop.screenshot(picture, window)).convert("L")
        return shot.getpixel((window.width - 80, 58)) == 255

    wait_until(filled, 30, "the values")
    desk.desktop.key("alt+o", "alt+r", "Tab", "ctrl+a")
    desk.desktop.type_text("7 minutes")
    desk.desktop.key("Return")
    wait_until(lambda: 'idle_after = "7m"' in rules.read_text(), 30, "the file")
    assert rules.read_text().startswith("# ours\n")
    desk.desktop.key("Escape")
    wait_until(lambda: not desk.desktop.windows(), 30, "the window to close")
    asked = SystemClock().now().wall
    until = next(each.until for each in desk.reasons() if each.kind == "input")
    assert until is not None
    assert until - asked == pytest.approx(420, abs=40), "the agent goes by it at once"
