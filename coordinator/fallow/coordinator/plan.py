"""Which queued job starts on which workstation, and why one does not: one ladder decides both.

Not the queue (`queue`) and not the lives of jobs: it reads a view and returns placements. Its work
grows with placements, groups and open workstations, never with the number of queued jobs.
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from fallow.coordinator.fairshare import LIVE_WEIGHT
from fallow.shared.ids import JobId


class Group(Struct, frozen=True, gc=False):
    """Queued jobs of one batch that differ in nothing the planner looks at.

    `jobs` are indices in falling order, so that the next one stands last. `cpus` and `memory`
    (bytes) are what each job asks for; with neither, a job takes the whole workstation.
    """

    batch: str
    owner: str
    order: int
    jobs: Sequence[int]
    cpus: int | None = None
    memory: int | None = None
    capabilities: tuple[str, ...] = ()
    avoid: frozenset[str] = frozenset()


class Seat(Struct, frozen=True, gc=False):
    """A workstation as the planner sees it.

    `closed` is a sentence why nothing may start there now, None when it is open; `affine` the
    batches it stays with, the one of its last job first.
    """

    name: str
    closed: str | None
    cpus: int
    memory: int
    free_cpus: int
    free_memory: int
    capabilities: frozenset[str] = frozenset()
    affine: tuple[str, ...] = ()
    failed_builds: frozenset[str] = frozenset()


class Placement(Struct, frozen=True, gc=False):
    """Start this job there, with so many processors and bytes; `whole`: with all it has."""

    job: JobId
    node: str
    cpus: int
    memory: int
    whole: bool


def needs(group: Group, seat: Seat) -> tuple[int, int]:
    """Processors and bytes one job of the group takes there.

    A job that names processors but no memory takes its share of the memory, so that several fit;
    one that names memory only, or nothing, takes all processors.
    """
    cpus = group.cpus if group.cpus is not None else seat.cpus
    if group.memory is not None:
        return cpus, group.memory
    if group.cpus is None:
        return cpus, seat.memory
    return cpus, seat.memory * min(cpus, seat.cpus) // max(seat.cpus, 1)


def unfit(group: Group, seat: Seat) -> str | None:
    """Why this workstation could never run such a job, however idle; None when it could."""
    lacking = [word for word in group.capabilities if word not in seat.capabilities]
    if lacking:
        return f"has no {' or '.join(lacking)}"
    cpus, memory = needs(group, seat)
    if cpus > seat.cpus:
        return f"has {seat.cpus} of the {cpus} cores it needs"
    if memory > seat.memory:
        return "has too little memory"
    return None


def obstacle(group: Group, seat: Seat) -> str | None:
    """The first reason why a job of the group cannot start there now, None when it can."""
    reason = unfit(group, seat)
    if reason is not None:
        return reason
    if group.batch in seat.failed_builds:
        return "could not build it"
    if seat.closed is not None:
        return seat.closed
    if group.avoid and seat.name in group.avoid:
        return "gave it back a moment ago"
    cpus, memory = needs(group, seat)
    if cpus > seat.free_cpus or memory > seat.free_memory:
        return "is at work on other jobs"
    return None


def plan(
    groups: Sequence[Group], seats: Iterable[Seat], used: Mapping[str, float]
) -> tuple[Placement, ...]:
    """Placements, in the order in which they are to be made.

    `used` is what each owner's use of late counts (see `fairshare`), live processors included. A
    workstation stays with the batch it works for; else the owner who used least is served, and
    the oldest of that owner's batches. Every open workstation takes one job per round.
    """
    open_seats = [seat for seat in seats if seat.closed is None and seat.free_cpus > 0]
    if not groups or not open_seats:
        return ()
    open_seats.sort(key=lambda seat: seat.name)
    spent = dict(used)
    taken = [0] * len(groups)
    placements: list[Placement] = []
    while open_seats:
        again: list[Seat] = []
        for seat in open_seats:
            best = _choose(groups, taken, seat, spent)
            if best is None:
                continue
            group = groups[best]
            taken[best] += 1
            cpus, memory = needs(group, seat)
            placements.append(
                Placement(
                    JobId(group.batch, group.jobs[-taken[best]]),
                    seat.name,
                    cpus,
                    memory,
                    group.cpus is None and group.memory is None,
                )
            )
            spent[group.owner] = spent.get(group.owner, 0.0) + cpus * LIVE_WEIGHT
            left = shrink(seat, cpus, memory)
            if left.free_cpus > 0:
                again.append(left)
        open_seats = again
    return tuple(placements)


def _choose(
    groups: Sequence[Group], taken: Sequence[int], seat: Seat, spent: Mapping[str, float]
) -> int | None:
    best: int | None = None
    best_key = (0, 0.0, 0, 0)
    affine = seat.affine
    for at, group in enumerate(groups):
        if taken[at] >= len(group.jobs):
            continue
        first = group.jobs[-1 - taken[at]]
        near = affine.index(group.batch) if group.batch in affine else len(affine)
        key = (near, spent.get(group.owner, 0.0), group.order, first)
        if (best is None or key < best_key) and obstacle(group, seat) is None:
            best, best_key = at, key
    return best


def shrink(seat: Seat, cpus: int, memory: int) -> Seat:
    """The workstation after one more job was placed there."""
    return Seat(
        seat.name,
        seat.closed,
        seat.cpus,
        seat.memory,
        seat.free_cpus - cpus,
        seat.free_memory - memory,
        seat.capabilities,
        seat.affine,
        seat.failed_builds,
    )


def explain(group: Group, seats: Iterable[Seat]) -> tuple[tuple[str, str], ...]:
    """(workstation, reason) for each that cannot start a job of the group now, by name."""
    found = []
    for seat in sorted(seats, key=lambda seat: seat.name):
        reason = obstacle(group, seat)
        if reason is not None:
            found.append((seat.name, reason))
    return tuple(found)
