"""10,000 jobs checked and handed in by the command a person types, as a sweep and written out.

The floors are what no Python program of this kind can do without: starting with ZeroMQ and msgspec,
and reading the file with PyYAML's C loader.
"""

import subprocess
import sys
import time
from collections.abc import Iterator

from bench.group import Group, sweep_of, written_out
from bench.row import Row

JOBS = 10_000
ROUNDS = 5
_READ = """
import sys, time, yaml
text = open(sys.argv[1]).read()
start = time.perf_counter()
yaml.load(text, Loader=yaml.CSafeLoader)
print(time.perf_counter() - start)
"""


_PEAK = """
import sys
from pathlib import Path
from fallow.shared import batchfile

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1000

before = peak()
loaded = batchfile.load(Path(sys.argv[1]))
assert len(loaded.expansion) == int(sys.argv[2])
print(peak() - before)
"""


def python(*words: str) -> tuple[float, str]:
    """Seconds of a whole Python program, and what it printed."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, *words], check=True, capture_output=True, text=True)
    return time.perf_counter() - start, done.stdout


def rows() -> Iterator[Row]:
    yield from _without_a_coordinator()
    with Group() as group:
        group.serve()
        sweep = group.write("sweep.yaml", sweep_of("sweep", JOBS))
        group.run("coordinator", "submit", str(sweep), "--name", "warm_up")
        taken = []
        floor = []
        for number in range(ROUNDS):
            floor.append(python("-c", "import zmq, msgspec")[0])
            name = f"sweep_{number}"
            taken.append(group.timed("coordinator", "submit", str(sweep), "--name", name))
        yield Row(
            name=f"submit a sweep of {JOBS:,} jobs, whole command",
            unit="s",
            values=tuple(taken),
            first=1.0,
            aim=0.5,
            floor=tuple(floor),
            floor_name="Python with ZeroMQ and msgspec",
        )
    with Group() as group:
        group.serve()
        listed = group.write("listed.yaml", written_out("listed", JOBS))
        taken = []
        floor = []
        for number in range(ROUNDS):
            floor.append(float(python("-c", _READ, str(listed))[1]))
            name = f"listed_{number}"
            taken.append(group.timed("coordinator", "submit", str(listed), "--name", name))
        yield Row(
            name=f"submit {JOBS:,} jobs written out, whole command",
            unit="s",
            values=tuple(taken),
            first=4.0,
            aim=3.0,
            floor=tuple(floor),
            floor_name="PyYAML's C loader on the same file",
        )


def _without_a_coordinator() -> Iterator[Row]:
    with Group() as group:
        sweep = group.write("sweep.yaml", sweep_of("sweep", JOBS))
        listed = group.write("listed.yaml", written_out("listed", JOBS))
        group.run("coordinator", "--help")
        floor, helped, dry, peaks = [], [], [], []
        for _ in range(ROUNDS):
            floor.append(python("-c", "import click")[0])
            helped.append(1000 * group.timed("coordinator", "--help"))
            dry.append(group.timed("coordinator", "submit", str(sweep), "--dry-run"))
            peaks.append(float(python("-c", _PEAK, str(listed), str(JOBS))[1]))
        yield Row(
            name="coordinator --help, whole command",
            unit="ms",
            values=tuple(helped),
            first=120,
            floor=tuple(1000 * each for each in floor),
            floor_name="Python with click",
        )
        yield Row(
            name=f"dry run of a sweep of {JOBS:,} jobs, whole command",
            unit="s",
            values=tuple(dry),
            first=0.5,
            floor=tuple(floor),
            floor_name="Python with click",
        )
        yield Row(
            name=f"memory to check {JOBS:,} jobs written out, at its peak",
            unit="MB",
            values=tuple(peaks),
            first=100,
        )
