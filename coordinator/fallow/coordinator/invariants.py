"""What must hold of the whole world between two steps; every breach is a bug of ours.

Not run in production: the tests ask after each story and each step of the model.
"""

from collections import Counter

from fallow.coordinator.attempt import is_over, takes_room
from fallow.coordinator.live_batch import LiveBatch
from fallow.coordinator.records import Active, Done, Ended, JobRecord, Queued
from fallow.coordinator.world import World


def violations(world: World) -> list[str]:
    """One sentence per breach."""
    found: list[str] = []
    for batch in world.batches.values():
        found.extend(_batch(world, batch))
        for job in batch.jobs:
            found.extend(_job(world, job))
    for node in world.nodes.values():
        for record in node.attempts.values():
            if world.attempts.get(record.id) is not record or is_over(record):
                found.append(f"{node.name} keeps {record.id}, which is not live there")
        resources = node.record.resources
        if resources is None:
            continue
        here = [each for each in node.attempts.values() if takes_room(each)]
        for what in ("cpus", "gpus", "disk"):
            used, offer = sum(getattr(each, what) for each in here), getattr(resources, what)
            if used > offer:
                found.append(f"{node.name} has {offer} {what}, {used} given out")
    for record in world.attempts.values():
        if not is_over(record) and record.id not in world.nodes[record.node].attempts:
            found.append(f"{record.id} is live, but {record.node} does not keep it")
    for job_id in world.checkpoints:
        whose = world.job(job_id)
        if whose is None or type(whose.state) is Done:
            found.append(f"{job_id} has a checkpoint, and nobody to go on from it")
    for job_id, attempt_id in world.committing.items():
        if is_over(world.attempts[attempt_id]):
            found.append(f"{attempt_id} is over and being committed")
        if attempt_id.job != job_id:
            found.append(f"{attempt_id} is committed for {job_id}")
    return found


def _batch(world: World, batch: LiveBatch) -> list[str]:
    found = []
    ref = batch.ref()
    shown = [world.shown(job) for job in batch.jobs]
    if shown != batch.shown:
        found.append(f"{ref} shows {batch.shown}, not {shown}")
    counts = {name: count for name, count in batch.tally.items() if count}
    if counts != Counter(shown):
        found.append(f"{ref} counts {counts}, not {dict(Counter(shown))}")
    if len(batch.jobs) != batch.record.jobs:
        found.append(f"{ref} has {len(batch.jobs)} of {batch.record.jobs} jobs")
    queued = [job.id.index for job in batch.jobs if type(job.state) is Queued]
    grouped = [index for group in batch.queue.groups.values() for index in group]
    if len(batch.queue) != len(queued) or not set(grouped) <= set(queued):
        found.append(f"{ref} has {queued} queued, its queue {grouped}")
    if len(grouped) != len(set(grouped)):
        found.append(f"{ref} has a job in its queue twice")
    active = {job.id.index for job in batch.jobs if type(job.state) is Active}
    if active != batch.active:
        found.append(f"{ref} has {active} active, not {batch.active}")
    return found


def _job(world: World, job: JobRecord) -> list[str]:
    found = []
    attempts = world.attempts_of(job)
    if len(attempts) != job.attempts:
        found.append(f"{job.id} has {len(attempts)} of {job.attempts} attempts")
    sure = {each.id.number for each in attempts if not is_over(each) and not each.doubtful}
    state = job.state
    if type(state) is Active:
        if set(state.attempts) != sure:
            found.append(f"{job.id} is active with {state.attempts}, live are {sure}")
        if not state.attempts:
            found.append(f"{job.id} is active without an attempt")
    elif type(state) is Queued and sure:
        found.append(f"{job.id} is queued, but {sure} are live")
    won = [
        each.id.number
        for each in attempts
        if type(each.state) is Ended and each.state.how == "succeeded"
    ]
    of_late = [number for number in won if number > job.earlier]
    if len(of_late) > 1:
        found.append(f"{job.id} was committed {len(of_late)} times")
    if of_late and not (type(state) is Done and state.outcome in {"succeeded", "killed"}):
        found.append(f"{job.id} was committed, but is {state}")
    if type(state) is Done and state.outcome == "succeeded" and not won:
        found.append(f"{job.id} succeeded without a committed result")
    if job.killed and type(state) not in {Active, Done}:
        found.append(f"{job.id} was killed, but is {state}")
    return found
