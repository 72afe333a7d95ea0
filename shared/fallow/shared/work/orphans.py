"""Holds a run without bubblewrap: its wrapper takes in whatever loses its parent below it.

Not the wrapper's own part in that: this is the program `subreaper`. The opposite is
`pid_namespace`, which the job itself cannot undo.
"""

import signal
import time

from fallow.shared.work import procfs
from fallow.shared.work.containment import Killed, Listed, Tally
from fallow.shared.work.signalling import (
    Node,
    Wrapper,
    all_stopped,
    below,
    continue_all,
    stop_all,
)


class Subreaper:
    """No bubblewrap: the wrapper takes in every orphan below it, so the tree stays whole.

    wrapper > the job. A process that ends the wrapper itself gets its orphans away; what this
    agent has seen of them it still holds.
    """

    follows_escapees_over_restart = True
    bounds_memory = False

    def __init__(self, wrapper: int, pidfd: int) -> None:
        self._wrapper = Wrapper(wrapper, pidfd)
        self._known: dict[int, int] = {}

    def out_of_memory(self) -> bool:
        return False

    def listed(self) -> Listed:
        return Listed(self._listing())

    def members(self) -> tuple[int, ...]:
        return tuple(node.pid for node in self._tree() if node.depth and not node.stat.gone)

    def freeze(self, within: float = 5.0) -> Tally:
        started = time.monotonic()
        self._wrapper.signal_group(signal.SIGSTOP)
        self._wrapper.hurry()
        return stop_all(self._listing, None, started, within)

    def thaw(self, within: float = 5.0) -> Tally:
        self._wrapper.relax()
        return continue_all(self._listing, None, time.monotonic(), within)

    def frozen(self) -> bool:
        return all_stopped(self._listing, None, self._wrapper.pid)

    def terminate(self, number: int = signal.SIGTERM) -> int:
        if not self._wrapper.ended():
            # So that it waits for the others when the job's own first process ends.
            procfs.send(self._wrapper.pidfd, signal.SIGTERM)
        reached = self._signal_members(number)
        self.thaw()
        return reached

    def kill(self, within: float = 5.0) -> Killed:
        started = time.monotonic()
        self._wrapper.hurry()
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

    def _tree(self) -> list[Node]:
        roots = {} if self._wrapper.ended() else {self._wrapper.pid: 0}
        for pid, start in self._known.items():
            stat = procfs.read_stat(pid)
            if stat is not None and stat.start == start and pid != self._wrapper.pid:
                roots[pid] = 1
        tree = below(roots)
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
