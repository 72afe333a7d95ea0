"""Whoever cannot see the screen knows as much of the work here, and has the same last word."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from desktop.agent_end import AgentEnd
from desktop.screen_reader import ScreenReader, Told
from desktop.shown_tray import show_tray
from desktop.virtual_desktop import VirtualDesktop
from fallow.shared.runs import Progress, Reason
from fallow.tray import local
from fallow.tray.status import AgentStatus, RunStatus
from waiting import wait_until

RUN = RunStatus("sweep", "re100", "ana", "running", progress=Progress(0.43))
RUNNING = AgentStatus("running", "online", "away", runs=(RUN,))
PAUSED = AgentStatus("paused", "online", "present", (Reason("input", "you are here"),))


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[AgentEnd]:
    with AgentEnd(tmp_path, RUNNING) as agent:
        yield agent


@pytest.fixture
def desktop() -> Iterator[VirtualDesktop]:
    with VirtualDesktop("none") as desktop:
        yield desktop


@pytest.fixture
def reader(agent: AgentEnd, desktop: VirtualDesktop) -> Iterator[ScreenReader]:
    with ScreenReader(desktop) as reader:
        show_tray(desktop, agent.data_dir)
        yield reader


def wait_for(reader: ScreenReader, name: str, role: str = "") -> Told:
    found = wait_until(lambda: reader.find(name, role), 20, f"{role} {name!r} to be told of")
    assert found is not None
    return found


def test_all_that_can_be_seen_is_told(agent: AgentEnd, reader: ScreenReader) -> None:
    wait_for(reader, "Running re100 of sweep for ana", "label")
    assert "43%" in wait_for(reader, "re100 of sweep", "panel").about
    wait_for(reader, "Progress of re100 of sweep", "progress bar")
    names = {each.name for each in reader.everything() if "button" in each.role}
    assert {"Pause", "Resume", "Send the job elsewhere", "Finish then stop", "Preferences"} <= names
    assert all(names), "a button without a name"
    agent.say(PAUSED)
    wait_for(reader, "Paused, you are here", "label")


def test_the_last_word_without_seeing_anything(
    agent: AgentEnd, desktop: VirtualDesktop, reader: ScreenReader
) -> None:
    reader.press(wait_for(reader, "Finish then stop", "button"))
    wait_until(lambda: agent.said(local.Finish), 20, "the wish")
    # Qt lists no open menu; a screen reader follows the focus through its lines.
    reader.press(wait_for(reader, "Pause", "button"))
    wait_until(desktop.popups, 20, "the menu of the button")
    for key in ("Down", "Down", "Return"):
        desktop.key(key)
    wait_until(lambda: agent.said(local.PauseFor), 20, "the pause")
    assert agent.said(local.PauseFor) == [local.PauseFor(3600.0)]
