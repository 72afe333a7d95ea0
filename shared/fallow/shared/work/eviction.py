"""When a run that is paused goes elsewhere: what its batch says, how long, and short memory.

Not how it leaves (`run`) nor who is told (`workload`). Opposite: the desk's judgement, which says
that runs must pause at all.
"""

from collections.abc import Iterable, Mapping

from fallow.shared.ids import AttemptId
from fallow.shared.messages import JobSpec
from fallow.shared.work import phases
from fallow.shared.work.phases import Run

MODEST = 1 << 30
"""Bytes of disk that any job may use which did not say how much it needs."""
LITTLE = 0.10
"""Share of the computer's memory that the person at the desk always finds free."""
_WORTH_IT = 0.005


def leaves_at_once(job: JobSpec) -> bool:
    """Whether it goes when somebody sits down: a frozen job would keep its GPU's memory."""
    wish = job.on_owner_return.do
    return wish == "evict" if wish is not None else job.gpus > 0 and job.checkpoint is not None


def moves(job: JobSpec) -> bool:
    """Whether it goes elsewhere when its pause gets too long for it: a checkpoint loses little."""
    wish = job.on_owner_return.then
    return wish == "move" if wish is not None else job.checkpoint is not None


def due(run: Run, ceiling: float | None) -> float | None:
    """When its pause will have been too long, in boot-clock seconds; None: never, or not paused.

    `ceiling`: the seconds after which the desk's own rule evicts it, whatever its batch says.
    """
    if not isinstance(run.phase, phases.Alive) or not run.frozen:
        return None
    wish = run.job.on_owner_return.max_pause if moves(run.job) else None
    if leaves_at_once(run.job):
        wish = 0.0
    longest = min((each for each in (wish, ceiling) if each is not None), default=None)
    began = run.frozen_at if run.frozen_at is not None else run.since
    return None if longest is None or began is None else began + longest


def crowding(
    runs: Iterable[Run], held: Mapping[AttemptId, int], available: int, total: int
) -> list[AttemptId]:
    """The paused runs to evict so that the person at the desk has memory again, largest first.

    `held` are bytes by run; `available` and `total` those of the computer. None while enough is
    free, never one that works on a free desk, and none that holds next to nothing.
    """
    lacking = LITTLE * total - available
    paused = [each.attempt for each in runs if isinstance(each.phase, phases.Alive) and each.frozen]
    found = []
    for attempt in sorted(paused, key=lambda each: held.get(each, 0), reverse=True):
        size = held.get(attempt, 0)
        if lacking <= 0 or size < total * _WORTH_IT:
            break
        found.append(attempt)
        lacking -= size
    return found


def filling(runs: Iterable[Run], used: Mapping[AttemptId, int], short: int) -> AttemptId | None:
    """The run to end because the disk lacks `short` bytes of what is to stay free; None: no run.

    The largest of those that use more than they asked for, if it is to blame: without it, enough
    would be free. `used` are bytes on the disk by run.
    """
    over = {
        each.attempt: used.get(each.attempt, 0)
        for each in runs
        if isinstance(each.phase, phases.Alive)
        and used.get(each.attempt, 0) > max(each.job.disk or MODEST, short)
    }
    return max(over, key=over.__getitem__, default=None)
