"""When somebody last typed in a terminal: virtual consoles, terminal windows and ssh.

It reads the access times that the kernel keeps of the terminals, and opens none. It knows nothing
of a graphical session without a terminal: `pynput_input` does.
"""

import os
import re
from pathlib import Path

from fallow.shared.moments import Moment
from fallow.tray.presence import Reading

_TERMINAL = re.compile(r"tty[1-9]\d*|pts/\d+")
# The kernel moves the time only when it leaves its stretch of 8 s, so that nobody can tell the
# length of a password: input may be this much younger than the access time.
ROUNDED = 8.0


class Terminals:
    """The terminals below `devices`; output does not count, and a closed one is remembered."""

    name = "terminals"

    def __init__(self, devices: Path = Path("/dev")) -> None:
        self._devices = devices
        self._seen_at: float | None = None

    def read(self, now: Moment) -> Reading:
        accessed = self._last_access()
        if accessed is None:
            why = f"there is no terminal in {self._devices}"
            return Reading(self.name, "terminal", False, why, self._seen_at)
        boot = now.boot - (now.wall - accessed)
        seen_at = min(boot + ROUNDED, now.boot)
        # Never back: a terminal that is gone has been typed in all the same.
        self._seen_at = seen_at if self._seen_at is None else max(seen_at, self._seen_at)
        return Reading(self.name, "terminal", True, "", self._seen_at)

    def close(self) -> None:
        pass

    def _last_access(self) -> float | None:
        """The youngest access time of any terminal, in wall-clock seconds."""
        times: list[float] = []
        for folder, prefix in ((self._devices, ""), (self._devices / "pts", "pts/")):
            try:
                names = os.listdir(folder)
            except OSError:
                continue
            for name in names:
                if _TERMINAL.fullmatch(prefix + name):
                    try:
                        times.append(os.stat(folder / name).st_atime)
                    except OSError:
                        continue  # It was closed since it was listed.
        return max(times, default=None)
