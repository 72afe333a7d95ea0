"""Stops, continues and ends all processes of one attempt, those that tried to escape as well.

Not the starting of them, nor how they ended: that is `processes`. Two ways that hold what they
were given over a restart of the agent; a third, with a cgroup of our own, fits the same Protocol.
"""

import json
import os
import select
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from fallow.shared.work import procfs

_PIDFD_SIGNAL_PROCESS_GROUP = 4
_PAUSE = 0.0005


class Tally(Struct, frozen=True):
    """What a freeze or thaw did: processes reached, seconds it took, passes over them.

    `complete` is false when the time was up before all had obeyed; doing it again is cheap.
    """

    count: int
    seconds: float
    passes: int
    complete: bool


class Killed(Struct, frozen=True):
    """What a kill did: seconds it took, and the processes that were still there at its end."""

    seconds: float
    left: tuple[int, ...] = ()


class Containment(Protocol):
    """All processes of one attempt; `within` is the longest a call may take, in seconds."""

    @property
    def follows_escapees_over_restart(self) -> bool:
        """Whether an agent that adopts the run still finds every process of it."""

    def members(self) -> tuple[int, ...]:
        """The job's own processes; costs about 15 µs for each process of the computer."""

    def freeze(self, within: float = 5.0) -> Tally:
        """Stops all of them (SIGSTOP), newly started ones too; again on a frozen run is cheap."""

    def thaw(self, within: float = 5.0) -> Tally:
        """Lets all of them run on."""

    def frozen(self) -> bool:
        """Whether there are processes and none of them can run."""

    def terminate(self, number: int = signal.SIGTERM) -> int:
        """Asks every process of the job to end, and thaws; returns how many it reached.

        The run is over when all of them have ended, not only the first one; see `kill`.
        """

    def kill(self, within: float = 5.0) -> Killed:
        """Ends all of them, frozen or not, and waits for that; the exit status is still written."""

    def cpu_seconds(self) -> float:
        """Processor time used so far, ended children included."""

    def memory_bytes(self) -> int:
        """Resident memory; pages shared between processes count in each."""

    def close(self) -> None:
        """Gives the descriptors back; the processes run on."""


class _Node(Struct, frozen=True):
    pid: int
    stat: procfs.Stat
    depth: int


def _below(roots: dict[int, int]) -> list[_Node]:
    """The trees below `roots` (process: its depth) in this computer's table, top first."""
    table = procfs.table()
    children: dict[int, list[int]] = {}
    for pid, stat in table.items():
        children.setdefault(stat.parent, []).append(pid)
    found: list[_Node] = []
    seen: set[int] = set()
    row = sorted(roots.items(), key=lambda root: root[1])
    while row:
        below = []
        for pid, depth in row:
            if pid in seen or pid not in table:
                continue
            seen.add(pid)
            found.append(_Node(pid, table[pid], depth))
            below += [(child, roots.get(child, depth + 1)) for child in children.get(pid, ())]
        row = below
    return found


Listing = Callable[[], Iterable[int]]


def _stop_all(listing: Listing, proc: int | None, started: float, within: float) -> Tally:
    """Stops what is listed, parents first, until two passes in a row find all of it stopped."""
    asked: dict[int, int] = {}
    passes = quiet = 0
    while quiet < 2:
        if time.monotonic() - started > within:
            return Tally(len(asked), time.monotonic() - started, passes, complete=False)
        passes += 1
        running = False
        for pid in listing():
            with procfs.held(pid, proc) as process:
                stat = None if process is None else procfs.stat_of_held(process)
                if process is None or stat is None or stat.gone:
                    continue
                # Once it has the signal, a single thread runs no instruction of its own and starts
                # no process, even if it must wait long for the processor to be seen stopped. In an
                # uninterruptible wait, or with a dead first thread, many threads stop unseen too.
                sure = stat.threads == 1 or stat.state in "DZ"
                settled = stat.stopped or (sure and asked.get(pid) == stat.start)
                if not settled and procfs.send(process, signal.SIGSTOP):
                    running = True
                asked[pid] = stat.start
        quiet = 0 if running else quiet + 1
        if running and passes > 1:
            # Gives the processor to those that have yet to take the signal.
            time.sleep(_PAUSE)
    return Tally(len(asked), time.monotonic() - started, passes, complete=True)


