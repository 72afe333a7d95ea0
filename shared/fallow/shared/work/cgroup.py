"""Holds a run in a control group (cgroup v2) of its own, which the kernel stops and ends as one.

Not where such groups may be made: that is `ground`. It stands around another containment, which
knows the wrapper and the processes; the opposite is `signalling`, which reaches them one by one.
"""

import errno
import os
import secrets
import signal
import time
from pathlib import Path

from fallow.shared.work import procfs
from fallow.shared.work.containment import Containment, Killed, Listed, Tally
from fallow.shared.work.ground import Ground, await_frozen
from fallow.shared.work.signalling import Wrapper

_MOST_PROCESSES = "16384"
# Against the 100 of everything else: jobs get what is left over. Next to nothing, they would take
# long to stop as well, since to stop a process needs the processor once more.
_LIGHT, _HEAVY = "1", "100"


def name_in(ground: Ground) -> Path:
    """A group that no run has had yet; it is not made by this."""
    return Path(ground.folder) / f"run-{secrets.token_hex(8)}"


def make(folder: Path, memory: int | None) -> None:
    """The group, with what its controllers hold it to; `memory` is bytes. Raises OSError."""
    folder.mkdir()
    hold(folder, memory)


def hold(folder: Path, memory: int | None) -> None:
    """Bounds what is in a group, as far as it has the controllers. Raises OSError."""
    bounds = {"pids.max": _MOST_PROCESSES, "cpu.weight": _LIGHT}
    if memory is not None:
        bounds |= {"memory.max": str(memory), "memory.oom.group": "1"}
    for name, value in bounds.items():
        if (folder / name).exists():
            (folder / name).write_text(value)


def end(folder: Path, within: float = 5.0) -> bool:
    """Ends all of a group and removes it; False if something is left after `within` seconds."""
    started = time.monotonic()
    while _populated(folder):
        if time.monotonic() - started > within:
            return False
        _write(folder, "cgroup.kill", "1")
        time.sleep(0.001)
    remove(folder)
    return True


def remove(folder: Path) -> None:
    """Removes a group that is empty, with the groups below it; one that is not stays."""
    for place, _, _ in os.walk(folder, topdown=False):
        for _ in range(20):
            try:
                os.rmdir(place)
            except OSError as error:
                if error.errno != errno.EBUSY or _populated(Path(place)):
                    return
                # A process that has ended may hold its group for a moment yet.
                time.sleep(0.001)
            else:
                break


class ControlGroup:
    """A group of our own around another containment: one word to the kernel reaches all in it.

    wrapper > (in the group) everything else. What a job starts is in the group from its first
    instruction, and the wrapper outside it is there to say how it ended.
    """

    follows_escapees_over_restart = True

    def __init__(self, folder: Path, inner: Containment, wrapper: Wrapper, only_job: bool) -> None:
        """`only_job`: nothing but the job itself is in the group, no part of a sandbox."""
        self._folder = folder
        self._inner = inner
        self._wrapper = wrapper
        self._only_job = only_job
        # Of a run that another agent left, it is not known.
        self._hurried = True

    @property
    def bounds_memory(self) -> bool:
        return (self._folder / "memory.max").exists()

    def out_of_memory(self) -> bool:
        events = dict(line.split() for line in _read(self._folder, "memory.events").splitlines())
        return int(events.get(b"oom", 0)) > 0

    def listed(self) -> Listed:
        return Listed(self._pids())

    def members(self) -> tuple[int, ...]:
        return self._pids() if self._only_job else self._inner.members()

    def freeze(self, within: float = 5.0) -> Tally:
        started = time.monotonic()
        _write(self._folder, "cgroup.freeze", "1")
        complete = self._await(min(within, 0.001))
        if not complete:
            # To stop, a process needs the processor once more.
            self._hurried = True
            self._wrapper.hurry()
            _write(self._folder, "cpu.weight", _HEAVY)
            complete = self._await(within - (time.monotonic() - started))
        return Tally(len(self._pids()), time.monotonic() - started, 1, complete)

    def thaw(self, within: float = 5.0) -> Tally:
        started = time.monotonic()
        if self._hurried:
            _write(self._folder, "cpu.weight", _LIGHT)
            self._wrapper.relax()
            self._hurried = False
        _write(self._folder, "cgroup.freeze", "0")
        return Tally(len(self._pids()), time.monotonic() - started, 1, complete=True)

    def frozen(self) -> bool:
        # Empty but frozen: what the wrapper is about to start will stop on its way in.
        inhabited = _populated(self._folder) or not self._wrapper.ended()
        return inhabited and b"frozen 1" in _read(self._folder, "cgroup.events")

    def terminate(self, number: int = signal.SIGTERM) -> int:
        # Frozen, none can start another that would not hear of it.
        self.freeze(1.0)
        if self._only_job:
            reached = self._signal_all(number)
        else:
            reached = self._inner.terminate(number)
        self.thaw()
        return reached

    def kill(self, within: float = 5.0) -> Killed:
        started = time.monotonic()
        self._wrapper.hurry()
        while True:
            # Again and again: the wrapper may not have started the job yet.
            _write(self._folder, "cgroup.kill", "1")
            self._wrapper.signal_group(signal.SIGCONT)
            left = within - (time.monotonic() - started)
            if self._wrapper.ended(min(left, 0.02)) and not _populated(self._folder):
                return Killed(time.monotonic() - started)
            if left <= 0:
                return Killed(time.monotonic() - started, self._pids())

    def cpu_seconds(self) -> float:
        for line in _read(self._folder, "cpu.stat").splitlines():
            name, _, value = line.partition(b" ")
            if name == b"usage_usec":
                return int(value) / 1e6
        return self._inner.cpu_seconds()

    def memory_bytes(self) -> int:
        stats = (procfs.read_stat(pid) for pid in self._pids())
        return sum(stat.pages for stat in stats if stat is not None) * procfs.PAGE

    def close(self) -> None:
        # Empty, it may be that the run is yet to come in.
        over = self._wrapper.ended()
        self._inner.close()
        if over:
            remove(self._folder)

    def _await(self, within: float) -> bool:
        try:
            return await_frozen(self._folder, within)
        except FileNotFoundError:
            return True

    def _signal_all(self, number: int) -> int:
        if not self._wrapper.ended():
            # So that it waits for the others when the job's own first process ends.
            procfs.send(self._wrapper.pidfd, signal.SIGTERM)
        reached = 0
        for pid in self._pids():
            with procfs.held(pid) as process:
                reached += process is not None and procfs.send(process, number)
        return reached

    def _pids(self) -> tuple[int, ...]:
        """Everything in the group and in groups that were made below it, by a word of its own."""
        found: list[int] = []
        for place, _, _ in os.walk(self._folder):
            found += map(int, _read(Path(place), "cgroup.procs").split())
        return tuple(found)


def _populated(folder: Path) -> bool:
    return b"populated 1" in _read(folder, "cgroup.events")


def _read(folder: Path, name: str) -> bytes:
    """A file of the group, empty when it or the group is not there."""
    try:
        return (folder / name).read_bytes()
    except OSError:
        return b""


def _write(folder: Path, name: str, value: str) -> None:
    """Into a file of the group; nothing when it or the group is not there."""
    try:
        descriptor = os.open(folder / name, os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.write(descriptor, value.encode())
    except OSError:
        # Gone in between, which is only possible when nothing was in it.
        pass
    finally:
        os.close(descriptor)
