"""Somebody who cannot see the screen: what a screen reader is told of the windows, and can press.

It speaks AT-SPI as Orca does, with the real registry; no process of ours is asked. The opposite is
`VirtualScreen.click`, for who sees.
"""

from collections.abc import Iterator
from typing import NamedTuple, Self

from desktop.caller import Caller
from desktop.virtual_desktop import VirtualDesktop
from waiting import wait_until

LAUNCHER = "/usr/libexec/at-spi-bus-launcher"
ACCESSIBLE = "org.a11y.atspi.Accessible"
ROOT = ("org.a11y.atspi.Registry", "/org/a11y/atspi/accessible/root")
FOR_PROGRAMS = {"QT_ACCESSIBILITY": "1", "QT_LINUX_ACCESSIBILITY_ALWAYS_ON": "1"}


class Told(NamedTuple):
    """One thing on the screen: what it is (`push button`), its name, what is said of it."""

    role: str
    name: str
    about: str
    service: str
    path: str


class ScreenReader:
    """Reads the screen of a desktop whose programs are started after this one."""

    def __init__(self, desktop: VirtualDesktop) -> None:
        desktop.env |= FOR_PROGRAMS
        desktop.spawn(LAUNCHER, "--launch-immediately")
        session = Caller(desktop.env["DBUS_SESSION_BUS_ADDRESS"])
        there = ("org.a11y.Bus", "/org/a11y/bus", "org.a11y.Bus", "GetAddress")

        def address() -> str | None:
            try:
                return str(session.call(*there)[0])
            except RuntimeError:
                return None

        found = wait_until(address, 20, "the bus of screen readers")
        session.close()
        assert found is not None
        self._bus = Caller(found)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bus.close()

    def everything(self) -> list[Told]:
        """All that can be read now, from the outside in; what goes meanwhile is left out."""
        return list(self._below(*ROOT))

    def find(self, name: str, role: str = "") -> Told | None:
        """What has this name, and this role if one is given."""
        return next(
            (each for each in self.everything() if each.name == name and role in each.role), None
        )

    def press(self, told: Told) -> None:
        """Does the first thing that can be done to it."""
        self._bus.call(told.service, told.path, "org.a11y.atspi.Action", "DoAction", "i", 0)

    def _below(self, service: str, path: str) -> Iterator[Told]:
        try:
            told = Told(
                str(self._bus.call(service, path, ACCESSIBLE, "GetRoleName")[0]),
                str(self._bus.property(service, path, ACCESSIBLE, "Name")),
                str(self._bus.property(service, path, ACCESSIBLE, "Description")),
                service,
                path,
            )
            (children,) = self._bus.call(service, path, ACCESSIBLE, "GetChildren")
        except RuntimeError:
            return
        yield told
        for child in children:
            yield from self._below(*child)
