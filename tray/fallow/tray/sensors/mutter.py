"""How long a GNOME session has been idle, X11 or Wayland, asked of Mutter over the session bus.

It wakes when somebody comes back (a watch of Mutter's), and asks now and then beside. Other
desktops have no such service: `idle_notify` and `xscreensaver` see those.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any

from fallow.shared.clock import Clock, SystemClock
from fallow.shared.moments import Moment
from fallow.tray.coverage import Cover
from fallow.tray.presence import Reading
from fallow.tray.sensors.bus import PATIENCE, call, connect, why

log = logging.getLogger(__name__)

SERVICE = "org.gnome.Mutter.IdleMonitor"
PATH = "/org/gnome/Mutter/IdleMonitor/Core"
BUS = "org.freedesktop.DBus"
# While somebody types, and while nobody does; the watch tells of the change at once.
ASK_EVERY = 1.0
ASK_IDLE_EVERY = 10.0
LONGEST_WAIT = 60.0
# Two answers about the same last input differ by about this much.
JITTER = 0.25


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
        doubts: Callable[[float], bool] = lambda _: False,
        address: str | None = None,
        first_wait: float = 1.0,
    ) -> None:
        self._on_activity = on_activity
        self._clock = clock or SystemClock()
        self._cover = cover
        self._doubts = doubts
        self._address = address
        self._wait = self._first_wait = first_wait
        self._seen_at: float | None = None
        self._why = "it has not looked yet"
        self._healthy = False
        self._closing = False
        self._loop = asyncio.new_event_loop()
        self._fired = asyncio.Event()
        threading.Thread(target=self._serve, name="mutter", daemon=True).start()

    def read(self, now: Moment) -> Reading:
        if self._healthy:
            return Reading(self.name, "input", True, "", self._seen_at, covers=self._cover)
        return Reading(self.name, "input", False, self._why, self._seen_at)

    def close(self) -> None:
        self._closing = True
        self._on_activity = lambda: None
        self._loop.call_soon_threadsafe(self._fired.set)

    # -- in its own thread

    def _serve(self) -> None:
        try:
            self._loop.run_until_complete(self._watch())
        finally:
            self._loop.close()

    async def _watch(self) -> None:
        while not self._closing:
            bus: Any = None
            try:
                bus = await asyncio.wait_for(connect("session", self._address), PATIENCE)
                await self._ask_on(bus)
            except Exception as error:
                self._why = why(error, "session", "GNOME's idle monitor")
                log.debug("mutter: %s", self._why)
            finally:
                self._healthy = False
                if bus is not None:
                    bus.disconnect()
            await self._pause(self._wait)
            self._wait = min(2 * self._wait, LONGEST_WAIT)

    async def _ask_on(self, bus: Any) -> None:
        rule = f"type='signal',interface='{SERVICE}',member='WatchFired'"
        await self._call(bus, BUS, "/org/freedesktop/DBus", f"{BUS}.AddMatch", "s", rule)
        bus.add_message_handler(self._told)
        armed = False
        while not self._closing:
            (idle,) = await self._call(bus, SERVICE, PATH, f"{SERVICE}.GetIdletime")
            self._answered(self._clock.now().boot - idle / 1000)
            if idle < 1000 * ASK_EVERY:
                # A watch would fire at every key.
                await self._pause(ASK_EVERY)
                continue
            if not armed:
                await self._call(bus, SERVICE, PATH, f"{SERVICE}.AddUserActiveWatch")
                armed = True
            if await self._pause(ASK_IDLE_EVERY) and not self._closing:
                armed = False
                await self._came_back(bus)

    async def _came_back(self, bus: Any) -> None:
        (idle,) = await self._call(bus, SERVICE, PATH, f"{SERVICE}.GetIdletime")
        before = self._seen_at
        self._answered(self._clock.now().boot - idle / 1000)
        if self._seen_at != before:
            try:
                self._on_activity()
            except Exception:
                log.exception("what follows from activity failed")

    async def _call(self, bus: Any, *question: Any) -> list[Any]:
        return await asyncio.wait_for(call(bus, *question), PATIENCE)

    async def _pause(self, seconds: float) -> bool:
        """Waits; True when the watch fired meanwhile (or it is over)."""
        try:
            await asyncio.wait_for(self._fired.wait(), seconds)
        except TimeoutError:
            return False
        self._fired.clear()
        return True

    def _told(self, message: Any) -> None:
        if message.member == "WatchFired" and message.interface == SERVICE:
            self._fired.set()

    def _answered(self, seen_at: float) -> None:
        if not self._healthy:
            log.info("mutter tells how long this session is idle")
        self._healthy = True
        self._wait = self._first_wait
        fresh = self._seen_at is None or abs(seen_at - self._seen_at) > JITTER
        if fresh and not self._doubts(seen_at):
            self._seen_at = seen_at
