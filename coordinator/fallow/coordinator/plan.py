"""Which queued job starts on which workstation, and why one does not: one ladder decides both.

Not the queue (`queue`) and not the lives of jobs: it reads a view and returns placements. Its work
grows with placements, groups and open workstations, never with the number of queued jobs.

The order: first the owner who used least of late (`fairshare`), so that nobody gains by calling all
their jobs urgent; then that owner's priority; then what the workstation has built already; then the
oldest batch. A workstation stays with an owner it has built for until others are AFFINITY behind.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct

from fallow.coordinator.fairshare import LIVE_WEIGHT
from fallow.shared import units
from fallow.shared.ids import JobId
from fallow.shared.runs import Reason

_BUSY = Reason("busy", "is at work on other jobs")
AFFINITY = 3600.0
"""Processor-seconds of others' waiting that a build which is there already is worth."""


class Room(NamedTuple):
    """Processors, bytes of memory, GPUs and bytes of disk."""

    cpus: int
    memory: int
    gpus: int = 0
    disk: int = 0


class Wish(NamedTuple):
    """What the jobs of a group ask for, and of which batch they are."""

    batch: str
    cpus: int | None
    memory: int | None
    gpus: int
    disk: int


class Group(Struct, frozen=True, gc=False):
    """Queued jobs of one batch that differ in nothing the planner looks at.

    `jobs` are indices in falling order, so that the next one stands last. `cpus`, `memory` and
    `disk` (bytes) and `gpus` are what each job asks for; with neither processors nor memory, a job
    takes all of these that the workstation has. Of an owner's groups a higher `priority` goes
    first. `waited`: none of these has started for long.
    """

    batch: str
    owner: str
    order: int
    jobs: Sequence[int]
    cpus: int | None = None
    memory: int | None = None
    capabilities: tuple[str, ...] = ()
    avoid: frozenset[str] = frozenset()
    gpus: int = 0
    disk: int = 0
    priority: int = 0
    waited: bool = False

    @property
    def wish(self) -> "Wish":
        return Wish(self.batch, self.cpus, self.memory, self.gpus, self.disk)


class Seat(Struct, frozen=True, gc=False):
    """A workstation as the planner sees it.

    `closed` says why nothing may start there now, None when it is open; `affine` the batches it
    stays with, the one of its last job first; `not_from` the people whose jobs it does not run;
    `kept_for` the only jobs that may start there now (see `keeping`).
    """

    name: str
    closed: Reason | None
    cpus: int
    memory: int
    free_cpus: int
    free_memory: int
    capabilities: frozenset[str] = frozenset()
    affine: tuple[str, ...] = ()
    failed_builds: frozenset[str] = frozenset()
    gpus: int = 0
    disk: int = 0
    free_gpus: int = 0
    free_disk: int = 0
    not_from: frozenset[str] = frozenset()
    kept_for: Wish | None = None


class Placement(Struct, frozen=True, gc=False):
    """Start this job there, with so much of it; `whole`: with all its processors and memory."""

    job: JobId
    node: str
    room: Room
    whole: bool


def needs(group: Group, seat: Seat) -> Room:
    """What one job of the group takes there.

    A job that names processors but no memory takes its share of the memory, so that several fit;
    one that names memory only, or nothing, takes all processors.
    """
    cpus = group.cpus if group.cpus is not None else seat.cpus
    memory = group.memory
    if memory is None:
        memory = seat.memory
        if group.cpus is not None:
            memory = memory * min(cpus, seat.cpus) // max(seat.cpus, 1)
    return Room(cpus, memory, group.gpus, group.disk)


def unfit(group: Group, seat: Seat) -> Reason | None:
    """Why this workstation could never run such a job, however idle; None when it could."""
    return _unfit(group, seat, needs(group, seat))


def _unfit(group: Group, seat: Seat, wanted: Room) -> Reason | None:
    if group.owner in seat.not_from:
        return Reason("not_from", f"does not run jobs of {group.owner}")
    if not seat.capabilities.issuperset(group.capabilities):
        lacking = [word for word in group.capabilities if word not in seat.capabilities]
        return Reason("capability", f"has no {' or '.join(lacking)}")
    if wanted.cpus > seat.cpus:
        return Reason("cpus", f"has {seat.cpus} of the {wanted.cpus} cores it needs")
    if wanted.memory > seat.memory:
        offer = units.about_size(seat.memory)
        text = f"has {offer} of the {units.about_size(wanted.memory)} of memory it needs"
        return Reason("memory", text)
    if wanted.gpus > seat.gpus:
        return Reason("gpus", f"has {seat.gpus or 'none'} of the {wanted.gpus} GPUs it needs")
    if wanted.disk > seat.disk:
        offer = units.about_size(seat.disk)
        text = f"has {offer} of the {units.about_size(wanted.disk)} of disk it needs"
        return Reason("disk", text)
    return None


def obstacle(group: Group, seat: Seat) -> Reason | None:
    """The first reason why a job of the group cannot start there now, None when it can."""
    wanted = needs(group, seat)
    reason = _unfit(group, seat, wanted)
    if reason is not None:
        return reason
    if group.batch in seat.failed_builds:
        return Reason("build", "could not build it")
    if seat.closed is not None:
        return seat.closed
    if group.avoid and seat.name in group.avoid:
        return Reason("gave_back", "gave it back a moment ago")
    if seat.kept_for is not None and seat.kept_for != group.wish:
        return Reason("kept", "is kept free for a job that needs more of it")
    if (
        wanted.cpus > seat.free_cpus
        or wanted.memory > seat.free_memory
        or wanted.gpus > seat.free_gpus
        or wanted.disk > seat.free_disk
    ):
        return _BUSY
    return None


