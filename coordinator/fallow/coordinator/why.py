"""`why REF`: why a job is not running, per workstation, and what would start it.

Not the printing (`verbs.why`). The reasons are those of the planner's own ladder, the fixes come
from `fixes`: this only chooses.
"""

from bisect import bisect_left
from shlex import quote

from fallow.coordinator import following, lookup
from fallow.coordinator import status as shown
from fallow.coordinator.fixes import Fix, distance, fix
from fallow.coordinator.live_batch import LiveBatch, group_of
from fallow.coordinator.plan import Group, Seat, explain
from fallow.coordinator.records import (
    Active,
    AttemptRecord,
    Done,
    Exported,
    Held,
    JobRecord,
    Queued,
    Waiting,
)
from fallow.coordinator.world import World
from fallow.shared.messages import JobStateName, Obstacle, WhyReply
from fallow.shared.moments import Moment
from fallow.shared.runs import Reason

_FIRST: tuple[JobStateName, ...] = (
    *("queued", "paused", "held", "waiting", "exported"),
    *("stopping", "staging", "building", "collecting", "running", "failed", "killed", "succeeded"),
)
"""Of a batch, the job is looked at that asks most for an explanation."""


def why(world: World, ref: str, now: Moment) -> WhyReply:
    """The answer; FallowError as `lookup.find`."""
    batch, job = lookup.find(world, ref)
    # What is done is done to whatever was asked about.
    whom = quote(batch.ref(job))
    if job is None:
        state = next(each for each in _FIRST if batch.tally.get(each))
        job = batch.jobs[batch.shown.index(state)]
    name = batch.shown[job.id.index]
    like_it = batch.tally[name] - 1
    match job.state:
        case Queued() as queued:
            return _queued(world, batch, job, queued, like_it, now)
        case Waiting(after):
            text, cure = _waiting(world, after)
        case Held() as held:
            text, cure = _held(world, batch, held, whom)
        case Exported(export):
            text = f"it was handed to SLURM ({export})"
            cure = Fix("take it back", f"coordinator release {whom}")
        case Active():
            return _active(world, batch, job, like_it, whom, now)
        case Done() as done:
            text, cure = _done(world, job, done, whom)
    return WhyReply(batch.ref(job), name, text, (), cure.text, cure.command, like_it=like_it)


# --- queued ---------------------------------------------------------------------------------------


def _queued(
    world: World, batch: LiveBatch, job: JobRecord, state: Queued, like_it: int, now: Moment
) -> WhyReply:
    every = (node.seat(now) for node in world.nodes.values() if node.record.revoked is None)
    seats = [seat for seat in every if seat is not None]
    avoid = tuple(each.node for each in state.avoid if each.until.remaining(now, world.boot_id) > 0)
    kind = batch.kind(job.id.index)._replace(avoid=avoid)
    group = group_of(batch.record, batch.order, kind)
    reasons = dict(explain(group, seats))
    left = 0.0
    if state.not_before is not None:
        left = state.not_before.remaining(now, world.boot_id)
    until = None
    if left > 0:
        text = "it failed and is tried again" if job.failures else "it was lost and starts again"
        text += f" in {left:.0f} s"
        cure, until = Fix("wait"), now.wall + left
    elif not seats:
        text = "no workstation has joined yet"
        cure = Fix("let one join", "coordinator invite --role workstation --name NAME")
    elif len(reasons) < len(seats):
        text, cure = "it is about to start", Fix("wait a moment")
    else:
        at = min(seats, key=lambda seat: (*_distance(reasons[seat.name], group, seat), seat.name))
        reason = reasons[at.name]
        text = f"{at.name} {reason.text}"
        if len(seats) > 1:
            text = f"no workstation takes it now; the nearest to it: {text}"
        cure = fix(reason, group, at, batch.ref(), _work(world, at.name))
        until = reason.until
    ahead, others = _place(world, batch, job)
    return WhyReply(
        batch.ref(job),
        "queued",
        text,
        tuple(
            Obstacle(name, reason.kind, _said(world, name, reason), reason.until)
            for name, reason in reasons.items()
        ),
        cure.text,
        cure.command,
        cure.at,
        until,
        like_it,
        ahead,
        others,
    )


def _distance(reason: Reason, group: Group, seat: Seat) -> tuple[float, float]:
    """How far the job is from starting there: by kind, then by when it ends or how much lacks."""
    if reason.kind == "memory":
        return distance(reason.kind), -seat.memory
    if reason.kind == "cpus":
        return distance(reason.kind), -seat.cpus
    if reason.kind == "capability":
        return distance(reason.kind), len(set(group.capabilities) - seat.capabilities)
    return distance(reason.kind), reason.until if reason.until is not None else 1e12


def _said(world: World, name: str, reason: Reason) -> str:
    work = _work(world, name) if reason.kind == "busy" else ""
    return f"is at work on {work}" if work else reason.text


