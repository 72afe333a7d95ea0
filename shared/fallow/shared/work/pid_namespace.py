"""Holds a run in a PID namespace of bubblewrap, which nothing can leave.

Not how bubblewrap is told to make one: that is `sandbox`. The opposite is `orphans`, for a
computer without it.
"""

import json
import os
import signal
import time
from pathlib import Path

from fallow.shared.work import procfs
from fallow.shared.work.containment import Killed, Listed, Tally
from fallow.shared.work.signalling import (
    PAUSE,
    Listing,
    Wrapper,
    all_stopped,
    below,
    continue_all,
    end_session,
    stop_all,
)


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
            time.sleep(PAUSE)
    finally:
        os.close(found[1])
    return False


class PidNamespace:
    """bubblewrap with a PID namespace: nothing gets out, and its first process takes all along.

    wrapper > bubblewrap > first process of the namespace > the job. The namespace's own /proc lists
    exactly what is in it, so a freeze costs nothing for the other processes of the computer.
    """

    follows_escapees_over_restart = True
    bounds_memory = False

    def __init__(self, wrapper: int, pidfd: int, report: Path) -> None:
        self._wrapper = Wrapper(wrapper, pidfd)
        self._report = report
        self._first: int | None = None
        self._first_pid = 0
        self._proc: int | None = None

    def out_of_memory(self) -> bool:
        return False

    def listed(self) -> Listed:
        inside = self._inside()
        return Listed(tuple(self._listing(inside)()), inside)

    def members(self) -> tuple[int, ...]:
        nodes = below(self._roots())
        return tuple(node.pid for node in nodes if node.depth > 2 and not node.stat.gone)

    def freeze(self, within: float = 5.0) -> Tally:
        started = time.monotonic()
        self._wrapper.signal_group(signal.SIGSTOP)
        self._wrapper.hurry()
        inside = self._inside()
        return stop_all(self._listing(inside), inside, started, within)

    def thaw(self, within: float = 5.0) -> Tally:
        self._wrapper.relax()
        started = time.monotonic()
        inside = self._inside()
        tally = continue_all(self._listing(inside), inside, started, within)
        self._wrapper.signal_group(signal.SIGCONT)
        return tally

    def frozen(self) -> bool:
        inside = self._inside()
        return all_stopped(self._listing(inside), inside, self._wrapper.pid)

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
        self._wrapper.hurry()
        while True:
            first = self._first_process()
            if first is not None:
                procfs.send(first, signal.SIGKILL)
                self._kill_inside()
            elif not self._wrapper.ended():
                self._kill_before_there_is_a_first()
            self._wrapper.signal_group(signal.SIGCONT)
            left = within - (time.monotonic() - started)
            ended = self._wrapper.ended(min(left, 0.02)) and not self._first_lives()
            # Its other half waits for ever if bubblewrap is killed while it sets up.
            if ended and not (first is None and end_session(self._wrapper.pid)):
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

    def _roots(self) -> dict[int, int]:
        # The number of a wrapper that has ended may soon be that of somebody else's process.
        roots = {} if self._wrapper.ended() else {self._wrapper.pid: 0}
        if self._first_process() is not None and self._first_lives():
            roots[self._first_pid] = 2
        return roots

    def _stats(self) -> list[procfs.Stat]:
        inside = self._inside()
        if inside is not None:
            return list(procfs.table(inside).values())
        return [node.stat for node in below(self._roots()) if node.depth]

    def _listing(self, inside: int | None) -> Listing:
        if inside is not None:
            return lambda: sorted(procfs.pids(inside))
        return lambda: [node.pid for node in below(self._roots())]

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

    def _kill_inside(self) -> None:
        """The kernel does it too, but not before the first process has had the processor."""
        inside = self._inside()
        for pid in procfs.pids(inside) if inside is not None else ():
            with procfs.held(pid, inside) as process:
                if process is not None:
                    procfs.send(process, signal.SIGKILL)

    def _kill_before_there_is_a_first(self) -> None:
        for node in below(self._roots()):
            if node.depth:
                with procfs.held(node.pid) as process:
                    stat = None if process is None else procfs.stat_of_held(process)
                    if process is not None and stat is not None and stat.start == node.stat.start:
                        procfs.send(process, signal.SIGKILL)
