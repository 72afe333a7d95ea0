"""The queued jobs of one batch, kept in groups that the planner can read at once.

Not the deciding what starts (`plan`). Adding and dropping a job costs little however many there
are.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable
from typing import NamedTuple


class Kind(NamedTuple):
    """What the planner looks at in a job: its wishes, and the workstations it stays away from."""

    cpus: int | None
    memory: int | None
    gpus: int = 0
    disk: int = 0
    avoid: tuple[str, ...] = ()


class Queue:
    """Queued jobs by kind, each kind's indices in falling order: the next one stands last.

    A job that backs off is counted, but in no group.
    """

    def __init__(self) -> None:
        self.groups: dict[Kind, list[int]] = {}
        self._unusual: dict[int, Kind | None] = {}  # jobs that avoid somebody, or back off (None)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def fill(self, kind: Kind, indices: Iterable[int]) -> None:
        """Add many jobs of one kind that avoids nobody."""
        group = self.groups.setdefault(kind, [])
        before = len(group)
        group.extend(indices)
        group.sort(reverse=True)
        self._count += len(group) - before

    def add(self, index: int, kind: Kind) -> None:
        """Add one job."""
        insort(self.groups.setdefault(kind, []), index, key=_falling)
        if kind.avoid:
            self._unusual[index] = kind
        self._count += 1

    def set_aside(self, index: int) -> None:
        """Add a job that backs off: no group has it until it is dropped and added."""
        self._unusual[index] = None
        self._count += 1

    def drop(self, index: int, usual: Kind) -> None:
        """Remove one job whose kind without avoiding anybody is `usual`; KeyError if not here."""
        kind = self._unusual.pop(index, usual)
        if kind is not None:
            group = self.groups.get(kind, [])
            at = bisect_left(group, -index, key=_falling)
            if at == len(group) or group[at] != index:
                raise KeyError(index)
            del group[at]
            if not group:
                del self.groups[kind]
        self._count -= 1


def _falling(index: int) -> int:
    return -index
