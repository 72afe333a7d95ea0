"""Several sensors read as one: the Facts that the presence rule judges.

Not a sensor, and no judge: a sensor that fails says nothing here, and the rule (`presence`) fails
closed. The agent has `for_agent`, the tray of a desktop session has `for_session`.
"""

import logging
import time
from collections.abc import Callable, Iterable, Sequence

from fallow.shared.clock import Clock
from fallow.shared.moments import Moment
from fallow.tray.presence import Facts, Pause, Reading
from fallow.tray.sensors.power import on_battery
from fallow.tray.sensors.pynput_input import PynputInput
from fallow.tray.sensors.sensor import Sensor
from fallow.tray.sensors.xscreensaver import XScreenSaver

log = logging.getLogger(__name__)

# Both clocks are read one after the other; a sleep is longer than what comes between.
SHORTEST_SLEEP = 1.0


def for_agent() -> list[Sensor]:
    """What can be seen without a screen: who is logged in, and who types in a terminal."""
    # The tray needs neither, and the library for the system bus is large.
    from fallow.tray.sensors.logind import Logind
    from fallow.tray.sensors.terminals import Terminals

    return [Logind(), Terminals()]


def for_session(on_activity: Callable[[], None], clock: Clock | None = None) -> list[Sensor]:
    """What the tray sees of its own session; `on_activity` is called from another thread."""
    return [PynputInput(on_activity, clock), XScreenSaver(clock)]


class Watch:
    """Reads its sensors, never raises, and notices when the computer has slept.

    `asleep` is the time in seconds that this computer has slept since it started.
    """

    def __init__(
        self,
        sensors: Sequence[Sensor],
        started: float,
        battery: Callable[[], bool] = on_battery,
        asleep: Callable[[], float] | None = None,
    ) -> None:
        self._sensors = tuple(sensors)
        self._started = started
        self._battery = battery
        self._asleep = asleep or _asleep
        self._slept = self._asleep()
        self._woke: float | None = None

    def readings(self, now: Moment) -> tuple[Reading, ...]:
        """What each sensor says; one that raises is unhealthy."""
        return tuple(_read(sensor, now) for sensor in self._sensors)

    def facts(
        self, now: Moment, pause: Pause | None = None, others: Iterable[Reading] = ()
    ) -> Facts:
        """All that the verdict depends on; `others` are readings that came from the trays."""
        slept = self._asleep()
        if slept - self._slept >= SHORTEST_SLEEP:
            self._woke = now.boot
        self._slept = slept
        return Facts(
            started=self._started,
            readings=(*self.readings(now), *others),
            pause=pause,
            on_battery=self._battery(),
            woke=self._woke,
        )

    def close(self) -> None:
        for sensor in self._sensors:
            sensor.close()


def _read(sensor: Sensor, now: Moment) -> Reading:
    try:
        return sensor.read(now)
    except Exception as error:
        log.exception("sensor %s failed", sensor.name)
        why = f"it failed: {str(error) or type(error).__name__}"
        # It is not healthy, and so its kind says nothing.
        return Reading(sensor.name, "input", False, why)


def _asleep() -> float:
    """The boot clock counts sleep and the monotonic one does not: seconds slept since boot."""
    boot = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(boot) - time.clock_gettime(time.CLOCK_MONOTONIC)
