"""What each pair of event and phase does to one attempt on this machine: a function for each.

Not which pairs there are: that table is `run`, which is to be read first. Pure, like it.
"""

from typing import Any, NamedTuple

from msgspec.structs import replace

from fallow.shared.moments import Moment
from fallow.shared.runs import Crashed, Exit, Signalled, Stopped, StopReason, stronger
from fallow.shared.work.phases import (
    WITH_A_PROCESS,
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
    deadline,
    saves_itself,
    seconds,
)
from fallow.shared.work.run_words import (
    Adopt,
    BuildFailed,
    BuildReady,
    Collect,
    Drop,
    Effect,
    Ended,
    Expired,
    Fetch,
    Find,
    Forget,
    Freeze,
    Frozen,
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
    Turn,
    Upload,
    Uploaded,
    Withdrawn,
)

KILL_AGAIN_AFTER = 5.0
_SIGKILL = 9
_KEPT = {"run_time", "memory"}


class Step(NamedTuple):
    """The run after an event (None: it is gone) and what is to be done, in this order."""

    run: Run | None
    effects: tuple[Effect, ...] = ()


def _to(run: Run, phase: Phase, now: Moment, *effects: Effect) -> Step:
    """The run in this phase; its meters run on exactly while a process lives."""
    ran, paused = seconds(run, now)
    since = now.boot if isinstance(phase, WITH_A_PROCESS) else None
    return Step(replace(run, phase=phase, ran=ran, paused=paused, since=since), effects)


def stale(run: Run, event: Any, now: Moment) -> Step:
    return Step(run)


def received(run: Run, event: Received, now: Moment) -> Step:
    return _to(run, Fetching(event.received, event.total), now)


def staged(run: Run, event: Staged, now: Moment) -> Step:
    return _to(run, Placing(), now, Place()) if event.built else _to(run, AwaitingBuild(), now)


def staging_failed(run: Run, event: StagingFailed, now: Moment) -> Step:
    return _to(run, GivenBack("staging", event.text), now, Drop())


def build_ready(run: Run, event: BuildReady, now: Moment) -> Step:
    return _to(run, Placing(), now, Place())


def build_failed(run: Run, event: BuildFailed, now: Moment) -> Step:
    return _to(run, GivenBack(event.reason, event.text), now, Drop())


def placed(run: Run, event: Placed, now: Moment) -> Step:
    return _to(run, Held(), now) if run.frozen else _to(run, Starting(), now, Spawn())


def spawned(run: Run, event: Spawned, now: Moment) -> Step:
    effects = (Freeze(),) if run.frozen else ()
    return _to(run, Alive(event.process, now.wall), now, *effects)


def spawned_unwanted(run: Run, event: Spawned, now: Moment) -> Step:
    assert isinstance(run.phase, Aborting)
    phase = Stopping(event.process, now.wall, run.phase.why, now.boot + KILL_AGAIN_AFTER)
    return _to(run, phase, now, Kill())


def not_spawned(run: Run, event: NotSpawned, now: Moment) -> Step:
    return _to(run, GivenBack(event.reason, event.text), now, Drop())


def ended(run: Run, event: Ended, now: Moment) -> Step:
    if run.frozen and event.exit == Signalled(_SIGKILL) and isinstance(run.phase, Alive | Leaving):
        # What is stopped does nothing to be ended for: the kernel took its memory for the desk.
        over = Over(Stopped("evict"), run.phase.started, now.wall)
        return _to(run, over, now, Kill(), Drop())
    return _collect(run, event.exit, now)


def saved(run: Run, event: Ended, now: Moment) -> Step:
    """Whatever it says of itself: it was told to save itself, and to end."""
    assert isinstance(run.phase, Saving)
    if isinstance(event.exit, Crashed):
        # Its computer died under it, or somebody ended it: what it wrote may be half of it.
        over = Over(Stopped("evict"), run.phase.started, now.wall)
        return _to(run, over, now, Kill(), Drop())
    return _collect(run, Stopped("evict"), now)


def _collect(run: Run, exit: Exit, now: Moment) -> Step:
    started = run.phase.started if isinstance(run.phase, WITH_A_PROCESS) else None
    return _to(run, Collecting(exit, started, now.wall), now, Collect(exit))


def stopped_before(run: Run, event: NotSpawned, now: Moment) -> Step:
    """Its sandbox failed while we were ending it."""
    assert isinstance(run.phase, Stopping | Leaving | Saving)
    why: StopReason = run.phase.why if isinstance(run.phase, Stopping) else "evict"
    return _to(run, Over(Stopped(why), None, None), now, Drop())


