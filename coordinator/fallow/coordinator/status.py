"""What `status` and `nodes` show: views of the world, made when asked for.

Not the printing (`render`). Counts are kept by the world, so that a list of batches costs nothing
per job; reasons come from the planner's own ladder.
"""

from collections.abc import Callable

from fallow.coordinator import eta
from fallow.coordinator.live_batch import LiveBatch, group_of
from fallow.coordinator.node import Workstation
from fallow.coordinator.plan import Group, Seat, explain
from fallow.coordinator.records import (
    Active,
    AttemptRecord,
    Collecting,
    Done,
    Ended,
    Held,
    JobRecord,
    Queued,
    Stopping,
    Waiting,
)
from fallow.coordinator.world import World
from fallow.shared.ids import AttemptId
from fallow.shared.messages import BatchStatus, JobStateName, JobStatus, NodeStatus, RunReport
from fallow.shared.moments import Moment
from fallow.shared.runs import exit_text, too_much

_MANY = 3
_LIVE: tuple[JobStateName, ...] = ("staging", "building", "running", "collecting", "stopping")
_BY_RANK: tuple[JobStateName, ...] = (
    "paused",
    "queued",
    "waiting",
    "exported",
    "held",
    "failed",
    "killed",
)


def batch_status(
    world: World,
    batch: LiveBatch,
    now: Moment,
    jobs: tuple[JobRecord, ...] | None = None,
) -> BatchStatus:
    """One batch, with these of its jobs."""
    record = batch.record
    return BatchStatus(
        namespace=record.namespace,
        batch=record.name,
        owner=record.owner,
        submitted=record.submitted,
        state=batch_state(batch),
        counts={name: count for name, count in batch.tally.items() if count},
        eta_seconds=_eta(world, batch),
        jobs=_jobs(world, batch, jobs, now) if jobs is not None else None,
    )


def batch_state(batch: LiveBatch) -> str:
    """One word: running, paused, queued, waiting, held, failed, killed or succeeded."""
    tally = batch.tally
    if any(tally.get(each) for each in _LIVE):
        return "running"
    for word in _BY_RANK:
        if tally.get(word):
            return word
    return "succeeded"


def _eta(world: World, batch: LiveBatch) -> float | None:
    tally = batch.tally
    waiting = tally.get("queued", 0) + tally.get("waiting", 0)
    paces = []
    for index in batch.active:
        record = current_attempt(world, batch.jobs[index])
        run = run_of(world, record) if record is not None else None
        paces.append(_pace(run) if run is not None else eta.Pace(0.0))
    return eta.of_batch(waiting, paces, _mean(batch), batch.slots)


def _mean(batch: LiveBatch) -> float | None:
    """The running seconds of a job that succeeded, None before one has."""
    return batch.success_seconds / batch.successes if batch.successes else None


def _pace(run: RunReport) -> eta.Pace:
    share = run.progress.share if run.progress is not None else None
    return eta.Pace(run.run_seconds, share)


def current_attempt(world: World, job: JobRecord) -> AttemptRecord | None:
    """The attempt to show: the one that counts, a live one, or else the newest."""
    state = job.state
    number: int | None = job.attempts or None
    if type(state) is Done:
        number = state.attempt
    elif type(state) is Active:
        number = state.attempts[-1]
    if number is None:
        return None
    return world.attempts.get(AttemptId(job.id.batch, job.id.index, number))


def run_of(world: World, record: AttemptRecord) -> RunReport | None:
    """What its workstation said last about an attempt."""
    node = world.nodes.get(record.node)
    return node.runs.get(record.id) if node is not None else None


def job_status(world: World, job: JobRecord, now: Moment) -> JobStatus:
    """One job, as among all of its batch."""
    return _jobs(world, world.batches[job.id.batch], (job,), now)[0]


def _jobs(
    world: World, batch: LiveBatch, jobs: tuple[JobRecord, ...], now: Moment
) -> tuple[JobStatus, ...]:
    reasons = _queue_reasons(world, batch, now)
    return tuple(_job(world, batch, job, now, reasons) for job in jobs)


def _job(
    world: World,
    batch: LiveBatch,
    job: JobRecord,
    now: Moment,
    queue_reason: Callable[[JobRecord, Queued], str],
) -> JobStatus:
    state = job.state
    shown = batch.shown[job.id.index]
    if not job.attempts:  # quick for the thousands that only wait
        return JobStatus(job.name, shown, reason=_reason(job, None, now, queue_reason))
    record = current_attempt(world, job)
    run = run_of(world, record) if record is not None else None
    seconds = run if run is not None else record
    told = run if type(state) is Active else None
    return JobStatus(
        name=job.name,
        state=shown,
        attempts=job.attempts,
        failures=job.failures,
        crashes=job.crashes,
        evictions=job.evictions,
        workstation=record.node if record is not None and type(state) is not Queued else None,
        run_seconds=seconds.run_seconds if seconds is not None else 0.0,
        paused_seconds=seconds.paused_seconds if seconds is not None else 0.0,
        progress=told.progress.share if told is not None and told.progress else None,
        exit=exit_text(record.exit) if record is not None and record.exit is not None else None,
        reason=_reason(job, record, now, queue_reason, world),
        progress_text=told.progress.text if told is not None and told.progress else "",
        eta_seconds=eta.of_job(_pace(told), _mean(batch)) if told is not None else None,
    )


