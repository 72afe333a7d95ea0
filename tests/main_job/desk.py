"""A workstation with a person's desk: a screen, the installed tray on it, and the icon's menu.

Not the tests of it (test_real_desks.py, test_real_wishes.py), nor the workstation (real.py).
"""

import time
from subprocess import Popen

from desktop.menu_by_dbus import MenuByDBus
from desktop.virtual_desktop import VirtualDesktop
from main_job.real import RealWorkstation
from main_job.workstation import SCRIPT
from processes.started import standing
from waiting import wait_until

IDLE_AFTER = 2.5
DESK = f'idle_after = "{IDLE_AFTER}s"\nsettle = "0s"\nforeign_cpu = 1.0\n'


class Desk:
    """A workstation with its screen, its tray and its icon's menu."""

    def __init__(self, place: RealWorkstation, screen: VirtualDesktop, menu: MenuByDBus) -> None:
        self.place = place
        self.screen = screen
        self.menu = menu
        self.tray = self.show_tray()
        menu.wait_for_icon()

    def show_tray(self) -> Popen[bytes]:
        return self.screen.spawn(str(SCRIPT), "--data-dir", str(self.place.data_dir), name="tray")

    def wait_until_free(self) -> None:
        wait_until(
            lambda: self.place.quick_status().verdict == "away", 20, "the desk to count as free"
        )

    def press_a_key(self) -> set[int]:
        """Press it; the processes here, once all of them stand still."""
        pids = {each.pid for each in self.place.births()}
        assert pids
        pressed = time.monotonic()
        self.screen.key("a")
        wait_until(lambda: standing(pids), 5, "every process to stand still")
        # On an idle computer it takes some milliseconds, of which most are xdotool's.
        assert time.monotonic() - pressed < 3.0
        return pids

    def crash(self) -> None:
        """Agent and tray are killed, and both are started again."""
        self.tray.kill()
        self.tray.wait()
        self.place.kill()
        self.place.start()
        self.tray = self.show_tray()
        wait_until(lambda: len(self.menu.icons()) == 1, 30, "the new icon")
        self.menu.wait_for_icon()
