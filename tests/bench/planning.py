"""The planner alone: 10,000 queued jobs of 50 batches and 10 people, on 1,000 workstations.

No program is started here. Once every slot is free, which happens after a start; then one is, as
whenever a job ends.
"""

import time
from collections.abc import Iterator, Sequence

from bench.row import Row
from fallow.coordinator.plan import Group, Seat, plan

JOBS = 10_000
BATCHES = 50
OWNERS = 10
STATIONS = 1000
CORES = 8
MEMORY = 32 << 30
ROUNDS = 5


def queue() -> list[Group]:
    each = JOBS // BATCHES
    return [
        Group(f"batch{number}", f"owner{number % OWNERS}", number, range(each - 1, -1, -1), cpus=1)
        for number in range(BATCHES)
    ]


def stations(free: int) -> list[Seat]:
    """All workstations, so many of them idle; no two alike, the others at work."""
    found = []
    for number in range(STATIONS):
        memory = MEMORY + number
        cpus = CORES if number < free else 0
        found.append(Seat(f"ws{number}", None, CORES, memory, cpus, memory * cpus // CORES))
    return found


def times(seats: Sequence[Seat]) -> list[float]:
    """Milliseconds of a plan."""
    groups, found = queue(), []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        plan(groups, seats, {})
        found.append(1000 * (time.perf_counter() - start))
    return found


def rows() -> Iterator[Row]:
    yield Row(
        name=f"plan, {JOBS:,} queued jobs, {STATIONS:,} idle workstations",
        unit="ms",
        values=tuple(times(stations(STATIONS))),
        first=1000.0,
    )
    yield Row(
        name=f"plan, {JOBS:,} queued jobs, one of {STATIONS:,} workstations idle",
        unit="ms",
        values=tuple(times(stations(1))),
        first=5.0,
    )
