"""Instants and deadlines as values: the pure half of time.

Not a clock: nothing here reads the time. The opposite is `clock`, which makes Moments.
`boot` counts seconds since this computer started, sleep included; `wall` is the UNIX time and is
for people and for deadlines that outlive a boot.
"""

from msgspec import Struct


class Moment(Struct, frozen=True):
    """One instant of one computer: boot-clock seconds and wall-clock (UNIX) seconds."""

    boot: float
    wall: float

    def plus(self, seconds: float) -> "Moment":
        return Moment(self.boot + seconds, self.wall + seconds)


class Deadline(Struct, frozen=True):
    """An instant to come that survives a restart and a reboot.

    Within the boot it was made in, the boot clock decides, so that setting the wall clock moves
    nothing. In another boot the wall clock decides, capped at the length first asked for.
    """

    boot_id: str
    boot: float
    wall: float
    length: float

    @classmethod
    def after(cls, seconds: float, now: Moment, boot_id: str) -> "Deadline":
        return cls(boot_id, now.boot + seconds, now.wall + seconds, seconds)

    def remaining(self, now: Moment, boot_id: str) -> float:
        """Seconds left, never negative, never more than was asked for."""
        left = self.boot - now.boot if boot_id == self.boot_id else self.wall - now.wall
        return min(max(left, 0.0), self.length)
