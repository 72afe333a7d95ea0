"""What evicted attempts saved of their jobs, for the next attempt to go on from.

Not the collecting of it (`attempt` says when) nor its bytes (`server`). Opposite: results, which
are for people. A job has one at most, the newest, and none once it is done.
"""

from fallow.coordinator.events import DropOutputs
from fallow.coordinator.records import CheckpointRecord, DropCheckpoint
from fallow.coordinator.world import World
from fallow.shared.ids import AttemptId, JobId
from fallow.shared.messages import Input


def keep(world: World, attempt: AttemptId, manifest: str, files: tuple[Input, ...]) -> None:
    """This is the job's newest checkpoint; the one before is needed no more."""
    before = world.checkpoints.get(attempt.job)
    if before is not None and before.manifest != manifest:
        world.do(DropOutputs(before.manifest))
    record = CheckpointRecord(
        job=attempt.job, attempt=attempt.number, manifest=manifest, files=files
    )
    world.checkpoints[attempt.job] = record
    world.save(record)


def drop(world: World, job: JobId) -> None:
    """The job is done, or has failed going on from it: nobody goes on from it again."""
    record = world.checkpoints.pop(job, None)
    if record is not None:
        world.save(DropCheckpoint(job))
        world.do(DropOutputs(record.manifest))


def files_of(world: World, job: JobId) -> tuple[Input, ...]:
    """What the next attempt of the job is to find in its work folder."""
    record = world.checkpoints.get(job)
    return record.files if record is not None else ()
