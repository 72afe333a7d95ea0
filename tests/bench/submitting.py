"""10,000 jobs handed in by the command a person types, as a sweep and written out.

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


def python(*words: str) -> tuple[float, str]:
    """Seconds of a whole Python program, and what it printed."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, *words], check=True, capture_output=True, text=True)
    return time.perf_counter() - start, done.stdout


def rows() -> Iterator[Row]:
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
