"""When somebody last typed in a terminal: virtual consoles, terminal windows and ssh.

It reads the access times that the kernel keeps of the terminals, and opens none. It knows nothing
of a graphical session without a terminal: `pynput_input` does.
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from fallow.shared.moments import Moment
from fallow.tray.presence import Reading
from fallow.tray.second_sign import JITTER

_TERMINAL = re.compile(r"tty[1-9]\d*|pts/\d+")
# The kernel moves the time only when it leaves its stretch of 8 s, so that nobody can tell the
# length of a password: input may be this much younger than the access time.
ROUNDED = 8.0
# Terminal windows come and go, the consoles of a computer do not, among hundreds of devices.
LIST_CONSOLES_EVERY = 60.0
# Which console has the keyboard; the other sixty are looked at when it changes, and now and then.
FOREGROUND = Path("/sys/class/tty/tty0/active")


class Terminals:
    """The terminals below `devices`; output does not count, and a closed one is remembered."""

    name = "terminals"

    def __init__(self, devices: Path = Path("/dev"), foreground: Path = FOREGROUND) -> None:
        self._devices = devices
        self._foreground = foreground
        self._last_foreground: str | None = None
        self._seen_at: float | None = None
        self._accessed: dict[str, float] = {}
        self._consoles: dict[str, float] = {}
        self._list_consoles_at = 0.0

    def read(self, now: Moment) -> Reading:
        before, self._accessed = self._accessed, self._access_times(now)
        if not self._accessed:
            why = f"there is no terminal in {self._devices}"
            return Reading(self.name, "terminal", False, why, self._seen_at)
        for path, accessed in self._accessed.items():
            # A clock that was set back leaves times to come: they tell only by being other ones.
            if accessed > now.wall and before.get(path) == accessed:
                continue
            seen_at = min(now.boot - (now.wall - accessed) + ROUNDED, now.boot)
            # Never back: a terminal that is gone has been typed in all the same.
            if self._seen_at is None or seen_at > self._seen_at + JITTER:
                self._seen_at = seen_at
        return Reading(self.name, "terminal", True, "", self._seen_at)

    def close(self) -> None:
        pass

    def _access_times(self, now: Moment) -> dict[str, float]:
        """When each terminal was last typed in, in wall-clock seconds."""
        foreground, before = _name_in(self._foreground), self._last_foreground
        self._last_foreground = foreground
        if now.boot >= self._list_consoles_at:
            self._list_consoles_at = now.boot + LIST_CONSOLES_EVERY
            self._consoles = _times_of(_terminals(self._devices, ""))
        elif foreground is None or foreground != before:
            self._consoles = _times_of(self._consoles)
        else:
            self._consoles |= _times_of([f"{self._devices}/{foreground}"])
        return self._consoles | _times_of(_terminals(self._devices, "pts/"))


def _times_of(paths: Iterable[str]) -> dict[str, float]:
    times: dict[str, float] = {}
    for path in paths:
        try:
            times[path] = os.stat(path).st_atime
        except OSError:
            continue  # It was closed since it was listed.
    return times


def _name_in(path: Path) -> str | None:
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read(64).decode().strip()
    except (OSError, ValueError):
        return None


def _terminals(devices: Path, folder: str) -> list[str]:
    try:
        names = os.listdir(devices / folder)
    except OSError:
        return []
    return [f"{devices}/{folder}{name}" for name in names if _TERMINAL.fullmatch(folder + name)]
