"""Jobs that are handed to a cluster, and what comes back of them, in any number of imports.

Not the exported folder (`slurm`), nor what takes jobs back or ends them (`changing`). To the tables
a cluster is a workstation that nobody is connected to: its runs are only ever seen finished.
"""

import re

from msgspec.structs import replace

from fallow.coordinator import attempt as attempts
from fallow.coordinator import job as jobs
from fallow.coordinator import lookup
from fallow.coordinator.asking import failed
from fallow.coordinator.attempt import is_over
from fallow.coordinator.changing import check_owner
from fallow.coordinator.events import Answer, Caller
from fallow.coordinator.live_batch import LiveBatch
from fallow.coordinator.lives import happen, happen_to_job
from fallow.coordinator.node import cluster_name
from fallow.coordinator.records import AttemptRecord, Ended, Exported, JobRecord, Live, NodeRecord
from fallow.coordinator.world import World
from fallow.shared.errors import FallowError, Refused
from fallow.shared.ids import AttemptId
from fallow.shared.messages import ClientReply, Done, Export, ExportReply, Import, Imported
from fallow.shared.moments import Moment
from fallow.shared.runs import Crashed, Finished, Stopped, too_much


def answer(world: World, reply: int, caller: Caller, body: Export | Import, now: Moment) -> None:
    """Do what the caller may; answer ExportReply, Done or Failed."""
    said: ClientReply
    try:
        batch, job = lookup.find(world, body.ref)
        if job is not None:
            raise Refused("Only a whole batch can be exported", hint=f"name {batch.ref()}")
        check_owner(batch, caller, type(body).__name__.lower())
        _check(body)
        if isinstance(body, Export):
            said = _export(world, batch, body.export, now)
        else:
            said = _import(world, batch, body, now)
    except FallowError as error:
        said = failed(error)
    world.send(Answer(reply, said))


_WORD = re.compile(r"[a-z0-9]{1,16}")
_HASH = re.compile(r"[0-9a-f]{64}")
_LONGEST = 1e11  # seconds: as a wall clock's the year 5138


def _check(body: Export | Import) -> None:
    """Refused for what no `coordinator` of ours would say: it is stored and made folders of."""
    if not _WORD.fullmatch(body.export) and (body.export or isinstance(body, Import)):
        raise Refused("The word of the export is none")
    if isinstance(body, Export):
        return
    for each in body.attempts:
        ended = each.exit
        if isinstance(ended, Crashed | Stopped) and not too_much(ended):
            raise Refused("The import says of an attempt that it did not end by itself")
        times = (each.started or 0.0, each.ended or 0.0, each.run_seconds)
        sound = (
            (each.manifest is None or _HASH.fullmatch(each.manifest))
            and 0 <= each.size < 1 << 60
            and all(0.0 <= time < _LONGEST for time in times)
            and 0 < each.number < 10_000
        )
        if not sound:
            raise Refused("The import is damaged", f"It is about job {each.index}.")


def _export(world: World, batch: LiveBatch, export: str, now: Moment) -> ExportReply:
    """`export` empty changes nothing."""
    # An attempt of which nobody has heard may still win: its job stays.
    free = [
        each
        for each in batch.jobs
        if jobs.can_be_exported(each) and all(map(is_over, world.attempts_of(each)))
    ]
    if export:
        for each in free:
            happen_to_job(world, each, jobs.HandOver(export), now)
        if free:
            world.say(now.wall, "exported", batch, text=f"{len(free)} jobs as {export}")
        free = [each for each in batch.jobs if each.state == Exported(export)]
    if not free:
        raise Refused(
            f"No job of {batch.ref()} waits, so there is nothing to export",
            hint=f"see: coordinator status {batch.ref()}",
        )
    record = batch.record
    return ExportReply(
        record.uid,
        record.owner,
        record.batch,
        record.contents,
        tuple((each.id.index, each.attempts) for each in free),
    )


def _import(world: World, batch: LiveBatch, body: Import, now: Moment) -> Done:
    name = cluster_name(body.export)
    if name not in world.nodes:
        # Nobody is ever connected as this one: its name is none that a workstation can have.
        node = NodeRecord(name=name, joined=now.wall, revoked=now.wall)
        world.add_node(node, now)
        world.save(node)
    news = sum(_take(world, batch, name, body.export, each, now) for each in body.attempts)
    for index in body.killed:
        if 0 <= index < len(batch.jobs) and batch.jobs[index].state == Exported(body.export):
            happen_to_job(world, batch.jobs[index], jobs.Kill(), now)
            news += 1
    if news:
        world.say(now.wall, "imported", batch, text=f"{news} jobs of {body.export}")
    return Done(f"{news} jobs of {batch.ref()} are back from {body.export}")


def _take(
    world: World, batch: LiveBatch, node: str, export: str, seen: Imported, now: Moment
) -> bool:
    """Let one attempt have ended on the cluster; whether this was news."""
    if not 0 <= seen.index < len(batch.jobs):
        return False
    job = batch.jobs[seen.index]
    id = AttemptId(batch.record.uid, seen.index, seen.number)
    record = world.attempts.get(id)
    if record is None:
        if job.state != Exported(export) or seen.number <= job.attempts:
            return False  # taken back since, or started anew
        record = _begin(world, job, id, node, seen, now)
    elif record.node != node or is_over(record):
        return False
    run = Finished(seen.exit, seen.manifest, seen.size, True, seen.started, seen.ended)
    happen(world, record, attempts.SeenFinished(run), now)
    return True


def _begin(
    world: World, job: JobRecord, id: AttemptId, node: str, seen: Imported, now: Moment
) -> AttemptRecord:
    record = AttemptRecord(
        id=id,
        node=node,
        state=Live("running"),
        cpus=0,
        memory=0,
        assigned=seen.started if seen.started is not None else now.wall,
        run_seconds=seen.run_seconds,
    )
    # Its earlier tries there are only counted: the cluster has their files.
    over = Ended("evicted", "an earlier try on the cluster")
    for number in range(job.attempts + 1, id.number):
        earlier = AttemptId(id.batch, id.index, number)
        world.put_attempt(replace(record, id=earlier, state=over, run_seconds=0.0, closed=now.wall))
    world.put_attempt(record)
    happen_to_job(world, job, jobs.Placed(id.number), now)
    return record
