"""Several sensors read as one: the Facts that the presence rule judges.

Not a sensor, and no judge: a sensor that fails says nothing here, and the rule (`presence`) fails
closed. `choice` says which sensors the agent has, and the tray of a desktop session.
"""

import logging
from collections.abc import Callable, Iterable, Sequence

from msgspec.structs import replace

from fallow.shared.clock import follow_zone, slept
from fallow.shared.moments import Moment
from fallow.tray.coverage import Witness, disagreements
from fallow.tray.presence import Facts, Pause, Reading, inhibiting
from fallow.tray.sensors.around import Surroundings
from fallow.tray.sensors.guard import Aside
from fallow.tray.sensors.power import on_battery
from fallow.tray.sensors.sensor import Sensor

log = logging.getLogger(__name__)

# Both clocks are read one after the other; a sleep is longer than what comes between.
SHORTEST_SLEEP = 1.0
PATIENCE = 1.0
# Less often than the sensors: neither a battery nor other programs are somebody at the desk.
LOOK_AROUND_EVERY = 5.0


class Watch:
    """Reads its sensors, never raises, and notices when the computer has slept.

    `around` looks at the other programs, where that is wanted; like `battery` it may hang without
    harm: what it said last then holds. `asleep` is how many seconds this computer has slept,
    `told_woke` when somebody told that it woke.
    """

    def __init__(
        self,
        sensors: Sequence[Sensor],
        started: float,
        battery: Callable[[], bool] = on_battery,
        asleep: Callable[[], float] | None = None,
        around: Callable[[Moment], Surroundings] | None = None,
        told_woke: Callable[[], float | None] = lambda: None,
    ) -> None:
        self._sensors = tuple(sensors)
        self._started = started
        self._battery = Aside("battery", lambda _: battery())
        self._on_battery = False
        self._around = Aside("around", around) if around is not None else None
        self._surroundings = Surroundings()
        self._look_around_at = 0.0
        self._told_woke = told_woke
        self._asleep = asleep or slept
        self._slept = self._asleep()
        self._woke: float | None = None
        self._watching_since: dict[str, float] = {}

    def readings(self, now: Moment) -> tuple[Reading, ...]:
        """What each sensor says; one that raises is unhealthy, one that is contradicted says so."""
        follow_zone()
        readings = tuple(_read(sensor, now) for sensor in self._sensors)
        doubts = self.doubts(readings, now)
        return tuple(
            replace(each, why=doubts[each.sensor]) if each.sensor in doubts else each
            for each in readings
        )

    def doubts(self, readings: Iterable[Reading], now: Moment) -> dict[str, str]:
        """Which healthy sensors of keyboard and mouse missed what another one saw, in words."""
        eyes = [each for each in readings if each.healthy and each.kind == "input"]
        since = self._watching_since
        self._watching_since = {each.sensor: since.get(each.sensor, now.boot) for each in eyes}
        return disagreements(
            (
                Witness(each.sensor, self._watching_since[each.sensor], saw_input=False)
                if each.last_activity is None
                else Witness(each.sensor, each.last_activity)
                for each in eyes
            ),
            now.boot,
        )

    def facts(
        self, now: Moment, pause: Pause | None = None, others: Iterable[Reading] = ()
    ) -> Facts:
        """All that the verdict depends on; `others` are readings that came from the trays."""
        readings = (*self.readings(now), *others)
        asleep = self._asleep()
        if asleep - self._slept >= SHORTEST_SLEEP:
            self._woke = now.boot
        self._slept = asleep
        told = self._told_woke()
        if told is not None and (self._woke is None or told > self._woke + SHORTEST_SLEEP):
            self._woke = told
        self._look_around(now)
        return Facts(
            started=self._started,
            readings=readings,
            pause=pause,
            on_battery=self._on_battery,
            woke=self._woke,
            exclusive=self._surroundings.exclusive,
            inhibitors=inhibiting(readings),
            foreign_cpu=self._surroundings.foreign_cpu,
        )

    def close(self) -> None:
        for sensor in self._sensors:
            sensor.close()
        self._battery.end()
        if self._around is not None:
            self._around.end()

    def _look_around(self, now: Moment) -> None:
        if now.boot < self._look_around_at:
            return
        self._look_around_at = now.boot + LOOK_AROUND_EVERY
        try:
            self._on_battery = self._battery.ask(now, PATIENCE)
        except TimeoutError:
            log.debug("the battery does not answer")
        except Exception:
            log.exception("the battery cannot be asked")
        if self._around is None:
            return
        try:
            self._surroundings = self._around.ask(now, PATIENCE)
        except TimeoutError:
            log.debug("the list of processes does not come")
        except Exception:
            log.exception("the other programs cannot be seen")


def _read(sensor: Sensor, now: Moment) -> Reading:
    try:
        return sensor.read(now)
    except Exception as error:
        log.exception("sensor %s failed", sensor.name)
        why = f"it failed: {str(error) or type(error).__name__}"
        # It is not healthy, and so its kind says nothing.
        return Reading(sensor.name, "input", False, why)
