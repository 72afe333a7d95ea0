"""What people hand in: the checks of a submission, and the warnings about it.

Not what they ask of what is there already (`changing`), nor the checks of the batch itself
(`fallow.shared.checks`). Whatever is refused changes nothing.
"""

import re

from fallow.coordinator import following, telling
from fallow.coordinator.events import Answer, Submission
from fallow.coordinator.live_batch import group_of, kind_of_job
from fallow.coordinator.plan import Group, Seat, unfit
from fallow.coordinator.queue import Kind
from fallow.coordinator.records import BatchRecord, JobRecord, Queued, Waiting
from fallow.coordinator.world import World
from fallow.shared.checks import check
from fallow.shared.errors import BatchError, FallowError, Refused
from fallow.shared.ids import JobId
from fallow.shared.jobspec import check_contents, check_sendable
from fallow.shared.messages import ClientReply, Failed, Need, Submit, Submitted
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
        batch = world.batches[known]
        return _submitted(world, batch.record, batch.expansion)
    expansion = check(request.batch)
    _check_hashes(request)
    check_contents(request.batch, expansion, request.contents)
    check_sendable(request.batch, expansion, request.contents)
    telling.check(request.batch, world.ways)
    _refuse_taken(world, meta.namespace, meta.batch_name)
    after = following.resolve(world, request.batch.after)
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
        lost_after=request.batch.on_lost.after,
        after=after,
    )
    if request.dry_run:
        return _submitted(world, record, expansion)
    if event.missing:
        return Need(event.missing)
    batch = world.add_batch(record, expansion)
    world.save(record)
    left = following.unmet(world, after)
    state = Waiting(left) if left else _QUEUED
    jobs = [
        JobRecord(id=JobId(event.uid, index), name=name, state=state)
        for index, name in enumerate(expansion.names())
    ]
    world.add_jobs(batch, jobs, now)
    for job in jobs:
        world.save(job)
    world.say(now.wall, "submitted", batch, text=f"{len(jobs)} jobs by {record.owner}")
    following.look(world, batch, now)
    return _submitted(world, record, expansion)


def _submitted(world: World, record: BatchRecord, expansion: Expansion) -> Submitted:
    unsaid = telling.check(record.batch, world.ways)
    warnings = (*_warnings(world, record, expansion), *unsaid)
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


def _warnings(world: World, record: BatchRecord, expansion: Expansion) -> tuple[str, ...]:
    """What no workstation known by now could run, and what it follows in vain."""
    why = following.broken(world, record.after)
    return (*((f"it is held: {why}",) if why else ()), *_unfit_jobs(world, record, expansion))


def _unfit_jobs(world: World, record: BatchRecord, expansion: Expansion) -> tuple[str, ...]:
    seats = [
        seat
        for node in world.nodes.values()
        if node.record.revoked is None and (seat := node.seat(Moment(node.heard, 0.0))) is not None
    ]
    if not seats:
        return ("no workstation has joined yet; the jobs wait for one",)
    kinds: dict[Kind, int] = {}
    for index in range(len(expansion)):
        kind = kind_of_job(expansion.resources(index))
        kinds[kind] = kinds.get(kind, 0) + 1
    return tuple(
        f"no workstation known now can run {count} of the jobs: {_nearest(reasons)}"
        for kind, count in kinds.items()
        if all(reasons := [_unfit(group_of(record, 0, kind), seat) for seat in seats])
    )


def _unfit(group: Group, seat: Seat) -> str | None:
    reason = unfit(group, seat)
    return f"{seat.name} {reason.text}" if reason is not None else None


def _nearest(reasons: list[str | None]) -> str:
    shown = [each for each in reasons if each is not None][:3]
    return "; ".join(shown) + ("; …" if len(reasons) > len(shown) else "")
