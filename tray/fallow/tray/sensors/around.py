"""What goes on beside the people: other programs' load, and programs that want the computer.

Not the sensors that `watch` reads, which see people. Both facts come from one look at the list of
processes, made so seldom that it costs next to nothing, and not at all where nothing can follow.
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

    `names` are the programs to look for, `limit` the load of others from which on it counts; all
    are asked at each look.
    """

    def __init__(
        self,
        ours: Callable[[], Collection[int]] = lambda: (),
        names: Callable[[], Collection[str]] = lambda: (),
        load: Load | None = None,
        cost: Callable[[], float] = time.thread_time,
        limit: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._ours = ours
        self._names = names
        self._load = load or Load()
        self._cost = cost
        self._limit = limit
        self._look_at = 0.0
        self._last = Surroundings()

    def look(self, now: Moment) -> Surroundings:
        """What was found at the last look, which may be now."""
        if now.boot < self._look_at:
            return self._last
        began = self._cost()
        ours, names = self._ours(), self._names()
        quiet = self._load.busy(now) < self._limit() / 2
        found: tuple[str, ...] = ()
        if quiet and not ours and not names:
            # Whose it is does not matter: even all of it is too little.
            share = self._load.pass_over(now)
        else:
            table = proctable.read()
            family = frozenset(proctable.below(table, {os.getpid(), *ours}))
            share = self._load.look(now, table, family)
            found = running(names, table, family)
        # To the hundred: a share that trembles would be news at every look.
        self._last = Surroundings(round(share or 0.0, 2), found)
        took = self._cost() - began
        self._look_at = now.boot + max(LOOK_EVERY, took / SHARE)
        return self._last
