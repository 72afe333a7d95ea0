"""What people ask of the core: submit, kill, remove.

Not the showing (`status`), nor the finding of names (`lookup`). Whatever is refused changes
nothing.
"""

import re

from fallow.coordinator import lookup
from fallow.coordinator.events import Answer, Caller, RemoveTree, Submission
from fallow.coordinator.lives import kill
from fallow.coordinator.plan import Group, Seat, unfit
from fallow.coordinator.queue import Kind
from fallow.coordinator.records import BatchRecord, JobRecord, Queued
from fallow.coordinator.world import LiveBatch, World
from fallow.shared.checks import check
from fallow.shared.errors import BatchError, FallowError, Refused
from fallow.shared.ids import JobId
from fallow.shared.jobspec import check_contents
from fallow.shared.messages import ClientReply, Done, Failed, Kill, Need, Remove, Submit, Submitted
from fallow.shared.moments import Moment
from fallow.shared.sweep import Expansion

_HASH = re.compile(r"[0-9a-f]{64}")
_QUEUED = Queued()


def failed(error: FallowError) -> Failed:
    """The error as a reply."""
    title = error.title
    if isinstance(error, BatchError):
        title = str(error).splitlines()[0]
    return Failed(title, error.detail, error.hint, error.exit_code)


# --- submit ---------------------------------------------------------------------------------------


def submit(world: World, event: Submission, now: Moment) -> None:
    """Answer Submitted, Need or Failed; a dry run and the others save nothing."""
    try:
        reply = _submit(world, event, now)
    except FallowError as error:
        reply = failed(error)
    world.send(Answer(event.reply, reply))


def _submit(world: World, event: Submission, now: Moment) -> ClientReply:
    request, meta = event.request, event.request.batch.meta
    known = world.once.get((event.caller.name, request.once))
    if known is not None and request.once and not request.dry_run:
        return _submitted(world, world.batches[known])
    expansion = check(request.batch)
    _check_hashes(request)
    check_contents(request.batch, expansion, request.contents)
    _refuse_taken(world, meta.namespace, meta.batch_name)
    if request.dry_run:
        warnings = _warnings(world, request, expansion)
        return Submitted(meta.namespace, meta.batch_name, len(expansion), warnings)
    if event.missing:
        return Need(event.missing)
    record = BatchRecord(
        uid=event.uid,
        namespace=meta.namespace,
        name=meta.batch_name,
        owner=event.caller.name,
        submitted=now.wall,
        jobs=len(expansion),
        batch=request.batch,
        contents=request.contents,
        once=request.once,
    )
    batch = world.add_batch(record, expansion)
    world.save(record)
    jobs = [
        JobRecord(id=JobId(event.uid, index), name=name, state=_QUEUED)
        for index, name in enumerate(expansion.names())
    ]
    world.add_jobs(batch, jobs, now)
    for job in jobs:
        world.save(job)
    world.say(now.wall, "submitted", batch, text=f"{len(jobs)} jobs by {record.owner}")
    return _submitted(world, batch)


def _submitted(world: World, batch: LiveBatch) -> Submitted:
    record = batch.record
    request = Submit(record.batch, record.contents, record.once)
    warnings = _warnings(world, request, batch.expansion)
    return Submitted(record.namespace, record.name, record.jobs, warnings)


def _refuse_taken(world: World, namespace: str, name: str) -> None:
    for (taken_namespace, taken), uid in world.names.items():
        # Also where only the case differs: some file systems would put both in one folder.
        if taken.casefold() != name.casefold():
            continue
        if taken_namespace.casefold() != namespace.casefold():
            continue
        batch = world.batches[uid]
        state = "has ended" if batch.ended else "is not over yet"
        raise Refused(
            f"The name {taken_namespace}:{taken} is taken",
            f"It was submitted by {batch.record.owner} and {state}.",
            "choose another batch_name (or --name), or remove that batch first",
        )


def _check_hashes(request: Submit) -> None:
    for path, content in request.contents.items():
        for each in content:
            if not _HASH.fullmatch(each.hash) or each.size < 0:
                raise Refused(f"What was sent about {path!r} makes no sense")


def _warnings(world: World, request: Submit, expansion: Expansion) -> tuple[str, ...]:
    """What no workstation known by now could run."""
    seats = [
        seat
        for node in world.nodes.values()
        if node.record.revoked is None and (seat := node.seat(Moment(node.heard, 0.0))) is not None
    ]
    if not seats:
        return ("no workstation has joined yet; the jobs wait for one",)
    kinds: dict[Kind, int] = {}
    for index in range(len(expansion)):
        resources = expansion.resources(index)
        kind = Kind(resources.cpus, resources.memory)
        kinds[kind] = kinds.get(kind, 0) + 1
    words = request.batch.meta.capabilities
    return tuple(
        f"no workstation known now can run {count} of the jobs: {_nearest(reasons)}"
        for kind, count in kinds.items()
        if all(reasons := [_unfit(kind, words, seat) for seat in seats])
    )


def _unfit(kind: Kind, words: tuple[str, ...], seat: Seat) -> str | None:
    group = Group("", "", 0, (), kind.cpus, kind.memory, words)
    reason = unfit(group, seat)
    return f"{seat.name} {reason}" if reason is not None else None


def _nearest(reasons: list[str | None]) -> str:
    shown = [each for each in reasons if each is not None][:3]
    return "; ".join(shown) + ("; …" if len(reasons) > len(shown) else "")


# --- kill and remove ------------------------------------------------------------------------------


def end(world: World, reply: int, caller: Caller, body: Kill | Remove, now: Moment) -> None:
    """Kill or remove what the caller may; answer Done or Failed."""
    answer: ClientReply
    try:
        batch, job = lookup.find(world, body.ref)
        _check_owner(batch, caller, "kill" if type(body) is Kill else "remove")
        if type(body) is Kill:
            answer = Done(_kill(world, batch, job, caller, now))
        else:
            answer = Done(_remove(world, batch, job, caller, now))
    except FallowError as error:
        answer = failed(error)
    world.send(Answer(reply, answer))


def _check_owner(batch: LiveBatch, caller: Caller, verb: str) -> None:
    if caller.role != "admin" and caller.name != batch.record.owner:
        raise Refused(
            f"Batch {batch.ref()} belongs to {batch.record.owner}",
            f"You are {caller.name}, who may {verb} only batches of their own.",
            f"ask {batch.record.owner} or an admin",
        )


def _kill(
    world: World, batch: LiveBatch, job: JobRecord | None, caller: Caller, now: Moment
) -> str:
    news = [each for each in (batch.jobs[:] if job is None else [job]) if kill(world, each, now)]
    if job is not None:
        world.plan_wanted = True
        if not news:
            return f"{batch.ref(job)} is over or being ended already"
        world.say(now.wall, "killed", batch, job, text=f"by {caller.name}")
        return f"{batch.ref(job)} {_ending(world, news)}"
    if not news:
        return f"{batch.ref()} is over or being ended already"
    world.say(now.wall, "killed", batch, text=f"{len(news)} jobs by {caller.name}")
    many = "1 job" if len(news) == 1 else f"{len(news)} jobs"
    return f"{many} of {batch.ref()} {_ending(world, news)}"


def _ending(world: World, jobs: list[JobRecord]) -> str:
    stopping = 0
    for job in jobs:
        now_job = world.job(job.id)
        stopping += now_job is not None and world.shown(now_job) == "stopping"
    if not stopping:
        return "killed"
    return "killed" if stopping < len(jobs) else "is being ended"


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
