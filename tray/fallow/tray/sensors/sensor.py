"""What every sensor is: something that can be read at any time, at once, and never raises.

The opposite is `watch`, which reads several of them.
"""

from typing import Protocol

from fallow.shared.moments import Moment
from fallow.tray.presence import Reading


class Sensor(Protocol):
    """One way of seeing whether somebody is there."""

    @property
    def name(self) -> str:
        """The short name that `tray status` and `tray doctor` show."""

    def read(self, now: Moment) -> Reading:
        """What it has seen until now; unhealthy, with the reason, where it cannot see."""

    def close(self) -> None:
        """Gives its connections back; it is not read again."""
