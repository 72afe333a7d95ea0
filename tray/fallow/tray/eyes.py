"""The agent's own sensors, read in a thread of its own: asking them may take its time.

Not the trays' sensors, which come over the local socket, and no judge. Opposite: the loop, to
which it posts all that it sees: what is new at once, and what is not now and then, so that it can
be noticed when nothing comes.
"""

import logging
import threading
from collections.abc import Callable, Collection

from fallow.shared.clock import Clock
from fallow.tray.core_words import Seen, Woke

log = logging.getLogger(__name__)

EVERY = 3.0
# While there is no job here that would have to make way.
SELDOM = 6.0
GOING_ON_EVERY = 0.5
# Far below `lookout.SILENT_AFTER`.
REPEAT_EVERY = 10.0
SOURCE = "agent"


class Eyes:
    """Looks every few seconds, and at once when somebody moves; tells `post`, from its thread.

    `seated` are the users who have a session at a seat of this computer, as seen last.
    """

    def __init__(
        self,
        clock: Clock,
        started: float,
        post: Callable[[Seen | Woke], None],
        ours: Callable[[], Collection[int]] = lambda: (),
        exclusive: Callable[[], Collection[str]] = lambda: (),
        foreign_cpu: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """`ours` are processes that, with all below them, are no other program; `exclusive` names
        the programs that want this computer for themselves, `foreign_cpu` is the load of others
        from which on it counts. All are asked from the thread.
        """
        self._ours = ours
        self._exclusive = exclusive
        self._foreign_cpu = foreign_cpu
        self._clock = clock
        self._started = started
        self.seated: frozenset[int] = frozenset()
        self._post = post
        self._stopping = threading.Event()
        self._moved = threading.Event()
        self._thread = threading.Thread(target=self._look, name="eyes", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def look_soon(self) -> None:
        """A job is about to begin: look again within half a second, and more often from now on."""
        self._moved.set()

    def stop(self) -> None:
        self._stopping.set()
        self._moved.set()
        if self._thread.is_alive():
            self._thread.join(2.0)

    def _look(self) -> None:
        # Imported here, in its own time.
        from fallow.tray.sensors.around import Around
        from fallow.tray.sensors.choice import for_agent, seated, told_woke
        from fallow.tray.sensors.watch import Watch

        sensors = for_agent(self._moved.set, self._clock)
        watch = Watch(
            sensors,
            self._started,
            around=Around(self._ours, self._exclusive, limit=self._foreign_cpu).look,
            told_woke=lambda: told_woke(sensors),
        )
        woke: float | None = None
        said: Seen | None = None
        repeat_at = 0.0
        try:
            while not self._stopping.is_set():
                now = self._clock.now()
                try:
                    facts = watch.facts(now)
                except Exception:
                    # Nothing is posted then, which the agent notices.
                    log.exception("the sensors of this computer cannot be read")
                    self._stopping.wait(EVERY)
                    continue
                if facts.woke != woke:
                    woke = facts.woke
                    self._post(Woke())
                self.seated = seated(sensors)
                seen = Seen(
                    *(SOURCE, facts.readings, facts.on_battery),
                    *(facts.exclusive, facts.foreign_cpu),
                )
                if seen != said or now.boot >= repeat_at:
                    said, repeat_at = seen, now.boot + REPEAT_EVERY
                    self._post(seen)
                self._rest()
        finally:
            watch.close()

    def _rest(self) -> None:
        """Until the next look; somebody who goes on moving is looked at twice a second."""
        if self._moved.is_set():
            self._stopping.wait(GOING_ON_EVERY)
        self._moved.clear()
        if not self._stopping.is_set():
            self._moved.wait(EVERY if self._ours() else SELDOM)