def plan(
    groups: Sequence[Group], seats: Iterable[Seat], used: Mapping[str, float]
) -> tuple[Placement, ...]:
    """Placements, in the order in which they are to be made.

    `used` is what each owner's use of late counts (see `fairshare`), live processors included.
    Every open workstation takes one job per round.
    """
    open_seats = [seat for seat in seats if seat.closed is None and seat.free_cpus > 0]
    if not groups or not open_seats:
        return ()
    open_seats.sort(key=lambda seat: seat.name)
    spent = dict(used)
    taken = [0] * len(groups)
    placements: list[Placement] = []
    ranked = by_rank(groups)
    avoided = frozenset[str]().union(*(group.avoid for group in groups))
    hopeless: set[tuple[object, ...]] = set()
    while open_seats:
        again: list[Seat] = []
        for seat in open_seats:
            shape = _shape(seat)
            if shape in hopeless:
                continue
            best = choose(groups, ranked, taken, seat, spent)
            if best is None:
                if seat.name not in avoided:
                    # Jobs only become fewer: nothing will start on any other like it either.
                    hopeless.add(shape)
                continue
            group = groups[best]
            taken[best] += 1
            room = needs(group, seat)
            job = JobId(group.batch, group.jobs[-taken[best]])
            whole = group.cpus is None and group.memory is None
            placements.append(Placement(job, seat.name, room, whole))
            spent[group.owner] = spent.get(group.owner, 0.0) + room.cpus * LIVE_WEIGHT
            left = shrink(seat, room)
            if left.free_cpus > 0:
                again.append(left)
        open_seats = again
    return tuple(placements)


def _shape(seat: Seat) -> tuple[object, ...]:
    """All that decides what can start there, but for its name."""
    return (
        seat.cpus,
        seat.memory,
        seat.free_cpus,
        seat.free_memory,
        seat.capabilities,
        seat.affine,
        seat.failed_builds,
        seat.gpus,
        seat.free_gpus,
        seat.disk,
        seat.free_disk,
        seat.not_from,
        seat.kept_for,
    )


def by_rank(groups: Sequence[Group]) -> list[int]:
    """The places of the groups, each owner's in the order in which they go."""
    return sorted(range(len(groups)), key=lambda at: (-groups[at].priority, groups[at].order, at))


def choose(
    groups: Sequence[Group],
    ranked: Sequence[int],
    taken: Sequence[int],
    seat: Seat,
    spent: Mapping[str, float],
) -> int | None:
    """The group whose next job starts here, None when no job can.

    `ranked` is `by_rank`, `taken` how many jobs of each group have been placed already.
    """
    firsts: dict[str, int] = {}
    for at in ranked:
        group = groups[at]
        if taken[at] >= len(group.jobs):
            continue
        first = firsts.get(group.owner)
        if first is not None and not _is_before(groups, taken, seat, at, first):
            continue
        if obstacle(group, seat) is None:
            firsts[group.owner] = at
    if len(firsts) < 2:
        return next(iter(firsts.values()), None)
    owner = min(
        firsts,
        key=lambda each: (
            spent.get(each, 0.0) - (AFFINITY if groups[firsts[each]].batch in seat.affine else 0.0),
            _rank(groups, taken, seat, firsts[each]),
        ),
    )
    return firsts[owner]


def _is_before(
    groups: Sequence[Group], taken: Sequence[int], seat: Seat, one: int, other: int
) -> bool:
    """Whether one group of an owner goes before another of the same owner here."""
    if not seat.affine and (
        groups[one].order != groups[other].order or groups[one].priority != groups[other].priority
    ):
        return False  # `ranked` has it so
    return _rank(groups, taken, seat, one) < _rank(groups, taken, seat, other)


def _rank(
    groups: Sequence[Group], taken: Sequence[int], seat: Seat, at: int
) -> tuple[int, int, int, int]:
    group = groups[at]
    affine = seat.affine
    built = affine.index(group.batch) if group.batch in affine else len(affine)
    return -group.priority, built, group.order, group.jobs[-1 - taken[at]]


def shrink(seat: Seat, room: Room) -> Seat:
    """The workstation after one more job was placed there."""
    return Seat(
        seat.name,
        seat.closed,
        seat.cpus,
        seat.memory,
        seat.free_cpus - room.cpus,
        seat.free_memory - room.memory,
        seat.capabilities,
        seat.affine,
        seat.failed_builds,
        seat.gpus,
        seat.disk,
        seat.free_gpus - room.gpus,
        seat.free_disk - room.disk,
        seat.not_from,
        seat.kept_for,
    )


def explain(group: Group, seats: Iterable[Seat]) -> tuple[tuple[str, Reason], ...]:
    """(workstation, reason) for each that cannot start a job of the group now, by name."""
    found = []
    for seat in sorted(seats, key=lambda seat: seat.name):
        reason = obstacle(group, seat)
        if reason is not None:
            found.append((seat.name, reason))
    return tuple(found)
