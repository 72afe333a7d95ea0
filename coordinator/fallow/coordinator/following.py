"""Batches that follow others (`after:`): what they still wait for, and when they may go on.

Not the job's own table (`job`), which this tells. A batch can name only batches that were there
before it, so nothing ever waits in a circle.
"""

from fallow.coordinator import job as jobs
from fallow.coordinator import lookup
from fallow.coordinator.live_batch import LiveBatch
from fallow.coordinator.lives import happen_to_job
from fallow.coordinator.records import Done, Held, Waiting
from fallow.coordinator.world import World
from fallow.shared.errors import FallowError
from fallow.shared.moments import Moment


def resolve(world: World, after: tuple[str, ...]) -> tuple[str, ...]:
    """The full references of what is named, each once; as `lookup.find` for the errors."""
    found: dict[str, None] = {}
    for ref in after:
        batch, job = lookup.find(world, ref)
        found[batch.ref(job)] = None
    return tuple(found)


def unmet(world: World, after: tuple[str, ...]) -> tuple[str, ...]:
    """Those of these that have not succeeded."""
    return tuple(ref for ref in after if _left(world, ref) != 0)


def broken(world: World, after: tuple[str, ...]) -> str | None:
    """Why what follows these cannot start by itself any more, as a sentence; None while it can."""
    for ref in after:
        left = _left(world, ref)
        if left is None:
            return f"{ref}, which it follows, was removed"
        if left and _is_over(world, ref):
            some = "" if "/" in ref else f", and {left} of its jobs did not succeed"
            return f"{ref}, which it follows, {'has ended' + some if some else 'did not succeed'}"
    return None


def settle(world: World, now: Moment) -> None:
    """Let every batch look again that follows one with news."""
    while world.news:
        ref = next(iter(world.news))
        del world.news[ref]
        for uid in sorted(world.followers.get(ref, ())):
            batch = world.batches[uid]
            # Most ends of one job of many change nothing here.
            if batch.stand != _stand(world, batch):
                look(world, batch, now)


def look(world: World, batch: LiveBatch, now: Moment) -> None:
    """Start, hold or let wait those jobs of the batch that wait for others."""
    why, left = batch.stand = _stand(world, batch)
    if not batch.tally.get("waiting") and not batch.tally.get("held"):
        return
    event = jobs.Hold(why, "after") if why is not None else jobs.Unmet(left)
    # The last one first: each then joins the queue at the end where that is quick.
    for job in batch.jobs[::-1]:
        state = job.state
        if type(state) is Waiting or (why is None and type(state) is Held and state.by == "after"):
            happen_to_job(world, job, event, now)


def _stand(world: World, batch: LiveBatch) -> tuple[str | None, tuple[str, ...]]:
    after = batch.record.after
    return broken(world, after), unmet(world, after)


def _left(world: World, ref: str) -> int | None:
    """How many jobs of it have not succeeded; None when it is not there any more."""
    try:
        batch, job = lookup.find(world, ref)
    except FallowError:
        return None
    if job is not None:
        return int(batch.shown[job.id.index] != "succeeded")
    return len(batch.jobs) - batch.tally.get("succeeded", 0)


def _is_over(world: World, ref: str) -> bool:
    batch, job = lookup.find(world, ref)
    return batch.ended if job is None else type(job.state) is Done
