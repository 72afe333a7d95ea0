"""A thousand jobs that do nothing, two at a time: all that is left is what Fallow itself costs.

Every job is saved before it is sent, has a folder of its own, and its output files are stored and
committed. The floors start a shell two at a time and wait for it, with nothing else.
"""

import shutil
import subprocess
import time
from collections.abc import Iterator

from bench.group import FREE_DESK, Group, sweep_of
from bench.row import Row
from fallow.shared.work.sandbox import PATH

JOBS = 1000
ROUNDS = 3
WARM_UP = 20
_IN_BUBBLEWRAP = (
    *("--unshare-pid", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--"),
    *("/bin/sh", "-c", ":"),
)


def floor(command: list[str], jobs: int = 400) -> float:
    """Programs started and ended per second, two in flight."""
    start = time.perf_counter()
    left = jobs
    running: list[subprocess.Popen[bytes]] = []
    while left or running:
        while left and len(running) < 2:
            running.append(subprocess.Popen(command, stdin=subprocess.DEVNULL))
            left -= 1
        running.pop(0).wait()
    return jobs / (time.perf_counter() - start)


def in_bubblewrap() -> float:
    """The same of shells in a bubblewrap of their own."""
    bubblewrap = shutil.which("bwrap", path=PATH)
    assert bubblewrap is not None
    return floor([bubblewrap, *_IN_BUBBLEWRAP])


def rates(sandbox: str) -> list[float]:
    """Jobs per second from the call of submit to the last commit, once per round."""
    found = []
    with Group() as group:
        group.serve()
        # At the priority of the floor, so that other work on this computer slows both alike.
        config = f'{FREE_DESK}[offer]\ncpus = 2\n[jobs]\nnice = 0\nsandbox = "{sandbox}"\n'
        group.workstation("desk", config)
        with group.client() as client:
            first = group.write("first.yaml", sweep_of("warm_up", WARM_UP))
            group.run("coordinator", "submit", str(first))
            group.wait_done(client, "warm_up")
            for number in range(ROUNDS):
                name = f"round_{number}"
                batch = group.write("batch.yaml", sweep_of(name, JOBS))
                start = time.perf_counter()
                group.run("coordinator", "submit", str(batch))
                group.wait_done(client, name)
                found.append(JOBS / (time.perf_counter() - start))
    return found


def rows() -> Iterator[Row]:
    bare = tuple(floor(["/bin/sh", "-c", ":"]) for _ in range(ROUNDS))
    yield Row(
        name="`/bin/true`, 2 slots, without a sandbox",
        unit="jobs/s",
        values=tuple(rates("none")),
        first=100.0,
        better="higher",
        floor=bare,
        floor_name="Popen of `sh`, two in flight",
    )
    contained = tuple(in_bubblewrap() for _ in range(ROUNDS))
    yield Row(
        name="`/bin/true`, 2 slots, in a sandbox",
        unit="jobs/s",
        values=tuple(rates("auto")),
        first=60.0,
        aim=120.0,
        better="higher",
        floor=contained,
        floor_name="Popen of `sh` in bubblewrap, two in flight",
    )
