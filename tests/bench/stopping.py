"""From a key press to the moment at which no process of a job can run any more.

The job is 20 busy processes, two of them daemons that left the session; the way goes from the X
server through the tray and the agent to the kernel. The floor is SIGSTOP to each process by number.
"""

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.desk import desk
from bench.group import Group, wait_for
from bench.row import Row, percentile
from fallow.shared.work import procfs
from processes.started import marked, new_mark

ROUNDS = 30
PROCESSES = 20
_TREE = Path(__file__).parents[1] / "processes" / "busy_tree.py"


def all_stopped(pids: list[int]) -> bool:
    stats = (procfs.read_stat(pid) for pid in pids)
    return all(stat is None or stat.stopped or stat.gone for stat in stats)


def all_running(pids: list[int]) -> bool:
    stats = (procfs.read_stat(pid) for pid in pids)
    return all(stat is not None and not stat.stopped for stat in stats)


def until(predicate: Callable[[], bool], start: float) -> float:
    """Milliseconds from `start` until it is so, as exactly as this computer allows."""
    deadline = start + 10
    while not predicate():
        if time.perf_counter() > deadline:
            return 10_000.0
    return 1000 * (time.perf_counter() - start)


def bare_freeze(pids: list[int]) -> float:
    start = time.perf_counter()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    taken = until(lambda: all_stopped(pids), start)
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    return taken


def rows() -> Iterator[Row]:
    with Group() as group:
        group.serve()
        mark = new_mark()
        shutil.copy(_TREE, group.folder)
        batch = (
            "meta: {namespace: bench, batch_name: tree}\n"
            "command:\n  required_files: [busy_tree.py]\n"
            f"  jobs: [{{name: tree, run: [/usr/bin/python3, busy_tree.py, '{mark}']}}]\n"
        )
        with desk(group) as here:
            group.run("coordinator", "submit", str(group.write("tree.yaml", batch)))
            wait_for(lambda: len(marked(mark)) >= PROCESSES, 30, f"{PROCESSES} processes")
            pids = sorted(marked(mark))
            taken = []
            floor = []
            for _ in range(ROUNDS):
                wait_for(lambda: all_running(pids), 30, "the job to run on")
                floor.append(bare_freeze(pids))
                pressed = here.press()
                taken.append(until(lambda: all_stopped(pids), pressed))
            group.run("coordinator", "kill", "tree")
        name = f"key press to {len(pids)} processes stopped, of them 2 escapees"
        yield Row(name=name, unit="ms", values=tuple(taken), first=None, floor=tuple(floor))
        yield Row(
            name="… its 99th percentile",
            unit="ms",
            values=(percentile(taken, 0.99),),
            first=100.0,
            aim=50.0,
            floor=(percentile(floor, 0.99),),
            floor_name="SIGSTOP to each by number",
        )
