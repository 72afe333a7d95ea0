"""A thousand pauses: neither memory nor descriptors nor threads of the tray grow."""

import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from desktop.agent_end import AgentEnd
from desktop.menu_by_dbus import MenuByDBus
from desktop.virtual_desktop import VirtualDesktop
from fallow.shared.runs import Progress, Reason
from fallow.tray.status import AgentStatus, RunStatus
from waiting import wait_until

# In bytes, shared pages counted whole; of a tray whose window nobody has opened.
MOST = 70e6
HERE = Reason("input", "you are here")


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[AgentEnd]:
    with AgentEnd(tmp_path) as agent:
        yield agent


def pause_and_resume(agent: AgentEnd, menu: MenuByDBus, cycles: int) -> None:
    """So often, each with another share done; the tray has shown a state before the next comes."""
    for cycle in range(cycles):
        run = RunStatus(
            *("sweep", "re100", "ana", "running", "a/0/1"),
            run_seconds=cycle,
            progress=Progress(cycle / cycles),
        )
        agent.say(AgentStatus("running", "online", "away", runs=(run,)))
        wait_until(lambda: "running" in menu.tooltip, 30, "running")
        agent.say(AgentStatus("paused", "online", "present", (HERE,), runs=(run,)))
        wait_until(lambda: "paused" in menu.tooltip, 30, "paused")


@pytest.mark.parametrize(("looked_at", "cycles"), [(False, 1000), (True, 300)])
def test_a_thousand_pauses_leave_nothing(
    sni_desktop: VirtualDesktop, agent: AgentEnd, looked_at: bool, cycles: int
) -> None:
    # The installed script: what else reads the command line holds memory, too.
    script = Path(sys.executable).with_name("tray")
    started = sni_desktop.spawn(str(script), "--data-dir", str(agent.data_dir), name="tray")
    tray = psutil.Process(started.pid)
    with sni_desktop.menu() as menu:
        menu.wait_for_icon()
        if looked_at:
            menu.click("Window")
            wait_until(sni_desktop.windows, 30, "the window")
        pause_and_resume(agent, menu, 100)
        before = tray.memory_info().rss, tray.num_fds(), tray.num_threads()
        pause_and_resume(agent, menu, cycles)
        after = tray.memory_info().rss, tray.num_fds(), tray.num_threads()
    # A kilobyte for each pause would be more.
    assert after[0] - before[0] < cycles * 1000, f"{(after[0] - before[0]) / 1e6:.2f} MB more"
    assert looked_at or after[0] <= MOST, f"{after[0] / 1e6:.1f} MB"
    # Of a question that is being asked just now.
    assert after[1] <= before[1] + 2
    assert after[2] <= before[2] + 1
