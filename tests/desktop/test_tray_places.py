"""Where the icon shows: panels that come late or again, none at all, a second call, no screen."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from desktop.agent_end import AgentEnd
from desktop.shown_tray import START, settled_icon, show_tray, wait_for_icon
from desktop.virtual_desktop import VirtualDesktop
from fallow.shared.runs import Reason
from fallow.tray import local
from fallow.tray.status import AgentStatus
from waiting import wait_until


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[AgentEnd]:
    with AgentEnd(tmp_path) as agent:
        yield agent


def test_a_panel_that_comes_later_gets_an_icon(agent: AgentEnd) -> None:
    with VirtualDesktop("none") as desktop:
        show_tray(desktop, agent.data_dir)
        wait_until(lambda: agent.said(local.Subscribe), 20, "the tray without a panel")
        desktop.start_tray("sni")
        with desktop.menu() as menu:
            wait_for_icon(menu, "idle")


def test_a_panel_that_restarts_gets_its_icon_back(
    sni_desktop: VirtualDesktop, agent: AgentEnd
) -> None:
    show_tray(sni_desktop, agent.data_dir)
    with sni_desktop.menu() as menu:
        menu.wait_for_icon()
    # At once, and after a while in which there is none.
    for pause in (False, True):
        sni_desktop.stop_tray()
        if pause:
            (window,) = wait_until(sni_desktop.windows, 20, "the window that stands in")
            assert window.name.startswith("Fallow: ")
        sni_desktop.start_tray("sni")
        with sni_desktop.menu() as menu:
            wait_for_icon(menu, "idle")
            assert "Pause" in menu.labels()
    wait_until(lambda: not sni_desktop.windows(), 15, "the window to go")


def test_without_a_panel_a_window_has_the_menu(agent: AgentEnd, tmp_path: Path) -> None:
    with VirtualDesktop("none") as desktop:
        tray = show_tray(desktop, agent.data_dir)
        (window,) = wait_until(desktop.windows, 15, "the window")
        assert window.name == "Fallow: waiting for work"
        picture = desktop.screenshot(tmp_path / "window.png", window)
        assert Image.open(picture).size == (window.width, window.height)
        # Pause is the first button, four rows above the end; one hour the second of five lines.
        desktop.click(1, (window.x + 70, window.y + window.height - 110))
        (pauses,) = wait_until(desktop.popups, 15, "the menu of the button")
        desktop.click(1, (pauses.x + 40, pauses.y + pauses.height * 3 // 10))
        wait_until(lambda: agent.said(local.PauseFor), 15, "the pause")
        assert agent.said(local.PauseFor) == [local.PauseFor(3600.0)]
        # Closed, it stays: it is all there is to see.
        desktop.key("alt+F4")
        wait_until(lambda: not desktop.windows(), 15, "the window to go down")
        assert show_tray(desktop, agent.data_dir, "second").wait(10) == 0
        wait_until(desktop.windows, 15, "the window to come up again")
        tray.terminate()
        assert tray.wait(15) == 0


def test_a_second_call_raises_the_first(sni_desktop: VirtualDesktop, agent: AgentEnd) -> None:
    first = show_tray(sni_desktop, agent.data_dir)
    with sni_desktop.menu() as menu:
        menu.wait_for_icon()
        second = show_tray(sni_desktop, agent.data_dir, "second")
        assert second.wait(10) == 0
        assert sni_desktop.log("second") == ""
        wait_until(sni_desktop.windows, 15, "the window of the first")
        assert len(menu.icons()) == 1
    # What a killed one leaves behind stops nobody.
    first.kill()
    first.wait()
    show_tray(sni_desktop, agent.data_dir, "third")
    with sni_desktop.menu() as menu:
        wait_for_icon(menu, "idle")


def test_a_real_pointer_pauses_for_an_hour(
    xembed_desktop: VirtualDesktop, agent: AgentEnd, tmp_path: Path
) -> None:
    show_tray(xembed_desktop, agent.data_dir)
    icon = settled_icon(xembed_desktop)
    xembed_desktop.click(3, icon.middle)
    (menu,) = wait_until(xembed_desktop.popups, 15, "the menu")
    # The second line is Pause, and opens to the side when it is clicked.
    xembed_desktop.click(1, (menu.x + 40, menu.y + 36))
    (below,) = wait_until(
        lambda: [each for each in xembed_desktop.popups() if each.window != menu.window],
        15,
        "the pauses",
    )
    picture = Image.open(xembed_desktop.screenshot(tmp_path / "menu.png", below))
    assert len(picture.convert("RGB").getcolors(1 << 16) or ()) > 10
    # Its second line of five.
    xembed_desktop.click(1, (below.x + 40, below.y + below.height * 3 // 10))
    wait_until(lambda: agent.said(local.PauseFor), 15, "the pause")
    assert agent.said(local.PauseFor) == [local.PauseFor(3600.0)]
    before = Image.open(xembed_desktop.screenshot(tmp_path / "before.png", icon)).tobytes()
    paused = Reason("pause", "you asked for a pause")
    agent.say(AgentStatus("paused", "online", "barred", (paused,), paused_by_hand=True))
    wait_until(
        lambda: (
            Image.open(xembed_desktop.screenshot(tmp_path / "after.png", icon)).tobytes() != before
        ),
        15,
        "another icon",
    )


def test_a_left_click_of_a_real_pointer_opens_the_window(
    xembed_desktop: VirtualDesktop, agent: AgentEnd
) -> None:
    show_tray(xembed_desktop, agent.data_dir)
    icon = settled_icon(xembed_desktop)
    xembed_desktop.click(1, icon.middle)
    (window,) = wait_until(xembed_desktop.windows, 30, "the window")
    assert window.name == "Fallow: waiting for work"
    # Closed by its own frame, it is gone: the icon is still there.
    xembed_desktop.key("alt+F4")
    wait_until(lambda: not xembed_desktop.windows(), 30, "it to close")
    assert xembed_desktop.icon_window() is not None


def test_the_end_of_the_screen_ends_the_tray_alone(
    sni_desktop: VirtualDesktop, agent: AgentEnd
) -> None:
    tray = show_tray(sni_desktop, agent.data_dir)
    wait_until(lambda: agent.said(local.Activity), 20, "the line")
    sni_desktop.kill_server()
    assert tray.wait(10) != 0
    assert "Traceback" not in sni_desktop.log("tray")
    wait_until(lambda: agent.heard[-1].request is None, 15, "the line to be cut")


# -- where it cannot start


def refused(data_dir: Path, *before: str, **environment: str) -> str:
    """What it says where it must end with 1."""
    done = subprocess.run(
        [*before, sys.executable, "-c", START, str(data_dir)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_no_screen_is_said_plainly(tmp_path: Path) -> None:
    said = refused(tmp_path)
    assert said.startswith("There is no screen here to show an icon on\n")
    assert "hint: lend this computer without an icon: tray agent" in said
    assert list(tmp_path.iterdir()) == []


def test_a_screen_that_does_not_answer_is_said_plainly(tmp_path: Path) -> None:
    said = refused(tmp_path, DISPLAY=":4711")
    assert said.startswith("The screen :4711 cannot be used\n")


def test_a_missing_library_is_named_with_its_package(
    bare_screen: VirtualDesktop, tmp_path: Path
) -> None:
    """As on a Debian without a desktop, where Qt would abort and blame another library."""
    (library,) = {path.resolve() for path in Path("/usr/lib").glob("*/libxcb-icccm.so.4")}
    bubblewrap = shutil.which("bwrap")
    assert bubblewrap is not None
    without = (bubblewrap, "--dev-bind", "/", "/", "--bind", "/dev/null", str(library))
    said = refused(tmp_path, *without, DISPLAY=bare_screen.display)
    assert said.startswith("Qt cannot start: libxcb-icccm.so.4 is missing on this computer\n")
    assert "apt-get install libxcb-icccm4;" in said
