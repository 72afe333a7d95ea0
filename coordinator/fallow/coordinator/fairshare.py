"""Who has used how much of the group's workstations lately: seconds of processors that fade.

Not the order of batches (`plan`), which only compares what comes out of here.
"""

from msgspec import Struct

HALF_LIFE = 24 * 3600.0
"""After so many seconds, use counts half."""
LIVE_WEIGHT = 300.0
"""Seconds that each processor in use counts at once, so that owners take turns from the start."""


class Usage(Struct, frozen=True, gc=False):
    """Processor-seconds as they counted at a wall-clock instant."""

    seconds: float = 0.0
    wall: float = 0.0


def fade(usage: Usage, wall: float) -> float:
    """Processor-seconds that still count at this wall-clock instant."""
    age = max(wall - usage.wall, 0.0)
    return float(usage.seconds * 0.5 ** (age / HALF_LIFE))


def charge(usage: Usage, cpu_seconds: float, wall: float) -> Usage:
    """The usage after so many more processor-seconds, used by this wall-clock instant."""
    if wall < usage.wall:  # told late: what was used then has faded by now
        return Usage(usage.seconds + fade(Usage(cpu_seconds, wall), usage.wall), usage.wall)
    return Usage(fade(usage, wall) + cpu_seconds, wall)
