"""What a job may see of this computer, as a command line of bubblewrap.

Not the starting of a job (`processes`), nor who may pause it (`containment`). The opposite is
`landlock`, which hides what has no path.

Three layouts. `hidden`: the system read-only, the job's work folder, a private home and /tmp, and
nothing else. `bare`: everything the account sees, but in a PID namespace. `plain`: no bubblewrap.
"""

import functools
import os
import shutil
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from msgspec import Struct

from fallow.shared.errors import FallowError
from fallow.shared.work import landlock

WORK = "/fallow/work"
"""Where every job of a contained layout finds its work folder: a built tree must not move."""
HOME = "/fallow/home"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PROBE_SECONDS = 5.0

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/etc")
# Readable by root alone, so they matter only when the agent runs as root.
_SECRET_FILES = ("/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/sudoers")
_SECRET_FOLDERS = ("/etc/ssh", "/etc/ssl/private", "/etc/NetworkManager", "/etc/wireguard")
# Switches of the whole computer, which root may turn without any capability: bubblewrap covers only
# some of them.
_SWITCHES = ("acpi", "bus", "fs", "irq", "mtrr", "scsi", "sys", "sysrq-trigger")
_KEPT_ENVIRONMENT = ("LANG", "LANGUAGE", "TZ")
_KEPT_WITHOUT_HIDING = ("HOME", "PATH", "USER", "LOGNAME", "SHELL", *_KEPT_ENVIRONMENT)

Layout = Literal["hidden", "bare", "plain"]
Wish = Literal["auto", "bubblewrap", "none"]
"""What the owner of a computer said about hiding it; auto: hidden, or no job at all."""


class SandboxAbility(Struct, frozen=True):
    """What this computer can do, and in a sentence why not more.

    `scoped`: abstract sockets can be hidden too, see `landlock`.
    """

    kind: Literal["bubblewrap", "none"]
    why: str = ""
    program: str = ""
    scoped: bool = False


class SandboxPlan(Struct, frozen=True):
    """Where one attempt runs: its layout, and the folders of this computer that it gets.

    `work` is the work folder; `scratch` an empty folder for its /tmp and home, on disk so that they
    cost no memory; `read_only` more folders to read at their own paths, `covered` folders that are
    not to be seen even there: the agent's own, with its keys. `devices` are those of /dev that it
    gets besides the few that every program needs.
    """

    layout: Layout
    work: str
    scratch: str = ""
    read_only: tuple[str, ...] = ()
    covered: tuple[str, ...] = ()
    program: str = ""
    scoped: bool = False
    network: bool = True
    devices: tuple[str, ...] = ()

    @property
    def contained(self) -> bool:
        """Whether there is a PID namespace."""
        return self.layout != "plain"

    def path_inside(self, relative: str = "") -> str:
        """How the job sees a place that is named relative to its work folder."""
        return os.path.join(WORK if self.contained else self.work, relative).rstrip("/")

    def environment(self, extra: Mapping[str, str]) -> dict[str, str]:
        """The job's whole environment: a short list, then `extra`."""
        hidden = self.layout == "hidden"
        kept = _KEPT_ENVIRONMENT if hidden else _KEPT_WITHOUT_HIDING
        own = {
            name: value
            for name, value in os.environ.items()
            if name in kept or name.startswith("LC_")
        }
        base = {"PATH": PATH, "LANG": "C.UTF-8", "HOME": HOME if hidden else "/", **own}
        if hidden:
            base |= {"USER": "fallow", "LOGNAME": "fallow", "SHELL": "/bin/sh"}
        return base | dict(extra)

    def arguments(self, environment: Mapping[str, str]) -> list[str]:
        """The options of bubblewrap for this layout. Raises FallowError if it has none."""
        if self.layout == "hidden":
            view = self._hidden()
        elif self.layout == "bare":
            view = self._bare()
        else:
            raise FallowError("this layout has no sandbox", self.layout)
        options = ["--unshare-pid", "--as-pid-1", *view, "--chdir", WORK, "--clearenv"]
        for name, value in sorted(environment.items()):
            options += ["--setenv", name, value]
        return options

    def prepare(self) -> None:
        """Makes the folders of the scratch place, which bubblewrap needs before it starts."""
        if self.scratch and self.layout == "hidden":
            for name in ("tmp", "home"):
                os.makedirs(os.path.join(self.scratch, name), mode=0o700, exist_ok=True)

    def _hidden(self) -> list[str]:
        options = ["--unshare-ipc", "--unshare-uts", "--cap-drop", "ALL"]
        if not self.network:
            options += ["--unshare-net"]
        for folder in _SYSTEM:
            options += _as_it_is(folder, "--ro-bind")
        if os.geteuid() == 0:
            for secret in _SECRET_FILES:
                if os.path.exists(secret):
                    options += ["--ro-bind", "/dev/null", secret]
            for secret in _SECRET_FOLDERS:
                if os.path.isdir(secret):
                    options += ["--tmpfs", secret]
        options += ["--ro-bind-try", "/sys", "/sys", "--proc", "/proc", "--dev", "/dev"]
        for device in self.devices:
            options += ["--dev-bind-try", device, device]
        if os.geteuid() == 0:
            for switch in _SWITCHES:
                if os.path.exists(f"/proc/{switch}"):
                    options += ["--ro-bind", f"/proc/{switch}", f"/proc/{switch}"]
        options += ["--dir", "/run", *_name_servers(), "--dir", "/var"]
        for place, name in (("/tmp", "tmp"), (HOME, "home")):
            if self.scratch:
                options += ["--bind", os.path.join(self.scratch, name), place]
            else:
                options += ["--tmpfs", place]
        options += ["--symlink", "../tmp", "/var/tmp", "--symlink", "../run", "/var/run"]
        shown = [*_SYSTEM, *(os.path.realpath(each) for each in self.read_only)]
        for folder in shown[len(_SYSTEM) :]:
            options += ["--ro-bind-try", folder, folder]
        # In one place only, or what is covered there would be seen by the other name.
        for name in map(os.path.normpath, self.read_only):
            if not any(_lies_in(name, each) for each in shown):
                options += ["--symlink", os.path.realpath(name), name]
                shown.append(name)
        for folder in self.covered:
            real = os.path.realpath(folder)
            if os.path.isdir(real) and any(_lies_in(real, each) for each in shown):
                options += ["--tmpfs", real]
        return [*options, "--bind", self.work, WORK, "--remount-ro", "/"]

    def _bare(self) -> list[str]:
        # The root is put together from its parts, so that /fallow need not exist on this computer.
        options = _all_of_the_root(os.stat("/").st_mtime_ns)
        return [*options, "--proc", "/proc", "--bind", self.work, WORK]


