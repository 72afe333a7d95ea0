"""The test desktop itself: what other desktop tests rely on."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from PIL import Image

from desktop.menu_by_dbus import MenuByDBus
from desktop.virtual_desktop import VirtualDesktop
from virtual_screen import Area, ScreenError
from waiting import wait_until

SAMPLE = str(Path(__file__).with_name("sample_icon.py"))


def start_sample(desktop: VirtualDesktop) -> None:
    desktop.spawn(sys.executable, SAMPLE, name="sample", stdout=None)


def test_menu_by_dbus_lists_and_clicks(sni_desktop: VirtualDesktop) -> None:
    start_sample(sni_desktop)
    with sni_desktop.menu() as menu:
        menu.wait_for_icon()
        assert menu.labels() == ["Pause", "Grey", "Ticked", "Quit"]
        assert menu.labels("Pause") == ["30 minutes", "1 hour"]
        assert menu.tooltip == "a sample"
        assert menu.status == "Active"
        assert menu.item("Ticked").checked is True
        assert menu.item("Pause").checked is None
        assert not menu.item("Grey").enabled
        assert menu.items()[2].separator
        pixmap = menu.pixmap
        assert pixmap is not None
        width, _, pixels = pixmap
        middle = (width // 2 * width + width // 2) * 4
        assert pixels[middle : middle + 4] == bytes.fromhex("ffc62828")
        menu.click("Pause", "1 hour")
        wait_until(lambda: "1 hour" in sni_desktop.log("sample"), 5, "the click")
        menu.activate()
        wait_until(lambda: "activated Trigger" in sni_desktop.log("sample"), 5, "the left click")
        with pytest.raises(LookupError, match="'Pause', 'Grey'"):
            menu.click("Resume")
        with pytest.raises(LookupError, match="Grey is grey"):
            menu.click("Grey")
        menu.click("Quit")
        wait_until(lambda: menu.icons() == [], 5, "the icon to leave")


def test_real_pointer_opens_an_xembed_menu(xembed_desktop: VirtualDesktop, tmp_path: Path) -> None:
    start_sample(xembed_desktop)

    def pictured() -> tuple[Area, Image.Image] | None:
        """The icon and its picture, once the panel has come to rest."""
        icon = xembed_desktop.icon_window()
        if icon is None:
            return None
        picture = Image.open(xembed_desktop.screenshot(tmp_path / "icon.png", icon))
        return (icon, picture) if picture.size == (icon.width, icon.height) else None

    found = wait_until(pictured, 10, "the whole icon")
    assert found is not None
    icon, picture = found
    assert icon.program == "sample_icon.py"
    assert picture.convert("RGB").getpixel((icon.width // 2, icon.height // 2)) == (198, 40, 40)
    xembed_desktop.click(3, icon.middle)
    (menu,) = wait_until(xembed_desktop.popups, 5, "the menu")
    # The last line is Quit.
    xembed_desktop.click(1, (menu.x + menu.width // 2, menu.y + menu.height - 12))
    wait_until(lambda: xembed_desktop.icon_window() is None, 5, "the icon to leave")


def test_icon_of_a_late_tray(xembed_desktop: VirtualDesktop) -> None:
    xembed_desktop.stop_tray()
    start_sample(xembed_desktop)
    xembed_desktop.start_tray("trayer")
    wait_until(xembed_desktop.icon_window, 10, "the icon in the new tray")


def test_no_process_and_no_file_stays() -> None:
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    with VirtualDesktop("sni") as desktop:
        folder = desktop.folder
        running = {child.pid for child in psutil.Process().children(recursive=True)} - before
        assert len(running) == 4  # Xvfb, dbus-daemon, openbox, the watcher
    assert not any(psutil.pid_exists(pid) for pid in running)
    assert not folder.exists()


def test_an_x_server_comes_back_on_its_display(bare_screen: VirtualDesktop) -> None:
    display = bare_screen.display
    bare_screen.kill_server()
    with pytest.raises(ScreenError):
        bare_screen.key("a")
    bare_screen.restart_server()
    assert bare_screen.display == display
    bare_screen.key("a")


def test_a_missing_program_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ScreenError, match=r"needs Xvfb, .*apt-get install xvfb"):
        VirtualDesktop("none", window_manager=False, bus=False).start()


def test_a_wrong_bus_is_an_error_not_a_hang(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        MenuByDBus(f"unix:path={tmp_path}/nobody")


def test_a_killed_owner_leaves_no_x_server(tmp_path: Path) -> None:
    program = (
        "from virtual_screen import VirtualScreen\n"
        "screen = VirtualScreen('none', window_manager=False, bus=False)\n"
        "screen.start()\n"
        "print(screen._server.pid, flush=True)\n"
        "input()\n"
    )
    folder = str(Path(sys.modules[ScreenError.__module__].__file__ or "").parent)
    env = os.environ | {"PYTHONPATH": folder, "TMPDIR": str(tmp_path)}
    owner = subprocess.Popen(
        [sys.executable, "-c", program], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert owner.stdout is not None
    server = psutil.Process(int(owner.stdout.readline()))
    assert server.name() == "Xvfb"
    owner.kill()
    owner.communicate()
    wait_until(lambda: not server.is_running(), 5, "the X server to end")
