"""The two tables applied to the world: what an attempt's change means for its job, and back.

Not the tables (`attempt`, `job`), nor where the events come from (`hearing`, `asking`, `core`).
"""

from msgspec.structs import replace

from fallow.coordinator import attempt as attempts
from fallow.coordinator import checkpoints, telling
from fallow.coordinator import job as jobs
from fallow.coordinator import node as nodes
from fallow.coordinator.attempt import (
    Impossible,
    Order,
    is_evicted,
    is_over,
    is_success,
    takes_room,
)
from fallow.coordinator.events import Commit, DropOutputs, KeepCheckpoint, Tell, ToNode
from fallow.coordinator.live_batch import LiveBatch
from fallow.coordinator.node import Workstation
from fallow.coordinator.records import (
    Active,
    AttemptRecord,
    Avoid,
    Collecting,
    Done,
    Ended,
    Held,
    JobRecord,
    Live,
    Stopping,
)
from fallow.coordinator.status import batch_state
from fallow.coordinator.world import World
from fallow.shared.ids import AttemptId
from fallow.shared.messages import Accepted, Assign, JobSpec, RunReport, Withdraw
from fallow.shared.moments import Deadline, Moment
from fallow.shared.runs import DeclineReason, StopReason

GRACE = 10.0
"""Seconds between SIGTERM and SIGKILL for a withdrawn job."""
LOST_BACK_OFF = 1.0
DECLINED_BACK_OFF = 2.0
"""Seconds after the first time; each further time doubles them, up to LONGEST_BACK_OFF."""
LONGEST_BACK_OFF = 300.0
LONGEST_RETRY = 3600.0
"""Seconds before a failed job is tried again are doubled up to this, if not asked for longer."""
OWN_FAULTS: tuple[DeclineReason, ...] = ("staging", "sandbox")
"""Of a workstation that gives jobs back for these, none can be expected to run."""
LOST_OFTEN = 3
"""A workstation that lost the same job so often is avoided for LONGEST_BACK_OFF."""


def happen(
    world: World,
    record: AttemptRecord,
    event: attempts.Event,
    now: Moment,
    run: RunReport | None = None,
) -> AttemptRecord:
    """Let the event happen to the attempt, with all that follows; the record as it is now."""
    try:
        change = attempts.step(record, event, now.wall)
    except Impossible as error:
        batch = world.batches[record.id.batch]
        world.say(now.wall, "trouble", batch, world.job(record.id.job), record, text=str(error))
        return record
    if change is None:
        return record
    new = change.record
    if new is not record:
        if run is not None:
            new = replace(new, run_seconds=run.run_seconds, paused_seconds=run.paused_seconds)
        world.put_attempt(new)
        _narrate(world, record, new, now)
        if takes_room(record) and not takes_room(new):
            world.plan_wanted = True
        _follow(world, record, new, now)
    if change.order is not None:
        _obey(world, new, change.order, now)
    return new


def happen_to_job(world: World, job: JobRecord, event: jobs.Event, now: Moment) -> JobRecord:
    """Let the event happen to the job, with all that follows; the record as it is now."""
    try:
        new = jobs.step(job, event)
    except Impossible as error:
        batch = world.batches[job.id.batch]
        world.say(now.wall, "trouble", batch, job, text=str(error))
        return job
    if new is None or new is job:
        return job
    batch = world.batches[job.id.batch]
    had_ended, was_held = batch.ended, batch.is_held
    world.put_job(job, new, now)
    if new.state != job.state:
        if type(new.state) is Done:
            checkpoints.drop(world, new.id)
            world.say(now.wall, "done", batch, new, text=new.state.outcome)
        elif type(new.state) is Held and (new.state.by != "hand" or type(job.state) is Active):
            # A hold by hand has been told of already, for all its jobs at once.
            world.say(now.wall, "held", batch, new, text=new.state.why)
    if batch.ended and not had_ended:
        _tell_people(world, batch)
    if batch.is_held and not was_held:
        # Who holds a batch by hand knows.
        states = (each.state for each in batch.jobs)
        why = (each.why for each in states if type(each) is Held and each.by != "hand")
        if held := next(why, ""):
            _tell_people(world, batch, held)
    return new


def _tell_people(world: World, batch: LiveBatch, held: str = "") -> None:
    record = batch.record
    counts = {str(word): count for word, count in batch.tally.items()}
    state = batch_state(batch)
    for message in telling.messages(
        record.namespace, record.name, record.owner, record.batch, state, counts, held
    ):
        world.do(Tell(message))


