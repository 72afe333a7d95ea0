"""What the tray's sensors see reaches the agent's end of the line at once; and what it costs."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from desktop.agent_end import AgentEnd
from desktop.menu_by_dbus import MenuByDBus
from desktop.shown_tray import show_tray
from desktop.virtual_desktop import VirtualDesktop
from fallow.shared.clock import SystemClock
from fallow.tray import local
from fallow.tray.presence import Reading
from waiting import wait_until

CLOCK = SystemClock()


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[AgentEnd]:
    with AgentEnd(tmp_path) as agent:
        yield agent


def readings(agent: AgentEnd) -> dict[str, Reading]:
    """What each sensor said last."""
    said = [each.request for each in agent.heard if isinstance(each.request, local.Activity)]
    return {each.sensor: each for each in said[-1].readings} if said else {}


def watching(agent: AgentEnd) -> bool:
    found = readings(agent)
    return {"pynput", "xscreensaver"} <= {name for name in found if found[name].healthy}


def told_of(agent: AgentEnd, pressed: float) -> float | None:
    """When the agent was first told of input after `pressed`, by the sensor that wakes."""
    for each in agent.heard:
        if isinstance(each.request, local.Activity):
            for reading in each.request.readings:
                if reading.sensor == "pynput" and (reading.last_activity or 0) >= pressed:
                    return each.at
    return None


def quiet_since(last: float) -> bool:
    return CLOCK.now().boot > last + 1.1


def test_a_key_press_reaches_the_agent_at_once(
    bare_screen: VirtualDesktop, agent: AgentEnd
) -> None:
    show_tray(bare_screen, agent.data_dir)
    wait_until(lambda: watching(agent), 15, "both sensors")
    waits: list[float] = []
    while len(waits) < 5:
        # While activity goes on it is told a few times a second: each press is a first one.
        last = max((reading.last_activity or 0) for reading in readings(agent).values())
        wait_until(partial(quiet_since, last), 15, "quiet")
        pressed = CLOCK.now().boot
        bare_screen.key("a")
        told = wait_until(partial(told_of, agent, pressed), 15, "the agent to be told")
        waits.append((told or pressed) - pressed)
        if waits[-1] < 0.1:
            return
    raise AssertionError(f"each press took more than 100 ms: {waits}")


def test_both_sensors_say_since_when_nobody_moved(
    bare_screen: VirtualDesktop, agent: AgentEnd
) -> None:
    show_tray(bare_screen, agent.data_dir)
    wait_until(lambda: watching(agent), 15, "both sensors")
    pressed = CLOCK.now().boot
    bare_screen.move(50, 60)

    def both_saw_it() -> bool:
        found = readings(agent)
        both = ("pynput", "xscreensaver")
        return all((found[name].last_activity or 0) > pressed - 1 for name in both)

    wait_until(both_saw_it, 20, "both to say so")


def test_a_new_agent_is_told_too(
    sni_desktop: VirtualDesktop, agent: AgentEnd, tmp_path: Path
) -> None:
    show_tray(sni_desktop, agent.data_dir)
    wait_until(lambda: watching(agent), 15, "both sensors")
    agent.end()
    with AgentEnd(tmp_path) as second:
        wait_until(lambda: watching(second), 20, "the readings")
        first = next(each.request for each in second.heard)
        assert isinstance(first, local.Activity), "what is seen comes before all else"
        pressed = CLOCK.now().boot
        sni_desktop.key("a")
        wait_until(lambda: told_of(second, pressed), 15, "the new agent to be told")


def test_an_agent_that_hangs_holds_up_neither_menu_nor_sensors(
    sni_desktop: VirtualDesktop, agent: AgentEnd
) -> None:
    tray = show_tray(sni_desktop, agent.data_dir)
    wait_until(lambda: watching(agent), 15, "both sensors")
    with sni_desktop.menu() as menu:
        menu.wait_for_icon()
        with agent.hanging():
            click_until_it_complains(sni_desktop, menu)
        menu.click("Quit")
        assert tray.wait(15) == 0


def click_until_it_complains(desktop: VirtualDesktop, menu: MenuByDBus) -> None:
    """Every click answers at once; when nobody reads what is sent, a box says so."""
    for _ in range(5000):
        menu.click("Pause", "1 hour")
        if desktop.windows():
            return
    raise AssertionError("5000 pauses went nowhere, and nobody was told")


def test_it_is_small(sni_desktop: VirtualDesktop, agent: AgentEnd) -> None:
    tray = show_tray(sni_desktop, agent.data_dir)
    with sni_desktop.menu() as menu:
        menu.wait_for_icon()
        menu.labels()
    wait_until(lambda: watching(agent), 15, "both sensors")
    # 68 MiB here; the fonts and libraries of other desktops differ.
    assert psutil.Process(tray.pid).memory_info().rss < 76 << 20
    # Qt, the line, and three sensors' threads; nothing that grows.
    assert psutil.Process(tray.pid).num_threads() < 12
