"""Where on this computer the runs may have control groups (cgroup v2) of their own, if anywhere.

Not what is done with a group once it is there: that is `cgroup`. Looked for in the mount table,
since version 2 may be mounted beside version 1, and tried out, since a right on paper is none.
"""

import itertools
import os
import re
import select
import time
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from fallow.shared.work.trial import try_out

USEFUL = ("cpu", "memory", "pids")
TRIAL_SECONDS = 5.0

_TOP = "fallow"
# What a unit with DelegateSubgroup= keeps its own first process in.
_LEAF = "agent"
_serial = itertools.count()


class Ground(Struct, frozen=True):
    """The folder in which each run gets a group, or in a sentence why there is none.

    `controllers` are those of USEFUL that hold in those groups: without them a group is still
    stopped and ended as one, but nothing in it is counted or bounded.
    """

    folder: str = ""
    why: str = ""
    controllers: tuple[str, ...] = ()


NOWHERE = Ground(why="control groups are not wanted")


def probe() -> Ground:
    """Finds the place and tries it with a process; about 5 ms."""
    mounted = mount_point(Path("/proc/self/mountinfo").read_text())
    if mounted is None:
        return Ground(why="control groups of version 2 are not mounted")
    own = own_group(Path("/proc/self/cgroup").read_text())
    why = "this process is in no control group"
    for folder in _candidates(mounted, own):
        refusal = _failure(folder)
        if refusal is None:
            return Ground(str(folder), controllers=_hand_down(folder))
        why = refusal
    return Ground(why=why)


def mount_point(table: str) -> Path | None:
    """Where the whole of cgroup v2 is mounted, by the text of a mountinfo file."""
    for line in table.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split()
        if after.split(" ", 1)[0] == "cgroup2" and len(fields) > 4 and fields[3] == "/":
            return Path(re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), fields[4]))
    return None


def own_group(text: str) -> str | None:
    """This process's own group of version 2, by the text of its cgroup file; None if unseen."""
    for line in text.splitlines():
        number, _, rest = line.partition("::")
        # Outside a namespace's root it is named from there, and cannot be reached.
        if number == "0" and rest.startswith("/") and not rest.startswith("/.."):
            return rest
    return None


def _candidates(mounted: Path, own: str | None) -> Iterator[Path]:
    here = None if own is None else mounted / own.lstrip("/")
    if here is not None and here != mounted:
        if here.name == _LEAF:
            yield here.parent
        # Root may write in any; in one that systemd has not handed over, it would be in its way.
        if os.geteuid() != 0 or _delegated(here):
            yield here
    if os.geteuid() == 0:
        yield mounted / _TOP
    elif here is None or here == mounted:
        yield mounted


def _delegated(folder: Path) -> bool:
    for name in ("user.delegate", "trusted.delegate"):
        try:
            if os.getxattr(folder, name) == b"1":
                return True
        except OSError:
            continue
    return False


def _failure(folder: Path) -> str | None:
    """Why no run can have a group in this folder, None if it can."""
    group = folder / f"try-{os.getpid()}-{next(_serial)}"
    try:
        folder.mkdir(exist_ok=True)
        group.mkdir()
    except OSError as error:
        return f"no control group can be made in {folder}: {error.strerror}"
    try:
        if not (group / "cgroup.kill").exists():
            return "this kernel cannot end a control group (Linux 5.14 can)"
        trial = try_out(["/bin/sh", "-c", 'echo 0 >"$0/cgroup.procs"', str(group)], TRIAL_SECONDS)
        if trial.code != 0:
            said = (trial.said.strip().splitlines() or ["no answer"])[-1]
            return f"no process can be moved into a control group in {folder}: {said}"
        (group / "cgroup.freeze").write_text("1")
        return None if await_frozen(group, TRIAL_SECONDS) else "a control group does not freeze"
    except OSError as error:
        return f"control groups in {folder} do not work: {error.strerror}"
    finally:
        try:
            group.rmdir()
        except OSError:
            # Nothing is in it; it is in nobody's way.
            pass


def _hand_down(folder: Path) -> tuple[str, ...]:
    """The controllers that runs in this folder get; turned on where that takes nothing away."""
    try:
        offered = (folder / "cgroup.controllers").read_text().split()
        if not (folder / "cgroup.procs").read_text().strip():
            # Only a group with no process of its own may: the kernel has it so.
            for name in USEFUL:
                if name in offered:
                    (folder / "cgroup.subtree_control").write_text(f"+{name}")
        given = (folder / "cgroup.subtree_control").read_text().split()
    except OSError:
        return ()
    return tuple(name for name in USEFUL if name in given)


def await_frozen(group: Path, within: float) -> bool:
    """Whether all of a group that was told so stands still after at most `within` seconds."""
    end = time.monotonic() + within
    events = os.open(group / "cgroup.events", os.O_RDONLY | os.O_CLOEXEC)
    try:
        poller = select.poll()
        poller.register(events, select.POLLPRI)
        while b"frozen 1" not in os.pread(events, 256, 0):
            left = end - time.monotonic()
            if left <= 0:
                return False
            poller.poll(left * 1000)
        return True
    finally:
        os.close(events)