@functools.lru_cache(maxsize=1)
def _all_of_the_root(changed: int) -> tuple[str, ...]:
    """Looked at once, and again when something has come or gone there."""
    options: list[str] = []
    for name in sorted(os.listdir("/")):
        if name not in ("proc", "fallow"):
            options += _as_it_is("/" + name, "--dev-bind")
    return tuple(options)


def _as_it_is(path: str, bind: str) -> list[str]:
    if os.path.islink(path):
        return ["--symlink", os.readlink(path), path]
    return [bind, path, path] if os.path.exists(path) else []


def _lies_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _name_servers() -> list[str]:
    """What /etc/resolv.conf points to, where that lies outside /etc."""
    target = os.path.realpath("/etc/resolv.conf")
    if os.path.isfile(target) and not target.startswith(("/etc/", "/usr/")):
        return ["--ro-bind", target, target]
    return []


def probe() -> SandboxAbility:
    """Runs bubblewrap to see whether it works here; some ms, at most twice PROBE_SECONDS."""
    program = shutil.which("bwrap", path=f"{PATH}:{os.environ.get('PATH', '')}")
    if program is None:
        return SandboxAbility("none", "bubblewrap is not installed")
    # What confines the thread can keep bubblewrap itself from working, as AppArmor has it.
    for scoped in (True, False) if landlock.available() else (False,):
        why = _failure(program, scoped)
        if why is None:
            return SandboxAbility("bubblewrap", program=program, scoped=scoped)
    return SandboxAbility("none", why or "")


def _failure(program: str, scoped: bool) -> str | None:
    """Why bubblewrap does not work, None if it does."""
    plan = SandboxPlan("hidden", work="/usr", program=program)
    failures: list[str | None] = []

    def try_it() -> None:
        try:
            if scoped:
                landlock.confine_this_thread()
            done = subprocess.run(
                [program, *plan.arguments({}), "/bin/sh", "-c", "test -d /proc/1"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=PROBE_SECONDS,
                start_new_session=True,
                check=False,
            )
        except subprocess.TimeoutExpired:
            failures.append(f"bubblewrap did not answer within {PROBE_SECONDS:g} s")
        except OSError as error:
            failures.append(f"bubblewrap cannot be started: {error.strerror}")
        else:
            said = done.stderr.decode(errors="replace").strip().splitlines() or ["?"]
            failures.append(f"bubblewrap does not work: {said[-1]}" if done.returncode else None)

    thread = threading.Thread(target=try_it, name="probe")
    thread.start()
    thread.join()
    return failures[0]


def plan_for(
    ability: SandboxAbility,
    wish: Wish,
    work: Path,
    scratch: Path,
    read_only: tuple[str, ...] = (),
    covered: tuple[str, ...] = (),
    *,
    grouped: bool = False,
    network: bool = True,
) -> SandboxPlan:
    """The best layout this computer has within its owner's wish; FallowError if there is none.

    `grouped`: each run has a control group to hold it, so that bubblewrap is there only to hide.
    Without `network` the job gets only a loopback of its own.
    """
    if not network and (wish == "none" or ability.kind == "none"):
        raise FallowError(
            "this computer cannot keep a job away from the network",
            "jobs run without a sandbox here",
            "let the batch use the network, or run it where jobs are in bubblewrap",
        )
    if ability.kind == "bubblewrap" and not (wish == "none" and grouped):
        layout: Layout = "bare" if wish == "none" else "hidden"
        return SandboxPlan(
            *(layout, str(work), str(scratch), read_only, covered),
            program=ability.program,
            scoped=ability.scoped,
            network=network,
        )
    if wish == "none":
        return SandboxPlan("plain", str(work))
    raise FallowError(
        "this computer cannot hide its files from a job",
        ability.why,
        "install bubblewrap, or let jobs run as this account without it: "
        'sandbox = "none" under [jobs] in agent.toml',
    )
