"""What the kernel's /proc says about processes: one stat line, the whole table, this boot's id.

Not the stopping or ending of anything: that is `containment`. A process is named by an open /proc
folder wherever something is done to it, because that folder can never come to mean another one.
"""

import functools
import os
import signal
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


class Stat(NamedTuple):
    """One process at one moment: `ticks` of processor time used, `start` in ticks since boot.

    `reaped` are the ticks of its children that have ended and been waited for.
    """

    state: str
    parent: int
    group: int
    session: int
    ticks: int
    reaped: int
    nice: int
    threads: int
    start: int
    pages: int

    @property
    def gone(self) -> bool:
        """Whether nothing of it can run again (a dead first thread may leave others running)."""
        return self.state in "ZX" and self.threads <= 1

    @property
    def stopped(self) -> bool:
        return self.state in "Tt"


def parse_stat(line: bytes) -> Stat:
    # The name in brackets may itself hold brackets and spaces, so the fields count from its end.
    fields = line[line.rindex(b")") + 2 :].split()
    return Stat(
        state=fields[0].decode(),
        parent=int(fields[1]),
        group=int(fields[2]),
        session=int(fields[3]),
        ticks=int(fields[11]) + int(fields[12]),
        reaped=int(fields[13]) + int(fields[14]),
        nice=int(fields[16]),
        threads=int(fields[17]),
        start=int(fields[19]),
        pages=int(fields[21]),
    )


def read_stat(pid: int | str, proc: int | None = None) -> Stat | None:
    """The stat of a process, None if there is none; `proc` is an open /proc other than ours."""
    path = f"/proc/{pid}/stat" if proc is None else f"{pid}/stat"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc)
    except (FileNotFoundError, ProcessLookupError):
        return None
    try:
        return parse_stat(os.read(descriptor, 2048))
    except ProcessLookupError:
        return None
    finally:
        os.close(descriptor)


def descends(pid: int, roots: Collection[int]) -> bool:
    """Whether a process is one of `roots` or below one; one that is gone already may be."""
    seen = set()
    while pid > 1 and pid not in seen:
        seen.add(pid)
        if pid in roots:
            return True
        stat = read_stat(pid)
        if stat is None:
            return True
        pid = stat.parent
    return False


def pids(proc: int | None = None) -> list[int]:
    """The numbers of all processes, as seen in our /proc or in the open folder `proc`."""
    return [int(name) for name in os.listdir("/proc" if proc is None else proc) if name.isdigit()]


def table(proc: int | None = None) -> dict[int, Stat]:
    """Every process and its stat; costs about 15 µs each."""
    found = {}
    for pid in pids(proc):
        stat = read_stat(pid, proc)
        if stat is not None:
            found[pid] = stat
    return found


@contextmanager
def held(pid: int, proc: int | None = None) -> Iterator[int | None]:
    """An open folder of the process for reading and signalling it, None if there is none."""
    path = f"/proc/{pid}" if proc is None else str(pid)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=proc)
    except (FileNotFoundError, ProcessLookupError):
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def stat_of_held(descriptor: int) -> Stat | None:
    try:
        inner = os.open("stat", os.O_RDONLY | os.O_CLOEXEC, dir_fd=descriptor)
    except (FileNotFoundError, ProcessLookupError):
        return None
    try:
        return parse_stat(os.read(inner, 2048))
    except ProcessLookupError:
        return None
    finally:
        os.close(inner)


def about_to_stop(descriptor: int) -> bool:
    """Whether a held process has been sent SIGSTOP and only has to notice it."""
    try:
        inner = os.open("status", os.O_RDONLY | os.O_CLOEXEC, dir_fd=descriptor)
    except (FileNotFoundError, ProcessLookupError):
        return False
    with open(inner, "rb") as status:
        try:
            pending = status.read().partition(b"ShdPnd:")[2].split(maxsplit=1)
        except ProcessLookupError:
            return False
    return bool(pending) and bool(int(pending[0], 16) & 1 << (signal.SIGSTOP - 1))


def send(descriptor: int, number: int) -> bool:
    """Signals the process of a pidfd or a held /proc folder; False if it is gone or not ours."""
    try:
        signal.pidfd_send_signal(descriptor, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


@functools.cache
def boot_id() -> str:
    """The id of this boot of this computer."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