def _reason(
    job: JobRecord,
    record: AttemptRecord | None,
    now: Moment,
    queue_reason: Callable[[JobRecord, Queued], str],
    world: World | None = None,
) -> str | None:
    match job.state:
        case Queued() as state:
            return queue_reason(job, state)
        case Held(why):
            return why
        case Waiting(batches):
            return f"waits for {', '.join(batches)}"
        case Done("killed"):
            return killed_text(job)
        case Done("failed") if record is not None and type(record.state) is Ended:
            return failure_text(record)
        case Active() if record is not None and world is not None:
            return live_reason(world, record, now)
    return None


def killed_text(job: JobRecord) -> str:
    """That it was killed, and by whom where that is known."""
    return f"killed by {job.killed_by}" if job.killed_by else "killed"


def failure_text(record: AttemptRecord) -> str | None:
    """How a failed attempt ended, in words."""
    if type(record.state) is Ended and record.state.text:
        return record.state.text
    if record.exit is None:
        return None
    return too_much(record.exit) or f"ended with {exit_text(record.exit)}"


def live_reason(world: World, record: AttemptRecord, now: Moment) -> str | None:
    """Why a live attempt does not make progress, None when it does."""
    node = world.nodes[record.node]
    if not node.is_online(now):
        if node.session is None:
            return f"no word from {node.name} yet; what runs there goes on"
        return f"no word from {node.name} for {now.boot - node.heard:.0f} s; what runs goes on"
    if type(record.state) is Stopping:
        leaves = record.state.why == "evict"
        return (
            f"it leaves {node.name}, to go on elsewhere" if leaves else f"{node.name} is ending it"
        )
    if type(record.state) is Collecting:
        return f"its results come from {node.name}"
    verdict = node.verdict
    if verdict is not None and not verdict.runs:
        return f"{node.name}: {verdict.why}"
    return None


def _queue_reasons(
    world: World, batch: LiveBatch, now: Moment
) -> Callable[[JobRecord, Queued], str]:
    """Why a queued job has not started; jobs of one kind share one answer."""
    seats: list[Seat] | None = None
    known: dict[tuple[object, ...], str] = {}

    def reason(job: JobRecord, state: Queued) -> str:
        nonlocal seats
        if state.not_before is not None:
            left = state.not_before.remaining(now, world.boot_id)
            if left > 0:
                return f"starts again in {left:.0f} s"
        avoid = frozenset(
            each.node for each in state.avoid if each.until.remaining(now, world.boot_id) > 0
        )
        kind = batch.kind(job.id.index)
        key = (kind, avoid)
        answer = known.get(key)
        if answer is None:
            if seats is None:
                every = (node.seat(now) for node in world.nodes.values() if not node.record.revoked)
                seats = [seat for seat in every if seat is not None]
            kind = kind._replace(avoid=tuple(avoid))
            group = group_of(batch.record, batch.order, kind)
            answer = known[key] = why_queued(group, seats)
        return answer

    return reason


def why_queued(group: Group, seats: list[Seat]) -> str:
    """One sentence why such a job waits, the workstations in it by name."""
    if not seats:
        return "no workstation has joined yet"
    obstacles = explain(group, seats)
    if len(obstacles) < len(seats):
        return "about to start"
    shown = "; ".join(f"{name} {why.text}" for name, why in obstacles[:_MANY])
    more = len(obstacles) - _MANY
    return f"{shown}; and {more} more" if more > 0 else shown


def node_status(world: World, node: Workstation, now: Moment) -> NodeStatus:
    """One workstation."""
    resources, verdict = node.record.resources, node.verdict
    state = node.state(now)
    own = {"quarantined", "revoked", "drained", "draining"}
    closed = node.closed(now) if state in own else None
    runs = []
    for record in node.attempts.values():
        batch = world.batches[record.id.batch]
        runs.append(batch.ref(batch.jobs[record.id.index]))
    never = node.session is None and not node.runs
    return NodeStatus(
        name=node.name,
        state=state,
        verdict=verdict.kind if verdict is not None else "unknown",
        why=closed.text if closed is not None else verdict.why if verdict is not None else "",
        until=verdict.until if verdict is not None else None,
        since=node.since,
        cpus=resources.cpus if resources is not None else 0,
        memory=resources.memory if resources is not None else 0,
        gpus=resources.gpus if resources is not None else 0,
        capabilities=resources.capabilities if resources is not None else (),
        runs=tuple(sorted(runs)),
        last_report_seconds=None if never else round(now.boot - node.heard, 3),
    )