def _continue_all(listing: Listing, proc: int | None, started: float, within: float) -> Tally:
    """Continues what is listed, children first, until a pass finds nothing stopped."""
    asked: set[int] = set()
    passes = 0
    while time.monotonic() - started <= within:
        passes += 1
        stopped = False
        for pid in reversed(list(listing())):
            with procfs.held(pid, proc) as process:
                stat = None if process is None else procfs.stat_of_held(process)
                if process is None or stat is None or stat.gone:
                    continue
                # One that has the stop still before it shows as running: all get the first one.
                if (pid not in asked or stat.state == "T") and procfs.send(process, signal.SIGCONT):
                    stopped = stopped or stat.state == "T"
                asked.add(pid)
        if not stopped:
            return Tally(len(asked), time.monotonic() - started, passes, complete=True)
        time.sleep(_PAUSE)
    return Tally(len(asked), time.monotonic() - started, passes, complete=False)


def _all_stopped(listing: Listing, proc: int | None, wrapper: int) -> bool:
    found = False
    for pid in listing():
        with procfs.held(pid, proc) as process:
            stat = None if process is None else procfs.stat_of_held(process)
            if process is None or stat is None or stat.gone:
                continue
            stopped = stat.stopped or procfs.about_to_stop(process)
            if not stopped:
                # It may have stopped between the two looks.
                stat = procfs.stat_of_held(process)
                stopped = stat is None or stat.stopped or stat.gone
            # A wrapper only waits, so one that runs says nothing; stopped, it may have been caught
            # before it had started anything.
            if not stopped and (proc is not None or pid != wrapper):
                return False
            found = found or stopped
    return found


class _Wrapper:
    """The `sh` at the top of a run, and the process group that it leads."""

    def __init__(self, pid: int, pidfd: int) -> None:
        self.pid = pid
        self.pidfd = pidfd

    def ended(self, within: float = 0.0) -> bool:
        poller = select.poll()
        poller.register(self.pidfd, select.POLLIN)
        return bool(poller.poll(max(within, 0.0) * 1000))

    def signal_group(self, number: int) -> None:
        """One call that reaches everything that has not made a group of its own, at once."""
        try:
            signal.pidfd_send_signal(self.pidfd, number, None, _PIDFD_SIGNAL_PROCESS_GROUP)
        except ProcessLookupError:
            pass
        except OSError:
            # Before Linux 6.9. A group's number is not used again while its leader lives.
            if not self.ended():
                try:
                    os.killpg(self.pid, number)
                except ProcessLookupError:
                    pass


def _first_of(report: Path) -> tuple[int, int] | None:
    """The first process of the namespace that bubblewrap reported, and it held open."""
    try:
        facts = json.loads(report.read_text().partition("\n")[0])
        pid, namespace = int(facts["child-pid"]), int(facts["pid-namespace"])
    except (OSError, ValueError, KeyError):
        return None
    with procfs.held(pid) as process:
        try:
            # Number and namespace together: neither alone would tell it from a later one.
            if process is not None and os.stat("ns/pid", dir_fd=process).st_ino == namespace:
                return pid, os.dup(process)
        except OSError:
            pass
    return None


def end_namespace(report: Path, within: float = 5.0) -> bool:
    """Ends a namespace whose wrapper is gone; False if it is still there after `within` seconds."""
    found = _first_of(report)
    if found is None:
        return True
    started = time.monotonic()
    try:
        while time.monotonic() - started <= within:
            stat = procfs.stat_of_held(found[1])
            if stat is None or stat.gone:
                return True
            procfs.send(found[1], signal.SIGKILL)
            time.sleep(_PAUSE)
    finally:
        os.close(found[1])
    return False


