"""The clock of this computer, which counts sleep, and the name of its present boot.

Not deadlines or durations: those are values. The opposite is `moments`, which never reads a clock.
"""

import platform
import time
from pathlib import Path
from typing import Protocol

from fallow.shared.moments import Moment

# Without a boot-time clock, monotonic time is the best there is: it may stand still in sleep.
_BOOT_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Clock(Protocol):
    """Anything that tells the time; tests have a manual one."""

    def now(self) -> Moment: ...


class SystemClock:
    """The real clock."""

    def now(self) -> Moment:
        return Moment(boot=time.clock_gettime(_BOOT_CLOCK), wall=time.time())


def slept() -> float:
    """Seconds that this computer has slept since it was started: only one of two clocks counts."""
    return time.clock_gettime(_BOOT_CLOCK) - time.clock_gettime(time.CLOCK_MONOTONIC)


def follow_zone() -> None:
    """Times of day are from now on those of the zone that this computer is in.

    The C library looks for it once, and computers travel with who carries them. Costs 4 µs.
    """
    time.tzset()


def boot_id() -> str:
    """A word that stays the same until this computer is started anew.

    Where the kernel gives none it is made of the minute of the boot as the wall clock has it, so
    that setting the clock may change it: a deadline then goes by wall time.
    """
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        minute = round((time.time() - time.clock_gettime(_BOOT_CLOCK)) / 60)
        return f"{platform.node()}-{minute}"
