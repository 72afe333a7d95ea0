"""Which job of a batch is next on this one computer: room, order, further tries.

Not the running of it (`local_run`), nor the planning for many computers and people (`plan`), which
is the opposite. Pure: `now` is boot-clock seconds.
"""

import heapq
from collections import deque
from collections.abc import Iterable

from msgspec import Struct

from fallow.shared.batch import Batch, OnFailure, Resources
from fallow.shared.errors import FallowError
from fallow.shared.units import format_size


class Room(Struct, frozen=True):
    """What this computer has for jobs; `side_by_side` is what its user said, None: what fits."""

    cpus: int
    memory: int
    side_by_side: int | None = None
    gpus: int = 0


class Slot(Struct, frozen=True):
    """What one job gets: processors, bytes of memory or None for no limit, GPUs."""

    cpus: int
    memory: int | None
    gpus: int = 0


def slot_for(wish: Resources, room: Room) -> Slot:
    """As much as it asks for and is there; who does not say how many processors gets all.

    Where so many jobs are to run side by side, all is an equal share.
    """
    share = max(room.cpus // (room.side_by_side or 1), 1)
    cpus = share if wish.cpus is None else min(wish.cpus, room.cpus)
    memory = None if wish.memory is None else min(wish.memory, room.memory)
    return Slot(cpus, memory, wish.gpus or 0)


def notes(batch: Batch, wishes: Iterable[Resources], room: Room) -> list[str]:
    """What of the batch does not hold here, one sentence each; FallowError where it cannot run."""
    cpus = memory = gpus = 0
    for wish in wishes:
        cpus, memory = max(cpus, wish.cpus or 0), max(memory, wish.memory or 0)
        gpus = max(gpus, wish.gpus or 0)
    if gpus > room.gpus:
        raise FallowError(
            f"A job asks for {gpus} GPU{'s' if gpus > 1 else ''}",
            f"On this computer {room.gpus or 'none'} can be found.",
            "hand the batch in to a coordinator that has workstations with GPUs",
        )
    found = []
    if cpus > room.cpus:
        found.append(f"jobs ask for {cpus} processors, and get the {room.cpus} that are here")
    if memory > room.memory:
        here = format_size(room.memory)
        found.append(f"jobs ask for {format_size(memory)} of memory; this computer has {here}")
    ignored = {"after": batch.after, "notify": batch.notify, "meta.matrix": batch.meta.matrix}
    for key, said in ignored.items():
        if said:
            found.append(f"`{key}` is for a coordinator to act on; it means nothing here")
    return found


class LocalQueue:
    """The jobs of one batch, by their index, until none is left to start and none runs."""

    def __init__(self, jobs: Iterable[int], room: Room, on_failure: OnFailure) -> None:
        self._waiting = deque(jobs)
        self._room = room
        self._on_failure = on_failure
        self._again: list[tuple[float, int]] = []
        self._failures: dict[int, int] = {}
        self._running: dict[int, Slot] = {}
        self.left = len(self._waiting)

    def over(self) -> bool:
        """Whether no job is left to start and none runs."""
        return not (self._waiting or self._again or self._running)

    def candidate(self, now: float) -> int | None:
        """The job whose turn it is: one to be tried again that has waited, else the next one."""
        if self._again and self._again[0][0] <= now:
            return self._again[0][1]
        return self._waiting[0] if self._waiting else None

    def fits(self, slot: Slot) -> bool:
        """Whether there is room for it beside what runs."""
        if not self._running:
            return True
        if slot.gpus + sum(each.gpus for each in self._running.values()) > self._room.gpus:
            return False
        if self._room.side_by_side is not None:
            return len(self._running) < self._room.side_by_side
        cpus = sum(each.cpus for each in self._running.values())
        memory = sum(each.memory or 0 for each in self._running.values())
        return (
            cpus + slot.cpus <= self._room.cpus and memory + (slot.memory or 0) <= self._room.memory
        )

    def start(self, index: int, slot: Slot, now: float) -> None:
        """The candidate runs from now on."""
        if self._again and self._again[0][0] <= now and self._again[0][1] == index:
            heapq.heappop(self._again)
        else:
            assert self._waiting[0] == index
            self._waiting.popleft()
        self._running[index] = slot

    def ended(self, index: int, now: float, *, failed: bool = False) -> bool:
        """It runs no more; whether it will be tried again."""
        del self._running[index]
        if failed:
            count = self._failures[index] = self._failures.get(index, 0) + 1
            if count <= self._on_failure.retries:
                wait = self._on_failure.back_off * 2.0 ** min(count - 1, 30)
                heapq.heappush(self._again, (now + wait, index))
                return True
        self.left -= 1
        return False

    def give_up(self) -> list[int]:
        """Start nothing more; the jobs that were not begun or wait for another try."""
        dropped = [*self._waiting, *(index for _, index in self._again)]
        self._waiting.clear()
        self._again.clear()
        self.left -= len(dropped)
        return dropped

    def deadline(self) -> float | None:
        """When a job may be tried again, None when none waits for that."""
        return self._again[0][0] if self._again else None
