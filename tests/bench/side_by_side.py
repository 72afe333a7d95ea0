"""Sixteen one-core jobs on a workstation that offers sixteen slots: how far apart they start.

Each job tells the time of its first instruction over a named pipe, and then stays until all have
begun. A computer with fewer cores offers sixteen all the same: then they share what it has.
"""

import os
import secrets
import select
import time
from collections.abc import Iterator
from pathlib import Path

from bench.group import FREE_DESK, Group, NotMeasured
from bench.row import Row
from fallow.coordinator.client import Client
from fallow.shared.batch import Batch, Command, CommandJob, Meta, Resources
from fallow.shared.messages import Submit, Submitted

CORES = 16
ROUNDS = 5


def starts(group: Group, client: Client, pipe: Path, number: int) -> list[float]:
    """Seconds from the call of submit to each job's first instruction."""
    told = os.open(pipe, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    gate = pipe.with_name(f"gate_{number}")
    line = f"date +%s.%N >{pipe}; while [ ! -e {gate} ]; do sleep 0.1; done"
    jobs = tuple(CommandJob(name=f"job_{each}", run=line) for each in range(CORES))
    batch = Batch(
        meta=Meta(namespace="bench", batch_name=f"side_{number}"),
        command=Command(jobs=jobs),
        resources=Resources(cpus=1),
    )
    begun = time.time()
    client.ask(Submit(batch, {}, secrets.token_hex(16)), Submitted)
    data = b""
    try:
        while data.count(b"\n") < CORES:
            if not select.select([told], [], [], 30)[0]:
                raise NotMeasured(f"only {data.count(10)} of {CORES} jobs began within 30 s")
            data += os.read(told, 4096)
    finally:
        os.close(told)
        gate.touch()
    group.wait_done(client, f"side_{number}")
    return [float(line) - begun for line in data.splitlines()]


def rows() -> Iterator[Row]:
    with Group() as group:
        shared = group.folder / "shared"
        shared.mkdir()
        pipe = shared / "pipe"
        os.mkfifo(pipe)
        group.serve()
        jobs = f'[jobs]\nnice = 0\nread_only = ["{shared}"]\n'
        group.workstation("desk", f"{FREE_DESK}[offer]\ncpus = {CORES}\n{jobs}")
        apart, last = [], []
        with group.client() as client:
            for number in range(ROUNDS):
                found = starts(group, client, pipe, number)
                apart.append(max(found) - min(found))
                last.append(max(found))
        yield Row(
            name=f"{CORES} one-core jobs side by side: first start to last",
            unit="s",
            values=tuple(apart),
            first=1.0,
        )
        yield Row(
            name=f"{CORES} one-core jobs side by side: submit to the last start",
            unit="s",
            values=tuple(last),
            first=None,
        )
