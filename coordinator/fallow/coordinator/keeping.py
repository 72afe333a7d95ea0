"""Keeping workstations free for jobs that need more of one than is ever free at once.

Where many small jobs run, a workstation is never idle, and a job that asks for all of it would wait
for ever, however little its owner has used. Not the choice of what starts (`plan`), which obeys.
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from fallow.coordinator.plan import Group, Seat, Wish, by_rank, choose, obstacle

PATIENCE = 600.0
"""Seconds that a batch waits for a job of a kind to start before a workstation is kept for it."""


def keep(
    groups: Sequence[Group], seats: Iterable[Seat], used: Mapping[str, float]
) -> dict[str, Wish]:
    """The workstations to keep, by name, and for what.

    One for each group that has waited for long, if it is only work that is in its way, and if it
    would be its turn on that workstation were that idle: the one that has most free already.
    """
    waited = [at for at, group in enumerate(groups) if group.waited and group.jobs]
    if not waited:
        return {}
    open_seats = [seat for seat in seats if seat.closed is None]
    nothing, ranked = [0] * len(groups), by_rank(groups)
    kept: dict[str, Wish] = {}
    for at in sorted(waited, key=lambda at: (used.get(groups[at].owner, 0.0), groups[at].order)):
        found = []
        for seat in open_seats:
            reason = obstacle(groups[at], seat)
            if reason is None:
                break  # it starts there now
            if reason.kind == "busy" and seat.name not in kept:
                found.append(seat)
        else:
            found.sort(key=lambda seat: (-seat.free_cpus, -seat.free_memory, seat.name))
            for seat in found:
                if choose(groups, ranked, nothing, _idle(seat), used) == at:
                    kept[seat.name] = groups[at].wish
                    break
    return kept


def _idle(seat: Seat) -> Seat:
    return replace(
        seat,
        free_cpus=seat.cpus,
        free_memory=seat.memory,
        free_gpus=seat.gpus,
        free_disk=seat.disk,
    )
