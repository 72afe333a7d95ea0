"""The real tray in a StatusNotifier panel: every state and every line of the menu, over D-Bus."""

import signal
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen

import pytest

from desktop.agent_end import AgentEnd
from desktop.menu_by_dbus import MenuByDBus
from desktop.shown_tray import show_tray, wait_for_icon
from desktop.virtual_desktop import VirtualDesktop
from fallow.shared.clock import SystemClock
from fallow.shared.runs import Progress, Reason
from fallow.tray import hours, local
from fallow.tray.status import AgentStatus, RunStatus
from fallow.tray.view import ONLY_LOOK, IconName
from waiting import wait_until

RUN = RunStatus("sweep", "re100", "ana", "running", progress=Progress(0.43))
PAUSES = ["30 minutes", "1 hour", "4 hours", "Until tomorrow", "Until I resume"]


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[AgentEnd]:
    with AgentEnd(tmp_path) as agent:
        yield agent


@pytest.fixture
def tray(sni_desktop: VirtualDesktop, agent: AgentEnd) -> Popen[bytes]:
    return show_tray(sni_desktop, agent.data_dir)


@pytest.fixture
def menu(sni_desktop: VirtualDesktop, tray: Popen[bytes]) -> Iterator[MenuByDBus]:
    with sni_desktop.menu() as menu:
        menu.wait_for_icon()
        yield menu


def test_each_state_has_its_icon_and_tooltip(agent: AgentEnd, menu: MenuByDBus) -> None:
    here = Reason("input", "you are here", SystemClock().now().wall + 7200)
    asked = Reason("pause", "you asked for a pause")
    until = hours.say(here.until or 0, SystemClock().now().wall)
    states: list[tuple[AgentStatus, IconName, str]] = [
        (AgentStatus("idle", "online", "away"), "idle", "waiting for work"),
        (
            AgentStatus("running", "online", "away", runs=(RUN,)),
            "running",
            "running re100 of sweep for ana",
        ),
        (
            AgentStatus("paused", "online", "barred", (asked,), paused_by_hand=True),
            "paused_by_you",
            "paused, you asked for a pause, until you resume",
        ),
        (
            AgentStatus("paused", "online", "present", (here,)),
            "paused_for_you",
            f"paused, you are here, until {until} if nobody touches it",
        ),
        (
            AgentStatus("idle", "offline", "away"),
            "offline",
            "the coordinator cannot be reached; trying again",
        ),
        (
            AgentStatus("idle", "unjoined", "away"),
            "attention",
            "this computer has not joined a coordinator yet",
        ),
    ]
    for status, icon, tooltip in states:
        agent.say(status)
        wait_for_icon(menu, icon)
        assert menu.tooltip == f"Fallow: {tooltip}"
        assert menu.labels()[0] == tooltip
        assert not menu.item(tooltip).enabled


def test_every_line_does_what_it_says(agent: AgentEnd, menu: MenuByDBus) -> None:
    assert menu.labels() == [
        *("waiting for work", "Pause", "Use this computer while I work"),
        *("Send the job elsewhere", "Finish then stop", "Window", "Preferences", "About", "Quit"),
    ]
    assert menu.labels("Pause") == PAUSES
    for label in PAUSES:
        menu.click("Pause", label)
    wait_until(lambda: len(agent.said(local.PauseFor)) == len(PAUSES), 15, "all pauses")
    asked = [each.seconds for each in agent.said(local.PauseFor)]  # type: ignore[union-attr]
    assert asked[:3] == [1800.0, 3600.0, 14400.0]
    assert asked[3] == pytest.approx(hours.until_tomorrow(SystemClock().now().wall), abs=10)
    assert asked[4] is None
    agent.say(
        AgentStatus("paused", "online", "barred", (Reason("pause", "x"),), paused_by_hand=True)
    )
    wait_until(lambda: "Resume" in menu.labels(), 15, "a way to resume")
    assert agent.said(local.Resume) == []
    menu.click("Resume")
    wait_until(lambda: agent.said(local.Resume), 15, "resume")


