"""Stops, continues and looks over many processes that may be starting others meanwhile.

Not the knowledge of which they are: `pid_namespace` and `orphans` list them, in this computer's
/proc or in that of a namespace.
"""

import os
import select
import signal
import time
from collections.abc import Callable, Iterable

from msgspec import Struct

from fallow.shared.work import procfs
from fallow.shared.work.containment import Tally
from fallow.shared.work.share import set_share

_PIDFD_SIGNAL_PROCESS_GROUP = 4
PAUSE = 0.0005


class Node(Struct, frozen=True):
    pid: int
    stat: procfs.Stat
    depth: int


def below(roots: dict[int, int]) -> list[Node]:
    """The trees below `roots` (process: its depth) in this computer's table, top first."""
    table = procfs.table()
    children: dict[int, list[int]] = {}
    for pid, stat in table.items():
        children.setdefault(stat.parent, []).append(pid)
    found: list[Node] = []
    seen: set[int] = set()
    row = sorted(roots.items(), key=lambda root: root[1])
    while row:
        below = []
        for pid, depth in row:
            if pid in seen or pid not in table:
                continue
            seen.add(pid)
            found.append(Node(pid, table[pid], depth))
            below += [(child, roots.get(child, depth + 1)) for child in children.get(pid, ())]
        row = below
    return found


Listing = Callable[[], Iterable[int]]


def stop_all(listing: Listing, proc: int | None, started: float, within: float) -> Tally:
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
                # Sent is not yet stopped: one that was interrupted in the middle of a fork still
                # finishes that, so only the sight of it stopped settles it. In an uninterruptible
                # wait, or with a dead first thread, it is never seen.
                unseen = stat.state in "DZ" and asked.get(pid) == stat.start
                settled = stat.stopped or unseen
                if not settled and procfs.send(process, signal.SIGSTOP):
                    running = True
                asked[pid] = stat.start
        quiet = 0 if running else quiet + 1
        if running and passes > 1:
            # Gives the processor to those that have yet to take the signal.
            time.sleep(PAUSE)
    return Tally(len(asked), time.monotonic() - started, passes, complete=True)


def continue_all(listing: Listing, proc: int | None, started: float, within: float) -> Tally:
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
        time.sleep(PAUSE)
    return Tally(len(asked), time.monotonic() - started, passes, complete=False)


def all_stopped(listing: Listing, proc: int | None, wrapper: int) -> bool:
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


def end_session(leader: int) -> bool:
    """Ends what is left of a session whose leader has ended; whether there was anything.

    A number is not given again while a session of it has members, so these are that leader's.
    """
    table = procfs.table()
    first = table.get(leader)
    if first is not None and not first.gone:
        return False
    found = False
    for pid, stat in table.items():
        if stat.session == leader and not stat.gone:
            with procfs.held(pid) as process:
                now = None if process is None else procfs.stat_of_held(process)
                if process is not None and now is not None and now.start == stat.start:
                    found = procfs.send(process, signal.SIGKILL) or found
    return found


class Wrapper:
    """The `sh` at the top of a run, and the process group that it leads."""

    def __init__(self, pid: int, pidfd: int) -> None:
        self.pid = pid
        self.pidfd = pidfd

    def ended(self, within: float = 0.0) -> bool:
        poller = select.poll()
        poller.register(self.pidfd, select.POLLIN)
        return bool(poller.poll(max(within, 0.0) * 1000))

    def hurry(self) -> None:
        """Lets the run have the processor at once, to stop or to end: it will not need it long.

        Niceness itself only ever goes up; that of the session's share can be taken back.
        """
        if not self.ended():
            set_share(self.pid, 0)

    def relax(self) -> None:
        """Gives the session's share its niceness again."""
        stat = procfs.read_stat(self.pid)
        for _ in range(5):
            if stat is None or self.ended() or set_share(self.pid, stat.nice):
                break
            time.sleep(0.03)

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
