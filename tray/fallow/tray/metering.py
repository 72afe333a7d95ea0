"""How many processors each run keeps busy, from what it has used at two looks. Pure.

Not the looking (`workbench` asks the kernel); the present comes in as boot-clock seconds.
"""

from collections.abc import Mapping
from typing import NamedTuple

from fallow.shared.ids import AttemptId

_LONGEST = 15.0  # seconds; older looks say little about now


class Used(NamedTuple):
    """Processor seconds so far, and bytes of memory now."""

    seconds: float
    memory: int


class Meter:
    """Remembers the last two looks."""

    def __init__(self) -> None:
        self._before: Mapping[AttemptId, Used] = {}
        self._before_at = 0.0
        self._now: Mapping[AttemptId, Used] = {}
        self.looked_at: float | None = None

    def look(self, used: Mapping[AttemptId, Used], now: float) -> None:
        """Each run has used so much by now."""
        if self.looked_at is not None:
            self._before, self._before_at = self._now, self.looked_at
        self._now, self.looked_at = used, now

    def of(self, attempt: AttemptId, ran: float) -> tuple[float | None, int | None]:
        """Processors that it keeps busy and bytes of memory; None where nothing is known.

        Of one that was looked at for the first time, those over the `ran` seconds of its life.
        """
        used = self._now.get(attempt)
        if used is None or self.looked_at is None:
            return None, None
        earlier = self._before.get(attempt)
        since = self.looked_at - self._before_at
        if earlier is not None and 0 < since <= _LONGEST:
            return max(used.seconds - earlier.seconds, 0.0) / since, used.memory
        return (used.seconds / ran if ran > 0 else None), used.memory