def _work(world: World, name: str) -> str:
    """What a workstation is at work on: its first jobs by name, and whose they are."""
    found = []
    for record in world.nodes[name].attempts.values():
        batch = world.batches[record.id.batch]
        found.append(f"{batch.ref(batch.jobs[record.id.index])} of {batch.record.owner}")
    found.sort()
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return ", ".join(found[:3]) + more


def _place(world: World, batch: LiveBatch, job: JobRecord) -> tuple[int, int]:
    """How many queued jobs of its owner go first, and how many of others there are."""
    ahead = others = 0
    mine = group_of(batch.record, batch.order, batch.kind(job.id.index))
    for each in world.batches.values():
        if each.record.owner != mine.owner:
            others += len(each.queue)
        elif each is batch:
            for indices in each.queue.groups.values():
                ahead += len(indices) - bisect_left(
                    indices, -job.id.index + 1, key=lambda index: -index
                )
        else:
            other = group_of(each.record, each.order, batch.kind(job.id.index))
            if (-other.priority, other.order) < (-mine.priority, mine.order):
                ahead += len(each.queue)
    return ahead, others


# --- the other states -----------------------------------------------------------------------------


def _waiting(world: World, after: tuple[str, ...]) -> tuple[str, Fix]:
    left = following.unmet(world, after)
    if not left:
        return "it is about to start", Fix("wait a moment")
    told = []
    for ref in left:
        batch, job = lookup.find(world, ref)
        if job is not None:
            told.append(f"{ref}, which is {world.shown(job)}")
            continue
        done = batch.tally.get("succeeded", 0)
        told.append(f"{ref}, of which {done} of {len(batch.jobs)} jobs have succeeded")
    return f"it waits for {' and for '.join(told)}", Fix(
        f"it starts by itself when {' and '.join(left)} "
        f"{'has' if len(left) == 1 else 'have'} succeeded; see what keeps that",
        f"coordinator why {quote(left[0])}",
    )


def _held(world: World, batch: LiveBatch, held: Held, whom: str) -> tuple[str, Fix]:
    release = f"coordinator release {whom}"
    match held.by:
        case "build":
            return held.why, Fix(
                "read what the build said, mend it, and build anew",
                f"coordinator retry {quote(batch.ref())} --rebuild",
            )
        case "after":
            after = batch.record.after
            failed = [ref for ref in following.unmet(world, after) if _is_there(world, ref)]
            if failed:
                return held.why, Fix(
                    f"try that again, then this follows; or start it all the same: {release}",
                    f"coordinator retry {quote(failed[0])}",
                )
            return held.why, Fix("start it all the same", release)
        case "crashes":
            return held.why, Fix("look at what it asks of a computer, then try it again", release)
    return held.why, Fix("let it go on", release)


def _is_there(world: World, ref: str) -> bool:
    return ref.partition("/")[0] in {each.ref() for each in world.batches.values()}


def _active(
    world: World, batch: LiveBatch, job: JobRecord, like_it: int, whom: str, now: Moment
) -> WhyReply:
    ref, name = batch.ref(job), batch.shown[job.id.index]
    record = shown.current_attempt(world, job)
    assert record is not None
    node = world.nodes[record.node]
    text = shown.live_reason(world, record, now) or f"it is {name} on {node.name}"
    verdict, until = node.verdict, None
    cure = Fix("")
    if not node.is_online(now):
        cure = _silent(batch, record, whom)
    elif name == "paused" and verdict is not None and verdict.reasons:
        reason = verdict.reasons[0]
        seat = node.seat(now)
        assert seat is not None
        group = group_of(batch.record, batch.order, batch.kind(job.id.index))
        cure, until = fix(reason, group, seat, batch.ref(), ""), reason.until
        cure = Fix(cure.text.replace("it starts", "it goes on", 1), cure.command, cure.at)
    return WhyReply(
        ref, name, text, (), cure.text, cure.command, cure.at, until=until, like_it=like_it
    )


def _silent(batch: LiveBatch, record: AttemptRecord, whom: str) -> Fix:
    again = f"coordinator retry {whom} --lost"
    lost = batch.record.batch.on_lost
    if lost.then == "wait":
        return Fix(f"bring {record.node} back, or give up what it did and start anew", again)
    minutes = batch.record.lost_after / 60
    return Fix(
        f"after {minutes:.0f} minutes of silence it starts elsewhere; if you know that"
        f" {record.node} does not come back, start it anew now",
        again,
    )


def _done(world: World, job: JobRecord, done: Done, whom: str) -> tuple[str, Fix]:
    if done.outcome == "succeeded":
        return "it has succeeded", Fix("fetch its results", f"coordinator pull {whom}")
    record = shown.current_attempt(world, job)
    ended = shown.failure_text(record) if record is not None else None
    if done.outcome == "killed":
        text = f"it was {shown.killed_text(job)}"
    elif ended is not None and ended.startswith("ended"):
        text = f"it {ended}"
    else:
        text = ended or "it failed"
    return text, Fix("look at what it wrote, then try it again", f"coordinator retry {whom}")
