"""From the call of submit to the job's first instruction, over a connection that is open already.

The job writes to a named pipe outside its sandbox. The floor is two round trips over the same
connection and one start of the same sandbox.
"""

import os
import secrets
import select
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from bench.group import FREE_DESK, Group, NotMeasured
from bench.row import Row
from fallow.coordinator.client import Client
from fallow.shared.batch import Batch, Command, CommandJob, Meta, Resources
from fallow.shared.messages import Nodes, NodesReply, Submit, Submitted
from fallow.shared.work.sandbox import SandboxPlan, probe

ROUNDS = 25


class Pipe:
    """Where a job says that it runs."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "pipe"
        os.mkfifo(self.path)
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    @property
    def words(self) -> tuple[str, ...]:
        """A program whose first instruction is heard here."""
        return ("/bin/sh", "-c", f"echo >{self.path}")

    def wait(self, timeout: float = 20.0) -> None:
        if not select.select([self._descriptor], [], [], timeout)[0]:
            raise NotMeasured("no job began within 20 s")
        os.read(self._descriptor, 4096)

    def close(self) -> None:
        os.close(self._descriptor)


def ours(group: Group, client: Client, pipe: Pipe, number: int) -> float:
    batch = Batch(
        meta=Meta(namespace="bench", batch_name=f"one_{number}"),
        command=Command(jobs=(CommandJob(name="job", run=pipe.words),)),
        resources=Resources(cpus=1),
    )
    start = time.perf_counter()
    client.ask(Submit(batch, {}, secrets.token_hex(16)), Submitted)
    pipe.wait()
    taken = time.perf_counter() - start
    group.wait_done(client, f"one_{number}")
    return 1000 * taken


def floor(group: Group, client: Client, pipe: Pipe, plan: SandboxPlan) -> float:
    start = time.perf_counter()
    client.ask(Nodes(), NodesReply)
    client.ask(Nodes(), NodesReply)
    command = [plan.program, *plan.arguments(plan.environment({})), "--", *pipe.words]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL):
        pipe.wait()
        return 1000 * (time.perf_counter() - start)


def rows() -> Iterator[Row]:
    with Group() as group:
        shared = group.folder / "shared"
        shared.mkdir()
        pipe = Pipe(shared)
        group.serve()
        # At the priority of the floor, so that other work on this computer slows both alike.
        group.workstation("desk", f'{FREE_DESK}[jobs]\nnice = 0\nread_only = ["{shared}"]\n')
        work = group.folder / "work"
        work.mkdir()
        plan = SandboxPlan(
            *("hidden", str(work)), read_only=(str(shared),), program=probe().program
        )
        with group.client() as client:
            taken = []
            bare = []
            for number in range(ROUNDS):
                bare.append(floor(group, client, pipe, plan))
                taken.append(ours(group, client, pipe, number))
        pipe.close()
        yield Row(
            name="submit to first instruction, warm client, in a sandbox",
            unit="ms",
            values=tuple(taken[1:]),
            first=30.0,
            aim=10.0,
            floor=tuple(bare[1:]),
            floor_name="2 round trips and a start of the same sandbox",
        )
