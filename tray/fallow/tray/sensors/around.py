"""What goes on beside the people: other programs' load, and programs that want the computer.

Not the sensors that `watch` reads, which see people. Both facts come from one look at the list of
processes, made so seldom that it costs next to nothing.
"""

import os
import time
from collections.abc import Callable, Collection
from typing import NamedTuple

from fallow.shared.moments import Moment
from fallow.tray.sensors import proctable
from fallow.tray.sensors.load import Load
from fallow.tray.sensors.programs import running

# A program that was started is noticed after this many seconds, ...
LOOK_EVERY = 10.0
# ... and later on a computer with so many processes that a look would take more than this share.
SHARE = 0.0002


class Surroundings(NamedTuple):
    """`foreign_cpu` is a share of all cores (0.0 until known), `exclusive` names of programs."""

    foreign_cpu: float = 0.0
    exclusive: tuple[str, ...] = ()


class Around:
    """Looks at the processes now and then. `ours` names processes that do not count, with theirs.

    `names` are the programs to look for; both are asked at each look.
    """

    def __init__(
        self,
        ours: Callable[[], Collection[int]] = lambda: (),
        names: Callable[[], Collection[str]] = lambda: (),
        load: Load | None = None,
        cost: Callable[[], float] = time.thread_time,
    ) -> None:
        self._ours = ours
        self._names = names
        self._load = load or Load()
        self._cost = cost
        self._look_at = 0.0
        self._last = Surroundings()

    def look(self, now: Moment) -> Surroundings:
        """What was found at the last look, which may be now."""
        if now.boot < self._look_at:
            return self._last
        began = self._cost()
        table = proctable.read()
        ours = frozenset(proctable.below(table, {os.getpid(), *self._ours()}))
        share = self._load.look(now, table, ours)
        self._last = Surroundings(share or 0.0, running(self._names(), table, ours))
        took = self._cost() - began
        self._look_at = now.boot + max(LOOK_EVERY, took / SHARE)
        return self._last