def test_lend_eject_and_finish_are_asked_of_the_agent(agent: AgentEnd, menu: MenuByDBus) -> None:
    assert not menu.item("Send the job elsewhere").enabled
    agent.say(AgentStatus("running", "online", "away", runs=(RUN,)))
    wait_until(lambda: menu.item("Send the job elsewhere").enabled, 30, "a job to send away")
    menu.click("Send the job elsewhere")
    menu.click("Finish then stop")
    for label in menu.labels("Use this computer while I work"):
        menu.click("Use this computer while I work", label)
    wait_until(lambda: len(agent.said(local.LendFor)) == 4, 30, "all loans")
    lengths = [each.seconds for each in agent.said(local.LendFor)]  # type: ignore[union-attr]
    assert lengths == [1800.0, 3600.0, 14400.0, 28800.0]
    assert agent.said(local.Eject) == [local.Eject()]
    assert agent.said(local.Finish) == [local.Finish()]


def test_who_may_only_look_finds_the_verbs_grey(agent: AgentEnd, menu: MenuByDBus) -> None:
    agent.say(AgentStatus("running", "online", "away", runs=(RUN,), may_change=False))
    wait_until(lambda: ONLY_LOOK in menu.labels(), 30, "the reason")
    for label in ("Pause", "Use this computer while I work", "Send the job elsewhere"):
        assert not menu.item(label).enabled
    assert menu.item("Window").enabled
    assert menu.item("Quit").enabled


def test_texts_change_in_place(agent: AgentEnd, menu: MenuByDBus) -> None:
    agent.say(AgentStatus("running", "online", "away", runs=(RUN,)))
    wait_until(lambda: "re100 (sweep, ana): running, 43%" in menu.labels(), 15, "the run")
    before = [item.number for item in menu.items()]
    more = RunStatus("a_b & c", "re_2", "ana", "running", progress=Progress(0.5))
    agent.say(AgentStatus("running", "online", "away", runs=(more,)))
    wait_until(lambda: "re_2 (a_b & c, ana): running, 50%" in menu.labels(), 15, "the new text")
    assert [item.number for item in menu.items()] == before


def test_a_refusal_is_told_in_a_box(
    agent: AgentEnd, menu: MenuByDBus, sni_desktop: VirtualDesktop
) -> None:
    agent.refuse = local.PauseFor
    menu.click("Pause", "4 hours")
    menu.click("Pause", "4 hours")
    wait_until(sni_desktop.windows, 15, "the box")
    wait_until(lambda: len(agent.said(local.PauseFor)) == 2, 15, "the second click")
    (box,) = sni_desktop.windows()
    assert box.name.startswith("Fallow")
    assert "Traceback" not in sni_desktop.log("tray")


def test_about_is_a_window(menu: MenuByDBus, sni_desktop: VirtualDesktop) -> None:
    menu.click("About")
    (box,) = wait_until(sni_desktop.windows, 15, "the box")
    assert "About Fallow" in box.name


def test_a_left_click_opens_the_window(menu: MenuByDBus, sni_desktop: VirtualDesktop) -> None:
    menu.activate()
    (window,) = wait_until(sni_desktop.windows, 15, "the window")
    assert window.name == "Fallow: waiting for work"


def test_the_menu_opens_the_window(menu: MenuByDBus, sni_desktop: VirtualDesktop) -> None:
    menu.click("Window")
    (window,) = wait_until(sni_desktop.windows, 30, "the window")
    assert window.name == "Fallow: waiting for work"
    sni_desktop.key("Escape")
    wait_until(lambda: not sni_desktop.windows(), 30, "it to close")


def test_quit_ends_the_icon_and_its_line(
    agent: AgentEnd, menu: MenuByDBus, tray: Popen[bytes]
) -> None:
    watching = next(each.who for each in agent.heard if isinstance(each.request, local.Activity))
    menu.click("Quit")
    assert tray.wait(15) == 0
    wait_until(lambda: menu.icons() == [], 15, "the icon to leave")
    gone = [each.who for each in agent.heard if each.request is None]
    assert watching in gone


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_end_it_in_good_order(
    menu: MenuByDBus, tray: Popen[bytes], sni_desktop: VirtualDesktop, number: signal.Signals
) -> None:
    tray.send_signal(number)
    assert tray.wait(15) == 0
    assert sni_desktop.log("tray") == ""


def test_an_agent_that_ends_is_missed_and_found_again(
    agent: AgentEnd, menu: MenuByDBus, tmp_path: Path
) -> None:
    agent.end()
    wait_for_icon(menu, "attention")
    assert menu.tooltip == "Fallow: the part that runs jobs does not answer"
    assert "Start it again" in menu.labels()
    with AgentEnd(tmp_path) as second:
        wait_for_icon(menu, "idle")
        wait_until(lambda: second.said(local.Activity), 15, "the readings")
