"""How busy other people's programs keep the processors: a fact beside the sensors.

Not the load of our own jobs, nor the kernel's, and no judgement of how much is much (`presence`).
What is as nice as can be asks for what is left over, and does not count: two agents on one computer
do not pause for each other's jobs. Programs that begin and end between two looks count through the
parent that waited for them.
"""

import os
from collections import deque
from collections.abc import Callable

from fallow.shared.moments import Moment
from fallow.tray.sensors.proctable import Table

# Both in seconds: a short burst is nobody at work, and a look has its price.
WINDOW = 60.0
NICEST = 19


def idle_seconds() -> float | None:
    """For how long the cores had nothing to do since the start, all added up; None if unknown."""
    try:
        with open("/proc/uptime", "rb", buffering=0) as file:
            return float(file.read(64).split()[1])
    except (OSError, ValueError, IndexError):
        return None


class Load:
    """The share of all cores that processes not ours have used over the last `window` seconds."""

    def __init__(
        self,
        window: float = WINDOW,
        cores: int | None = None,
        idle: Callable[[], float | None] = idle_seconds,
    ) -> None:
        self._window = window
        self._cores = cores or os.cpu_count() or 1
        self._rate = os.sysconf("SC_CLK_TCK") * self._cores
        self._idle = idle
        self._idle_until: tuple[float, float | None] = (0.0, None)
        self._before: Table = {}
        self._ours: frozenset[int] = frozenset()
        self._total = 0
        self._samples: deque[tuple[float, int]] = deque()

    def busy(self, now: Moment) -> float:
        """The share of all cores that anything used since this was asked last; 1.0 if unknown."""
        (since, before), idle = self._idle_until, self._idle()
        self._idle_until = (now.boot, idle)
        if before is None or idle is None or now.boot <= since:
            return 1.0
        return 1.0 - (idle - before) / (self._cores * (now.boot - since))

    def look(self, now: Moment, table: Table, ours: frozenset[int]) -> float | None:
        """The share, 0 to 1; None until it has looked for a whole window."""
        if self._before:
            self._total += used(self._before, table, ours | self._ours)
        self._before, self._ours = table, ours
        return self._share(now)

    def pass_over(self, now: Moment) -> float | None:
        """As `look`, when all together were so little busy that it does not count."""
        self._before = {}
        return self._share(now)

    def _share(self, now: Moment) -> float | None:
        samples = self._samples
        samples.append((now.boot, self._total))
        while len(samples) > 2 and samples[1][0] <= now.boot - self._window:
            samples.popleft()
        began, total = samples[0]
        if now.boot - began < self._window:
            return None
        return min((self._total - total) / (self._rate * (now.boot - began)), 1.0)


def used(before: Table, after: Table, ours: frozenset[int]) -> int:
    """Clock ticks that processes other than `ours` used between two tables."""
    ticks = {
        number: row.own + row.reaped - _earlier(before, number, row.started)
        for number, row in after.items()
        if number not in ours and row.nice < NICEST
    }
    # What a process had used before it ended is not new, although its parent has only now got it.
    for number, row in before.items():
        if number in ours or _lives(after, number, row.started):
            continue
        heir = row.parent
        while heir in before and not _lives(after, heir, before[heir].started):
            heir = before[heir].parent
        if heir in ticks:
            ticks[heir] -= row.own + row.reaped
    return sum(max(each, 0) for each in ticks.values())


def _earlier(before: Table, number: int, started: int) -> int:
    row = before.get(number)
    return row.own + row.reaped if row is not None and row.started == started else 0


def _lives(after: Table, number: int, started: int) -> bool:
    row = after.get(number)
    return row is not None and row.started == started
