"""From a key press to the moment at which no process of a job can run any more.

The job is 20 busy processes, two of them daemons that left the session; the way goes from the X
server through the tray and the agent to the kernel. The floor is SIGSTOP to each process by number.
Each way of stopping has its rows: by control group, and one by one where there is none.
"""

import os
import random
import select
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from bench.desk import desk
from bench.group import Group, NotMeasured, wait_for
from bench.row import Row, percentile
from fallow.shared.work import procfs
from processes.started import marked, new_mark

ROUNDS = 200
PROCESSES = 20
PATIENCE = 10.0  # seconds
_TREE = Path(__file__).parents[1] / "processes" / "busy_tree.py"

Way = Literal["cgroup", "PID namespace"]


class Tree:
    """The processes of the job, and the control group that holds them, if one does."""

    def __init__(self, pids: list[int], mount: Path | None) -> None:
        self.pids = pids
        groups = {group_of(pid, mount) for pid in pids}
        group = groups.pop() if len(groups) == 1 else None
        self.group = None if group == group_of(os.getpid(), mount) else group

    def wait_frozen(self, start: float) -> float:
        """Milliseconds from `start` until the kernel says that the whole group is frozen."""
        assert self.group is not None
        events = select.poll()
        with (self.group / "cgroup.events").open() as file:
            events.register(file, select.POLLPRI)
            while "frozen 1" not in file.read():
                left = start + PATIENCE - time.perf_counter()
                if left <= 0:
                    break
                events.poll(1000 * left)
                file.seek(0)
        return 1000 * (time.perf_counter() - start)

    def wait_stopped(self, start: float) -> float:
        """Milliseconds from `start` until each of them is stopped, to half a millisecond."""
        for pid in self.pids:
            while not stands(pid) and time.perf_counter() < start + PATIENCE:
                # One look at a time: whoever looks all the time keeps others waiting.
                time.sleep(0.0005)
        return 1000 * (time.perf_counter() - start)

    def running(self) -> bool:
        if self.group is not None and self.frozen():
            return False
        stats = (procfs.read_stat(pid) for pid in self.pids)
        return all(stat is not None and not stat.stopped for stat in stats)

    def frozen(self) -> bool:
        assert self.group is not None
        return "frozen 1" in (self.group / "cgroup.events").read_text()


def stands(pid: int) -> bool:
    stat = procfs.read_stat(pid)
    return stat is None or stat.stopped or stat.gone


def group_of(pid: int, mount: Path | None) -> Path | None:
    """The folder of a process's control group (version 2)."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        if mount is not None and line.startswith("0::"):
            return mount / line[3:].lstrip("/")
    return None


def mount_of_groups() -> Path | None:
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(place)
    return None


def without_groups() -> tuple[str, ...]:
    """The words before an agent that is to see no control groups of version 2."""
    mount = mount_of_groups()
    if mount is None:
        return ()
    if os.geteuid() != 0:
        raise NotMeasured("only root can hide the control groups from an agent")
    return ("unshare", "--mount", "sh", "-c", f'umount -l "{mount}" && exec "$@"', "sh")


def bare_freeze(tree: Tree) -> float:
    start = time.perf_counter()
    for pid in tree.pids:
        os.kill(pid, signal.SIGSTOP)
    taken = tree.wait_stopped(start)
    for pid in tree.pids:
        os.kill(pid, signal.SIGCONT)
    return taken


class Times:
    """Milliseconds of each round.

    `pressed` from the key press, `told` from the X event (the moment in which the X server tells
    another program of the same key), `floor` of the bare freeze of the same tree.
    """

    def __init__(self) -> None:
        self.pressed: list[float] = []
        self.told: list[float] = []
        self.floor: list[float] = []


def measured(way: Way) -> Times:
    """Rounds of a key press and, in turn with it, of the bare freeze."""
    before = () if way == "cgroup" else without_groups()
    # People come at any moment, and not in the one in which the desk has just become free.
    moments = random.Random(20)
    times = Times()
    with Group() as group:
        group.serve()
        mark = new_mark()
        shutil.copy(_TREE, group.folder)
        batch = (
            "meta: {namespace: bench, batch_name: tree}\n"
            "command:\n  required_files: [busy_tree.py]\n"
            f"  jobs: [{{name: tree, run: [/usr/bin/python3, busy_tree.py, '{mark}']}}]\n"
        )
        with desk(group, before=before) as here:
            group.run("coordinator", "submit", str(group.write("tree.yaml", batch)))
            try:
                wait_for(lambda: len(marked(mark)) >= PROCESSES, 30, f"{PROCESSES} processes")
                tree = Tree(sorted(marked(mark)), mount_of_groups())
                if (tree.group is not None) is not (way == "cgroup"):
                    raise NotMeasured(f"the job is not held by a {way} here")
                # At the first key of another keyboard, here that of XTEST, every program reads the
                # whole layout from the X server first.
                wait_for(tree.running, 30, "the job to run")
                here.press()
                here.told()
                wait_for(lambda: not tree.running(), 30, "the job to stop")
                for _ in range(ROUNDS):
                    wait_for(tree.running, 30, "the job to run on")
                    time.sleep(moments.uniform(0.2, 0.6))
                    times.floor.append(bare_freeze(tree))
                    time.sleep(moments.uniform(0.2, 0.6))
                    wait = tree.wait_frozen if way == "cgroup" else tree.wait_stopped
                    pressed = here.press()
                    told = here.told()
                    taken = wait(pressed)
                    times.pressed.append(taken)
                    times.told.append(max(taken - 1000 * (told - pressed), 0.0))
            finally:
                # A job outlives its agent: this one must end before it.
                group.run("coordinator", "kill", "tree")
                with group.client() as client:
                    wait_for(lambda: not here.runs(client), 30, "the end of the job")
    return times


def rows() -> Iterator[Row]:
    ways: tuple[tuple[Way, float, float], ...] = (
        ("cgroup", 20.0, 10.0),
        ("PID namespace", 100.0, 50.0),
    )
    for way, first, aim in ways:
        times = measured(way)
        about = f"to {PROCESSES} processes stopped, of them 2 escapees, by {way}"
        for name, taken, must, goal in (
            (f"key press {about}", times.pressed, first, None),
            ("… from the X event", times.told, None, aim),
        ):
            yield Row(
                name=name,
                unit="ms",
                values=tuple(taken),
                first=None,
                floor=tuple(times.floor),
                floor_name="SIGSTOP to each by number",
            )
            yield Row(
                name="… its 99th percentile",
                unit="ms",
                values=(percentile(taken, 0.99),),
                first=must,
                aim=goal,
                floor=(percentile(times.floor, 0.99),),
                floor_name="SIGSTOP to each by number",
            )