def never_ran(run: Run, event: Any, now: Moment) -> Step:
    """Aborting, and there is no process (or it has ended already)."""
    assert isinstance(run.phase, Aborting)
    return _to(run, Over(Stopped(run.phase.why), None, None), now, Drop())


def stopped(run: Run, event: Ended, now: Moment) -> Step:
    """An exit after our own signal is a stop, whatever its code."""
    assert isinstance(run.phase, Stopping)
    exit = Stopped(run.phase.why)
    if exit.why in _KEPT:
        # It has failed, and what it has done so far may say why.
        return _collect(run, exit, now)
    over = Over(exit, run.phase.started, now.wall)
    return _to(run, over, now, Kill(), Drop())


def progressed(run: Run, event: Progressed, now: Moment) -> Step:
    return Step(replace(run, progress=event.progress))


def hashed(run: Run, event: OutputsHashed, now: Moment) -> Step:
    assert isinstance(run.phase, Collecting)
    old = run.phase
    new = Spooled(old.exit, event.manifest, event.size, False, old.started, old.ended)
    return _to(run, new, now, _upload(new))


def _upload(phase: Spooled) -> Upload:
    return Upload(phase.manifest, checkpoint=phase.exit == Stopped("evict"))


def lost_here(run: Run, event: Any, now: Moment) -> Step:
    """Without its outputs an exit means nothing: the job has to run again, at no cost to it."""
    assert isinstance(run.phase, Collecting | Spooled)
    exit = run.phase.exit if run.phase.exit == Stopped("evict") else Crashed()
    return _to(run, Over(exit, run.phase.started, run.phase.ended), now, Drop())


def uploaded(run: Run, event: Uploaded, now: Moment) -> Step:
    assert isinstance(run.phase, Spooled)
    return _to(run, replace(run.phase, stored=True), now)


def lacking(run: Run, event: Lacking, now: Moment) -> Step:
    assert isinstance(run.phase, Spooled)
    return _to(run, replace(run.phase, stored=False), now, _upload(run.phase))


def withdrawn_early(run: Run, event: Withdrawn, now: Moment) -> Step:
    return _to(run, Over(Stopped(event.why), None, None), now, Drop())


def withdrawn_starting(run: Run, event: Withdrawn, now: Moment) -> Step:
    return _to(run, Aborting(event.why), now)


def withdrawn_aborting(run: Run, event: Withdrawn, now: Moment) -> Step:
    assert isinstance(run.phase, Aborting)
    return _to(run, Aborting(stronger(run.phase.why, event.why)), now)


def withdrawn_alive(run: Run, event: Withdrawn, now: Moment) -> Step:
    """Frozen, it is killed as it lies, unless it has a checkpoint to write before it goes."""
    assert isinstance(run.phase, Alive)
    if event.why == "evict" and saves_itself(run):
        run = _to(run, Leaving(run.phase.process, run.phase.started), now).run or run
        return Step(run) if run.frozen else turn(run, Turn(), now)
    return _stop(run, event.why, 0.0 if run.frozen else event.grace, now)


def _stop(run: Run, why: StopReason, grace: float, now: Moment) -> Step:
    assert isinstance(run.phase, WITH_A_PROCESS)
    until = now.boot + (grace if grace > 0 else KILL_AGAIN_AFTER)
    phase = Stopping(run.phase.process, run.phase.started, why, until)
    return _to(run, phase, now, Terminate() if grace > 0 else Kill())


def withdrawn_leaving(run: Run, event: Withdrawn, now: Moment) -> Step:
    """Whoever wants no checkpoint of it either does not wait for one."""
    return Step(run) if event.why == "evict" else _stop(run, event.why, 0.0, now)


def turn(run: Run, event: Turn, now: Moment) -> Step:
    """SIGTERM does nothing to a stopped process: it goes on until it has saved itself."""
    assert isinstance(run.phase, Leaving)
    assert run.job.checkpoint is not None
    checkpoint = run.job.checkpoint
    saving = Saving(run.phase.process, run.phase.started, now.boot + checkpoint.grace)
    return _to(run, saving, now, Terminate(checkpoint.signal))


def withdrawn_stopping(run: Run, event: Withdrawn, now: Moment) -> Step:
    """The stronger reason stays; a shorter grace holds, a longer one changes nothing."""
    assert isinstance(run.phase, Stopping)
    until = min(run.phase.until, now.boot + max(event.grace, 0.0))
    why = stronger(run.phase.why, event.why)
    return _to(run, replace(run.phase, why=why, until=until), now)


