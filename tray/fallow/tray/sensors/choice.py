"""Which sensors a program has: the agent, which has no screen, and the tray of one session.

Not how they are read (`watch`). Only what can work in this kind of session is chosen, so that no
one is told of GNOME's silence on KDE.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from fallow.shared.clock import Clock
from fallow.tray.coverage import Cover
from fallow.tray.sensors.guard import Guarded
from fallow.tray.sensors.sensor import Sensor

if TYPE_CHECKING:
    from fallow.tray.sensors.logind import Logind


def for_agent(
    on_activity: Callable[[], None] = lambda: None, clock: Clock | None = None
) -> list[Sensor]:
    """What can be seen without a screen: who is logged in, who types in a terminal, films.

    The keyboards too, where this account may read their devices; only they call `on_activity`.
    """
    # The tray needs none of them, and the library for the system bus is large.
    from fallow.tray.sensors import evdev_input
    from fallow.tray.sensors.inhibitors import Inhibitors
    from fallow.tray.sensors.logind import Logind
    from fallow.tray.sensors.terminals import Terminals

    sensors: list[Sensor] = [
        Guarded("logind", "session", Logind),
        Terminals(),
        Guarded("logind inhibitors", "inhibitor", lambda: Inhibitors("system")),
    ]
    if evdev_input.possible():
        sensors.append(evdev_input.EvdevInput(on_activity, clock))
    return sensors


def told_woke(sensors: Iterable[Sensor]) -> float | None:
    """When logind told last that this computer woke from sleep, in boot-clock seconds."""
    logind = _logind(sensors)
    return logind.woke if logind is not None else None


def seated(sensors: Iterable[Sensor]) -> frozenset[int]:
    """The users who have a session at a seat of this computer, in the foreground or not."""
    logind = _logind(sensors)
    sessions = logind.sessions if logind is not None else ()
    return frozenset(each.uid for each in sessions if each.somebody)


def _logind(sensors: Iterable[Sensor]) -> "Logind | None":
    from fallow.tray.sensors.logind import Logind

    for each in sensors:
        inner = each.inner if isinstance(each, Guarded) else each
        if isinstance(inner, Logind):
            return inner
    return None


def for_session(
    on_activity: Callable[[], None],
    clock: Clock | None = None,
    environment: Mapping[str, str] = os.environ,
) -> list[Sensor]:
    """What the tray sees of its own session, the sensor that wakes first.

    `on_activity` is called from another thread.
    """
    cover = cover_of(environment)
    sensors: list[Sensor] = []
    gnome = "GNOME" in environment.get("XDG_CURRENT_DESKTOP", "").split(":")
    if environment.get("XDG_SESSION_TYPE") == "wayland" or environment.get("WAYLAND_DISPLAY"):
        from fallow.tray.sensors.idle_notify import IdleNotify

        if not gnome:
            sensors.append(IdleNotify(on_activity, clock, cover, environment))
        else:
            from fallow.tray.sensors.mutter import Mutter

            sensors.append(Mutter(on_activity, clock, cover))
    else:
        from fallow.tray.sensors.pynput_input import PynputInput
        from fallow.tray.sensors.xscreensaver import XScreenSaver

        pynput = PynputInput(on_activity, clock, cover=cover)
        sensors += [pynput, XScreenSaver(clock, cover=cover, doubts=pynput.doubts)]
        if gnome:
            from fallow.tray.sensors.mutter import Mutter

            # Here it is another witness; the one that wakes knows bumps from keys.
            sensors.append(Mutter(lambda: None, clock, cover, pynput.doubts))
    if environment.get("DBUS_SESSION_BUS_ADDRESS"):
        from fallow.tray.sensors.inhibitors import Inhibitors

        sensors.append(Guarded("inhibitors", "inhibitor", lambda: Inhibitors("session")))
    return sensors


def cover_of(environment: Mapping[str, str]) -> Cover:
    """The session that this process belongs to, as far as its environment tells."""
    return Cover(
        session=environment.get("XDG_SESSION_ID", ""),
        uid=os.getuid(),
        display=environment.get("DISPLAY", ""),
    )
