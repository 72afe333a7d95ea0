"""Fallow's tray as a process on a virtual screen, with the agent's end of its line in this process.

Not the tray's parts: tests see it as a person does, through the icon, the menu and the windows.
"""

import sys
from pathlib import Path
from subprocess import Popen

from PIL import Image
from PySide6 import QtGui

from desktop.menu_by_dbus import MenuByDBus
from desktop.virtual_desktop import VirtualDesktop
from fallow.tray.ui.pictures import drawn
from fallow.tray.view import IconName
from virtual_screen import Area
from waiting import wait_until

START = """
import sys
from pathlib import Path
from fallow.shared.errors import FallowError
from fallow.tray.ui.app import main
try:
    sys.exit(main(Path(sys.argv[1])))
except FallowError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
"""
NAMES: tuple[IconName, ...] = (
    *("idle", "running", "paused_by_you", "paused_for_you", "offline", "attention"),
)


def show_tray(desktop: VirtualDesktop, data_dir: Path, name: str = "tray") -> Popen[bytes]:
    """Starts the tray; its words are in `desktop.log(name)`."""
    return desktop.spawn(sys.executable, "-c", START, str(data_dir), name=name)


def pixels(name: IconName, size: int) -> bytes:
    """The icon of this name as a panel gets it: ARGB, in network order."""
    image = drawn(name, size).convertToFormat(QtGui.QImage.Format.Format_ARGB32)
    words = memoryview(image.constBits()).cast("I")
    return b"".join(word.to_bytes(4, "big") for word in words)


def icon_shown(menu: MenuByDBus) -> IconName | None:
    """Which of our icons is in the tray now; None when there is none, or another."""
    try:
        found = menu.pixmap
    except (RuntimeError, IndexError):
        return None
    if found is None:
        return None
    width, _, data = found
    return next((name for name in NAMES if pixels(name, width) == data), None)


def wait_for_icon(menu: MenuByDBus, name: IconName, timeout: float = 20.0) -> None:
    """Returns once this icon is in the tray."""
    wait_until(lambda: bool(menu.icons()) and icon_shown(menu) == name, timeout, f"icon {name}")


def settled_icon(desktop: VirtualDesktop) -> Area:
    """The icon in an XEmbed tray, once it is drawn and the panel has stopped moving it."""
    picture = desktop.folder / "icon.png"
    before: tuple[Area, bytes] | None = None

    def settled() -> Area | None:
        nonlocal before
        icon = desktop.icon_window()
        if icon is None:
            return None
        image = Image.open(desktop.screenshot(picture, icon)).convert("RGB")
        drawn_now = len(image.getcolors(1 << 16) or ()) > 4
        last, before = before, (icon, image.tobytes())
        return icon if drawn_now and last == before else None

    icon = wait_until(settled, 15, "the icon in its place")
    assert icon is not None
    return icon
