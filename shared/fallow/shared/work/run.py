"""The life of one attempt on this machine, as a pure table: (run, event, now) -> (run, effects).

Not the job (the coordinator's `job`) and nothing that touches a process or a file: `processes`,
`sandbox` and `staging` do what the effects say. Opposite: `build`, which several runs wait for.

One machine, fourteen phases, in the order of a good day: Fetching, AwaitingBuild, Placing,
Starting, Alive, Collecting, Spooled. Held stands between Placing and Starting while the desk is in
use. Aborting and Stopping end what we no longer want; Leaving and Saving what is to go on
elsewhere from its checkpoint; Over says that nothing is kept. Being frozen is not a phase: it is a
word of the run, and every phase knows what it means for it. What each pair does is in `run_rules`.
What is ugly: Starting lasts only as long as the shell takes to spawn, but a crash may fall into it.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

from fallow.shared.ids import AttemptId
from fallow.shared.messages import JobSpec
from fallow.shared.moments import Moment
from fallow.shared.runs import DeclineReason
from fallow.shared.work import run_rules as rules
from fallow.shared.work.phases import (
    PHASES,
    Aborting,
    Alive,
    AwaitingBuild,
    Collecting,
    Fetching,
    GivenBack,
    Held,
    Leaving,
    Over,
    Phase,
    Placing,
    Run,
    Saving,
    Spooled,
    Starting,
    Stopping,
)
from fallow.shared.work.run_rules import Step as Step
from fallow.shared.work.run_words import (
    Accepted,
    BuildFailed,
    BuildReady,
    CollectFailed,
    Damaged,
    Ended,
    Event,
    Expired,
    Fetch,
    Frozen,
    Heard,
    Lacking,
    NotSpawned,
    OutputsHashed,
    Placed,
    Progressed,
    Received,
    Restarted,
    Spawned,
    Staged,
    StagingFailed,
    Thawed,
    Turn,
    Uploaded,
    Withdrawn,
)


class Refused(Exception):
    """This event cannot happen in this phase: a fault of the program, not of a person."""


def handle(run: Run, event: Event, now: Moment) -> Step:
    """The next state of the run and what is to be done; Refused where the pair cannot happen."""
    rule = RULES.get((type(event), type(run.phase)))
    if rule is None:
        raise Refused(f"{run.attempt}: {type(event).__name__} in {type(run.phase).__name__}")
    return rule(run, event, now)


def start(attempt: AttemptId, job: JobSpec, now: Moment) -> Step:
    """A run that has just been assigned."""
    total = sum(each.size for each in (*job.shared, *job.inputs))
    return Step(Run(attempt, job, Fetching(0, total)), (Fetch(),))


def give_back(attempt: AttemptId, job: JobSpec, reason: DeclineReason, text: str) -> Step:
    """A run that has just been assigned and cannot be here."""
    return Step(Run(attempt, job, GivenBack(reason, text)))


_Rule: TypeAlias = Callable[[Run, Any, Moment], Step]
_EARLY: tuple[type[Phase], ...] = (Fetching, AwaitingBuild, Placing, Held)
_NOTHING_KEPT: tuple[type[Phase], ...] = (Over, GivenBack)
_ENDED: tuple[type[Phase], ...] = (Collecting, Spooled, *_NOTHING_KEPT)


def _rows(
    event: type[Event], *cells: tuple[_Rule, tuple[type[Phase], ...]]
) -> dict[tuple[type[Event], type[Phase]], _Rule]:
    return {(event, phase): rule for rule, phases in cells for phase in phases}


def _all_but(*phases: type[Phase]) -> tuple[type[Phase], ...]:
    return tuple(phase for phase in PHASES if phase not in phases)


RULES: dict[tuple[type[Event], type[Phase]], _Rule] = {
    # What is slow may answer late: after a withdrawal its word is stale.
    **_rows(
        Received,
        (rules.received, (Fetching,)),
        (rules.stale, (AwaitingBuild, Placing, *_NOTHING_KEPT)),
    ),
    **_rows(Staged, (rules.staged, (Fetching,)), (rules.stale, _NOTHING_KEPT)),
    **_rows(
        StagingFailed, (rules.staging_failed, (Fetching, Placing)), (rules.stale, _NOTHING_KEPT)
    ),
    **_rows(
        Placed,
        (rules.placed, (Placing, Starting)),
        (rules.never_ran, (Aborting,)),
        (rules.stale, _NOTHING_KEPT),
    ),
    # A build speaks to all runs of its batch; those that do not wait for it do not listen.
    **_rows(
        BuildReady, (rules.build_ready, (AwaitingBuild,)), (rules.stale, _all_but(AwaitingBuild))
    ),
    **_rows(
        BuildFailed, (rules.build_failed, (AwaitingBuild,)), (rules.stale, _all_but(AwaitingBuild))
    ),
    **_rows(Spawned, (rules.spawned, (Starting,)), (rules.spawned_unwanted, (Aborting,))),
    **_rows(
        NotSpawned,
        (rules.not_spawned, (Starting, Alive)),
        (rules.never_ran, (Aborting,)),
        (rules.stopped_before, (Stopping, Leaving, Saving)),
    ),
    **_rows(
        Ended,
        (rules.ended, (Starting, Alive, Leaving)),
        (rules.never_ran, (Aborting,)),
        (rules.stopped, (Stopping,)),
        (rules.saved, (Saving,)),
        (rules.stale, _ENDED),
    ),
    **_rows(
        Progressed, (rules.progressed, (Alive, Saving)), (rules.stale, (Stopping, Leaving, *_ENDED))
    ),
    **_rows(OutputsHashed, (rules.hashed, (Collecting,)), (rules.stale, _NOTHING_KEPT)),
    **_rows(CollectFailed, (rules.lost_here, (Collecting,)), (rules.stale, _NOTHING_KEPT)),
    **_rows(Uploaded, (rules.uploaded, (Spooled,)), (rules.stale, _NOTHING_KEPT)),
    **_rows(Damaged, (rules.lost_here, (Spooled,)), (rules.stale, _NOTHING_KEPT)),
    # The coordinator's words may cross ours on the way: with them no pair is impossible.
    **_rows(Lacking, (rules.lacking, (Spooled,)), (rules.stale, _all_but(Spooled))),
    **_rows(
        Withdrawn,
        (rules.withdrawn_early, _EARLY),
        (rules.withdrawn_starting, (Starting,)),
        (rules.withdrawn_aborting, (Aborting,)),
        (rules.withdrawn_alive, (Alive,)),
        (rules.withdrawn_stopping, (Stopping,)),
        (rules.withdrawn_leaving, (Leaving, Saving)),
        (rules.withdrawn_late, (Collecting, Spooled)),
        (rules.stale, _NOTHING_KEPT),
    ),
    **_rows(
        Accepted,
        (rules.gone, (Spooled, *_NOTHING_KEPT)),
        (rules.stale, _all_but(Spooled, *_NOTHING_KEPT)),
    ),
    **_rows(Heard, (rules.gone, _NOTHING_KEPT), (rules.stale, _all_but(*_NOTHING_KEPT))),
    # Its workload asks only those that it has just seen waiting.
    **_rows(Turn, (rules.turn, (Leaving,))),
    **_rows(
        Frozen,
        (rules.frozen, _all_but(Alive, Stopping)),
        (rules.frozen_alive, (Alive,)),
        (rules.frozen_stopping, (Stopping,)),
    ),
    **_rows(
        Thawed,
        (rules.thawed, _all_but(Held, Alive, Leaving)),
        (rules.thawed_held, (Held,)),
        (rules.thawed_alive, (Alive,)),
        (rules.thawed_leaving, (Leaving,)),
    ),
    **_rows(
        Restarted,
        (rules.again_fetch, _EARLY),
        (rules.again_find, (Starting, Aborting)),
        (rules.again_adopt, (Alive, Leaving, Saving)),
        (rules.again_stop, (Stopping,)),
        (rules.again_collect, (Collecting,)),
        (rules.again_upload, (Spooled,)),
        (rules.again_drop, _NOTHING_KEPT),
    ),
    **_rows(
        Expired,
        (rules.expired_alive, (Alive,)),
        (rules.expired_stopping, (Stopping, Saving)),
        (rules.stale, _all_but(Alive, Stopping, Saving)),
    ),
}
"""Every pair that can happen; a pair that is not here is refused."""