def withdrawn_late(run: Run, event: Withdrawn, now: Moment) -> Step:
    """It ended by itself before: only those who want no result at all may throw it away."""
    assert isinstance(run.phase, Collecting | Spooled)
    if event.why not in {"kill", "superseded"}:
        return Step(run)
    return _to(run, Over(Stopped(event.why), run.phase.started, run.phase.ended), now, Drop())


def gone(run: Run, event: Any, now: Moment) -> Step:
    return Step(None, (Forget(),))


def _freeze(run: Run, now: Moment, frozen: bool) -> Run:
    ran, paused = seconds(run, now)
    since = now.boot if run.since is not None else None
    at = (
        (run.frozen_at if run.frozen and run.frozen_at is not None else now.boot)
        if frozen
        else None
    )
    return replace(run, frozen=frozen, ran=ran, paused=paused, since=since, frozen_at=at)


def frozen(run: Run, event: Frozen, now: Moment) -> Step:
    return Step(_freeze(run, now, True))


def frozen_alive(run: Run, event: Frozen, now: Moment) -> Step:
    return Step(_freeze(run, now, True), (Freeze(),))


def frozen_stopping(run: Run, event: Frozen, now: Moment) -> Step:
    """Its grace ends here: nothing is kept of it, so that it need not run on a desk in use."""
    assert isinstance(run.phase, Stopping)
    phase = replace(run.phase, until=now.boot + KILL_AGAIN_AFTER)
    return Step(replace(_freeze(run, now, True), phase=phase), (Freeze(), Kill()))


def thawed(run: Run, event: Thawed, now: Moment) -> Step:
    return Step(_freeze(run, now, False))


def thawed_held(run: Run, event: Thawed, now: Moment) -> Step:
    return _to(_freeze(run, now, False), Starting(), now, Spawn())


def thawed_alive(run: Run, event: Thawed, now: Moment) -> Step:
    return Step(_freeze(run, now, False), (Thaw(),))


def thawed_leaving(run: Run, event: Thawed, now: Moment) -> Step:
    """On a free desk nobody has to wait for a turn."""
    return turn(_freeze(run, now, False), Turn(), now)


def again_fetch(run: Run, event: Restarted, now: Moment) -> Step:
    """A build that was here before may have gone: the run asks for it anew."""
    total = sum(each.size for each in (*run.job.shared, *run.job.inputs))
    return _to(run, Fetching(0, total), now, Fetch())


def again_find(run: Run, event: Restarted, now: Moment) -> Step:
    return Step(run, (Find(),))


def again_adopt(run: Run, event: Restarted, now: Moment) -> Step:
    """Taken over as frozen as it was: whoever judges the desk decides what follows."""
    assert isinstance(run.phase, WITH_A_PROCESS)
    return Step(run, (Adopt(run.phase.process),))


def again_stop(run: Run, event: Restarted, now: Moment) -> Step:
    """How much of its grace it had is not known: it ends now."""
    assert isinstance(run.phase, Stopping)
    phase = replace(run.phase, until=now.boot + KILL_AGAIN_AFTER)
    return Step(replace(run, phase=phase), (Adopt(run.phase.process), Kill()))


def again_collect(run: Run, event: Restarted, now: Moment) -> Step:
    """A success is not believed when its outputs may have been lost with the power."""
    assert isinstance(run.phase, Collecting)
    if not event.same_boot and run.phase.exit == Stopped("evict"):
        return lost_here(run, event, now)
    phase = run.phase if event.same_boot else replace(run.phase, exit=Crashed())
    return Step(replace(run, phase=phase), (Collect(phase.exit),))


def again_upload(run: Run, event: Restarted, now: Moment) -> Step:
    assert isinstance(run.phase, Spooled)
    return Step(run) if run.phase.stored else Step(run, (_upload(run.phase),))


def again_drop(run: Run, event: Restarted, now: Moment) -> Step:
    return Step(run, (Drop(),))


def expired_alive(run: Run, event: Expired, now: Moment) -> Step:
    """Paused seconds do not count, so this never comes to one that is frozen."""
    due = deadline(run)
    return (
        Step(run) if due is None or now.boot < due else _stop(run, "run_time", run.job.grace, now)
    )


def expired_stopping(run: Run, event: Expired, now: Moment) -> Step:
    assert isinstance(run.phase, Stopping | Saving)
    if now.boot < run.phase.until:
        return Step(run)
    return _to(run, replace(run.phase, until=now.boot + KILL_AGAIN_AFTER), now, Kill())
