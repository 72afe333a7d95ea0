"""What people change of what is there: kill, remove, hold, release, retry, drain, undrain.

Not the showing (`status`), nor the handing in (`asking`), nor the finding of names (`lookup`).
Whatever is refused changes nothing; whatever is said again does no harm.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import assert_never

from msgspec.structs import replace

from fallow.coordinator import attempt as attempts
from fallow.coordinator import following, lookup
from fallow.coordinator import job as jobs
from fallow.coordinator.asking import failed
from fallow.coordinator.events import Answer, Caller, Change, RemoveTree
from fallow.coordinator.live_batch import LiveBatch
from fallow.coordinator.lives import happen, happen_to_job, kill, stop
from fallow.coordinator.node import Workstation, is_cluster
from fallow.coordinator.records import Active, Done, Exported, Held, JobRecord, Stopping
from fallow.coordinator.world import World
from fallow.shared import messages as said
from fallow.shared.errors import FallowError, Refused
from fallow.shared.moments import Moment

_UNSUCCESSFUL = {"failed", "killed"}


def change(world: World, reply: int, caller: Caller, body: Change, now: Moment) -> None:
    """Do what the caller may; answer Done or Failed."""
    answer: said.ClientReply
    try:
        answer = said.Done(_change(world, caller, body, now))
    except FallowError as error:
        answer = failed(error)
    world.send(Answer(reply, answer))


def _change(world: World, caller: Caller, body: Change, now: Moment) -> str:
    match body:
        case said.Drain(name, at_once):
            return _drain(world, _node(world, name), caller, at_once, now)
        case said.Undrain(name):
            return _undrain(world, _node(world, name), caller, now)
    batch, job = lookup.find(world, body.ref)
    check_owner(batch, caller, type(body).__name__.lower())
    match body:
        case said.Kill():
            return _kill(world, batch, job, caller, now)
        case said.Remove():
            return _remove(world, batch, job, caller, now)
        case said.Hold():
            return _hold(world, batch, job, caller, now)
        case said.Release():
            return _release(world, batch, job, caller, now)
        case said.Retry():
            return _retry(world, batch, job, body, caller, now)
        case _:
            assert_never(body)


def check_owner(batch: LiveBatch, caller: Caller, verb: str) -> None:
    if caller.role != "admin" and caller.name != batch.record.owner:
        raise Refused(
            f"Batch {batch.ref()} belongs to {batch.record.owner}",
            f"You are {caller.name}, who may {verb} only batches of their own.",
            f"ask {batch.record.owner} or an admin",
        )


def _these(batch: LiveBatch, job: JobRecord | None) -> list[JobRecord]:
    return batch.jobs[:] if job is None else [job]


def _happened(
    world: World, some: Iterable[JobRecord], event: jobs.Event, now: Moment
) -> list[JobRecord]:
    """Those for which it was news, as they are now."""
    told = ((each, happen_to_job(world, each, event, now)) for each in some)
    return [new for each, new in told if new is not each]


def _count(number: int, what: str = "job") -> str:
    return f"1 {what}" if number == 1 else f"{number} {what}s"


def _go_on(number: int) -> str:
    return "goes on to its end" if number == 1 else "go on to their end"


# --- kill and remove ------------------------------------------------------------------------------


def _kill(
    world: World, batch: LiveBatch, job: JobRecord | None, caller: Caller, now: Moment
) -> str:
    news = [each for each in _these(batch, job) if kill(world, each, caller.name, now)]
    # A workstation may have been kept for one of them.
    world.plan_wanted = True
    if job is not None:
        if not news:
            return f"{batch.ref(job)} is over or being ended already"
        world.say(now.wall, "killed", batch, job, text=f"by {caller.name}")
        return f"{batch.ref(job)} {_ending(world, news)}"
    if not news:
        return f"{batch.ref()} is over or being ended already"
    world.say(now.wall, "killed", batch, text=f"{len(news)} jobs by {caller.name}")
    many = "1 job" if len(news) == 1 else f"{len(news)} jobs"
    return f"{many} of {batch.ref()} {_ending(world, news)}"


def _ending(world: World, told: list[JobRecord]) -> str:
    stopping = 0
    for job in told:
        now_job = world.job(job.id)
        stopping += now_job is not None and world.shown(now_job) == "stopping"
    exports = _exports(told)
    there = f"; what runs of it on a cluster, ./cancel.sh of export {exports} ends"
    ending = "is being ended" if len(told) == 1 else "are being ended"
    word = "killed" if stopping < len(told) or not stopping else ending
    return word + (there if exports else "")


def _exports(some: Iterable[JobRecord]) -> str:
    return ", ".join(sorted({each.state.export for each in some if type(each.state) is Exported}))


def _taken_back(exports: str) -> str:
    """What is to be known of a cluster that has it too; "" where none has."""
    if not exports:
        return ""
    ends = f"./cancel.sh of export {exports} ends it there"
    return f"; what a cluster does of it does not count here any more: {ends}"


def _remove(
    world: World, batch: LiveBatch, job: JobRecord | None, caller: Caller, now: Moment
) -> str:
    if job is not None:
        raise Refused(
            "Only a whole batch can be removed",
            hint=f"remove {batch.ref()}, or kill the job",
        )
    if not batch.ended:
        raise Refused(
            f"Batch {batch.ref()} is not over yet",
            hint=f"kill it first: coordinator kill {batch.ref()}",
        )
    if any(each.batch == batch.record.uid for each in world.committing):
        raise Refused(
            f"A result of {batch.ref()} is being stored right now", hint="try again in a moment"
        )
    record, ref = batch.record, batch.ref()
    world.say(now.wall, "removed", batch, text=f"by {caller.name}")
    world.drop_batch(batch)
    world.do(RemoveTree(record.uid, record.namespace, record.name))
    return f"{ref} and its results are removed"


# --- hold and release -----------------------------------------------------------------------------


def _hold(
    world: World, batch: LiveBatch, job: JobRecord | None, caller: Caller, now: Moment
) -> str:
    event = jobs.Hold(f"held by {caller.name}", "hand")
    some = _these(batch, job)
    there = _taken_back(_exports(some))
    news = _happened(world, some, event, now)
    world.plan_wanted = True
    ref = batch.ref(job)
    if not news:
        return f"{ref} has nothing that could be held"
    world.say(now.wall, "held", batch, job, text=f"{_count(len(news))} by {caller.name}")
    going_on = sum(type(each.state) is Active for each in news)
    if job is not None:
        held = "goes on to its end, and does not start again" if going_on else "is held"
        return f"{ref} {held}{there}"
    rest = f"; {_count(going_on)} of them {_go_on(going_on)}" if going_on else ""
    return f"{_count(len(news))} of {ref} held{rest}{there}"


def _release(
    world: World, batch: LiveBatch, job: JobRecord | None, caller: Caller, now: Moment
) -> str:
    some = _these(batch, job)
    there = _taken_back(_exports(some))
    if any(type(each.state) is Held and each.state.by == "build" for each in some):
        _rebuild(world, batch)
    event = jobs.Release(following.unmet(world, batch.record.after))
    # The last one first: each then joins the queue at the end where that is quick.
    news = _happened(world, some[::-1], event, now)
    following.look(world, batch, now)
    ref = batch.ref(job)
    if not news:
        return f"{ref} is not held"
    world.say(now.wall, "released", batch, job, text=f"{_count(len(news))} by {caller.name}")
    if job is not None:
        return f"{ref} goes on{there}"
    return f"{_count(len(news))} of {ref} {'goes' if len(news) == 1 else 'go'} on{there}"


# --- retry ----------------------------------------------------------------------------------------


def _retry(
    world: World,
    batch: LiveBatch,
    job: JobRecord | None,
    body: said.Retry,
    caller: Caller,
    now: Moment,
) -> str:
    ref, which = batch.ref(job), body.which
    if body.once and body.once == batch.record.retried:
        return f"{ref} is tried again"
    some = _these(batch, job)
    if body.rebuild:
        _rebuild(world, batch)
        held = [each for each in some if type(each.state) is Held and each.state.by == "build"]
        _happened(world, held, jobs.Release(), now)
    if which == "lost":
        news = [each for each in some if _give_up(world, each, now)]
    else:
        wanted = [each for each in some[::-1] if _is_wanted(world, each, which)]
        again = jobs.Retry(following.unmet(world, batch.record.after))
        news = _happened(world, wanted, again, now)
        following.look(world, batch, now)
    if body.once and (news or body.rebuild):
        batch.record = replace(batch.record, retried=body.once)
        world.save(batch.record)
    if news:
        world.plan_wanted = True
        text = f"{_count(len(news))} by {caller.name}"
        world.say(now.wall, "retried", batch, job, text=text)
    if news:
        what = ref if job is not None else f"{_count(len(news))} of {ref}"
        verb = "is" if len(news) == 1 else "are"
        return f"{what} {verb} tried again{_held_again(world, batch, news)}"
    if body.rebuild:
        return f"{ref} is built anew wherever it runs"
    raise Refused(f"There is nothing of {ref} to try again", *_nothing_to_retry(world, batch, job))


def _held_again(world: World, batch: LiveBatch, news: list[JobRecord]) -> str:
    """What is to be known when what these follow cannot succeed any more; "" while it can."""
    held = sum(world.shown(batch.jobs[each.id.index]) == "held" for each in news)
    if not held or batch.stand is None or batch.stand[0] is None:
        return ""
    return f"; {held} held, since {batch.stand[0]}: coordinator release {batch.ref()}"


def _is_wanted(world: World, job: JobRecord, which: str) -> bool:
    state = job.state
    if type(state) is not Done:
        return False
    match which:
        case "all":
            return True
        case "failed":
            return state.outcome == "failed"
    return state.outcome in _UNSUCCESSFUL


def _nothing_to_retry(world: World, batch: LiveBatch, job: JobRecord | None) -> tuple[str, str]:
    if job is not None:
        state = world.shown(job)
        hint = {
            "succeeded": "to run it once more all the same: --all",
            "held": f"coordinator release {batch.ref(job)}",
        }.get(state, f"coordinator why {batch.ref(job)}")
        return f"It is {state}.", hint
    counted = ", ".join(f"{number} {name}" for name, number in batch.tally.items() if number)
    return f"Its jobs: {counted}.", "see what can be chosen: coordinator retry --help"


def _give_up(world: World, job: JobRecord, now: Moment) -> bool:
    """Let another attempt start where all that live are on silent workstations."""
    state = job.state
    if type(state) is not Active or job.killed:
        return False
    live = [world.attempts[each.id] for each in world.attempts_of(job)]
    live = [each for each in live if each.id.number in state.attempts]
    if any(world.nodes[each.node].is_online(now) for each in live):
        return False
    for each in live:
        if each.id != world.committing.get(job.id) and type(each.state) is not Stopping:
            happen(world, each, attempts.Silent(), now)
    after = world.job(job.id)
    return after is not None and type(after.state) is not Active


def _rebuild(world: World, batch: LiveBatch) -> None:
    """Whatever was built, or could not be, counts for nothing any more."""
    batch.rebuild(replace(batch.record, rebuilds=batch.record.rebuilds + 1))
    world.save(batch.record)
    for node in world.nodes.values():
        node.builds.pop(batch.record.uid, None)
    world.plan_wanted = True


# --- drain ----------------------------------------------------------------------------------------


def _node(world: World, name: str) -> Workstation:
    known = {
        each.name: each
        for each in world.nodes.values()
        if each.record.revoked is None and not is_cluster(each.name)
    }
    if name in known:
        return known[name]
    close = get_close_matches(name, known)
    hint = f"did you mean {' or '.join(close)}?" if close else "`coordinator nodes` lists them"
    raise Refused(f"There is no workstation {name!r}", hint=hint)


def _drain(world: World, node: Workstation, caller: Caller, at_once: bool, now: Moment) -> str:
    if not node.record.drained:
        node.record = replace(node.record, drained=caller.name)
        world.save(node.record)
        world.say(now.wall, "drained", node=node.name, text=f"by {caller.name}")
    here = [each for each in node.attempts.values() if attempts.takes_room(each)]
    if at_once:
        for each in here:
            stop(world, each, "evict", now)
    if not here:
        return f"{node.name} takes no new jobs, and has none"
    runs = _count(len(here))
    if at_once:
        go = "goes" if len(here) == 1 else "go"
        return f"{node.name} takes no new jobs; {runs} there {go} elsewhere"
    there = f"{runs} there {_go_on(len(here))} (--now: elsewhere)"
    return f"{node.name} takes no new jobs; {there}"


def _undrain(world: World, node: Workstation, caller: Caller, now: Moment) -> str:
    if not node.record.drained and not node.is_quarantined(now):
        return f"{node.name} was not drained"
    node.quarantined = None
    node.record = replace(node.record, drained="")
    world.save(node.record)
    world.say(now.wall, "undrained", node=node.name, text=f"by {caller.name}")
    world.plan_wanted = True
    why = node.closed(now)
    return f"{node.name} takes jobs again" + (f", but now it {why.text}" if why else "")
