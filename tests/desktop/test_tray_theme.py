"""The tray on a desktop of GTK's: without GTK, and as dark as the desktop."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageStat

from desktop.agent_end import AgentEnd
from desktop.mocked_bus import MockedBus, available
from desktop.shown_tray import show_tray
from desktop.virtual_desktop import VirtualDesktop
from fallow.tray.ui.theme import options
from waiting import wait_until

PORTAL, PLACE = "org.freedesktop.portal.Desktop", "/org/freedesktop/portal/desktop"
SETTINGS, LOOK = "org.freedesktop.portal.Settings", "org.freedesktop.appearance"
LIGHT, DARK = 2, 1


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[AgentEnd]:
    with AgentEnd(tmp_path) as agent:
        yield agent


@pytest.mark.parametrize(
    ("desktop", "chosen", "told"),
    [
        ("GNOME", "", True),
        ("ubuntu:GNOME", "", True),
        ("XFCE", "", True),
        ("X-Cinnamon", "", True),
        ("XFCE", "gtk3", False),
        ("KDE", "", False),
        ("", "", False),
    ],
)
def test_qt_is_told_only_where_it_would_load_gtk(desktop: str, chosen: str, told: bool) -> None:
    found = options({"XDG_CURRENT_DESKTOP": desktop, "QT_QPA_PLATFORMTHEME": chosen})
    assert found == (["-platformtheme", "gnome"] if told else [])


def test_gtk_stays_out(sni_desktop: VirtualDesktop, agent: AgentEnd) -> None:
    sni_desktop.env["XDG_CURRENT_DESKTOP"] = "XFCE"
    tray = show_tray(sni_desktop, agent.data_dir)
    with sni_desktop.menu() as menu:
        menu.wait_for_icon()
        menu.click("Window")
    wait_until(sni_desktop.windows, 30, "the window")
    mapped = Path(f"/proc/{tray.pid}/maps").read_text()
    assert "libQt6Widgets" in mapped
    assert "gtk" not in mapped


@pytest.mark.may_skip("python-dbusmock is a package of the system: Debian's python3-dbusmock")
@pytest.mark.skipif(not available(), reason="python-dbusmock is not installed")
def test_windows_are_as_dark_as_the_desktop(agent: AgentEnd, tmp_path: Path) -> None:
    with MockedBus() as bus, VirtualDesktop("none", bus=False) as desktop:
        bus.mock(PORTAL, PORTAL, PLACE, SETTINGS)
        code = f"ret = {{'{LOOK}': {{'color-scheme': dbus.UInt32({DARK})}}}}"
        bus.teach(PORTAL, PLACE, f"{SETTINGS}.ReadAll", "as", "a{sa{sv}}", code)
        desktop.env |= {"XDG_CURRENT_DESKTOP": "XFCE", "DBUS_SESSION_BUS_ADDRESS": bus.address}
        show_tray(desktop, agent.data_dir)

        def brightness() -> float:
            """0 to 255, of the window that stands in for the icon."""
            (window,) = wait_until(desktop.windows, 30, "the window")
            picture = desktop.screenshot(tmp_path / "window.png", window)
            return ImageStat.Stat(Image.open(picture).convert("L")).median[0]

        wait_until(lambda: brightness() < 80, 30, "a dark window")
        code = f"""self.EmitSignal(
            '{SETTINGS}', 'SettingChanged', 'ssv',
            ['{LOOK}', 'color-scheme', dbus.UInt32({LIGHT}, variant_level=1)])"""
        bus.teach(PORTAL, PLACE, f"{SETTINGS}.Brighten", "", "", code)
        bus.call(PORTAL, PLACE, f"{SETTINGS}.Brighten")
        wait_until(lambda: brightness() > 200, 30, "a light window")
