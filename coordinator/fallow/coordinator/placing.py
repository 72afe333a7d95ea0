"""Starting queued jobs where the planner says, and holding those that can start nowhere.

Not the choice (`plan`), which sees only a view; this makes the view and carries the plan out.
"""

from msgspec.structs import replace

from fallow.coordinator import job as jobs
from fallow.coordinator.keeping import keep
from fallow.coordinator.lives import assign, happen_to_job
from fallow.coordinator.plan import Group, Placement, plan, unfit
from fallow.coordinator.records import Assigned, AttemptRecord, Queued
from fallow.coordinator.world import World
from fallow.shared.ids import AttemptId, JobId
from fallow.shared.moments import Moment


def place_all(world: World, now: Moment) -> None:
    """Let every queued job start that can."""
    groups = world.groups(now)
    nodes = [node for node in world.nodes.values() if node.record.revoked is None]
    for node in nodes:
        node.kept_for = None
    if not groups:
        return
    seats = [seat for seat in (node.seat(now) for node in nodes) if seat is not None]
    used = world.shares(now.wall)
    kept = keep(groups, seats, used)
    for name, wish in kept.items():
        world.nodes[name].kept_for = wish
    if kept:
        seats = [replace(seat, kept_for=kept.get(seat.name)) for seat in seats]
    for placement in plan(groups, seats, used):
        _place(world, placement, now)
    for group in groups:
        if any(group.batch in seat.failed_builds for seat in seats):
            _hold_unbuildable(world, group, now)


def watch(world: World, record: AttemptRecord, now: Moment) -> None:
    """See to it that the silence of the attempt's workstation is noticed."""
    lost_after = world.batches[record.id.batch].record.lost_after
    world.watch(world.nodes[record.node], now.boot + lost_after)


def _place(world: World, placement: Placement, now: Moment) -> None:
    job = world.job(placement.job)
    node = world.nodes[placement.node]
    assert job is not None
    record = AttemptRecord(
        id=AttemptId(job.id.batch, job.id.index, job.attempts + 1),
        node=placement.node,
        state=Assigned(),
        cpus=placement.room.cpus,
        memory=placement.room.memory,
        gpus=placement.room.gpus,
        disk=placement.room.disk,
        whole=placement.whole,
        assigned=now.wall,
    )
    world.put_attempt(record)
    happen_to_job(world, job, jobs.Placed(record.id.number), now)
    world.say(now.wall, "assigned", world.batches[job.id.batch], job, record)
    node.last_batch = job.id.batch
    world.batches[job.id.batch].has_started(job.id.index, now)
    assign(world, node, record, now)
    watch(world, record, now)


def _hold_unbuildable(world: World, group: Group, now: Moment) -> None:
    """Hold a group's jobs when its build failed on every workstation that could run them."""
    failed = []
    for node in world.nodes.values():
        seat = node.seat(now)
        if node.record.revoked is not None or seat is None or unfit(group, seat) is not None:
            continue
        if group.batch not in seat.failed_builds:
            return
        failed.append(node.name)
    if not failed:
        return
    logs = ", ".join(f"build_output_{name}.txt" for name in sorted(failed))
    why = f"the build failed on every workstation that fits; see {logs} among the results"
    for index in list(group.jobs):
        job = world.job(JobId(group.batch, index))
        if job is not None and type(job.state) is Queued:
            happen_to_job(world, job, jobs.Hold(why, "build"), now)