def kill(world: World, job: JobRecord, by: str, now: Moment) -> bool:
    """Save that the job is to end, and withdraw its attempts; whether this was news."""
    new = happen_to_job(world, job, jobs.Kill(by), now)
    if new is job:
        return False
    for record in world.attempts_of(new):
        stop(world, record, "kill", now)
    return True


def stop(world: World, record: AttemptRecord, why: StopReason, now: Moment) -> None:
    """Withdraw the attempt unless it is over, or its commit is under way."""
    if not is_over(record) and not is_committing(world, record):
        happen(world, record, attempts.Stop(why), now)


def is_committing(world: World, record: AttemptRecord) -> bool:
    """Whether its outcome is being put into the results tree right now."""
    return world.committing.get(record.id.job) == record.id


def unwanted(job: JobRecord) -> StopReason | None:
    """Why no attempt of this job need go on, None when one is wanted."""
    if job.killed:
        return "kill"
    if type(job.state) in {Done, Held}:
        return "superseded"
    return None


# --- an attempt's change -> its job ---------------------------------------------------------------


def _follow(world: World, old: AttemptRecord, new: AttemptRecord, now: Moment) -> None:
    job = world.job(new.id.job)
    assert job is not None
    number = new.id.number
    if is_over(new):
        world.charge(new)
        assert type(new.state) is Ended
        if new.manifest is not None and new.state.how in {"killed", "superseded"}:
            world.do(DropOutputs(new.manifest))
        if type(new.state) is Ended and new.state.how == "succeeded":
            _succeed(world, job, new, now)
        else:
            _fail(world, job, new, now)
    elif new.doubtful and not old.doubtful:
        happen_to_job(world, job, jobs.Doubted(number), now)
    elif old.doubtful and not new.doubtful:
        happen_to_job(world, job, jobs.Found(number), now)
    else:
        world.show(job)


def _succeed(world: World, job: JobRecord, record: AttemptRecord, now: Moment) -> None:
    batch = world.batches[record.id.batch]
    batch.successes += 1
    batch.success_seconds += record.run_seconds
    world.nodes[record.node].quick.clear()
    job = happen_to_job(world, job, jobs.Succeeded(record.id.number), now)
    for other in world.attempts_of(job):
        stop(world, other, "superseded", now)


def _fail(world: World, job: JobRecord, record: AttemptRecord, now: Moment) -> None:
    state = record.state
    assert type(state) is Ended
    not_before: Deadline | None = None
    avoid: Avoid | None = None
    if state.how == "declined":
        seconds = _back_off(DECLINED_BACK_OFF, _times(world, job, "declined", record.node))
        avoid = Avoid(record.node, world.deadline(seconds, now))
        if state.text.startswith(OWN_FAULTS):
            # Asked for one job after the other, it would give each of them back.
            _watch_quick_failures(world, record, now, even_if_last=True)
    elif state.how == "lost":
        seconds = _back_off(LOST_BACK_OFF, _times(world, job, "lost"))
        not_before = world.deadline(seconds, now)
        if _times(world, job, "lost", record.node) >= LOST_OFTEN:
            avoid = Avoid(record.node, world.deadline(seconds + LONGEST_BACK_OFF, now))
    again = False
    if state.how in {"failed", "crashed"}:
        # What it went on from may be why: the next one starts anew.
        checkpoints.drop(world, job.id)
    if state.how == "failed":
        _watch_quick_failures(world, record, now)
        wish = world.batches[record.id.batch].record.batch.on_failure
        # A cluster has tried it as often as it may be.
        again = job.failures < wish.retries and not nodes.is_cluster(record.node)
        if again:
            seconds = _back_off(wish.back_off, job.failures + 1, LONGEST_RETRY)
            not_before = world.deadline(seconds, now)
    over = jobs.Over(record.id.number, state.how, record.node, not_before, avoid, again)
    happen_to_job(world, job, over, now)


def _times(world: World, job: JobRecord, how: str, node: str | None = None) -> int:
    return sum(
        type(each.state) is Ended and each.state.how == how and node in {None, each.node}
        for each in world.attempts_of(job)
        if each.id.number > job.earlier
    )


def _back_off(first: float, times: int, longest: float = LONGEST_BACK_OFF) -> float:
    return min(first * 2.0 ** min(max(times, 1) - 1, 20), max(longest, first))


