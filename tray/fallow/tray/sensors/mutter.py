"""How long a GNOME session has been idle, X11 or Wayland, asked of Mutter over the session bus.

It wakes when somebody comes back (a watch of Mutter's), and asks now and then beside. Other
desktops have no such service: `idle_notify` and `xscreensaver` see those.
"""

import logging
import threading
from collections.abc import Callable

from fallow.shared.clock import Clock, SystemClock
from fallow.shared.moments import Moment
from fallow.tray.coverage import Cover
from fallow.tray.presence import Reading
from fallow.tray.second_sign import Answers, answered
from fallow.tray.sensors.bus import BUS, PATIENCE, Bus, why

log = logging.getLogger(__name__)

SERVICE = "org.gnome.Mutter.IdleMonitor"
PATH = "/org/gnome/Mutter/IdleMonitor/Core"
# While somebody types, and while nobody does; the watch tells of the change at once.
ASK_EVERY = 1.0
ASK_IDLE_EVERY = 10.0
LONGEST_WAIT = 60.0


class Mutter:
    """Asks in a thread of its own; `on_activity` is called there. `doubts` tells bumps apart.

    `first_wait` is the pause in seconds before a lost bus is looked for again; it doubles.
    """

    name = "mutter"

    def __init__(
        self,
        on_activity: Callable[[], None],
        clock: Clock | None = None,
        cover: Cover | None = None,
        doubts: Callable[[float], bool] | None = None,
        address: str | None = None,
        first_wait: float = 1.0,
        patience: float = PATIENCE,
    ) -> None:
        self._on_activity = on_activity
        self._clock = clock or SystemClock()
        self._cover = cover
        self._doubts = doubts
        self._patience = patience
        self._wait = self._first_wait = first_wait
        self._seen_at: float | None = None
        self._young: float | None = None
        self._why = "it has not looked yet"
        self._healthy = False
        self._bus = Bus("session", address)
        self._closing = threading.Event()
        threading.Thread(target=self._serve, name="mutter", daemon=True).start()

    def read(self, now: Moment) -> Reading:
        if self._healthy:
            return Reading(self.name, "input", True, "", self._seen_at, covers=self._cover)
        return Reading(self.name, "input", False, self._why, self._seen_at)

    def close(self) -> None:
        self._on_activity = lambda: None
        self._closing.set()
        self._bus.hang_up()

    # -- in its own thread

    def _serve(self) -> None:
        while not self._closing.is_set():
            try:
                self._watch()
            except Exception as error:
                self._why = why(error, "session", "GNOME's idle monitor")
                log.debug("mutter: %s", self._why)
            self._healthy = False
            self._bus.hang_up()
            self._closing.wait(self._wait)
            self._wait = min(2 * self._wait, LONGEST_WAIT)

    def _watch(self) -> None:
        armed = False
        while not self._closing.is_set():
            if self._bus.turn(self._patience):
                self._bus.listen(SERVICE, "WatchFired")
                # Without it a Mutter that ends, or starts anew, would be missed for a while.
                self._bus.listen(BUS, "NameOwnerChanged", SERVICE)
            idle = self._ask()
            if idle < ASK_EVERY:
                # A watch would fire at every key.
                self._closing.wait(ASK_EVERY)
                continue
            if not armed:
                self._bus.ask(SERVICE, PATH, f"{SERVICE}.AddUserActiveWatch")
                armed = True
            if self._bus.signals(ASK_IDLE_EVERY):
                armed = False

    def _ask(self) -> float:
        (milliseconds,) = self._bus.ask(SERVICE, PATH, f"{SERVICE}.GetIdletime")
        idle = float(milliseconds) / 1000
        before = self._seen_at
        self._answered(self._clock.now().boot - idle)
        if idle < ASK_EVERY and self._seen_at != before:
            try:
                self._on_activity()
            except Exception:
                log.exception("what follows from activity failed")
        return idle

    def _answered(self, seen_at: float) -> None:
        if not self._healthy:
            log.info("mutter tells how long this session is idle")
        self._healthy = True
        self._wait = self._first_wait
        known = Answers(self._seen_at, self._young)
        known = answered(known, seen_at, self._clock.now().boot, self._doubts)
        self._seen_at, self._young = known.seen_at, known.young
