"""With 10,000 jobs queued: the whole command `coordinator status`, and the coordinator's memory."""

from collections.abc import Iterator

from bench.group import Group, memory, sweep_of, written_out
from bench.row import Row
from bench.submitting import python

JOBS = 10_000
ROUNDS = 11


def rows() -> Iterator[Row]:
    with Group() as group:
        group.serve()
        assert group.coordinator is not None
        empty = memory(group.coordinator.pid)[0]
        sweep = group.write("sweep.yaml", sweep_of("sweep", JOBS))
        group.run("coordinator", "submit", str(sweep))
        group.run("coordinator", "status")
        all_batches = []
        one_batch = []
        floor = []
        for _ in range(ROUNDS):
            floor.append(1000 * python("-c", "import zmq, msgspec, click")[0])
            all_batches.append(1000 * group.timed("coordinator", "status"))
            one_batch.append(1000 * group.timed("coordinator", "status", "sweep"))
        yield Row(
            name=f"status with {JOBS:,} jobs queued, whole command",
            unit="ms",
            values=tuple(all_batches),
            first=150.0,
            aim=120.0,
            floor=tuple(floor),
            floor_name="Python with ZeroMQ, msgspec and click",
        )
        yield Row(
            name="… of that batch, with its first 200 jobs",
            unit="ms",
            values=tuple(one_batch),
            first=None,
            floor=tuple(floor),
        )
        yield Row(
            name=f"coordinator's memory with a sweep of {JOBS:,} queued",
            unit="MB",
            values=(memory(group.coordinator.pid)[0],),
            first=80.0,
            floor=(empty,),
            floor_name="the same with no job",
        )
    with Group() as group:
        group.serve()
        assert group.coordinator is not None
        listed = group.write("listed.yaml", written_out("listed", JOBS))
        group.run("coordinator", "submit", str(listed))
        yield Row(
            name=f"coordinator's memory with {JOBS:,} written out queued",
            unit="MB",
            values=(memory(group.coordinator.pid)[0],),
            first=80.0,
            floor=(empty,),
            floor_name="the same with no job",
        )
