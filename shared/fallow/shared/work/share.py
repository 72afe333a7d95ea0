"""The share of the processors that the kernel gives to each session (autogroup, see sched(7)).

Niceness counts only among the processes of one session: between sessions it is the niceness of the
session itself, and whoever makes a session of its own starts with a full share. Where a control
group has the cpu controller, all of this says nothing. Not cores: that is `cores`.
"""

import os
from collections.abc import Iterable

from fallow.shared.work import procfs


def set_share(pid: int, nice: int, proc: int | None = None) -> bool:
    """Gives the whole session of a process this niceness; False to try it once more, soon.

    The kernel takes ten of these a second from all of an account. `proc` is an open /proc other
    than ours.
    """
    path = f"/proc/{pid}/autogroup" if proc is None else f"{pid}/autogroup"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC, dir_fd=proc)
    except OSError:
        # Gone, or a kernel without shares.
        return True
    try:
        os.write(descriptor, str(nice).encode())
    except BlockingIOError:
        return False
    except OSError:
        pass
    finally:
        os.close(descriptor)
    return True


class OwnSessions:
    """The sessions that a job has made for itself: none of them keeps a full share."""

    def __init__(self) -> None:
        self._relaxed: set[int] = set()

    def relax(self, pids: Iterable[int], proc: int | None = None) -> None:
        """Gives each session of these processes the niceness that they have; once for each."""
        there = set()
        for pid in pids:
            stat = procfs.read_stat(pid, proc)
            if stat is None or stat.gone:
                continue
            there.add(stat.session)
            if stat.session not in self._relaxed and set_share(pid, stat.nice, proc):
                self._relaxed.add(stat.session)
        # The numbers of those that have ended may be given again.
        self._relaxed &= there
