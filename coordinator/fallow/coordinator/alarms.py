"""What the core wants to look at again later, by boot-clock second.

Not a timer: the shell waits for `next` and posts Expired.
"""

import heapq
from typing import Literal, TypeAlias

What = Literal["quiet", "silence", "refile", "replan"]
Alarm: TypeAlias = tuple[float, What, str, int]
"""Boot-clock seconds, what to do then, and for which workstation, or which batch and job."""


class Alarms:
    """Alarms in the order in which they come; one that no longer matters does no harm."""

    def __init__(self) -> None:
        self._heap: list[Alarm] = []

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, boot: float, what: What, whom: str = "", index: int = 0) -> None:
        """Look at this again at that boot-clock second."""
        heapq.heappush(self._heap, (boot, what, whom, index))

    def next(self) -> float | None:
        """The boot-clock second of the first one, None when there is none."""
        return self._heap[0][0] if self._heap else None

    def take_due(self, boot: float) -> list[Alarm]:
        """Take those that have come by this boot-clock second."""
        found = []
        while self._heap and self._heap[0][0] <= boot:
            found.append(heapq.heappop(self._heap))
        return found
