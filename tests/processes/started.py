"""One run of a test, and what a test may ask about real processes.

Not a fake: those are in tests/fakes.py. The opposite is conftest.py, which makes these.
"""

import secrets
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from fallow.shared.work import procfs
from fallow.shared.work.containment import Containment
from fallow.shared.work.ground import mount_point, own_group
from fallow.shared.work.processes import Ending, Handle
from fallow.shared.work.sandbox import SandboxPlan
from waiting import wait_until

Start = Callable[..., "Started"]


class Started:
    """One run of a test: its handle and where its words go."""

    def __init__(self, handle: Handle, plan: SandboxPlan, folder: Path) -> None:
        self.handle = handle
        self.plan = plan
        self.work = Path(plan.work)
        self.stdout = folder / "stdout.txt"
        self.stderr = folder / "stderr.txt"
        self.status = folder / "status"
        note = folder / "status.group"
        self.group = Path(note.read_text()).name if note.exists() else ""

    @property
    def tree(self) -> Containment:
        return self.handle.containment

    def ending(self, timeout: float = 20) -> Ending:
        found = wait_until(self.handle.poll, timeout, "the end of the run")
        assert found is not None
        return found

    def said(self, *words: str, timeout: float = 20) -> str:
        """Standard output, once all these words are in it."""

        def text() -> str | None:
            try:
                now = self.stdout.read_text()
            except FileNotFoundError:
                return None
            return now if all(word in now for word in words) else None

        try:
            return wait_until(text, timeout, f"{words} in stdout") or ""
        except AssertionError as error:
            raise AssertionError(f"{error}; stderr: {self._complaint()}") from None

    def _complaint(self) -> str:
        states = {pid: procfs.read_stat(pid) for pid in self.tree.members()}
        return f"{self.stderr.read_text() if self.stderr.exists() else None!r}, {states}"


def script(plan: SandboxPlan, name: str) -> tuple[str, ...]:
    """One of the programs of this folder, placed in the work folder, as a command."""
    source = Path(__file__).with_name(name)
    shutil.copy(source, Path(plan.work) / name)
    python = sys.executable if plan.layout == "plain" else "/usr/bin/python3"
    return (python, "./" + name)


def marked(word: str) -> set[int]:
    """All processes of this computer that were given a score of their own: ground truth.

    The score for being ended when memory is short is inherited, whatever a process does to its
    parents, its session and its environment.
    """
    found = set()
    for pid in procfs.pids():
        try:
            score = Path(f"/proc/{pid}/oom_score_adj").read_text().strip()
        except OSError:
            continue
        stat = procfs.read_stat(pid)
        if score == word and stat is not None and not stat.gone:
            found.add(pid)
    return found


def standing(pids: set[int]) -> bool:
    """Whether none of these can run: stopped each, gone, or in a control group that is frozen."""
    return all(_stands(pid) for pid in pids)


def _stands(pid: int) -> bool:
    stat = procfs.read_stat(pid)
    if stat is None or stat.gone or stat.stopped:
        return True
    try:
        group = own_group(Path(f"/proc/{pid}/cgroup").read_text())
        mounted = mount_point(Path("/proc/self/mountinfo").read_text())
        if group is None or mounted is None:
            return False
        return "frozen 1" in (mounted / group.lstrip("/") / "cgroup.events").read_text()
    except OSError:
        return False


def ticks(pids: set[int]) -> int:
    stats = [procfs.read_stat(pid) for pid in pids]
    return sum(stat.ticks for stat in stats if stat is not None)


def new_mark() -> str:
    """A score that no other test uses at the moment; an unprivileged job may only raise it."""
    return str(501 + secrets.randbelow(499))


def stands_still(pids: set[int], seconds: float) -> bool:
    """Whether these used no processor time for so long, as the kernel counts it."""
    before, end = ticks(pids), time.monotonic() + seconds
    wait_until(lambda: time.monotonic() >= end, seconds + 5, "time to pass")
    return ticks(pids) == before