class PidNamespace:
    """bubblewrap with a PID namespace: nothing gets out, and its first process takes all along.

    wrapper > bubblewrap > first process of the namespace > the job. The namespace's own /proc lists
    exactly what is in it, so a freeze costs nothing for the other processes of the computer.
    """

    follows_escapees_over_restart = True

    def __init__(self, wrapper: int, pidfd: int, report: Path) -> None:
        self._wrapper = _Wrapper(wrapper, pidfd)
        self._report = report
        self._first: int | None = None
        self._first_pid = 0
        self._proc: int | None = None

    def members(self) -> tuple[int, ...]:
        roots = {self._wrapper.pid: 0}
        if self._first_process() is not None:
            roots[self._first_pid] = 2
        return tuple(n.pid for n in _below(roots) if n.depth > 2 and not n.stat.gone)

    def freeze(self, within: float = 5.0) -> Tally:
        started = time.monotonic()
        self._wrapper.signal_group(signal.SIGSTOP)
        inside = self._inside()
        return _stop_all(self._listing(inside), inside, started, within)

    def thaw(self, within: float = 5.0) -> Tally:
        started = time.monotonic()
        inside = self._inside()
        tally = _continue_all(self._listing(inside), inside, started, within)
        self._wrapper.signal_group(signal.SIGCONT)
        return tally

    def frozen(self) -> bool:
        inside = self._inside()
        return _all_stopped(self._listing(inside), inside, self._wrapper.pid)

    def terminate(self, number: int = signal.SIGTERM) -> int:
        reached = 0
        inside = self._inside()
        if self._first is not None:
            # So that it waits for the others when the job's own first process ends.
            procfs.send(self._first, signal.SIGTERM)
        targets = self.members() if inside is None else [n for n in procfs.pids(inside) if n != 1]
        for pid in targets:
            with procfs.held(pid, inside) as process:
                reached += process is not None and procfs.send(process, number)
        self.thaw()
        return reached

    def kill(self, within: float = 5.0) -> Killed:
        started = time.monotonic()
        while True:
            first = self._first_process()
            if first is not None:
                procfs.send(first, signal.SIGKILL)
            else:
                self._kill_before_there_is_a_first()
            self._wrapper.signal_group(signal.SIGCONT)
            left = within - (time.monotonic() - started)
            if self._wrapper.ended(min(left, 0.02)) and not self._first_lives():
                return Killed(time.monotonic() - started)
            if left <= 0:
                return Killed(time.monotonic() - started, self.members())

    def cpu_seconds(self) -> float:
        return sum(stat.ticks + stat.reaped for stat in self._stats()) / procfs.TICKS

    def memory_bytes(self) -> int:
        return sum(stat.pages for stat in self._stats()) * procfs.PAGE

    def close(self) -> None:
        for descriptor in (self._first, self._proc):
            if descriptor is not None:
                os.close(descriptor)
        self._first = self._proc = None

    def _stats(self) -> list[procfs.Stat]:
        inside = self._inside()
        if inside is not None:
            return list(procfs.table(inside).values())
        return [node.stat for node in _below({self._wrapper.pid: 0}) if node.depth]

    def _listing(self, inside: int | None) -> Listing:
        if inside is not None:
            return lambda: sorted(procfs.pids(inside))
        return lambda: [node.pid for node in _below({self._wrapper.pid: 0})]

    def _first_process(self) -> int | None:
        """The held first process of the namespace, None while bubblewrap is still setting up."""
        if self._first is None:
            found = _first_of(self._report)
            if found is not None:
                self._first_pid, self._first = found
        return self._first

    def _first_lives(self) -> bool:
        stat = None if self._first is None else procfs.stat_of_held(self._first)
        return stat is not None and not stat.gone

    def _inside(self) -> int | None:
        """The namespace's own /proc, None while there is none yet."""
        first = self._first_process()
        if self._proc is not None or first is None:
            return self._proc
        try:
            proc = os.open("root/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=first)
        except OSError:
            return None
        one, itself = procfs.read_stat(1, proc), procfs.stat_of_held(first)
        # Until bubblewrap has changed its root, that path is the /proc of the whole computer.
        ours = os.fstat(proc).st_dev == os.stat("/proc").st_dev
        if ours or one is None or itself is None or one.start != itself.start:
            os.close(proc)
            return None
        self._proc = proc
        return proc

    def _kill_before_there_is_a_first(self) -> None:
        for node in _below({self._wrapper.pid: 0}):
            if node.depth:
                with procfs.held(node.pid) as process:
                    stat = None if process is None else procfs.stat_of_held(process)
                    if process is not None and stat is not None and stat.start == node.stat.start:
                        procfs.send(process, signal.SIGKILL)


class Subreaper:
    """No bubblewrap: the wrapper takes in every orphan below it, so the tree stays whole.

    wrapper > the job. A process that ends the wrapper itself gets its orphans away; what this
    agent has seen of them it still holds.
    """

    follows_escapees_over_restart = True

    def __init__(self, wrapper: int, pidfd: int) -> None:
        self._wrapper = _Wrapper(wrapper, pidfd)
        self._known: dict[int, int] = {}

    def members(self) -> tuple[int, ...]:
        return tuple(node.pid for node in self._tree() if node.depth and not node.stat.gone)

    def freeze(self, within: float = 5.0) -> Tally:
        started = time.monotonic()
        self._wrapper.signal_group(signal.SIGSTOP)
        return _stop_all(self._listing, None, started, within)

    def thaw(self, within: float = 5.0) -> Tally:
        return _continue_all(self._listing, None, time.monotonic(), within)

    def frozen(self) -> bool:
        return _all_stopped(self._listing, None, self._wrapper.pid)

    def terminate(self, number: int = signal.SIGTERM) -> int:
        if not self._wrapper.ended():
            # So that it waits for the others when the job's own first process ends.
            procfs.send(self._wrapper.pidfd, signal.SIGTERM)
        reached = self._signal_members(number)
        self.thaw()
        return reached

    def kill(self, within: float = 5.0) -> Killed:
        started = time.monotonic()
        while True:
            # Stopped first, so that none can start another while they are being ended.
            self.freeze(max(within - (time.monotonic() - started), 0.01))
            ended = not self._signal_members(signal.SIGKILL)
            self._wrapper.signal_group(signal.SIGCONT)
            left = within - (time.monotonic() - started)
            if self._wrapper.ended(min(left, 0.02)) and ended:
                return Killed(time.monotonic() - started)
            if left <= 0:
                return Killed(time.monotonic() - started, self.members())

    def cpu_seconds(self) -> float:
        return sum(n.stat.ticks + n.stat.reaped for n in self._tree()) / procfs.TICKS

    def memory_bytes(self) -> int:
        return sum(node.stat.pages for node in self._tree() if node.depth) * procfs.PAGE

    def close(self) -> None:
        self._known = {}

    def _tree(self) -> list[_Node]:
        roots = {} if self._wrapper.ended() else {self._wrapper.pid: 0}
        for pid, start in self._known.items():
            stat = procfs.read_stat(pid)
            if stat is not None and stat.start == start and pid != self._wrapper.pid:
                roots[pid] = 1
        tree = _below(roots)
        self._known = {node.pid: node.stat.start for node in tree if node.depth}
        return tree

    def _listing(self) -> list[int]:
        return [node.pid for node in self._tree()]

    def _signal_members(self, number: int) -> int:
        reached = 0
        for node in self._tree():
            if node.depth and not node.stat.gone:
                with procfs.held(node.pid) as process:
                    stat = None if process is None else procfs.stat_of_held(process)
                    if process is not None and stat is not None and stat.start == node.stat.start:
                        reached += procfs.send(process, number)
        return reached
