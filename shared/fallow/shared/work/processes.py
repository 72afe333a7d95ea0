"""Starts one attempt under a small `sh`, finds it again after a restart, and says how it ended.

Not what becomes of it meanwhile: that is `containment`. The `sh` outlives the agent, holds none of
its descriptors, and writes the exit status as its last deed, outside whatever the job can see.
"""

import os
import select
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct

from fallow.shared.errors import FallowError
from fallow.shared.runs import Exited, Signalled
from fallow.shared.work import cgroup, procfs, subreaper, traces, wrapper
from fallow.shared.work.cgroup import ControlGroup
from fallow.shared.work.containment import Containment
from fallow.shared.work.ground import NOWHERE, Ground
from fallow.shared.work.orphans import Subreaper
from fallow.shared.work.pid_namespace import PidNamespace, end_namespace
from fallow.shared.work.sandbox import SandboxPlan
from fallow.shared.work.signalling import Wrapper, end_session


class Spawn(Struct, frozen=True):
    """One program to start: its words, the job's own variables, and where its words go.

    `cwd` is relative to the work folder of `sandbox`; `stdout` and `stderr` are appended to;
    `status` is in a folder of its own that the job cannot see and that nobody else writes to; what
    an earlier run left there is removed. `ground` is where it gets a control group, which holds it
    to `memory` bytes where that can be done; `processors` are those it may use, empty: all. With
    `own_keys` it has none of those that the kernel keeps for whoever starts it.
    """

    argv: tuple[str, ...]
    sandbox: SandboxPlan
    stdout: Path
    stderr: Path
    status: Path
    env: Mapping[str, str] = {}
    cwd: str = ""
    nice: int = 19
    ground: Ground = NOWHERE
    memory: int | None = None
    processors: frozenset[int] = frozenset()
    own_keys: bool = True


class Identity(Struct, frozen=True):
    """Which process it is, for good: number and start (ticks since boot) within one boot."""

    boot_id: str
    pid: int
    start: int


class ExitStatus(Struct, frozen=True):
    """The program ended with this code, as a shell gives it: 128+n when signal n ended it."""

    code: int

    @property
    def exit(self) -> Exited | Signalled:
        if 128 < self.code <= 128 + 64:
            return Signalled(self.code - 128)
        return Exited(self.code)


class NeverStarted(Struct, frozen=True):
    """Sandbox or control group could not be set up, so it did not run; stderr says why."""


class Vanished(Struct, frozen=True):
    """The `sh` is gone and left no status: it was killed, or its computer died."""


Ending: TypeAlias = ExitStatus | NeverStarted | Vanished


class Handle:
    """A run that is being followed: `pidfd` becomes readable when it has ended."""

    def __init__(
        self,
        identity: Identity,
        pidfd: int,
        containment: Containment,
        status: Path,
        child: "subprocess.Popen[bytes] | None" = None,
    ) -> None:
        self.identity = identity
        self.pidfd = pidfd
        self.containment = containment
        self.status = status
        self._child = child
        self._closed = False

    def processors(self) -> frozenset[int]:
        """The processors it may use, empty when it has ended."""
        try:
            return frozenset(os.sched_getaffinity(self.identity.pid))
        except ProcessLookupError:
            return frozenset()

    def poll(self) -> Ending | None:
        """How it ended, None while it runs."""
        poller = select.poll()
        poller.register(self.pidfd, select.POLLIN)
        if not poller.poll(0):
            return None
        if self._child is not None:
            self._child.wait()
        return ending(self.status)

    def close(self) -> None:
        """Stops following; the run goes on. A second time does nothing."""
        if self._closed:
            return
        self._closed = True
        self.containment.close()
        os.close(self.pidfd)
        if self._child is not None and self._child.poll() is None:
            # It is left to whoever adopts it; without this a warning would say that it still runs.
            self._child.returncode = 0


def spawn(spawn: Spawn) -> Handle:
    """Starts it; takes 1 to 5 ms. Raises FallowError when this computer cannot."""
    plan = spawn.sandbox
    environment = plan.environment(spawn.env)
    status = str(spawn.status)
    options, report = traces.options_of(spawn.status), traces.report_of(spawn.status)
    group = _make_group(spawn)
    around_it = ["/bin/sh", "-c", wrapper.WRAPPER, "fallow-run", status, str(spawn.nice), group]
    if plan.contained:
        arguments = plan.arguments(environment)
        if spawn.cwd:
            arguments += ["--chdir", plan.path_inside(spawn.cwd)]
        command = [plan.program, "--args", "3", "--json-status-fd", "4", "--"]
        command += ["/bin/sh", "-c", wrapper.FIRST, "sh", *spawn.argv]
        around_it += ["", str(options), str(report), *command]
        around, folder = {"PATH": os.defpath}, "/"
    elif group:
        arguments = []
        around_it += ["", "", "", *spawn.argv]
        around, folder = environment, plan.path_inside(spawn.cwd)
    else:
        arguments = []
        helper = [sys.executable, "-I", "-S", subreaper.__file__]
        around_it = [*helper, "begin", *around_it]
        around_it += [sys.executable, subreaper.__file__, "", *spawn.argv]
        around = environment
        folder = plan.path_inside(spawn.cwd)
    try:
        plan.prepare()
        notes = (traces.note_of(spawn.status), traces.astray_of(spawn.status))
        for left in (spawn.status, report, *notes):
            left.unlink(missing_ok=True)
        _write_private(options, "".join(word + "\0" for word in arguments))
        child = wrapper.start(
            *(around_it, around, folder, (spawn.stdout, spawn.stderr)),
            nice=spawn.nice,
            processors=spawn.processors,
            confined=plan.layout == "hidden" and plan.scoped,
            own_keys=spawn.own_keys,
        )
    except OSError as error:
        raise FallowError(
            "this computer could not start a job",
            f"{error.strerror}: {error.filename or spawn.status}",
            "look at the free disk space and the permissions of the agent's data folder",
        ) from error
    pidfd = os.pidfd_open(child.pid)
    stat = procfs.read_stat(child.pid)
    # A child that nobody has waited for keeps its number and its stat, ended or not.
    assert stat is not None
    identity = Identity(procfs.boot_id(), child.pid, stat.start)
    return Handle(
        identity, pidfd, _containment(child.pid, pidfd, spawn.status), spawn.status, child
    )


