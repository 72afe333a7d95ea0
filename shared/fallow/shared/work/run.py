"""The life of one attempt on this machine, as a pure table: (run, event, now) -> (run, effects).

Not the job (the coordinator's `job`) and nothing that touches a process or a file: `processes`,
`sandbox` and `staging` do what the effects say. Opposite: `build`, which several runs wait for.

One machine, twelve phases, in the order of a good day: Fetching, AwaitingBuild, Placing, Starting,
Alive, Collecting, Spooled. Held stands between Placing and Starting while the desk is in use.
Aborting and Stopping end what we no longer want; Over says that nothing is kept. Being frozen is
not a phase: it is a word of the run, and every phase knows what it means for it. What is ugly:
Starting lasts only as long as the shell takes to spawn, but a crash may fall into it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from msgspec.structs import replace

from fallow.shared.ids import AttemptId
from fallow.shared.messages import JobSpec
from fallow.shared.moments import Moment
from fallow.shared.runs import Crashed, DeclineReason, Stopped, stronger
from fallow.shared.work.phases import (
    PHASES,
    Aborting,
    Alive,
    AwaitingBuild,
    Collecting,
    Fetching,
    GivenBack,
    Held,
    Over,
    Phase,
    Placing,
    Run,
    Spooled,
    Starting,
    Stopping,
    seconds,
)
from fallow.shared.work.run_words import (
    Accepted,
    Adopt,
    BuildFailed,
    BuildReady,
    Collect,
    CollectFailed,
    Damaged,
    Drop,
    Effect,
    Ended,
    Event,
    Expired,
    Fetch,
    Find,
    Forget,
    Freeze,
    Frozen,
    Heard,
    Kill,
    Lacking,
    NotSpawned,
    OutputsHashed,
    Place,
    Placed,
    Progressed,
    Received,
    Restarted,
    Spawn,
    Spawned,
    Staged,
    StagingFailed,
    Terminate,
    Thaw,
    Thawed,
    Upload,
    Uploaded,
    Withdrawn,
)

KILL_AGAIN_AFTER = 5.0


class Step(NamedTuple):
    """The run after an event (None: it is gone) and what is to be done, in this order."""

    run: Run | None
    effects: tuple[Effect, ...] = ()


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


def _to(run: Run, phase: Phase, now: Moment, *effects: Effect) -> Step:
    """The run in this phase; its meters run on exactly while a process lives."""
    ran, paused = seconds(run, now)
    since = now.boot if isinstance(phase, Alive | Stopping) else None
    return Step(replace(run, phase=phase, ran=ran, paused=paused, since=since), effects)


def _stale(run: Run, event: Any, now: Moment) -> Step:
    return Step(run)


def _received(run: Run, event: Received, now: Moment) -> Step:
    return _to(run, Fetching(event.received, event.total), now)


def _staged(run: Run, event: Staged, now: Moment) -> Step:
    return _to(run, Placing(), now, Place()) if event.built else _to(run, AwaitingBuild(), now)


def _staging_failed(run: Run, event: StagingFailed, now: Moment) -> Step:
    return _to(run, GivenBack("staging", event.text), now, Drop())


def _build_ready(run: Run, event: BuildReady, now: Moment) -> Step:
    return _to(run, Placing(), now, Place())


def _build_failed(run: Run, event: BuildFailed, now: Moment) -> Step:
    return _to(run, GivenBack(event.reason, event.text), now, Drop())


def _placed(run: Run, event: Placed, now: Moment) -> Step:
    return _to(run, Held(), now) if run.frozen else _to(run, Starting(), now, Spawn())


def _spawned(run: Run, event: Spawned, now: Moment) -> Step:
    effects = (Freeze(),) if run.frozen else ()
    return _to(run, Alive(event.process, now.wall), now, *effects)


def _spawned_unwanted(run: Run, event: Spawned, now: Moment) -> Step:
    assert isinstance(run.phase, Aborting)
    phase = Stopping(event.process, now.wall, run.phase.why, now.boot + KILL_AGAIN_AFTER)
    return _to(run, phase, now, Kill())


def _not_spawned(run: Run, event: NotSpawned, now: Moment) -> Step:
    return _to(run, GivenBack(event.reason, event.text), now, Drop())


def _ended(run: Run, event: Ended, now: Moment) -> Step:
    started = run.phase.started if isinstance(run.phase, Alive) else None
    return _to(run, Collecting(event.exit, started, now.wall), now, Collect(event.exit))


def _stopped_before(run: Run, event: NotSpawned, now: Moment) -> Step:
    """Its sandbox failed while we were ending it."""
    assert isinstance(run.phase, Stopping)
    return _to(run, Over(Stopped(run.phase.why), None, None), now, Drop())


def _never_ran(run: Run, event: Any, now: Moment) -> Step:
    """Aborting, and there is no process (or it has ended already)."""
    assert isinstance(run.phase, Aborting)
    return _to(run, Over(Stopped(run.phase.why), None, None), now, Drop())


def _stopped(run: Run, event: Ended, now: Moment) -> Step:
    """An exit after our own signal is a stop, whatever its code."""
    assert isinstance(run.phase, Stopping)
    over = Over(Stopped(run.phase.why), run.phase.started, now.wall)
    return _to(run, over, now, Kill(), Drop())


def _progressed(run: Run, event: Progressed, now: Moment) -> Step:
    return Step(replace(run, progress=event.progress))


def _hashed(run: Run, event: OutputsHashed, now: Moment) -> Step:
    assert isinstance(run.phase, Collecting)
    old = run.phase
    new = Spooled(old.exit, event.manifest, event.size, False, old.started, old.ended)
    return _to(run, new, now, Upload(event.manifest))


def _lost_here(run: Run, event: Any, now: Moment) -> Step:
    """Without its outputs an exit means nothing: the job has to run again, at no cost to it."""
    assert isinstance(run.phase, Collecting | Spooled)
    return _to(run, Over(Crashed(), run.phase.started, run.phase.ended), now, Drop())


def _uploaded(run: Run, event: Uploaded, now: Moment) -> Step:
    assert isinstance(run.phase, Spooled)
    return _to(run, replace(run.phase, stored=True), now)


def _lacking(run: Run, event: Lacking, now: Moment) -> Step:
    assert isinstance(run.phase, Spooled)
    return _to(run, replace(run.phase, stored=False), now, Upload(run.phase.manifest))


def _withdrawn_early(run: Run, event: Withdrawn, now: Moment) -> Step:
    return _to(run, Over(Stopped(event.why), None, None), now, Drop())


def _withdrawn_starting(run: Run, event: Withdrawn, now: Moment) -> Step:
    return _to(run, Aborting(event.why), now)


def _withdrawn_aborting(run: Run, event: Withdrawn, now: Moment) -> Step:
    assert isinstance(run.phase, Aborting)
    return _to(run, Aborting(stronger(run.phase.why, event.why)), now)


def _withdrawn_alive(run: Run, event: Withdrawn, now: Moment) -> Step:
    """Frozen, it is killed as it lies: nothing runs on a desk in use, and nothing is kept of it."""
    assert isinstance(run.phase, Alive)
    at_once = run.frozen or event.grace <= 0
    until = now.boot + (KILL_AGAIN_AFTER if at_once else event.grace)
    phase = Stopping(run.phase.process, run.phase.started, event.why, until)
    return _to(run, phase, now, Kill() if at_once else Terminate())


def _withdrawn_stopping(run: Run, event: Withdrawn, now: Moment) -> Step:
    """The stronger reason stays; a shorter grace holds, a longer one changes nothing."""
    assert isinstance(run.phase, Stopping)
    until = min(run.phase.until, now.boot + max(event.grace, 0.0))
    why = stronger(run.phase.why, event.why)
    return _to(run, replace(run.phase, why=why, until=until), now)


def _withdrawn_late(run: Run, event: Withdrawn, now: Moment) -> Step:
    """It ended by itself before: only those who want no result at all may throw it away."""
    assert isinstance(run.phase, Collecting | Spooled)
    if event.why not in {"kill", "superseded"}:
        return Step(run)
    return _to(run, Over(Stopped(event.why), run.phase.started, run.phase.ended), now, Drop())


def _gone(run: Run, event: Any, now: Moment) -> Step:
    return Step(None, (Forget(),))


def _freeze(run: Run, now: Moment, frozen: bool) -> Run:
    ran, paused = seconds(run, now)
    since = now.boot if run.since is not None else None
    return replace(run, frozen=frozen, ran=ran, paused=paused, since=since)


def _frozen(run: Run, event: Frozen, now: Moment) -> Step:
    return Step(_freeze(run, now, True))


def _frozen_alive(run: Run, event: Frozen, now: Moment) -> Step:
    return Step(_freeze(run, now, True), (Freeze(),))


def _frozen_stopping(run: Run, event: Frozen, now: Moment) -> Step:
    """Its grace ends here: nothing is kept of it, so that it need not run on a desk in use."""
    assert isinstance(run.phase, Stopping)
    phase = replace(run.phase, until=now.boot + KILL_AGAIN_AFTER)
    return Step(replace(_freeze(run, now, True), phase=phase), (Freeze(), Kill()))


def _thawed(run: Run, event: Thawed, now: Moment) -> Step:
    return Step(_freeze(run, now, False))


def _thawed_held(run: Run, event: Thawed, now: Moment) -> Step:
    return _to(_freeze(run, now, False), Starting(), now, Spawn())


def _thawed_alive(run: Run, event: Thawed, now: Moment) -> Step:
    return Step(_freeze(run, now, False), (Thaw(),))


def _again_fetch(run: Run, event: Restarted, now: Moment) -> Step:
    """A build that was here before may have gone: the run asks for it anew."""
    total = sum(each.size for each in (*run.job.shared, *run.job.inputs))
    return _to(run, Fetching(0, total), now, Fetch())


def _again_find(run: Run, event: Restarted, now: Moment) -> Step:
    return Step(run, (Find(),))


def _again_adopt(run: Run, event: Restarted, now: Moment) -> Step:
    """Taken over as frozen as it was: whoever judges the desk decides what follows."""
    assert isinstance(run.phase, Alive)
    return Step(run, (Adopt(run.phase.process),))


def _again_stop(run: Run, event: Restarted, now: Moment) -> Step:
    """How much of its grace it had is not known: it ends now."""
    assert isinstance(run.phase, Stopping)
    phase = replace(run.phase, until=now.boot + KILL_AGAIN_AFTER)
    return Step(replace(run, phase=phase), (Adopt(run.phase.process), Kill()))


def _again_collect(run: Run, event: Restarted, now: Moment) -> Step:
    """A success is not believed when its outputs may have been lost with the power."""
    assert isinstance(run.phase, Collecting)
    phase = run.phase if event.same_boot else replace(run.phase, exit=Crashed())
    return Step(replace(run, phase=phase), (Collect(phase.exit),))


def _again_upload(run: Run, event: Restarted, now: Moment) -> Step:
    assert isinstance(run.phase, Spooled)
    return Step(run) if run.phase.stored else Step(run, (Upload(run.phase.manifest),))


def _again_drop(run: Run, event: Restarted, now: Moment) -> Step:
    return Step(run, (Drop(),))


def _expired_stopping(run: Run, event: Expired, now: Moment) -> Step:
    assert isinstance(run.phase, Stopping)
    if now.boot < run.phase.until:
        return Step(run)
    return _to(run, replace(run.phase, until=now.boot + KILL_AGAIN_AFTER), now, Kill())


_Rule: TypeAlias = Callable[[Run, Any, Moment], Step]
_EARLY: tuple[type[Phase], ...] = (Fetching, AwaitingBuild, Placing, Held)
_BEFORE: tuple[type[Phase], ...] = (*_EARLY, Starting)
_NOTHING_KEPT: tuple[type[Phase], ...] = (Over, GivenBack)
_ENDED: tuple[type[Phase], ...] = (Collecting, Spooled, *_NOTHING_KEPT)


def _rows(
    event: type[Event], *rules: tuple[_Rule, tuple[type[Phase], ...]]
) -> dict[tuple[type[Event], type[Phase]], _Rule]:
    return {(event, phase): rule for rule, phases in rules for phase in phases}


def _all_but(*phases: type[Phase]) -> tuple[type[Phase], ...]:
    return tuple(phase for phase in PHASES if phase not in phases)


RULES: dict[tuple[type[Event], type[Phase]], _Rule] = {
    # What is slow may answer late: after a withdrawal its word is stale.
    **_rows(
        Received,
        (_received, (Fetching,)),
        (_stale, (AwaitingBuild, Placing, *_NOTHING_KEPT)),
    ),
    **_rows(Staged, (_staged, (Fetching,)), (_stale, _NOTHING_KEPT)),
    **_rows(StagingFailed, (_staging_failed, (Fetching, Placing)), (_stale, _NOTHING_KEPT)),
    **_rows(
        Placed,
        (_placed, (Placing, Starting)),
        (_never_ran, (Aborting,)),
        (_stale, _NOTHING_KEPT),
    ),
    # A build speaks to all runs of its batch; those that do not wait for it do not listen.
    **_rows(BuildReady, (_build_ready, (AwaitingBuild,)), (_stale, _all_but(AwaitingBuild))),
    **_rows(BuildFailed, (_build_failed, (AwaitingBuild,)), (_stale, _all_but(AwaitingBuild))),
    **_rows(Spawned, (_spawned, (Starting,)), (_spawned_unwanted, (Aborting,))),
    **_rows(
        NotSpawned,
        (_not_spawned, (Starting, Alive)),
        (_never_ran, (Aborting,)),
        (_stopped_before, (Stopping,)),
    ),
    **_rows(
        Ended,
        (_ended, (Starting, Alive)),
        (_never_ran, (Aborting,)),
        (_stopped, (Stopping,)),
        (_stale, _ENDED),
    ),
    **_rows(Progressed, (_progressed, (Alive,)), (_stale, (Stopping, *_ENDED))),
    **_rows(OutputsHashed, (_hashed, (Collecting,)), (_stale, _NOTHING_KEPT)),
    **_rows(CollectFailed, (_lost_here, (Collecting,)), (_stale, _NOTHING_KEPT)),
    **_rows(Uploaded, (_uploaded, (Spooled,)), (_stale, _NOTHING_KEPT)),
    **_rows(Damaged, (_lost_here, (Spooled,)), (_stale, _NOTHING_KEPT)),
    # The coordinator's words may cross ours on the way: with them no pair is impossible.
    **_rows(Lacking, (_lacking, (Spooled,)), (_stale, _all_but(Spooled))),
    **_rows(
        Withdrawn,
        (_withdrawn_early, _EARLY),
        (_withdrawn_starting, (Starting,)),
        (_withdrawn_aborting, (Aborting,)),
        (_withdrawn_alive, (Alive,)),
        (_withdrawn_stopping, (Stopping,)),
        (_withdrawn_late, (Collecting, Spooled)),
        (_stale, _NOTHING_KEPT),
    ),
    **_rows(
        Accepted,
        (_gone, (Spooled, *_NOTHING_KEPT)),
        (_stale, _all_but(Spooled, *_NOTHING_KEPT)),
    ),
    **_rows(Heard, (_gone, _NOTHING_KEPT), (_stale, _all_but(*_NOTHING_KEPT))),
    **_rows(
        Frozen,
        (_frozen, _all_but(Alive, Stopping)),
        (_frozen_alive, (Alive,)),
        (_frozen_stopping, (Stopping,)),
    ),
    **_rows(
        Thawed,
        (_thawed, _all_but(Held, Alive)),
        (_thawed_held, (Held,)),
        (_thawed_alive, (Alive,)),
    ),
    **_rows(
        Restarted,
        (_again_fetch, _EARLY),
        (_again_find, (Starting, Aborting)),
        (_again_adopt, (Alive,)),
        (_again_stop, (Stopping,)),
        (_again_collect, (Collecting,)),
        (_again_upload, (Spooled,)),
        (_again_drop, _NOTHING_KEPT),
    ),
    **_rows(Expired, (_expired_stopping, (Stopping,)), (_stale, _all_but(Stopping))),
}
"""Every pair that can happen; a pair that is not here is refused."""
