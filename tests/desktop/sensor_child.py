"""A process of its own for the X11 sensors: it prints what they say, one JSON line per change.

Tests run it on a virtual screen, because a lost X server may take a process with it. Arguments:
`pynput`, `xscreensaver` or both; `raise` makes the wake function raise, `doubting` has bumps
doubted after a second instead of a quarter of an hour.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from fallow.shared.clock import SystemClock
from fallow.tray.second_sign import Rule
from fallow.tray.sensors.pynput_input import PynputInput
from fallow.tray.sensors.sensor import Sensor
from fallow.tray.sensors.xscreensaver import XScreenSaver

clock = SystemClock()


def say(**words: Any) -> None:
    # One write per line: the listener's thread writes as well.
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


def wake() -> None:
    say(woken=clock.now().boot)
    if "raise" in sys.argv:
        raise RuntimeError("a fault of what follows")


def main() -> None:
    sensors: list[Sensor] = []
    doubts: Callable[[float], bool] | None = None
    if "pynput" in sys.argv:
        rule = Rule(idle=1.0) if "doubting" in sys.argv else Rule()
        pynput = PynputInput(wake, first_wait=0.1, rule=rule)
        doubts = pynput.doubts
        sensors.append(pynput)
    if "xscreensaver" in sys.argv:
        sensors.append(XScreenSaver(patience=0.3, doubts=doubts))
    last: dict[str, Any] = {}
    while True:
        for sensor in sensors:
            now = clock.now()
            reading = sensor.read(now)
            took = clock.now().boot - now.boot
            if last.get(sensor.name) != reading:
                last[sensor.name] = reading
                say(
                    sensor=sensor.name,
                    healthy=reading.healthy,
                    why=reading.why,
                    last_activity=reading.last_activity,
                    at=now.boot,
                    took=took,
                )
        time.sleep(0.02)


if __name__ == "__main__":
    main()