def adopt(identity: Identity, status: Path) -> Handle | None:
    """Follows a run that another process started; None when it is over, or was another boot's.

    In the containment that it was started with, whatever this computer has by now. When None comes
    back, `ending` says how it ended.
    """
    pidfd = _still_there(identity)
    if pidfd is None:
        group = traces.group_of(status)
        if group is not None:
            cgroup.remove(group)
        return None
    return Handle(identity, pidfd, _containment(identity.pid, pidfd, status), status)


def _still_there(identity: Identity) -> int | None:
    """A pidfd of this very process, None when it is over."""
    if identity.boot_id != procfs.boot_id():
        return None
    try:
        pidfd = os.pidfd_open(identity.pid)
    except (ProcessLookupError, OSError):
        return None
    stat = procfs.read_stat(identity.pid)
    # The pidfd came first: if the start is right now, it was right then, and it is that process.
    if stat is None or stat.start != identity.start or stat.gone:
        os.close(pidfd)
        return None
    return pidfd


def find(status: Path) -> Identity | None:
    """The run that was given this status file, for a caller that died before it could note it.

    None when none was started. It may be over by now: that is for `adopt` to say.
    """
    try:
        boot, line = traces.note_of(status).read_text().split(maxsplit=1)
        return Identity(boot, int(line.split()[0]), procfs.parse_stat(line.encode()).start)
    except (FileNotFoundError, ValueError, IndexError):
        return None


def ending(status: Path) -> Ending:
    """How a run ended whose `sh` is gone."""
    try:
        code = int(status.read_text())
    except (FileNotFoundError, ValueError):
        return Vanished()
    # A signal that came before the program did is no fault of the sandbox.
    if traces.is_contained(status) and code < 128 and not traces.has_begun(status):
        return NeverStarted()
    if traces.astray_of(status).exists():
        return NeverStarted()
    return ExitStatus(code)


def sweep(status: Path) -> bool:
    """Ends what a run left behind whose `sh` was killed; False if something is still there.

    For a run that `adopt` did not find; with neither a control group nor a PID namespace, what has
    left the session of the `sh` cannot be found.
    """
    group, identity = traces.group_of(status), find(status)
    ended = group is None or cgroup.end(group)
    ended = end_namespace(traces.report_of(status)) and ended
    if identity is not None and identity.boot_id == procfs.boot_id():
        end_session(identity.pid)
    return ended


def spawn_detached(argv: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> int:
    """Starts another program of ours in a session of its own, its words into `log`; its number.

    Raises FallowError when it cannot be started.
    """
    try:
        with log.open("ab") as file:
            child = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env=None if env is None else dict(env),
                start_new_session=True,
                cwd="/",
            )
    except OSError as error:
        raise FallowError(
            f"{Path(argv[0]).name} could not be started", f"{error.strerror}: {error.filename}"
        ) from error
    # Waits in the background, so that it leaves no zombie while we live.
    threading.Thread(target=child.wait, name=f"wait-{child.pid}", daemon=True).start()
    return child.pid


def _make_group(spawn: Spawn) -> str:
    """A group for the run, noted before it exists; empty when there is to be none."""
    old, note = traces.group_of(spawn.status), traces.group_note_of(spawn.status)
    if old is not None:
        cgroup.remove(old)
        note.unlink()
    if not spawn.ground.folder:
        return ""
    group = cgroup.name_in(spawn.ground)
    try:
        note.write_text(str(group))
        cgroup.make(group, spawn.memory)
    except OSError:
        # Somebody has taken the place away since it was tried: the other ways are left.
        cgroup.remove(group)
        note.unlink(missing_ok=True)
        return ""
    return str(group)


def _write_private(path: Path, text: str) -> None:
    """The job's variables may hold secrets, which a command line would show to everybody."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w") as file:
        file.write(text)


def _containment(pid: int, pidfd: int, status: Path) -> Containment:
    contained, group = traces.is_contained(status), traces.group_of(status)
    inner: Containment = (
        PidNamespace(pid, pidfd, traces.report_of(status)) if contained else Subreaper(pid, pidfd)
    )
    if group is None or not group.is_dir():
        return inner
    return ControlGroup(group, inner, Wrapper(pid, pidfd), only_job=not contained)
