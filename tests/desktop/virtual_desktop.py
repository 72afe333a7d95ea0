"""The virtual screen as tests use it: either kind of tray, and a way to look at icons in each.

The screen itself is `examples/virtual_screen.py`. Real programs run on it; nothing here replaces
a part of Fallow.
"""

import subprocess
import sys
from pathlib import Path

from desktop.menu_by_dbus import MenuByDBus
from virtual_screen import ScreenError, VirtualScreen


class VirtualDesktop(VirtualScreen):
    """A virtual screen with tray `trayer` (XEmbed), `sni` (StatusNotifier) or `none`."""

    trays = ("trayer", "sni", "none")

    def start_tray(self, tray: str) -> None:
        if tray != "sni":
            super().start_tray(tray)
            return
        if not self.bus:
            raise ValueError("a StatusNotifier tray needs the message bus")
        self.tray = tray
        watcher = Path(__file__).with_name("sni_watcher.py")
        self._tray = self.spawn(
            sys.executable, str(watcher), name="sni_watcher", stdout=subprocess.PIPE
        )
        assert self._tray.stdout is not None
        if self._tray.stdout.readline() != b"ready\n":
            raise ScreenError(f"the StatusNotifier watcher ended: {self.log('sni_watcher')}")

    def menu(self, icon: int = 0) -> MenuByDBus:
        """The icon in the StatusNotifier tray and its menu; close it after use."""
        return MenuByDBus(self.env["DBUS_SESSION_BUS_ADDRESS"], icon)