def _watch_quick_failures(
    world: World, record: AttemptRecord, now: Moment, even_if_last: bool = False
) -> None:
    """Leave a workstation alone that fails many different jobs fast, unless they are to blame."""
    node = world.nodes[record.node]
    if record.run_seconds >= nodes.QUICK:
        return
    node.quick.append((now.boot, record.id.job))
    others = [each for each in world.nodes.values() if each is not node]
    theirs = {job.batch for each in others for _, job in each.quick}
    recent = {
        job
        for boot, job in node.quick
        # A batch that fails as fast elsewhere is broken itself.
        if now.boot - boot < nodes.QUICK_WINDOW and job.batch not in theirs
    }
    if len(recent) < nodes.QUICK_FAILURES:
        return
    # The last workstation goes on where it may do some good.
    if even_if_last or any(each.closed(now) is None for each in others):
        node.quarantined = now.boot + nodes.QUARANTINE
        node.quick.clear()
        world.alarms.add(node.quarantined, "replan")
        world.say(
            now.wall, "quarantined", node=node.name, text=f"{len(recent)} different jobs failed"
        )


# --- an attempt's order ---------------------------------------------------------------------------


def _obey(world: World, record: AttemptRecord, order: Order, now: Moment) -> None:
    if order == "commit":
        _commit(world, record)
    elif order == "withdraw":
        state = record.state
        job = world.job(record.id.job)
        why = state.why if type(state) is Stopping else (job and unwanted(job)) or "lost"
        withdraw(world, record.node, record.id, why, now)
    else:
        world.send(ToNode(record.node, Accepted(record.id, order)))


def assign(world: World, node: Workstation, record: AttemptRecord, now: Moment) -> None:
    """Tell the workstation to run this attempt."""
    session = node.session
    assert session is not None
    said = session.said[record.id] = session.number_next(now)
    spec = spec_of(world.batches[record.id.batch], record)
    spec = replace(spec, saved=checkpoints.files_of(world, record.id.job))
    world.send(ToNode(node.name, Assign(said.n, record.id, spec)))


def spec_of(batch: LiveBatch, record: AttemptRecord) -> JobSpec:
    """What the attempt is to run."""
    memory = None if record.whole else record.memory
    spec = batch.specifications.job(record.id.index, batch.record.owner, record.cpus, memory)
    build = spec.build
    if build is not None and batch.rebuilt_key is not None:
        build = replace(build, key=batch.rebuilt_key)
    return replace(spec, build=build, gpus=record.gpus, disk=record.disk or None)


def withdraw(world: World, name: str, id: AttemptId, why: StopReason, now: Moment) -> None:
    """Tell the workstation, if it is connected, that this attempt is not wanted."""
    session = world.nodes[name].session
    if session is not None:
        said = session.told[id] = session.number_next(now)
        world.send(ToNode(name, Withdraw(said.n, id, why, GRACE)))


def _commit(world: World, record: AttemptRecord) -> None:
    job = world.job(record.id.job)
    if job is None or job.id in world.committing:
        return
    state = record.state
    assert type(state) is Collecting
    world.committing[job.id] = record.id
    if is_evicted(record):
        assert state.manifest is not None
        world.do(KeepCheckpoint(record.id, state.manifest))
        return
    batch = world.batches[job.id.batch].record
    world.do(
        Commit(
            attempt=record.id,
            outcome="result" if is_success(record) else "failed",
            manifest=state.manifest,
            namespace=batch.namespace,
            batch=batch.name,
            job=job.name,
            node=record.node,
            exit=state.exit,
            started=record.started,
            ended=record.ended,
            run_seconds=record.run_seconds,
            paused_seconds=record.paused_seconds,
        )
    )


# --- the audit ------------------------------------------------------------------------------------


def _narrate(world: World, old: AttemptRecord, new: AttemptRecord, now: Moment) -> None:
    batch = world.batches[new.id.batch]
    job = world.job(new.id.job)
    was, state = old.state, new.state
    frozen = type(was) is Live and was.frozen
    match state:
        case Live(phase, is_frozen):
            if type(was) is not Live or was.phase != phase:
                world.say(now.wall, phase, batch, job, new)
            if is_frozen != frozen:
                world.say(now.wall, "paused" if is_frozen else "resumed", batch, job, new)
        case Collecting() if type(was) is not Collecting:
            world.say(now.wall, "finished", batch, job, new)
        case Stopping(why) if state != was:
            world.say(now.wall, "stopping", batch, job, new, text=why)
        case Ended(how, text):
            world.say(now.wall, "ended", batch, job, new, text=f"{how}: {text}" if text else how)
    if new.doubtful and not old.doubtful:
        world.say(now.wall, "doubtful", batch, job, new)
